"""git's patch text as records."""

import re
from collections.abc import Iterable, Iterator

from agentflow.details.records import DiffLine, FileDiff, Hunk, Sign

MAX_LINES = 2_000
"""Of one file."""
MAX_ALL = 20_000
"""Of all files."""
MAX_WIDTH = 2_000
"""Characters of a line."""
_RANGE = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")


def parse_patch(text: str) -> tuple[FileDiff, ...]:
    """The files of a patch that git made without renames; very long ones are cut."""
    left, files = MAX_ALL, list[FileDiff]()
    for lines in _by_file(text.split("\n")):
        file = _file(lines, min(left, MAX_LINES))
        left -= sum(len(hunk.lines) for hunk in file.hunks)
        files.append(file)
    return tuple(files)


def _by_file(lines: Iterable[str]) -> Iterator[list[str]]:
    found: list[str] = []
    for line in lines:
        if line.startswith("diff --git "):
            if found:
                yield found
            found = []
        found.append(line)
    if found and found[0].startswith("diff --git "):
        yield found


def _file(lines: list[str], most: int) -> FileDiff:
    start = next((n for n, line in enumerate(lines) if line.startswith("@@ ")), len(lines))
    head, body = lines[:start], lines[start:]
    hunks, shown, counts = list[Hunk](), 0, {"+": 0, "-": 0, " ": 0}
    for hunk in _hunks(body):
        for line in hunk.lines:
            counts[line.sign] += 1
        kept = hunk.lines[: max(0, most - shown)]
        shown += len(kept)
        if kept:
            hunks.append(Hunk(hunk.header, kept))
    return FileDiff(
        _path(head),
        _status(head),
        counts["+"],
        counts["-"],
        tuple(hunks),
        sum(counts.values()) - shown,
        any(line.startswith("Binary files ") for line in head),
    )


def _hunks(lines: list[str]) -> Iterator[Hunk]:
    header, found, old, new = "", list[DiffLine](), 0, 0
    for line in lines:
        place = _RANGE.match(line)
        if place:
            if found:
                yield Hunk(header, tuple(found))
            header, found = line, []
            old, new = int(place[1]), int(place[2])
        elif line[:1] in {" ", "+", "-"}:
            sign: Sign = " " if line[0] == " " else "+" if line[0] == "+" else "-"
            numbers = (None if sign == "+" else old, None if sign == "-" else new)
            found.append(DiffLine(sign, *numbers, line[1 : MAX_WIDTH + 1]))
            old, new = old + (sign != "+"), new + (sign != "-")
    if found:
        yield Hunk(header, tuple(found))


def _path(head: list[str]) -> str:
    names = [line[6:] for line in head if line.startswith(("+++ b/", "--- a/"))]
    return names[-1].rstrip("\t") if names else head[0].removeprefix("diff --git ").split(" b/")[-1]


def _status(head: list[str]) -> str:
    if any(line.startswith("new file mode") for line in head):
        return "added"
    return "deleted" if any(line.startswith("deleted file mode") for line in head) else "changed"
