"""`task_queue.md`: many tasks in one file, as table rows or bold fields below `### TASK-001: …`.

Only what the file says is read: a status that nobody knows, a dependency that is not there, a field
said twice in two ways are problems with a line.
"""

import hashlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from agentflow.errors import UsageError
from agentflow.frozen import record
from agentflow.nearest import nearest
from agentflow.tasks.document import Problem, Token
from agentflow.tasks.handoff_blocks import quoted
from agentflow.tasks.queue_checks import cycles, unknown
from agentflow.tasks.queue_dependencies import dependencies, known_titles
from agentflow.tasks.queue_headings import HEADING
from agentflow.tasks.task import MAX_TASK

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

_ANY_HEADING = re.compile(r"#{1,6}[ \t]+\S")
_ROW = re.compile(r"[ \t]*\|[ \t]*\**([A-Za-z][A-Za-z /-]{0,40}?):?\**:?[ \t]*\|(.*)\|[ \t]*")
_BOLD = re.compile(r"[ \t]*(?:[-*][ \t]+)?\*\*([A-Za-z][A-Za-z /-]{0,40}?)(?::\*\*|\*\*:)(.*)")
_RULE = re.compile(r"[ \t]*-{3,}[ \t]*")
_END = re.compile(r"\r\n|\r|\n")
_SIGN = r"[^\x00-\x7f\w]{1,4}"
_STATUS = re.compile(
    rf"(?:{_SIGN}[ \t]*)?(?P<word>[A-Za-z]+(?:[ _-]+[A-Za-z]+){{0,3}})(?:[ \t]*{_SIGN})?"
)
_SHORT = {"status", "category", "complexity"}
"""Fields of one line: text below them belongs to the task."""
_MOST_FIELDS = 20


@record
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
    doubts: tuple[str, ...] = ()
    """Why it cannot be run: which of two is meant, or what it waits for, cannot be told."""
    remarks: tuple[Problem, ...] = ()
    """What it says of dependencies that is no task."""
    token: Token | None = None
    """Its status with its sign, if there is exactly one that is known."""
    sha256: str = ""
    """Of what it says besides its status, in hexadecimal."""

    @property
    def unknown_status(self) -> str:
        """That its status cannot be told, as the rest of a sentence; empty if it can."""
        said = (self.fields or {}).get("status", "")[:80]
        near = nearest(plain(said), STATUSES) if said else ""
        return "" if self.status else f"has no status that is known: {said!r}{near}"


@record
class Queue:
    """A file of tasks."""

    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...]

    def finished(self, landed: Collection[str] = ()) -> frozenset[str]:
        """The tasks that others need not wait for: completed here, or landed."""
        return frozenset(landed).union(
            each.id for each in self.entries if each.status == "completed"
        )

    def pending(self, done: Collection[str] = ()) -> tuple[Entry, ...]:
        """Entries that are pending and not among those known to be done, in the file's order."""
        return tuple(
            each for each in self.entries if each.status == "pending" and each.id not in done
        )

    def ready(self, done: Collection[str] = (), landed: Collection[str] = ()) -> tuple[Entry, ...]:
        """Pending tasks without doubts whose dependencies are all done, in the file's order."""
        finished = self.finished(landed)
        return tuple(
            entry
            for entry in self.pending(done)
            if finished.issuperset(entry.depends_on) and not entry.doubts
        )


@record
class _Field:
    name: str
    value: str
    line: int
    start: int
    """The offset of what follows the name, in its line."""


@record
class _Section:
    """A task's heading, and what stands below it."""

    found: re.Match[str]
    line: int
    """Of the heading, from 1."""
    lines: Sequence[str]
    starts: Sequence[int]
    """The offsets of the lines in the text."""


def read_queue(
    text: str, *, where: str, is_elsewhere: Callable[[str], bool] = lambda _: False
) -> Queue:
    """Read a queue. `is_elsewhere` says whether a task is there that the queue does not hold.

    Raises `UsageError` naming `where`, for a text that is too long, or holds no task.
    """
    shown = text.removeprefix("\ufeff")
    lines, starts = _split(shown, len(text) - len(shown))
    if len(text) > MAX_TASK or len(lines) > MAX_LINES:
        raise UsageError(f"{where} is longer than {MAX_TASK} characters or {MAX_LINES} lines")
    hidden = quoted(lines)
    problems, entries = list[Problem](), dict[str, Entry]()
    sections = list(_sections(lines, hidden))
    titles = known_titles((found[1], _title(found)) for _, _, found in sections)
    for first, end, found in sections:
        section = _Section(found, first + 1, tuple(lines[first + 1 : end]), starts[first + 1 : end])
        entry = _entry(section, list(_fields(lines, hidden, first + 1, end)), problems, titles)
        before = entries.get(entry.id)
        if before:
            told = f"{entry.id} stands in line {before.line} already"
            problems.append(Problem(entry.line, "error", "duplicate-id", told))
            entry = replace(before, doubts=(*before.doubts, f"it stands in line {entry.line} too"))
        entries[entry.id] = entry
    if not entries:
        raise UsageError(
            f"{where} holds no task", hint="Write `### TASK-001: what`, and its fields below."
        )
    needs = [(each.id, each.line, each.depends_on) for each in entries.values()]
    problems += [*unknown(needs, is_elsewhere), *cycles(needs)]
    return Queue(tuple(entries.values()), tuple(sorted(problems, key=lambda each: each.line)))


