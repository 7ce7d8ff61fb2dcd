"""Task files: `.orchestrator/tasks/TASK-123.md`, a path, or free text."""

import difflib
import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from agentflow.durations import parse_duration
from agentflow.errors import UsageError
from agentflow.frontmatter import Header, read_markdown
from agentflow.globs import check_glob, is_path
from agentflow.nearest import nearest
from agentflow.records import Boundaries, BuildCommand, Expectation, Task
from agentflow.setting_tables import GateTable
from agentflow.words import word
from agentflow.wrong_values import what_is_wrong

FOLDER = ".orchestrator/tasks"
LIMITING = frozenset({"allow", "deny", "files", "gates", "max_cost", "max_turns", "timeout"})
"""Keys whose misspelling must not be a mere warning."""
MAX_TASK = 1024 * 1024
"""Bytes. A task is read into the first message; the largest real plan seen had 1.25 MB."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_GATE = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]{0,99})\s*=\s*(.*\S)\s*", re.DOTALL)


def _as_list(value: Any) -> Any:
    """`a, b`, one item a line, and `[a, b]` alike; commas within braces stay."""
    if isinstance(value, str):
        items = re.split(r"[,\n](?![^{}]*\})", value)
        return [item.strip() for item in items if item.strip()]
    return value


def _as_gates(value: Any) -> Any:
    """`{name: command}`, `{name: {command: …, retries: 2}}` and `[name=command]` alike."""
    if not isinstance(value, list):
        return value
    gates: dict[str, str] = {}
    for item in value:  # pyright: ignore[reportUnknownVariableType] - checked by the next line
        found = _GATE.fullmatch(item) if isinstance(item, str) else None
        if found is None or found[1] in gates:
            problem = _gate_problem(item)[0] if isinstance(item, str) and "=" in item else ""
            told = "write distinct `name: command` lines, or a list of name=command"
            raise ValueError(problem or told)
        gates[found[1]] = found[2]
    return gates


Names = Annotated[tuple[str, ...], BeforeValidator(_as_list)]
Gates = Annotated[
    dict[
        Annotated[str, Field(pattern=rf"^{_ID.pattern}$")],
        Annotated[str, Field(min_length=1)] | GateTable,
    ],
    BeforeValidator(_as_gates),
]


def _command(name: str, gate: str | GateTable) -> BuildCommand:
    table = GateTable(command=gate) if isinstance(gate, str) else gate
    return BuildCommand(name=name, **dict(table))


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
    status: str | None = None


def check_id(identifier: str, *, where: str = "") -> str:
    """Return the id. Raises `UsageError` if it cannot be a file name and a part of a ref."""
    if not _ID.fullmatch(identifier) or ".." in identifier or identifier.endswith((".", ".lock")):
        raise UsageError(
            f"{where}{': ' if where else ''}{identifier[:200]!r} cannot be a task id",
            hint="Use letters, digits, `-`, `_` and `.`, at most 100, for example TASK-123.",
        )
    return identifier


def parse_gate(text: str, *, where: str) -> tuple[str, str]:
    """Split `name=command`. Raises `UsageError` naming `where`."""
    found = _GATE.fullmatch(text)
    if found is None:
        problem, hint = _gate_problem(text)
        raise UsageError(f"{where}: {problem or f'{text!r} is not a gate'}", hint)
    return found[1], found[2]


def _gate_problem(text: str) -> tuple[str, str]:
    """What is wrong with a `name=command` if that can be said, and how it is written."""
    name, equals, command = (part.strip() for part in text.partition("="))
    if not (name and equals):
        return "", "Write name=command, for example 'test=pytest -q'."
    if _ID.fullmatch(name):
        problem = "" if command else f"the gate {name!r} has no command"
        return problem, f"Write name=command, for example {word(f'{name}=pytest -q')}."
    near = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._")[:100]
    return f"{name[:200]!r} cannot be a gate's name", (
        "Use letters, digits, `-`, `_` and `.`, at most 100"
        + (f", for example {word(f'{near}={command}'):.300}." if near and command else ".")
    )


def names_a_file(name: str) -> bool:
    """Whether a task is given by a path, and not by its id."""
    return "/" in name or name.endswith(".md")


def find_task(name: str, root: Path, queued: Sequence[str] = ()) -> Path:
    """Return the file of a task given by id, or by a path from the current directory.

    Raises `UsageError` naming the nearest task, also of those in a queue.
    """
    folder = root / FOLDER
    path = Path(name)
    if names_a_file(name):
        if path.is_file():
            return path
        _refuse_no_file(path)
        raise UsageError(f"there is no task file {name}", hint=_known_tasks(folder))
    check_id(name)
    path = folder / f"{name}.md"
    if not path.is_file():
        _refuse_no_file(path)
        known = [*_files(folder), *queued]
        where = f"{FOLDER} or the queue" if queued else FOLDER
        raise UsageError(
            f"there is no task {name!r} in {where}{nearest(name, known)}",
            hint=_known_tasks(folder, queued),
        )
    return path


def _files(folder: Path) -> list[str]:
    """The ids of the tasks that files hold."""
    return [file.stem for file in folder.glob("*.md") if file.is_file()]


def _refuse_no_file(path: Path) -> None:
    """Refuse a name in a folder of tasks that is there and is no file. Raises `UsageError`."""
    if path.is_symlink() and not path.exists():
        told = f"is a link that leads nowhere: {path.readlink()}"
    elif os.path.lexists(path):
        told = "is a folder" if path.is_dir() else "is no regular file"
    else:
        return
    raise UsageError(f"{path} {told}", hint="A task is a Markdown file: put one in its place.")


def before_init(root: Path) -> str:
    """What a hint begins with in a repository that nobody prepared; nothing in others."""
    prepared = Path(root, FOLDER).parent.is_dir()
    return "" if prepared else "Prepare the repository first: agentflow init. "


def _known_tasks(folder: Path, queued: Sequence[str] = ()) -> str:
    known = sorted({*_files(folder), *queued})
    if not known:
        return (
            f"{before_init(folder.parents[1])}Write {FOLDER}/<ID>.md, or give the task as --text."
        )
    return f"Known tasks: {', '.join(known[:10])}{', …' if len(known) > 10 else ''}"


def read_task(path: Path) -> tuple[Task, tuple[str, ...]]:
    """Read a task file; return the task and warnings.

    Raises `UsageError` naming file, line and key.
    """
    data, header = read_markdown(path, limit=MAX_TASK)
    _refuse_misspelt(header, path)
    fields = _fields(header, path)
    warnings = tuple(
        f"{path}:{header.lines[name]}: unknown key {name!r}{nearest(name, _Fields.model_fields)}"
        for name in header.fields
        if name not in _Fields.model_fields
    )
    task = _task(fields, header, path)
    return replace(task, sha256=hashlib.sha256(data).hexdigest()), warnings


def _refuse_misspelt(header: Header, path: Path) -> None:
    """Refuse a key that is nearly one which limits or checks the agent: without it, it is free."""
    for name in header.fields:
        meant = difflib.get_close_matches(name, _Fields.model_fields, n=1, cutoff=0.7)
        if name not in _Fields.model_fields and meant and meant[0] in LIMITING:
            raise UsageError(
                f"{path}:{header.lines[name]}: unknown key {name!r}; did you mean {meant[0]!r}?"
            )


def _fields(header: Header, path: Path) -> _Fields:
    given = {name: value for name, value in header.fields.items() if value not in ("", "null", "~")}
    try:
        return _Fields.model_validate(given)
    except ValidationError as error:
        name, told = what_is_wrong(error, _Fields, given)
        line = header.lines.get(name.partition(".")[0], 1)
        raise UsageError(f"{path}:{line}: {name}: {told}") from error


def _task(fields: _Fields, header: Header, path: Path) -> Task:
    where = {name: f"{path}:{header.lines.get(name, 1)}: {name}" for name in _Fields.model_fields}
    text = header.body.strip("\r\n")
    if not text.strip():
        raise UsageError(
            f"{path} says nothing: there is no text after the header",
            hint="Write what is to be done below the header.",
        )
    identifier = _identifier(fields.id, path, where["id"])
    heading = re.search(r"^#{1,6}[ \t]+(.+?)[ \t#\r]*$", text, re.MULTILINE)
    return Task(
        id=identifier,
        title=" ".join((fields.title or (heading[1] if heading else identifier)).split()),
        text=text,
        path=path,
        prompt=fields.prompt,
        profile=fields.profile,
        model=fields.model,
        boundaries=Boundaries(
            tuple(check_glob(glob, where=where["allow"]) for glob in fields.allow),
            tuple(check_glob(glob, where=where["deny"]) for glob in fields.deny),
        ),
        files=tuple(_file(name, where["files"]) for name in fields.files),
        gates=tuple(_command(name, gate) for name, gate in fields.gates.items()),
        depends_on=tuple(check_id(name, where=where["depends_on"]) for name in fields.depends_on),
        base=fields.base,
        max_turns=fields.max_turns,
        max_cost=fields.max_cost,
        timeout=parse_duration(fields.timeout, where=where["timeout"]) if fields.timeout else None,
        expect=fields.expect,
        status="proposed" if fields.status == "proposed" else "",
    )


def _identifier(declared: str | None, path: Path, where: str) -> str:
    """The header's id, else the file's name; the two agree where tasks are found by name."""
    if declared is None:
        return check_id(path.stem, where=str(path))
    if path.resolve().match(f"{FOLDER}/*.md") and declared != path.stem:
        raise UsageError(
            f"{where}: {declared!r} is not the file's name",
            hint="Markers and branches are named by the id; rename the file or drop the key.",
        )
    return check_id(declared, where=where)


def _file(name: str, where: str) -> str:
    path = check_glob(name, where=where)
    if not is_path(path):
        raise UsageError(f"{where}: {name!r} must be one file's path, without wildcards")
    return path


def text_task(text: str) -> Task:
    """Make a task of free text; the same text gets the same id.

    Raises `UsageError` if it is empty, too long, or no text.
    """
    plain = text.strip()
    try:
        data = plain.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"the task's text is not UTF-8 (character {error.start})", hint="Write it as UTF-8."
        ) from error
    if not plain:
        raise UsageError(
            "the task's text is empty",
            hint="Say what is to be done: agentflow run --text 'Add GET /health'",
        )
    if "\0" in plain:
        raise UsageError("the task's text holds a NUL byte", hint="Take it out.")
    if len(data) > MAX_TASK:
        raise UsageError(
            f"the task's text is longer than {MAX_TASK} bytes",
            hint="Commit a part of it as a file, and name that in the text.",
        )
    digest = hashlib.sha256(data).hexdigest()
    identifier = f"TEXT-{digest[:8]}"
    first = plain.splitlines()[0].lstrip("# ").strip()
    title = (first if len(first) <= 80 else f"{first[:79]}…") or identifier
    return Task(id=identifier, title=title, text=text.strip("\r\n"), sha256=digest)
