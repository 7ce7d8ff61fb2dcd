"""Bold fields of a document: `**Developer**: backend-developer`, and the lists below them."""

import re
from collections.abc import Iterator, Sequence

from agentflow.frozen import record
from agentflow.tasks.markdown_lines import Line

_LABEL = re.compile(r"\*\*([^*\n:]{1,60}?)[ \t]*(?:\*\*[ \t]*:|:[ \t]*\*\*)[ \t]*")
_PLAIN = re.compile(
    r"[ \t]*[-*+][ \t]+([A-Z][A-Za-z() ]{1,30}):[ \t]+"
    + r"|((?i:status|assigned(?: to)?|developer|dependencies|depends on|(?:git )?commit)):[ \t]+"
)
"""Of a list, any; on a line of its own only what nobody writes for anything else."""
_ITEM = re.compile(r"[ \t]*(?:[-*+]|\d{1,3}[.)])[ \t]+")
_MAX_ITEMS = 200


@record
class Field:
    """A label, and what stands behind it on its line."""

    label: str
    """In lower case, without `batch`, a number or brackets: `file`, `git commit`."""
    value: str
    start: int
    """Offset of the value in the text."""
    line: int
    index: int
    """Of its line among the lines that were read."""
    of_batch: bool
    """Whether the label itself says that it is the batch's."""


def read_fields(lines: Sequence[Line]) -> Iterator[Field]:
    """All fields of these lines in their order, several on one line too; fences are left out."""
    for index, line in enumerate(lines):
        if not line.opaque:
            yield from _of_line(line, index)


def _of_line(line: Line, index: int) -> Iterator[Field]:
    found = list(_LABEL.finditer(line.text))
    if not found and not line.level:
        plain = _PLAIN.match(line.text)
        found = [plain] if plain else []
    ends = [*(each.start() for each in found[1:]), len(line.text)][: len(found)]
    for each, end in zip(found, ends, strict=True):
        value = line.text[each.end() : end].rstrip(" \t|")
        label, of_batch = _normal(each[1] or each[each.lastindex or 1])
        yield Field(label, value, line.start + each.end(), line.number, index, of_batch)


def _normal(label: str) -> tuple[str, bool]:
    words = re.sub(r"\((?:e?s)\)", "", label.lower()).split()
    of_batch = bool(words) and words[0] == "batch"
    if of_batch:
        words = [word for word in words[1:] if not re.fullmatch(r"\d+[a-z]?(?:\.\d+)?", word)]
    return " ".join(words), of_batch


def items(lines: Sequence[Line], field: Field) -> Iterator[tuple[int, str]]:
    """Line numbers and words of the list below a field; it ends at the next field or heading."""
    started = False
    for line in lines[field.index + 1 : field.index + 1 + _MAX_ITEMS]:
        bare = line.text.strip()
        if line.opaque or line.level or (bare and _LABEL.match(bare)):
            return
        found = _ITEM.match(line.text)
        if found and not _LABEL.match(line.text, found.end()):
            started = True
            yield line.number, line.text[found.end() :].strip()
        elif found or (bare and (not started or not line.text.startswith((" ", "\t")))):
            return
