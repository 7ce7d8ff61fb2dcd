"""Whether a shell command stays within patterns such as `git:*` or `npm run test:*`.

The command line is taken apart as bash does it: lists, pipes, quotes, substitutions, redirections.
Every simple command in it, also inside `$(…)`, must match a pattern. What is not understood for
certain is refused. A pattern limits which programs are begun and not what these do: `git:*` also
permits a `git` that runs a hook. The sandbox is what contains; this keeps a prompt's own word.
"""

import re
from collections.abc import Iterator, Sequence

_OPERATOR = re.compile(r"&&|\|\||\|&|;|\||&(?![>])|\n")
_HARMLESS = re.compile(
    r"\d*>&[012](?![^\s;|&)])|(?:\d*|&)>>?[ \t]*/dev/null(?![^\s;|&)])|\d*<[ \t]*/dev/null(?![^\s;|&)])"
)
"""Redirections that write no file: to another stream of the shell's first three, to nothing."""
_VARIABLE = re.compile(r"\$(?:\w+|[?#!@*-]|\{\w+\})")
_UNKNOWN = "\0"
"""Stands in a word for what only the shell knows; no pattern holds it."""


class _Refused(Exception):
    """The command is not understood; the message says at what."""


def refusal(command: str, scopes: Sequence[str]) -> str:
    """Why the command is outside the patterns, in a sentence; empty if it is within."""
    listed = ", ".join(f"`{scope}`" for scope in scopes)
    try:
        found = [words for words in _Reader(command).commands() if words]
    except _Refused as refused:
        return f"Only commands within {listed} may be run, and this one holds {refused}."
    if not found:
        return "There is no command in it."
    for words in found:
        if not any(_matches(words, scope) for scope in scopes):
            begun = words[0].replace(_UNKNOWN, "…")
            return f"Only commands within {listed} may be run; {begun!r} is not among them."
    return ""


def allows(command: str, scopes: Sequence[str]) -> bool:
    """Whether every simple command of the line matches one of the patterns."""
    return not refusal(command, scopes)


def _matches(words: Sequence[str], scope: str) -> bool:
    """`git:*` and `git *` fit whole words at the start; a pattern without `*` fits it all."""
    prefix = re.sub(r"(?::| )\*$", "", scope)
    wanted = prefix.split()
    if not wanted or "*" in prefix:
        return False
    return list(words[: len(wanted)]) == wanted and (prefix != scope or len(words) == len(wanted))


class _Reader:
    """One pass over a command line."""

    def __init__(self, text: str) -> None:
        if re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text):
            raise _Refused("a control character")
        self.text = text
        self.at = 0
        self.depth = 0

    def commands(self, end: str = "") -> Iterator[list[str]]:
        """The words of each simple command up to `end`, those of inner commands first."""
        words: list[str] = []
        inner: list[list[str]] = []
        while self.at < len(self.text) and self.text[self.at] != end:
            if operator := _OPERATOR.match(self.text, self.at):
                self.at = operator.end()
                yield words
                words = []
            elif self.text[self.at] in " \t":
                self.at += 1
            elif self.text.startswith("\\\n", self.at):
                self.at += 2
            elif redirection := _HARMLESS.match(self.text, self.at):
                self.at = redirection.end()
            else:
                words.append(self._word(inner))
                yield from inner
                inner.clear()
        if end and self.at >= len(self.text):
            raise _Refused("a substitution that is not closed")
        self.at += 1
        yield words

    def _word(self, inner: list[list[str]]) -> str:
        parts: list[str] = []
        while self.at < len(self.text) and self.text[self.at] not in " \t\n;|&)":
            character = self.text[self.at]
            if character == "'":
                parts.append(self._single())
            elif character == '"':
                parts.append(self._double(inner))
            elif character == "\\":
                parts.append(self._escaped())
            elif character == "$":
                parts.append(self._dollar(inner))
            elif character in "<>" and parts and _HARMLESS.match(self.text, self.at):
                break
            else:
                parts.append(self._plain(character, first=not parts))
        if not parts:
            raise _Refused(f"`{self.text[self.at]}` where a word is expected")
        return "".join(parts)

    def _plain(self, character: str, *, first: bool) -> str:
        if character in "`(<>" or (character == "#" and first):
            raise _Refused(f"`{character}`")
        self.at += 1
        return character

    def _escaped(self) -> str:
        """The character behind a backslash, which is nothing at the end of a line."""
        if self.at + 1 >= len(self.text):
            raise _Refused("a backslash at its end")
        self.at += 2
        return self.text[self.at - 1].replace("\n", "")

    def _single(self) -> str:
        end = self.text.find("'", self.at + 1)
        if end < 0:
            raise _Refused("a quote that is not closed")
        start, self.at = self.at + 1, end + 1
        return self.text[start:end]

    def _double(self, inner: list[list[str]]) -> str:
        parts: list[str] = []
        self.at += 1
        while self.at < len(self.text):
            character = self.text[self.at]
            if character == '"':
                self.at += 1
                return "".join(parts)
            if character == "\\":
                kept = "" if self.text[self.at + 1 : self.at + 2] in set('$`"\\\n') else character
                parts.append(kept + self._escaped())
            elif character == "$" and self.text[self.at + 1 : self.at + 2] not in {"", " ", '"'}:
                parts.append(self._dollar(inner))
            elif character == "`":
                raise _Refused("a backquote")
            else:
                parts.append(character)
                self.at += 1
        raise _Refused("a quote that is not closed")

    def _dollar(self, inner: list[list[str]]) -> str:
        """A variable or the output of commands; arithmetic and the rest of them are refused."""
        if self.text.startswith("$(", self.at) and not self.text.startswith("$((", self.at):
            self.depth += 1
            if self.depth > 20:
                raise _Refused("too many substitutions in each other")
            self.at += 2
            inner += list(self.commands(")"))
            self.depth -= 1
            return _UNKNOWN
        variable = _VARIABLE.match(self.text, self.at)
        if variable is None:
            raise _Refused(f"`{self.text[self.at : self.at + 2]}`")
        self.at = variable.end()
        return _UNKNOWN
