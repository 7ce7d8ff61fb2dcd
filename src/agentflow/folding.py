"""Lines for a terminal, broken between words and never inside what people copy: the only such place.

What is never broken: a word, a path, a run's name, and a command to copy. If one of them is wider
than the terminal it has a line of its own, which the terminal wraps, so that it is copied whole.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

_WIDE = "\u1100-\u115f\u2e80-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\uff00-\uff60\U0001f300-\U0001faff"
"""Characters of scripts that have no spaces, and pictures: a line may end after each."""
_COMMAND = re.compile(
    r"(?:^|(?<=: )|(?<= {2})|(?<= )(?=\())\(?"
    r"(?:agentflow|cd|chmod|export|git|mkdir|pip|rm|ssh-keygen|sudo)(?= (?!(?:is|was|has|cannot|does|needs|and|or)\b)\S)"
)
"""Where a command to copy may begin: at a line's start, in a column, behind a colon, in
parentheses."""
_NEVER_FIRST = "::"
"""A CI system obeys a line that begins with it."""
_ARGUMENT = re.compile(r""" (?![ #])(?:'[^']*'|"[^"]*"|[^\s'"])+""")
_PIECE = re.compile(
    rf"[^\s`{_WIDE}]*`[^`]+`[^\s`]*"
    r"|\d[\d.]* (?:h|min|s|ms)\b(?: \d+ (?:min|s)\b)?\S*"  # a duration
    rf"|[{_WIDE}]|[^\s{_WIDE}]+"
)
_BLANKS = re.compile(r"\s*")
_GAP = re.compile(r" *\S.*? {2,}(?=\S)")


class Line(NamedTuple):
    """A line of a folded text: so many spaces, then the text between two offsets."""

    indent: int
    start: int
    end: int


class _Piece(NamedTuple):
    start: int
    end: int


def columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return len(text) if text.isascii() and "\t" not in text else sum(map(_columns_of, text))


def _columns_of(character: str) -> int:
    if character == "\t":
        return 8
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def fold(text: str, width: int) -> list[Line]:
    """The lines of one line of text on a terminal of so many columns.

    Those after the first begin where the text's second column does (it follows two spaces or more),
    if that is in the first third; else they are indented by two. A deep indent of a text that does
    not fit becomes four.
    """
    if columns(text) <= width:
        return [Line(0, 0, len(text))]
    start = len(text) - len(text.lstrip(" "))
    indent = start if start <= width // 3 else 4
    hang = _hang(text, indent, width)
    lines: list[Line] = []
    end, taken = start, 0
    for piece in _pieces(text, width - hang):
        size = columns(text[end : piece.end])
        fits = indent + taken + size <= width
        if fits or end == start or text.startswith(_NEVER_FIRST, piece.start):
            end, taken = piece.end, taken + size
            continue
        lines.append(Line(indent, start, end))
        start, end = piece
        taken = columns(text[start:end])
        indent = _placed(taken, hang, width)
    return [*lines, Line(indent, start, end)]


def folded(text: str, width: int) -> str:
    """The lines of a text, folded."""
    return "\n".join(
        " " * line.indent + each[line.start : line.end]
        for each in text.split("\n")
        for line in fold(each, width)
    )


def with_commands_apart(text: str) -> str:
    """The text with each command to copy on a line of its own, without what ends its sentence. One in
    parentheses or in a column stays where it is."""
    return "\n".join(part for line in text.split("\n") for part in _apart(line))


def _apart(line: str) -> Iterator[str]:
    start = position = 0
    while name := _COMMAND.search(line, position):
        command = _command_at(line, name.start())
        position = command.end if command else name.end()
        is_led = name.start() == start or line.startswith(": ", name.start() - 2)
        if command is None or name[0].startswith("(") or not is_led:
            continue
        end = command.end
        if (
            line[end - 1] in ".,;:" and line[end - 2] not in " ."
        ):  # of `git add .` it is no sentence's
            end -= 1
        yield from filter(None, (line[start : name.start()].rstrip(" "), line[name.start() : end]))
        blanks = _BLANKS.match(line, command.end)
        start = position = blanks.end() if blanks else command.end
    if len(line) > start or not start:
        yield line[start:]


def elided(text: str, width: int) -> str:
    """The text in at most so many columns; what is left out of it is left out of its middle, where
    a path says least."""
    if columns(text) <= width:
        return text
    tail = text[max(0, len(text) - width // 2) :]
    while tail and columns(tail) > width // 2:
        tail = tail[1:]
    head = text[: max(0, width - 1)]
    while head and columns(head) + 1 + columns(tail) > width:
        head = head[:-1]
    return f"{head}…{tail}"


def _hang(text: str, indent: int, width: int) -> int:
    """Where lines after the first begin."""
    gap = _GAP.match(text, 0, width)  # further on it decides nothing, and many blanks take long
    column = columns(gap[0]) if gap else width
    return column if column <= width // 3 else indent + 2


def _placed(size: int, hang: int, width: int) -> int:
    """The indent of a line that begins with something of that size: less where that makes it fit."""
    return hang if size > width else min(hang, width - size)


def _pieces(text: str, room: int) -> Iterator[_Piece]:
    """What stays together, in order. What stands between backquotes does if there is room for it."""
    position = 0
    while found := _PIECE.search(text, position):
        command = _command_at(text, found.start())
        if command:
            yield command
            position = command.end
            continue
        if columns(found[0]) > room and " " in found[0]:
            words = re.finditer(r"\S+", found[0])
            yield from (_Piece(*(found.start() + at for at in word.span())) for word in words)
        else:
            yield _Piece(*found.span())
        position = found.end()


def _command_at(text: str, position: int) -> _Piece | None:
    """The command to copy that begins there: it ends with its sentence, or before two spaces."""
    name = _COMMAND.match(text, position)
    if not name:
        return None
    end = name.end()
    while argument := _ARGUMENT.match(text, end):
        end = argument.end()
        if argument[0][-1] in ".,;:)":
            break
    return _Piece(position, end)