def _split(text: str, offset: int) -> tuple[list[str], list[int]]:
    """The lines without their ends, and where each begins."""
    lines, starts, begin = list[str](), list[int](), 0
    for found in _END.finditer(text):
        lines.append(text[begin : found.start()])
        starts.append(offset + begin)
        begin = found.end()
    return [*lines, text[begin:]], [*starts, offset + begin]


def _sections(
    lines: Sequence[str], hidden: Sequence[bool]
) -> Iterator[tuple[int, int, re.Match[str]]]:
    """Each task's heading and the line after its last one."""
    opened: tuple[int, re.Match[str]] | None = None
    for index, line in enumerate(lines):
        if hidden[index] or not _ANY_HEADING.match(line):
            continue
        found = HEADING.fullmatch(line[:1_000].rstrip())
        rank = len(line) - len(line.lstrip("#"))
        if opened and (found or rank <= opened[1][0].index(" ")):
            yield opened[0], index, opened[1]
            opened = None
        opened = (index, found) if found else opened
    if opened:
        yield opened[0], len(lines), opened[1]


def _fields(lines: Sequence[str], hidden: Sequence[bool], first: int, end: int) -> Iterator[_Field]:
    """The fields of a section; a bold one's value goes on until something else begins."""
    name, value, line, start = "", list[str](), 0, 0
    for index in range(first, end):
        text = lines[index]
        row, bold = (None, None) if hidden[index] else (_ROW.fullmatch(text), _BOLD.fullmatch(text))
        ends = not hidden[index] and (_RULE.fullmatch(text) or _ANY_HEADING.match(text))
        if row or bold or ends:
            if name:
                yield _Field(name, "\n".join(value).strip(), line, start)
            name, value = "", []
        if row and row[1].lower() != "field":
            yield _Field(row[1].strip().lower(), row[2].strip(), index + 1, row.start(2))
        elif bold:
            name, value, line = bold[1].strip().lower(), [bold[2]], index + 1
            start = bold.start(2)
        elif name:
            value.append(text)
    if name:
        yield _Field(name, "\n".join(value).strip(), line, start)


def _title(heading: re.Match[str]) -> str:
    return heading[2].strip(" #*\t")


def _entry(
    section: _Section,
    fields: Sequence[_Field],
    problems: list[Problem],
    titles: Mapping[str, tuple[str, ...]],
) -> Entry:
    found, line = section.found, section.line
    known = _known(found[1], fields, problems)
    status = STATUSES.get(plain(known.get("status", "")), "")
    depends = [each for each in fields if each.name in {"depends on", "dependencies"}]
    if len(depends) > _MOST_FIELDS:
        told = f"{found[1]} has {len(depends)} fields of dependencies"
        problems.append(Problem(line, "error", "depends-many", told))
    unread = len(problems)
    names = [
        name
        for each in depends[:_MOST_FIELDS]
        for name in dependencies(each.value, each.line, problems, titles)
    ]
    doubts = [each.message for each in problems[unread:] if each.severity == "error"]
    remarks = [each for each in problems[unread:] if each.severity != "error"]
    doubts += ["it has too many fields of dependencies"] if len(depends) > _MOST_FIELDS else []
    entry = Entry(
        id=found[1],
        title=_title(found),
        line=line,
        text="\n".join(section.lines).strip("\n"),
        status=status,
        category=plain(known.get("category", "")),
        complexity=plain(known.get("complexity", "")),
        depends_on=tuple(dict.fromkeys(names)),
        fields=known,
        doubts=tuple(doubts),
        remarks=tuple(remarks),
        token=_token(section, fields) if status else None,
        sha256=_digest(section, fields),
    )
    if not status:
        told = f"{entry.id} {entry.unknown_status}"
        problems.append(Problem(line, "error", "status-unknown", told))
    return entry


def _known(identifier: str, fields: Sequence[_Field], problems: list[Problem]) -> dict[str, str]:
    """The first value of each field; empty where two say how the task is to be done."""
    known: dict[str, str] = {}
    for each in fields:
        short = each.name in _SHORT
        value = each.value.split("\n", 1)[0] if short else each.value
        before = known.setdefault(each.name, value)
        if short and before != value:
            told = f"{identifier} says two kinds of {each.name}"
            problems.append(Problem(each.line, "error", "field-twice", told))
            known[each.name] = ""
    return known


def _token(section: _Section, fields: Sequence[_Field]) -> Token | None:
    """The words of the only status, the sign before or after them included."""
    said = [each for each in fields if each.name == "status"]
    if len(said) != 1:
        return None
    index = said[0].line - section.line - 1
    value = section.lines[index][said[0].start :][:200]
    words = (each for each in _STATUS.finditer(value) if plain(each["word"]) in STATUSES)
    found = next(words, None)
    if found is None:
        return None
    start = section.starts[index] + said[0].start
    return Token(start + found.start(), start + found.end(), found[0], said[0].line)


def _digest(section: _Section, fields: Sequence[_Field]) -> str:
    """Of all lines but those of statuses: a task that was done is not another one by that."""
    statuses = {each.line for each in fields if each.name == "status"}
    lines = [
        text
        for number, text in enumerate(section.lines, section.line + 1)
        if number not in statuses
    ]
    said = "\n".join((section.found[0], *lines)).rstrip("\n")
    return hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()


def plain(value: str) -> str:
    """A value without signs: small letters, blanks between words; `-` stays within a name."""
    return " ".join(re.sub(r"[^\w/-]+|_+", " ", value[:200]).lower().split()).strip("- ")
