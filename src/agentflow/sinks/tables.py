"""Rows of columns: one line a row in a log, and on a terminal what fits beside each other.

A form is a format string such as `{:<40} {:>10}  {}`. A log has it as it is, row by row, so that a
row is the same whichever others there are. On a terminal columns are as wide as their widest cell;
the last one is folded, and what has no room goes on below the row. No cell is ever cut.
"""

from collections.abc import Iterator, Sequence
from string import Formatter

from agentflow.folding import columns, fold
from agentflow.frozen import record
from agentflow.sinks.printer import Printer, Span

GAP = 2
"""Spaces between columns."""
BELOW = 4
"""How far what has no room in its row is indented, unless lines below say it."""
FAR = 4
"""More than half as wide again as most others, and so many columns: such a cell breaks its own row."""
SMALLEST = 30
"""The fewest columns into which the last cell is folded."""


@record
class Row:
    """A row's cells, and lines that stand below it."""

    cells: Sequence[Span | str]
    below: Sequence[Span | str] = ()
    is_heading: bool = False
    """What has no room in it is left out."""


def print_table(printer: Printer, form: str, rows: Sequence[Row]) -> None:
    """Print rows with as many cells as the form has fields."""
    width = printer.width
    for row, lines in zip(rows, _laid_out(form, rows, width), strict=True):
        for spans in lines:
            printer.print(*spans)
        for line in row.below:
            printer.print(line)


def formed(form: str, cells: Sequence[Span | str]) -> str:
    """A row as a log has it."""
    return "".join(text for text, _ in _formed(form, cells))


def _formed(form: str, cells: Sequence[Span | str]) -> list[Span]:
    spans: list[Span] = []
    given = map(_span, cells)
    for literal, name, how, _ in Formatter().parse(form):
        spans.append((literal, ""))
        if name is not None:
            text, style = next(given)
            spans.append((format(text, how or ""), style))
    return _stripped(spans)


def _stripped(spans: list[Span]) -> list[Span]:
    """A line without spaces at its end."""
    while spans and not spans[-1][0].rstrip():
        spans.pop()
    return [*spans[:-1], (spans[-1][0].rstrip(), spans[-1][1])] if spans else []


def _laid_out(form: str, rows: Sequence[Row], width: int | None) -> Iterator[list[list[Span]]]:
    """The lines of each row."""
    if width is None:
        yield from ([_formed(form, row.cells)] for row in rows)
        return
    cells = [list(map(_span, row.cells)) for row in rows]
    used = [at for at in range(len(cells[0])) if any(row[at][0] for row in cells)] if rows else []
    hows = [how or "" for _, name, how, _ in Formatter().parse(form) if name is not None]
    right = [hows[at].startswith(">") for at in used]
    usual = [max(_size(row, at) for row in rows) for at in used]
    if (beside := _beside(usual, width)) < len(used):
        usual = [_usual(rows, at) for at in used]
        beside = _beside(usual, width)
    indent = _indent(rows, width)
    for row, spans in zip(rows, cells, strict=True):
        shown = [spans[at] for at in used]
        number = _fitting(shown, usual, beside, width)
        head = _head(shown[:number], usual, right)
        rest = [span for span in shown[number:] if span[0] and not row.is_heading]
        if number == len(used):
            yield _with_last(head, width)
        else:
            yield [head, *_flowing(rest, indent, width)]


def _usual(rows: Sequence[Row], at: int) -> int:
    """The widest cell of a column, without the few that are far wider than the others."""
    headings = [_size(row, at) for row in rows if row.is_heading]
    sizes = sorted(filter(None, (_size(row, at) for row in rows if not row.is_heading))) or [0]
    most = sizes[(len(sizes) - 1) * 4 // 5]
    return max(*headings, *(size for size in sizes if size <= most * 3 // 2 + FAR), 0)


def _size(row: Row, at: int) -> int:
    return columns(_span(row.cells[at])[0])


def _beside(usual: Sequence[int], width: int) -> int:
    """How many columns fit beside each other; at least one."""
    for number in range(len(usual), 1, -1):
        *others, last = usual[:number]
        least = min(last, _enough(width)) if number == len(usual) else last
        if sum(others) + GAP * len(others) + least <= width:
            return number
    return 1


def _enough(width: int) -> int:
    """Columns that are enough for the last cell, which is folded."""
    return max(SMALLEST, width // 3)


def _fitting(spans: Sequence[Span], usual: Sequence[int], beside: int, width: int) -> int:
    """How many of a row's cells have room beside each other; the last one may be folded."""
    taken = 0
    for number, (text, _) in enumerate(spans):
        size, room = columns(text), width - taken
        if number == len(usual) - 1:
            fits = size <= room or (room >= _enough(width) and _widest(text, room) <= room)
        else:
            fits = size <= usual[number]
        if number and (number >= beside or not fits):
            return number
        if not fits:
            return 1
        taken += usual[number] + GAP
    return len(spans)


def _head(spans: Sequence[Span], usual: Sequence[int], right: Sequence[bool]) -> list[Span]:
    """The cells that stand beside each other, the last one as it is."""
    found: list[Span] = []
    for number, (text, style) in enumerate(spans):
        padding = " " * (usual[number] - columns(text))
        last = number == len(spans) - 1
        gap = "" if last else " " * GAP
        padded = f"{padding}{text}" if right[number] else text if last else f"{text}{padding}"
        found.append((f"{padded}{gap}", style))
    return _stripped(found)


def _with_last(spans: list[Span], width: int) -> list[list[Span]]:
    """The row, whose last cell goes on below itself."""
    if not spans:
        return [spans]
    *others, (text, style) = spans
    taken = sum(columns(each) for each, _ in others)
    first, *rest = fold(text, max(1, width - taken))
    below = [[(f"{'':{taken + line.indent}}{text[line.start : line.end]}", style)] for line in rest]
    return [[*others, (text[first.start : first.end], style)], *below]


def _indent(rows: Sequence[Row], width: int) -> int:
    """Where lines below rows begin."""
    lines = [_span(line)[0] for row in rows for line in row.below]
    indents = [len(line) - len(line.lstrip()) for line in lines]
    return next((each for each in indents if each <= width // 3), BELOW)


def _flowing(spans: Sequence[Span], indent: int, width: int) -> Iterator[list[Span]]:
    """Cells below their row, as many on a line as fit."""
    line: list[Span] = []
    taken = indent
    for text, style in spans:
        size = columns(text)
        if line and taken + GAP + size <= width:
            line.append((f"{'':{GAP}}{text}", style))
            taken += GAP + size
            continue
        if line:
            yield line
        line, room = [], max(1, width - indent)
        at = max(0, min(indent, width - _widest(text, room)))
        lines = [
            [(f"{'':{at + each.indent}}{text[each.start : each.end]}", style)]
            for each in fold(text, room)
        ]
        if len(lines) > 1:
            yield from lines
        else:
            line, taken = lines[0], at + size
    if line:
        yield line


def _widest(text: str, room: int) -> int:
    """How wide a text is that is folded for so many columns: more, where a word is."""
    lines = fold(text, max(1, room))
    return max(line.indent + columns(text[line.start : line.end]) for line in lines)


def _span(cell: Span | str) -> Span:
    return (cell, "") if isinstance(cell, str) else cell
