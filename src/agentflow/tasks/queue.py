"""`task_queue.md`: many tasks in one file, as table rows or bold fields below `### TASK-001: …`.

Only what the file says is read: a status that nobody knows, a dependency that is not there, a field
said twice in two ways are problems with a line.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agentflow.configuration import QueueSetting
from agentflow.errors import UsageError
from agentflow.records import Task
from agentflow.tasks.handoff import Problem
from agentflow.tasks.handoff_blocks import quoted
from agentflow.tasks.task import MAX_TASK, check_id

MAX_LINES = 100_000
STATUSES: dict[str, str] = {
    **dict.fromkeys(("pending", "todo", "to do", "not started", "open", "ready"), "pending"),
    **dict.fromkeys(("in progress", "running", "started", "active"), "in_progress"),
    **dict.fromkeys(("completed", "complete", "done", "verified", "finished"), "completed"),
    **dict.fromkeys(("failed", "error"), "failed"),
    **dict.fromkeys(("blocked", "waiting"), "blocked"),
    **dict.fromkeys(("skipped", "deferred", "cancelled", "canceled"), "skipped"),
}
"""Words of a status without signs, and what each means."""

_ID = r"[A-Z0-9]+[a-z]?(?:[-_.][A-Z0-9]+[a-z]?){1,8}"
_HEADING = re.compile(
    rf"#{{2,5}}[ \t]+\[?({_ID})\]?(?:[ \t]*[:\u2013\u2014][ \t]*|[ \t]+-[ \t]+|[ \t]*\Z)(.*)"
)
_ANY_HEADING = re.compile(r"#{1,6}[ \t]+\S")
_ROW = re.compile(r"[ \t]*\|[ \t]*\**([A-Za-z][A-Za-z /-]{0,40}?):?\**:?[ \t]*\|(.*)\|[ \t]*")
_BOLD = re.compile(r"[ \t]*(?:[-*][ \t]+)?\*\*([A-Za-z][A-Za-z /-]{0,40}?)(?::\*\*|\*\*:)(.*)")
_RULE = re.compile(r"[ \t]*-{3,}[ \t]*")
_NAMED = re.compile(rf"(?<![\w-]){_ID}(?![\w-])")
_RANGE = re.compile(
    rf"(?<![\w-])({_ID})[ \t]*(?:\.\.+|\u2013|\u2014|[ \t]-[ \t]|to|through)[ \t]*({_ID}|\d+)(?![\w-])"
)
_NUMBER = re.compile(r"(.*?)(\d+)")
_LONGEST_RANGE = 50
_MOST_FIELDS = 20
_NOTHING = {"", "none", "n/a", "na", "-", "nothing", "[]", "null"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One task of a queue."""

    id: str
    title: str
    line: int
    """Of its heading, from 1."""
    text: str
    """Everything below the heading, as written."""
    status: str = ""
    """One of the meanings in `STATUSES`; empty if it cannot be told."""
    category: str = ""
    complexity: str = ""
    depends_on: tuple[str, ...] = ()
    fields: Mapping[str, str] | None = None
    """All fields by their name in small letters, such as `objective` and `acceptance criteria`."""


@dataclass(frozen=True, slots=True)
class Queue:
    """A file of tasks."""

    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...]

    def ready(self) -> tuple[Entry, ...]:
        """Pending tasks whose dependencies are all completed, in the file's order."""
        done = {entry.id for entry in self.entries if entry.status == "completed"}
        return tuple(
            entry
            for entry in self.entries
            if entry.status == "pending" and done.issuperset(entry.depends_on)
        )


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    value: str
    line: int


def read_queue(text: str, *, where: str) -> Queue:
    """Read a queue.

    Raises `UsageError` naming `where`, for a text that is too long, or holds no task.
    """
    lines = re.split(r"\r\n|\r|\n", text.removeprefix("\ufeff"))
    if len(text) > MAX_TASK or len(lines) > MAX_LINES:
        raise UsageError(f"{where} is longer than {MAX_TASK} characters or {MAX_LINES} lines")
    hidden = quoted(lines)
    problems, entries = list[Problem](), list[Entry]()
    seen: dict[str, int] = {}
    for first, end, found in _sections(lines, hidden):
        fields = list(_fields(lines, hidden, first + 1, end))
        entry = _entry(
            found, "\n".join(lines[first + 1 : end]).strip("\n"), first + 1, fields, problems
        )
        if entry.id in seen:
            problems.append(
                Problem(entry.line, f"{entry.id} stands in line {seen[entry.id]} already")
            )
            continue
        seen[entry.id] = entry.line
        entries.append(entry)
    if not entries:
        raise UsageError(
            f"{where} holds no task", hint="Write `### TASK-001: what`, and its fields below."
        )
    problems += _unknown(entries, seen)
    problems += _cycles(entries)
    return Queue(tuple(entries), tuple(sorted(problems, key=lambda each: each.line)))


def _sections(
    lines: Sequence[str], hidden: Sequence[bool]
) -> Iterator[tuple[int, int, re.Match[str]]]:
    """Each task's heading and the line after its last one."""
    opened: tuple[int, re.Match[str]] | None = None
    for index, line in enumerate(lines):
        if hidden[index] or not _ANY_HEADING.match(line):
            continue
        found = _HEADING.fullmatch(line[:1_000].rstrip())
        rank = len(line) - len(line.lstrip("#"))
        if opened and (found or rank <= opened[1][0].index(" ")):
            yield opened[0], index, opened[1]
            opened = None
        opened = (index, found) if found else opened
    if opened:
        yield opened[0], len(lines), opened[1]


