"""Where handoff blocks begin and end in a text, in every shape that teams use.

A block stands between two delimiter lines (`--- BACKEND TASK HANDOFF (copy below) ---` and
`--- END HANDOFF ---`, `--- PASTE FRONTEND AGENT HANDOFF BELOW ---` and `--- END ---`), inside a
code fence or not; or it is an entry below `## For: backend`; or what stands below a heading that
says `Backend Task Handoff`; or the whole text.
"""

import re
from collections.abc import Iterator, Sequence

from agentflow.frozen import record

_LONGEST_DELIMITER = 200
"""Characters. A longer line is text."""
_DELIMITER = re.compile(
    r"[ \t>*_`]{0,10}[-=\u2013\u2014\u2500]{3,}[ \t]*(\w[^\n]*?)[ \t]*[-=\u2013\u2014\u2500]{3,}[ \t*_`]{0,10}"
)
_END = re.compile(r"END(?:\b.*\bHANDOFF\b.*)?|.*\bHANDOFF\b.*\bEND", re.DOTALL)
_ENTRY = re.compile(r"[ \t]{0,3}(#{1,6})[ \t]*For[ \t]*:[ \t]*(\S[^\n]{0,100})", re.IGNORECASE)
_HEADING = re.compile(r"[ \t]{0,3}(#{1,6})[ \t]+\S")
_TITLE = re.compile(
    r"[ \t]{0,3}(#{1,6})[ \t]+[^\n]{0,40}?\b(backend|frontend)?[ \t]*task[ \t]+handoff\b",
    re.IGNORECASE,
)
_RULE = re.compile(r"[ \t]{0,3}(?:-[ \t]*){3,}")
_OPENING = re.compile(r"[ \t]*(?:[-*+][ \t]+)?(?:(`{3,})([^`]*)|(~{3,})(.*))")
_CLOSING = re.compile(r"[ \t]*(`{3,}|~{3,})[ \t]*")


@record
class Block:
    """The place of one block: its lines without the delimiters or the heading."""

    recipient: str
    """Whom it is for, in small letters, such as `backend`; empty if it does not say."""
    first: int
    """Index of its first line."""
    end: int
    """Index of the line after its last one."""
    closed: bool = True
    """Whether its end was said."""
    opening: int = 0
    """Index of the line that opens it."""
    closing: int = 0
    """Index after the line that closes it."""


class Fences:
    """Follows the code fences of a text, line by line."""

    def __init__(self) -> None:
        self.open = ""
        """The signs of the fence that is open after the last line, or an empty text."""

    def inside(self, line: str) -> bool:
        """Whether the line belongs to a code fence, its two fence lines included."""
        if self.open:
            found = _CLOSING.fullmatch(line)
            if found and found[1].startswith(self.open):
                self.open = ""
            return True
        found = _OPENING.fullmatch(line)
        if found:
            self.open = found[1] or found[3]
        return found is not None


def quoted(lines: Sequence[str]) -> list[bool]:
    """For each line, whether it stands in a code fence or in an HTML comment."""
    fences, comment, found = Fences(), False, list[bool]()
    for line in lines:
        if not comment and fences.inside(line):
            found.append(True)
            continue
        begins = not comment and line.lstrip().startswith("<!--")
        found.append(comment or begins)
        comment = (comment or begins) and "-->" not in line
    return found


def find_blocks(lines: Sequence[str]) -> tuple[Block, ...]:
    """Return the blocks in their order; empty if nothing marks one."""
    delimited = tuple(_delimited(lines))
    rest = list(lines)
    for block in delimited:
        rest[block.opening : block.closing] = [""] * (block.closing - block.opening)
    entries = tuple(_below(rest, _ENTRY, rules=True))
    found = sorted((*delimited, *entries), key=lambda block: block.first)
    return tuple(found) or tuple(_below(lines, _TITLE, rules=False))


def without_quote(lines: Sequence[str]) -> list[str]:
    """The lines of a text that is quoted as a whole, as mail and chats do it, without their `>`."""
    full = [line for line in lines if line.strip()]
    if not full or not all(line.lstrip().startswith(">") for line in full):
        return list(lines)
    return [re.sub(r"^[ \t]{0,3}> ?", "", line) for line in lines]


