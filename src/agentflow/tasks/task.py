"""Task files: `.orchestrator/tasks/TASK-123.md`, a path, or free text."""

import hashlib
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from agentflow.boundaries import check_glob
from agentflow.durations import parse_duration
from agentflow.errors import UsageError
from agentflow.frontmatter import Header, read_header
from agentflow.nearest import nearest
from agentflow.records import Boundaries, BuildCommand, Expectation, Task

FOLDER = ".orchestrator/tasks"
MAX_TASK = 1024 * 1024
"""Bytes. A task is read into the first message; the largest real plan seen had 1.25 MB."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def _as_list(value: Any) -> Any:
    """`a, b` and `[a, b]` alike."""
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    return value


def _as_gates(value: Any) -> Any:
    """`{name: command}` and `[name=command]` alike."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):  # pyright: ignore[reportUnknownVariableType]
        return dict(parse_gate(item, where="gates") for item in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return value


Names = Annotated[tuple[str, ...], BeforeValidator(_as_list)]
Gates = Annotated[dict[str, str], BeforeValidator(_as_gates)]


class _Fields(BaseModel):
    """The header of a task file. Every scalar arrives as text."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str | None = None
    title: str | None = None
    prompt: str | None = None
    profile: str | None = None
    model: str | None = None
    allow: Names = ()
    deny: Names = ()
    files: Names = ()
    gates: Gates = {}
    depends_on: Names = ()
    base: str | None = None
    max_turns: int | None = Field(None, ge=1)
    max_cost: float | None = Field(None, ge=0)
    timeout: str | None = None
    expect: Expectation = "change"


def check_id(identifier: str) -> str:
    """Return the id. Raises `UsageError` if it cannot be a file name and a part of a ref."""
    if not _ID.fullmatch(identifier) or ".." in identifier or identifier.endswith((".", ".lock")):
        raise UsageError(
            f"{identifier!r} cannot be a task id",
            hint="Use letters, digits, `-`, `_` and `.`, at most 100, for example TASK-123.",
        )
    return identifier


def parse_gate(text: str, *, where: str) -> tuple[str, str]:
    """Split `name=command`. Raises `UsageError` naming `where`."""
    name, equals, command = text.partition("=")
    if not equals or not _ID.fullmatch(name.strip()) or not command.strip():
        raise UsageError(
            f"{where}: {text!r} is not a gate",
            hint="Write name=command, for example 'test=pytest -q'.",
        )
    return name.strip(), command.strip()


def find_task(name: str, root: Path) -> Path:
    """Return the file of a task given by id or by path, relative to the current directory.

    Raises `UsageError` naming the nearest task.
    """
    folder = root / FOLDER
    path = Path(name)
    if path.suffix == ".md" or "/" in name:
        if path.is_file():
            return path
        raise UsageError(f"there is no task file {name}", hint=_known_tasks(folder))
    check_id(name)
    path = folder / f"{name}.md"
    if not path.is_file():
        known = [file.stem for file in folder.glob("*.md")]
        raise UsageError(
            f"there is no task {name!r} in {FOLDER}{nearest(name, known)}",
            hint=_known_tasks(folder),
        )
    return path


def _known_tasks(folder: Path) -> str:
    known = sorted(file.stem for file in folder.glob("*.md"))
    if not known:
        return f"Write {FOLDER}/<ID>.md, or give the task as --text."
    return f"Known tasks: {', '.join(known[:10])}{', …' if len(known) > 10 else ''}"


def read_task(path: Path) -> tuple[Task, tuple[str, ...]]:
    """Read a task file; return the task and warnings.

    Raises `UsageError` naming file, line and key.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    if len(data) > MAX_TASK:
        raise UsageError(f"{path} is larger than {MAX_TASK} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 (byte {error.start})") from error
    header = read_header(text, where=str(path))
    fields = _fields(header, path)
    warnings = tuple(
        f"{path}:{header.lines[name]}: unknown key {name!r}{nearest(name, _Fields.model_fields)}"
        for name in header.fields
        if name not in _Fields.model_fields
    )
    return _task(fields, header.body, path), warnings


def _fields(header: Header, path: Path) -> _Fields:
    given = {name: value for name, value in header.fields.items() if value not in ("", "null", "~")}
    try:
        return _Fields.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0])
        raise UsageError(
            f"{path}:{header.lines.get(name, 1)}: {name}: {first['msg']} "
            + f"(given: {first['input']!r})"
        ) from error


def _task(fields: _Fields, body: str, path: Path) -> Task:
    where = str(path)
    if not body.strip():
        raise UsageError(f"{path} says nothing: there is no text after the header")
    heading = re.search(r"^#{1,6}[ \t]+(.+?)[ \t#]*$", body, re.MULTILINE)
    identifier = check_id(fields.id or path.stem)
    return Task(
        id=identifier,
        title=fields.title or (heading.group(1) if heading else identifier),
        text=body.strip("\n"),
        path=path,
        prompt=fields.prompt,
        profile=fields.profile,
        model=fields.model,
        boundaries=Boundaries(
            tuple(check_glob(g, where=f"{where}: allow") for g in fields.allow),
            tuple(check_glob(g, where=f"{where}: deny") for g in fields.deny),
        ),
        files=tuple(check_glob(g, where=f"{where}: files") for g in fields.files),
        gates=tuple(BuildCommand(name, command) for name, command in fields.gates.items()),
        depends_on=tuple(check_id(name) for name in fields.depends_on),
        base=fields.base,
        max_turns=fields.max_turns,
        max_cost=fields.max_cost,
        timeout=parse_duration(fields.timeout, where=f"{where}: timeout")
        if fields.timeout
        else None,
        expect=fields.expect,
    )


def text_task(text: str) -> Task:
    """Make a task of free text; the same text gets the same id. Raises `UsageError` if empty."""
    if not text.strip():
        raise UsageError("the task's text is empty")
    digest = hashlib.sha256(text.strip().encode()).hexdigest()[:8]
    first = text.strip().splitlines()[0].lstrip("# ").strip()
    return Task(id=f"TEXT-{digest}", title=first[:80], text=text.strip("\n"))
