"""The tokens of TypeScript and of the notations that people borrow from it, in linear time."""

import re
from collections import Counter

from agentflow.frozen import record

MAX_SOURCE = 256 * 1024
"""Characters of a text that is taken apart; written source files are smaller."""

_TOKEN = re.compile(
    r"(?P<blank>\s+|//[^\n]*|\#[^\n]*|/\*[\s\S]*?(?:\*/|\Z))"
    r"|(?P<text>\"(?:[^\"\\\n]|\\.)*\"?|'(?:[^'\\\n]|\\.)*'?|`[^`]*`?)"
    r"|(?P<pattern>(?:(?<=[(,=])|(?<=[(,=] ))/(?:[^/\\\n]|\\.){1,500}/[a-z]{0,8})"
    r"|(?P<number>-?\d[\w.]*)"
    r"|(?P<name>[A-Za-z_$][\w$]*)"
    r"|(?P<sign>=>|\.\.\.|[\s\S])"
)
"""What is not closed ends with its line or with the text, so that nothing is read twice."""
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_OPENING = {closing: opening for opening, closing in _CLOSING.items()}


class Unreadable(ValueError):
    """The text is not what was looked for here."""


@record
class Token:
    """One word or sign."""

    kind: str
    """`text`, `pattern`, `number`, `name`, `sign`, or `end`."""
    text: str
    start: int
    """Characters before it."""
    new_line: bool
    """Whether a line ends between the token before and this one."""

    @property
    def value(self) -> str:
        """The text without its quotation marks."""
        return self.text[1:].removesuffix(self.text[0]) if self.kind == "text" else self.text


def tokens_of(text: str, start: int = 0, end: int | None = None) -> list[Token]:
    """The tokens between two positions, blanks and comments left out, and an `end` token."""
    stop = min(len(text), start + MAX_SOURCE) if end is None else min(end, len(text))
    found, new_line = list[Token](), True
    for match in _TOKEN.finditer(text, start, stop):
        if match.lastgroup == "blank":
            new_line = new_line or "\n" in match[0]
            continue
        found.append(Token(match.lastgroup or "sign", match[0], match.start(), new_line))
        new_line = False
    return [*found, Token("end", "", stop, True)]


def _pairs(tokens: list[Token]) -> dict[int, int]:
    """The position of each opening bracket, with that of its counterpart, found in one pass."""
    pairs: dict[int, int] = {}
    open_ones, waiting = list[tuple[str, int]](), Counter[str]()
    for position, token in enumerate(tokens):
        if token.kind != "sign":
            continue
        if token.text in _CLOSING:
            open_ones.append((token.text, position))
            waiting[token.text] += 1
        opening = _OPENING.get(token.text, "")
        while opening and waiting[opening]:
            text, start = open_ones.pop()
            waiting[text] -= 1
            if text == opening:
                pairs[start] = position
                break
    return pairs


class Cursor:
    """A position among tokens."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._pairs = _pairs(tokens)
        self.at = 0

    @property
    def token(self) -> Token:
        """The token at the position; the last one is the end."""
        return self._tokens[min(self.at, len(self._tokens) - 1)]

    @property
    def text(self) -> str:
        """The text of the token at the position."""
        return self.token.text

    @property
    def after(self) -> Token:
        """The token behind that one."""
        return self._tokens[min(self.at + 1, len(self._tokens) - 1)]

    @property
    def ended(self) -> bool:
        """Whether nothing is left."""
        return self.token.kind == "end"

    def take(self) -> Token:
        """Go past a token."""
        token = self.token
        self.at += 1
        return token

    def skip(self, *texts: str) -> bool:
        """Go past the token if it is one of these."""
        found = self.text in texts and not self.ended
        self.at += found
        return found

    def expect(self, text: str) -> None:
        """Go past this token. Raises `Unreadable` if another one is here."""
        if not self.skip(text):
            raise Unreadable(text)

    def closing(self) -> int:
        """Where the bracket at the position is closed. Raises `Unreadable` if it is not."""
        if self.at not in self._pairs:
            raise Unreadable(self.text)
        return self._pairs[self.at]

    def skip_group(self) -> list[Token]:
        """Go past a bracket and all up to its counterpart; the tokens between them.

        Raises `Unreadable` if it is not closed.
        """
        first, end = self.at + 1, self.closing()
        self.at = end + 1
        return self._tokens[first:end]
