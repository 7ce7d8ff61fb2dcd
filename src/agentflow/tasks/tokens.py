"""The tokens of a batch or task that may be rewritten: its statuses and its commit."""

import re
from collections.abc import Sequence

from agentflow.frozen import record
from agentflow.tasks.boxes import find_boxes, without_boxes
from agentflow.tasks.document import Problem, Source, TaskEntry, Token
from agentflow.tasks.fields import Field
from agentflow.tasks.headings import Section, name_in
from agentflow.tasks.markdown_lines import Line
from agentflow.tasks.statuses import FINISHED, Status, has_marks, in_heading, in_signs, in_value

_STATUS = ("status", "current status")
_COMMIT = ("commit", "commits", "git commit", "git commits", "commit sha", "sha", "commit hash")
_SHA = re.compile(r"(?<![\w/.-])(?=[0-9a-f]*\d)[0-9a-f]{7,40}(?![\w/.-])")
_PLACEHOLDER = re.compile(
    r"[\[{<(_*`]*[ \t]*(?:sha|pending|tbd|tba|todo|none|n/a|not yet|to be|will be|awaiting|xxx+"
    + r"|commit|hash|-+$|—$|\.\.\.|…)",
    re.IGNORECASE,
)
_CLOSING = {"[": "]", "{": "}", "<": ">", "(": ")", "_": "_", "*": "*", "`": "`"}
_DONE: frozenset[Status] = frozenset({*FINISHED, "SKIPPED", "CANCELLED"})
MAX_ROW = 4000
"""Characters of a table's row that are read."""

_BOX = re.compile(r"[ \t]*[-*+][ \t]+\[([ xX])\][ \t]")


@record
class Stated:
    """What heading and field say of a status."""

    name: str
    status: Status | None
    source: Source | None
    tokens: tuple[Token, ...]
    boxes: tuple[Token, ...]
    problems: tuple[Problem, ...]


def find_status(section: Section, fields: Sequence[Field]) -> Stated:
    """Read the status: the heading's comes first, the field's second; both are tokens.

    Where neither says one, a sign before the heading's first word counts. It is no token: no word
    could stand in its place. Nor is a box beside it then, which would contradict it once it is changed.
    """
    line = section.lines[0].number
    found, ambiguous = in_heading(section.rest)
    name = without_boxes(name_in(section.rest, found.start if found else None))
    field = next((each for each in fields if each.label in _STATUS and each.value), None)
    said = in_value(field.value[:200]) if field else None
    if ambiguous and not said:
        told = "the heading says two statuses; leave one"
        return Stated(name, None, None, (), (), (Problem(line, "error", "status-ambiguous", told),))
    boxes = find_boxes(section, found, field, said)
    tokens: list[Token] = []
    if found:
        start = section.offset + found.start
        tokens.append(Token(start, start + len(found.text), found.text, line))
    if field and said:
        start = field.start + said.start
        tokens.append(Token(start, start + len(said.text), said.text, field.line))
    problems: tuple[Problem, ...] = ()
    if field and found and said and found.status != said.status:
        told = f"the heading says {found.status}, the field {said.status}; the heading counts"
        problems = (Problem(field.line, "warning", "status-conflict", told),)
    if field and not said and not found:
        told = f"{field.value[:80]!r} is not a status"
        problems = (Problem(field.line, "warning", "status-unknown", told),)
    decided = found or said
    if decided:
        source: Source = "heading" if found else "field"
        return Stated(name, decided.status, source, tuple(tokens), boxes, problems)
    sign = in_signs(section.signs)
    boxes = () if has_marks(section.signs) else boxes
    return Stated(name, sign, "heading" if sign else None, (), boxes, problems)


def derived_status(
    tasks: Sequence[TaskEntry], lines: Sequence[Line]
) -> tuple[Status | None, Source | None]:
    """What follows from the tasks, or from the boxes of a batch without tasks; else nothing."""
    if tasks:
        statuses: set[Status] = {task.status for task in tasks if task.status is not None}
        if not statuses or any(task.status is None for task in tasks):
            return None, None
        return _joined(statuses), "tasks"
    shown = [line.text for line in lines if not line.opaque]
    rows = _rows(shown)
    if rows:
        return (None, None) if None in rows else (_joined({row for row in rows if row}), "table")
    boxes = [found[1] != " " for line in shown if (found := _BOX.match(line))]
    if not boxes:
        return None, None
    status: Status = "COMPLETE" if all(boxes) else "PARTIAL" if any(boxes) else "PENDING"
    return status, "boxes"


def _rows(lines: Sequence[str]) -> list[Status | None]:
    """The statuses in the `Status` column of the first table that has one."""
    column: int | None = None
    found: list[Status | None] = []
    for line in lines:
        cells = [cell.strip(" *`") for cell in line[:MAX_ROW].strip(" |").split("|")]
        if column is None:
            names = [cell.lower() for cell in cells]
            column = names.index("status") if "status" in names and "|" in line else None
        elif "|" not in line:
            break
        elif column < len(cells) and cells[column].strip("-: "):
            token = in_value(cells[column]) or in_heading(cells[column])[0]
            found.append(token.status if token else None)
    return found


def _joined(statuses: set[Status]) -> Status:
    """The status of a batch whose tasks have these."""
    if len(statuses) == 1:
        return next(iter(statuses))
    if statuses <= _DONE:
        return "COMPLETE"
    if statuses <= {*_DONE, "IMPLEMENTED"}:
        return "IMPLEMENTED"
    if "FAILED" in statuses:
        return "FAILED"
    return "BLOCKED" if "BLOCKED" in statuses else "PARTIAL"


def find_commit(section: Section, fields: Sequence[Field]) -> tuple[tuple[str, ...], Token | None]:
    """SHAs of the commit field, else of the heading; and the token that a new SHA replaces.

    Several SHAs leave no such token: which one is meant cannot be decided.
    """
    field = next((each for each in fields if each.label in _COMMIT), None)
    if field is None:
        return _shas(section.rest, section.offset, section.lines[0].number)
    commits, token = _shas(field.value[:1000], field.start, field.line)
    if commits:
        return commits, token
    if not field.value:
        return (), Token(field.start, field.start, "", field.line)
    found = _PLACEHOLDER.match(field.value)
    if found is None:
        return (), None
    end = _placeholder_end(field.value, found)
    return (), Token(field.start, field.start + end, field.value[:end], field.line)


def _shas(text: str, offset: int, line: int) -> tuple[tuple[str, ...], Token | None]:
    found = list(_SHA.finditer(text))
    commits = tuple(each[0] for each in found)
    if len(found) != 1:
        return commits, None
    return commits, Token(offset + found[0].start(), offset + found[0].end(), commits[0], line)


def _placeholder_end(value: str, found: re.Match[str]) -> int:
    """A bracketed placeholder as a whole, else the whole value."""
    closing = _CLOSING.get(value[0])
    end = value.find(closing, 1) + 1 if closing else 0
    return end or len(value)
