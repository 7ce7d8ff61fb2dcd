"""Headings of batches and tasks, and the sections that they open."""

import re
from collections.abc import Sequence
from dataclasses import replace

from agentflow.frozen import record
from agentflow.tasks.batch_dependencies import ID
from agentflow.tasks.markdown_lines import Line

MAX_HEADING = 1000
"""Characters of a heading that are read; the longest real one seen has some 150."""

_SIGNS = r"(?:\d{1,3}[.)][ \t]+)?(?:(?:\[[ xX]\]|(?!\[[ xX]\])[^\w\s#])[ \t]*){0,20}"
"""Also a box, and a number in front: `## [x] Batch 3: y`, `## 4. Batch 3: y`."""
_BATCH = re.compile(
    rf"(?P<signs>{_SIGNS})(?:[A-Z]{{1,30}}:[ \t]*)?(?:Sub-)?Batch[ \t\u00a0]+#?"
    + rf"(?P<id>{ID}|[A-Z](?=[ \t]*(?:[:—\u2013]|-+[ \t])))(?![\w.]*\w)",
    re.IGNORECASE,
)
_ODD = re.compile(
    rf"{_SIGNS}(?:Sub-)?Batch(?:es)?[^\w\n]{{1,3}}(?:No\b|Number\b|[\w.]{{0,5}}\d|[IVX]{{1,5}}\b"
    + r"|(?:one|two|three|four|five|six|seven|eight|nine|ten)\b)",
    re.IGNORECASE,
)
"""What may be meant as a batch's heading: `Batch B1: …`, `Batch No. 2`, `Batch One`."""
_WITHIN = re.compile(
    rf"{_SIGNS}(?:Phase|Part|Stage|Step|Sprint|Milestone)[ \t]{{1,4}}\w{{1,8}}[ \t]{{0,4}}"
    + rf"[/>|:,—\u2013-]{{1,2}}[ \t]{{0,4}}Batch[ \t]{{1,4}}#?{ID}(?!\w)",
    re.IGNORECASE,
)
"""A batch's heading after that of what it is a part of: `Phase 1 / Batch 3: …`."""
_LISTED = re.compile(r"[ \t]{0,12}(?:[-*+]|\d{1,3}[.)])[ \t]{1,4}#{1,6}[ \t]+")
_ABOUT = re.compile(
    r"[ \t]*(?:verification|commits?|summary|checklist|results?|notes?|details|prerequisites"
    + r"|dependencies|overview|completion|execution|acceptance|files)\b",
    re.IGNORECASE,
)
"""What makes a heading speak of a batch: `### Batch 3 Verification`."""
_TASK = re.compile(rf"(?P<signs>{_SIGNS})(?:Task[ \t]+#?|T(?=\d))(?P<id>{ID})(?!\w)")
_GLUED = re.compile(r"\*\*[A-Z][\w ]{0,40}\*\*[ \t]*:")
"""Seen: `## Batch 1: Schema — COMPLETE**Developer**: backend-developer`."""
_SEPARATOR = re.compile(r"[ \t]*(?::|—|\u2013|-{1,2}(?=[ \t]|$)|\.(?=[ \t]))?[ \t]*")
_UNDERLINE = re.compile(r" {0,3}(?:={3,}|-{3,})[ \t]*")
_LOOSE_END = "-\u2013—[(:*_` \t"


@record
class Section:
    """A heading of a batch or a task, and its lines up to the one that ends it."""

    id: str
    rest: str
    """The heading's words after the id."""
    offset: int
    """Of `rest` in the document's text."""
    lines: Sequence[Line]
    """The heading first."""
    signs: str = ""
    """What stands before the heading's first word: `✅ ` of `## ✅ Batch 3: x`."""

    @property
    def end(self) -> int:
        """The number of the line after the last."""
        return self.lines[-1].number + 1


def batch_heading(line: Line) -> Section | None:
    """The section that a line opens, if it is the heading of a batch."""
    section = _heading(line, _BATCH)
    return None if section is None or _ABOUT.match(section.rest) else section


def is_odd_batch(line: Line) -> bool:
    """Whether a heading seems to be a batch's whose id is not read."""
    section = _heading(line, _BATCH)
    if section is not None or line.opaque:
        return False
    if listed := _LISTED.match(line.text):
        return _BATCH.match(line.text[:MAX_HEADING], listed.end()) is not None
    words = line.text[:MAX_HEADING]
    return line.level > 0 and any(odd.match(words, line.content) for odd in (_ODD, _WITHIN))


def is_underlined_batch(line: Line, below: Line) -> bool:
    """Whether a line is a batch's heading but for its sign: it is underlined, which is not read."""
    seen = not (line.opaque or below.opaque or line.level) and _UNDERLINE.fullmatch(below.text)
    return bool(seen) and _BATCH.match(line.text[:MAX_HEADING]) is not None


def task_heading(line: Line) -> Section | None:
    """The section that a line opens, if it is the heading of a task."""
    return _heading(line, _TASK)


def _heading(line: Line, shape: re.Pattern[str]) -> Section | None:
    if not line.level:
        return None
    words = line.text[:MAX_HEADING].rstrip()
    bare = words.rstrip("#")
    if bare != words and bare.endswith((" ", "\t")):
        words = bare.rstrip()
    found = shape.match(words, line.content)
    if found is None:
        return None
    glued = _GLUED.search(words, found.end())
    rest = words[found.end() : glued.start() if glued else len(words)]
    return Section(found["id"].upper(), rest, line.start + found.end(), [line], found["signs"])


def split_batches(lines: Sequence[Line]) -> tuple[list[Section], list[Line]]:
    """The batches, and all lines that belong to none.

    A batch ends at the next one of any level (`### Sub-Batch 7.1`), and at a heading of its own
    level or above that is no task's.
    """
    batches: list[Section] = []
    outside: list[Line] = []
    current: list[Line] | None = None
    for line in lines:
        opened = batch_heading(line)
        if opened:
            current = [line]
            batches.append(replace(opened, lines=current))
            continue
        if current and 0 < line.level <= current[0].level and not task_heading(line):
            current = None
        (outside if current is None else current).append(line)
    return batches, outside


def split_tasks(lines: Sequence[Line]) -> list[Section]:
    """The tasks among these lines; one ends at any heading of its own level or above."""
    tasks: list[Section] = []
    current: list[Line] | None = None
    for line in lines:
        opened = task_heading(line)
        if opened:
            current = [line]
            tasks.append(replace(opened, lines=current))
        elif current and 0 < line.level <= current[0].level:
            current = None
        elif current is not None:
            current.append(line)
    return tasks


def name_in(rest: str, status_start: int | None) -> str:
    """The name in a heading's rest, without separator and status."""
    bare = rest if status_start is None else rest[:status_start]
    separated = _SEPARATOR.match(bare)
    return bare[separated.end() if separated else 0 :].rstrip(_LOOSE_END).strip()
