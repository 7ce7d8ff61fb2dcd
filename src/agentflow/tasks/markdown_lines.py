"""Lines of a Markdown document with their places: which are headings, which are fenced."""

import re
from collections.abc import Iterator
from dataclasses import replace

from markdown_it import MarkdownIt
from markdown_it.token import Token

from agentflow.errors import UsageError
from agentflow.frozen import record

MAX_LINES = 20_000
"""The longest real tasks.md seen has some 2,500; so many list items are read in about a second."""

_MARK = "\ufeff"
"""Of byte order; it belongs to no line."""

_END = re.compile(r"\r\n|\r|\n")
_AFTER_END = re.compile(r"(?<=\n)|(?<=\r)(?!\n)")
_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+|$)")
_CLOSED = re.compile(r" {0,3}(`{3,}|~{3,})[ \t]*")


@record
class Line:
    """One line without its end."""

    number: int
    """From 1."""
    start: int
    """The offset of its first character in the text."""
    text: str
    level: int = 0
    """Of a heading, 1 to 6; 0 if it is none."""
    opaque: bool = False
    """Whether it lies in a fence or in a comment."""

    @property
    def content(self) -> int:
        """The offset within the line where a heading's words begin."""
        found = _HEADING.match(self.text)
        return found.end() if found else 0

    def shown(self) -> "Line":
        """The line as if no fence were around it."""
        return replace(self, opaque=False, level=_level(self.text, hidden=False))


@record
class Lines:
    """All lines, and the numbers of those that open a fence which never closes."""

    all: tuple[Line, ...]
    unclosed: tuple[int, ...]


def read_lines(text: str) -> Lines:
    """Split a document as Markdown does; offsets count characters of `text`.

    Underlined headings are none here: in such documents `---` below a line is a rule. Lists and
    quotes hold no fences of their own: where code in a list is not indented, Markdown ends the list
    and takes the fence's end for a new beginning, which nobody meant (21 headings of the field). Raises
    `UsageError` for more than `MAX_LINES` lines.
    """
    pieces = list(_split(text))
    if len(pieces) > MAX_LINES:
        raise UsageError(f"the document has more than {MAX_LINES} lines")
    hidden: set[int] = set()
    unclosed: list[int] = []
    for token in _blocks(text):
        if token.map is None or not _is_opaque(token):
            continue
        first, end = token.map
        hidden.update(range(first, end))
        if token.type == "fence" and not _is_closed(token, [each for _, each in pieces[first:end]]):
            unclosed.append(first + 1)
    lines = (
        Line(number + 1, start, line, _level(line, hidden=number in hidden), number in hidden)
        for number, (start, line) in enumerate(pieces)
    )
    return Lines(tuple(lines), tuple(unclosed))


def with_ends(text: str) -> list[str]:
    """The lines that `read_lines` numbers from 1, each with its end, which may be a lone `\\r`."""
    return _AFTER_END.split(text)


def _blocks(text: str) -> list[Token]:
    parser = MarkdownIt("commonmark")
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser.disable(["blockquote", "code", "lheading", "list", "reference"]).parse(
        text.removeprefix(_MARK)
    )


def _split(text: str) -> Iterator[tuple[int, str]]:
    start = len(text) - len(text.removeprefix(_MARK))
    for found in _END.finditer(text):
        yield start, text[start : found.start()]
        start = found.end()
    if start < len(text):
        yield start, text[start:]


def _is_opaque(token: Token) -> bool:
    """Whether nothing in this block counts. Of HTML only comments: a heading may follow a tag."""
    return token.type == "fence" or (
        token.type == "html_block" and token.content.lstrip().startswith("<!--")
    )


def _is_closed(token: Token, lines: list[str]) -> bool:
    last = _CLOSED.fullmatch(lines[-1]) if len(lines) > 1 else None
    return last is not None and last[1].startswith(token.markup)


def _level(line: str, *, hidden: bool) -> int:
    found = None if hidden else _HEADING.match(line)
    return len(found[1]) if found else 0