def _fields(lines: Sequence[str], hidden: Sequence[bool], first: int, end: int) -> Iterator[_Field]:
    """The fields of a section; a bold one's value goes on until something else begins."""
    name, value, line = "", list[str](), 0
    for index in range(first, end):
        text = lines[index]
        row, bold = (None, None) if hidden[index] else (_ROW.fullmatch(text), _BOLD.fullmatch(text))
        ends = not hidden[index] and (_RULE.fullmatch(text) or _ANY_HEADING.match(text))
        if row or bold or ends:
            if name:
                yield _Field(name, "\n".join(value).strip(), line)
            name, value = "", []
        if row and row[1].lower() != "field":
            yield _Field(row[1].strip().lower(), row[2].strip(), index + 1)
        elif bold:
            name, value, line = bold[1].strip().lower(), [bold[2]], index + 1
        elif name:
            value.append(text)
    if name:
        yield _Field(name, "\n".join(value).strip(), line)


def _entry(
    found: re.Match[str],
    text: str,
    line: int,
    fields: Sequence[_Field],
    problems: list[Problem],
) -> Entry:
    known: dict[str, str] = {}
    for each in fields:
        before = known.setdefault(each.name, each.value)
        if before != each.value and each.name in {"status", "category", "complexity"}:
            problems.append(Problem(each.line, f"{found[1]} says two kinds of {each.name}"))
            known[each.name] = ""
    status = STATUSES.get(_plain(known.get("status", "")), "")
    if not status:
        said = known.get("status", "")[:80]
        problems.append(Problem(line, f"{found[1]} has no status that is known: {said!r}"))
    depends = [each for each in fields if each.name in {"depends on", "dependencies"}]
    if len(depends) > _MOST_FIELDS:
        problems.append(Problem(line, f"{found[1]} has {len(depends)} fields of dependencies"))
    return Entry(
        id=found[1],
        title=found[2].strip(" #*\t"),
        line=line,
        text=text,
        status=status,
        category=_plain(known.get("category", "")),
        complexity=_plain(known.get("complexity", "")),
        depends_on=tuple(
            dict.fromkeys(
                name for each in depends[:_MOST_FIELDS] for name in _dependencies(each, problems)
            )
        ),
        fields=known,
    )


def _plain(value: str) -> str:
    """A value without signs: small letters, blanks between words; `-` stays within a name."""
    return " ".join(re.sub(r"[^\w/-]+|_+", " ", value[:200]).lower().split()).strip("- ")


def _dependencies(said: _Field, problems: list[Problem]) -> list[str]:
    """The ids of a field; a range names every number in it. Prose is a problem."""
    value = re.split(r"```|~~~", said.value[:10_000], maxsplit=1)[0]
    if value.strip("[]() .*`\t\n").lower() in _NOTHING:
        return []
    found = [name for match in _RANGE.finditer(value) for name in _between(match[1], match[2])]
    found += _NAMED.findall(value)
    if not found:
        problems.append(
            Problem(said.line, f"the dependencies name no task: {' '.join(value.split())[:80]!r}")
        )
    return found


def _between(first: str, last: str) -> list[str]:
    begin, end = _NUMBER.fullmatch(first), _NUMBER.fullmatch(last)
    if not begin or not end or end[1] not in {begin[1], ""} or len(begin[2]) > 9 or len(end[2]) > 9:
        return []
    width, count = len(begin[2]), int(end[2]) - int(begin[2])
    if not 0 <= count <= _LONGEST_RANGE:
        return []
    return [f"{begin[1]}{int(begin[2]) + step:0{width}}" for step in range(count + 1)]


def _unknown(entries: Sequence[Entry], known: Mapping[str, int]) -> Iterator[Problem]:
    for entry in entries:
        for name in entry.depends_on:
            if name not in known:
                yield Problem(entry.line, f"{entry.id} depends on {name}, which is not there")


def _cycles(entries: Sequence[Entry]) -> Iterator[Problem]:
    """Tasks that wait for themselves, found by taking away all that wait for nothing."""
    waiting = {entry.id: set(entry.depends_on) for entry in entries}
    waits_for: dict[str, list[str]] = {}
    for entry in entries:
        for name in entry.depends_on:
            waits_for.setdefault(name, []).append(entry.id)
    free = [name for name in waits_for if name not in waiting]
    free += [name for name, needs in waiting.items() if not needs]
    while free:
        done = free.pop()
        for name in waits_for.get(done, ()):
            needs = waiting[name]
            if done in needs:
                needs.discard(done)
                free += [name] if not needs else []
    stuck = [entry for entry in entries if waiting[entry.id]]
    if stuck:
        named = ", ".join(entry.id for entry in stuck[:10])
        yield Problem(stuck[0].line, f"these wait for each other: {named}")


def make_task(entry: Entry, queue: Queue, setting: QueueSetting, path: Path) -> Task:
    """The task of an entry: its prompt by category, its model by complexity.

    What is completed in the queue is no dependency any more. Raises `UsageError` for an id that
    cannot be a file name, and for an entry that says nothing.
    """
    where = f"{path}:{entry.line}"
    identifier = check_id(entry.id, where=where)
    text = f"# {entry.id}: {entry.title}\n\n{entry.text}".strip()
    if not entry.title and not entry.text.strip():
        raise UsageError(f"{where}: {entry.id} says nothing")
    done = {each.id for each in queue.entries if each.status == "completed"}
    return Task(
        id=identifier,
        title=entry.title or identifier,
        text=text,
        path=path,
        prompt=_mapped(setting.categories, entry.category),
        model=_mapped(setting.complexities, entry.complexity),
        depends_on=tuple(name for name in entry.depends_on if name not in done),
        sha256=hashlib.sha256(text.encode("utf-8", "replace")).hexdigest(),
    )


def _mapped(names: Mapping[str, str], value: str) -> str | None:
    return next((meant for name, meant in names.items() if value and _plain(name) == value), None)
