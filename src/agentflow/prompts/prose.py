"""A Markdown text without its code: what stands in fences and code spans speaks of nothing."""

import re
from collections.abc import Iterator

_FENCE = re.compile(r"\s*(?:>\s*)*(?:[-*+]\s+|\d+[.)]\s+)?(`{3,}|~{3,})([^\n]*)")
_TICKS = re.compile("`+")


def prose_lines(text: str) -> Iterator[tuple[int, str]]:
    """Each line outside of fences with its number, from 1, its code spans taken out."""
    for number, line in unfenced_lines(text):
        yield number, _without_spans(line)


def unfenced_lines(text: str) -> Iterator[tuple[int, str]]:
    """Each line outside of fences with its number, from 1. An open fence ends with the text."""
    fence = ""
    for number, line in enumerate(text.split("\n"), 1):
        found = _FENCE.match(line)
        if fence:
            closes = found is not None and found[1].startswith(fence) and not found[2].strip()
            fence = "" if closes else fence
        elif found and not ("`" in found[1] and "`" in found[2]):
            fence = found[1]
        else:
            yield number, line


def _without_spans(line: str) -> str:
    """The line with U+FFFC for each code span. Linear in the line's length."""
    runs = [(found.start(), found.end()) for found in _TICKS.finditer(line)]
    following: dict[int, int] = {}
    closing: dict[int, int] = {}
    for index in reversed(range(len(runs))):
        length = runs[index][1] - runs[index][0]
        if length in following:
            closing[index] = following[length]
        following[length] = index
    kept: list[str] = []
    position = index = 0
    while index < len(runs):
        if index in closing:
            kept.append(line[position : runs[index][0]])
            index = closing[index]
            position = runs[index][1]
        index += 1
    return "\ufffc".join((*kept, line[position:]))
