"""Boxes that say whether a batch or task is done, beside its status or instead of one: `[ ]`, `[x]`."""

import re

from agentflow.tasks.document import Token
from agentflow.tasks.fields import Field
from agentflow.tasks.headings import Section
from agentflow.tasks.statuses import FINISHED, Status, StatusToken

UNTICKED, TICKED = "[ ]", "[x]"
BOXES = (UNTICKED, TICKED, "[X]", "[~]")
SAID: frozenset[Status] = frozenset({"PENDING", "COMPLETE"})
"""What a box can say alone."""
_UNDER_WAY: frozenset[Status] = frozenset({"IN PROGRESS", "IMPLEMENTED", "PARTIAL"})
_BOX = re.compile(r"\[[ xX~]\]")
_FIRST = re.compile(r"[ \t:\u2013—-]{0,9}(\[[ xX~]\])(?=[ \t])")
_SET_OFF = " \t:\u2013—-(*_`"
"""What may stand before a box: `list[x]` has none."""


def find_boxes(
    section: Section, found: StatusToken | None, field: Field | None, said: StatusToken | None
) -> tuple[Token, ...]:
    """The boxes of a heading and of a status field, whose statuses are `found` and `said`: before the
    heading's first word, at the beginning or the end of its name, and right before a status."""
    line = section.lines[0]
    start = line.start + line.content
    places = {start + each.start(): each[0] for each in _BOX.finditer(section.signs)}
    if first := _FIRST.match(section.rest):
        places[section.offset + first.start(1)] = first[1]
    for end in (len(section.rest), *([found.start] if found else [])):
        places |= _before(section.rest, section.offset, end)
    tokens = [_token(at, text, line.number) for at, text in sorted(places.items())]
    if field and said:
        below = _before(field.value, field.start, said.start)
        tokens += [_token(at, text, field.line) for at, text in below.items()]
    return tuple(dict.fromkeys(tokens))


def _before(text: str, offset: int, end: int) -> dict[int, str]:
    """The box that ends there, blanks aside, by its place."""
    bare = text[:end].rstrip(" \t")
    rest, box = bare[:-3], bare[-3:]
    return {offset + len(rest): box} if box in BOXES and (rest[-1:] or " ") in _SET_OFF else {}


def _token(start: int, text: str, line: int) -> Token:
    return Token(start, start + len(text), text, line)


def boxed(status: Status, old: str) -> str:
    """The box beside a status: ticked if that means that all is done. `[~]` stays for what is under
    way."""
    if status in FINISHED:
        return old if old == "[X]" else TICKED
    return old if status in _UNDER_WAY and old == "[~]" else UNTICKED


def without_boxes(name: str) -> str:
    """A name without the box before it, and the one behind it."""
    for box in BOXES:
        if name.startswith((f"{box} ", f"{box}\t")):
            name = name[len(box) :].lstrip(" \t")
        if name.endswith((f" {box}", f"\t{box}")):
            name = name[: -len(box)].rstrip(" \t")
    return name