def unwrapped(lines: Sequence[str]) -> tuple[int, int]:
    """The lines of a text without the one fence that encloses all of it: first and end."""
    full = [index for index, line in enumerate(lines) if line.strip()]
    if len(full) > 1 and _CLOSING.fullmatch(lines[full[-1]]):
        opening = _OPENING.fullmatch(lines[full[0]])
        if opening and (opening[2] or opening[4] or "").strip() in {"", "md", "markdown", "text"}:
            return full[0] + 1, full[-1]
    return 0, len(lines)


def _delimiter(line: str) -> str | None:
    """What a delimiter line says, in capitals; None for any other line."""
    if len(line) > _LONGEST_DELIMITER:
        return None
    found = _DELIMITER.fullmatch(line.rstrip())
    title = found[1].upper() if found else ""
    return title if _END.fullmatch(title) or "HANDOFF" in title else None


def _delimited(lines: Sequence[str]) -> Iterator[Block]:
    """Blocks between delimiters. An end within an open fence of the block is content if the next
    delimiter is an end as well."""
    marks = [
        (index, title)
        for index, line in enumerate(lines)
        if (title := _delimiter(line)) is not None
    ]
    number = 0
    while number < len(marks):
        start, title = marks[number]
        number += 1
        if _END.fullmatch(title):
            continue
        fences, position = Fences(), start + 1
        while number < len(marks) and _END.fullmatch(marks[number][1]):
            end = marks[number][0]
            _follow(fences, lines[position:end])
            number += 1
            following = marks[number] if number < len(marks) else None
            if not (fences.open and following and _END.fullmatch(following[1])):
                break
            position = end + 1
        else:
            end = marks[number][0] if number < len(marks) else len(lines)
            yield Block(_recipient(title), start + 1, end, False, start, end)
            continue
        yield Block(_recipient(title), start + 1, end, True, start, end + 1)


def _follow(fences: Fences, lines: Sequence[str]) -> None:
    for line in lines:
        fences.inside(line)


def _recipient(title: str) -> str:
    if "BACKEND" in title or "PASTE" in title or "FRONTEND AGENT" in title:
        return "backend"
    return "frontend" if "FRONTEND" in title else ""


def _below(lines: Sequence[str], heading: re.Pattern[str], *, rules: bool) -> Iterator[Block]:
    """Blocks below headings, up to the next heading of the same rank, or (`rules`) to a rule that
    nothing of the block follows."""
    opened: tuple[int, int, str] | None = None
    hidden, following = quoted(lines), _following(lines)
    for index, line in enumerate(lines):
        if hidden[index]:
            continue
        found, any_heading = heading.match(line), _HEADING.match(line)
        ends = any_heading and opened and len(any_heading[1]) <= opened[1]
        if rules and opened and _RULE.fullmatch(line):
            ends = _ends_entry(following[index], opened[1])
        if opened and (found or ends):
            yield from _entry(lines, *opened, index)
            opened = None
        if found:
            opened = (index, len(found[1]), (found[2] or "").strip(" `*_.").lower())
    if opened:
        yield from _entry(lines, *opened, len(lines))


def _following(lines: Sequence[str]) -> list[str]:
    """For each line, the next one that is not blank."""
    found, text = list[str](), ""
    for line in reversed(lines):
        found.append(text)
        text = line if line.strip() else text
    return found[::-1]


def _ends_entry(following: str, rank: int) -> bool:
    """Whether a rule ends an entry, by what comes after it."""
    heading = _HEADING.match(following) or _ENTRY.match(following)
    return (
        not following
        or following.lstrip().startswith(("<!--", "```", "~~~"))
        or bool(heading and len(heading[1]) <= rank)
    )


def _entry(
    lines: Sequence[str], opening: int, _rank: int, recipient: str, end: int
) -> Iterator[Block]:
    if any(line.strip() for line in lines[opening + 1 : end]):
        yield Block(recipient, opening + 1, end, True, opening, end)
