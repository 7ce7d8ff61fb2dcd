"""Task files: `.orchestrator/tasks/TASK-123.md`, a path, or free text."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from agentflow.boundaries import check_glob, is_path
from agentflow.durations import parse_duration
from agentflow.errors import UsageError
from agentflow.frontmatter import Header, read_markdown
from agentflow.nearest import nearest
from agentflow.records import Boundaries, BuildCommand, Expectation, Task

FOLDER = ".orchestrator/tasks"
MAX_TASK = 1024 * 1024
"""Bytes. A task is read into the first message; the largest real plan seen had 1.25 MB."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_GATE = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]{0,99})\s*=\s*(.*\S)\s*", re.DOTALL)

T = TypeVar("T")


def _as_list(value: Any) -> Any:
    """`a, b`, one item a line, and `[a, b]` alike; commas within braces stay."""
    if isinstance(value, str):
        items = re.split(r"[,\n](?![^{}]*\})", value)
        return [item.strip() for item in items if item.strip()]
    return value


def _as_gates(value: Any) -> Any:
    """`{name: command}` and `[name=command]` alike."""
    if not isinstance(value, list):
        return value
    gates: dict[str, str] = {}
    for item in value:  # pyright: ignore[reportUnknownVariableType] - checked by the next line
        found = _GATE.fullmatch(item) if isinstance(item, str) else None
        if found is None or found[1] in gates:
            raise ValueError("write distinct `name: command` lines, or a list of name=command")
        gates[found[1]] = found[2]
    return gates


Names = Annotated[tuple[str, ...], BeforeValidator(_as_list)]
Gates = Annotated[
    dict[
        Annotated[str, Field(pattern=rf"^{_ID.pattern}$")],
        Annotated[str, Field(min_length=1)],
    ],
    BeforeValidator(_as_gates),
]


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
    max_cost: float | None = Field(None, ge=0, allow_inf_nan=False)
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
    found = _GATE.fullmatch(text)
    if found is None:
        raise UsageError(
            f"{where}: {text!r} is not a gate",
            hint="Write name=command, for example 'test=pytest -q'.",
        )
    return found[1], found[2]


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
    _, header = read_markdown(path, limit=MAX_TASK)
    fields = _fields(header, path)
    warnings = tuple(
        f"{path}:{header.lines[name]}: unknown key {name!r}{nearest(name, _Fields.model_fields)}"
        for name in header.fields
        if name not in _Fields.model_fields
    )
    return _task(fields, header, path), warnings


def _fields(header: Header, path: Path) -> _Fields:
    given = {name: value for name, value in header.fields.items() if value not in ("", "null", "~")}
    try:
        return _Fields.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0])
        raise UsageError(
            f"{path}:{header.lines.get(name, 1)}: {name}: {first['msg']} "
            + f"(given: {first['input']!r:.80})",
        ) from error


def _task(fields: _Fields, header: Header, path: Path) -> Task:
    def each(name: str, read: Callable[[str], T]) -> T:
        """Read a key's value; an error names the line."""

    where = {name: f"{path}:{header.lines.get(name, 1)}: {name}" for name in _Fields.model_fields}
    body = header.body.strip("\r\n")
    return None


def text_task(text: str) -> Task:
    """Make a task of free text; the same text gets the same id. Raises `UsageError` if empty."""
    if not text.strip():
        raise UsageError("the task's text is empty")
    digest = hashlib.sha256(text.strip().encode()).hexdigest()[:8]
    first = text.strip().splitlines()[0].lstrip("# ").strip()
    return Task(id=f"TEXT-{digest}", title=first[:80], text=text.strip("\n"))
