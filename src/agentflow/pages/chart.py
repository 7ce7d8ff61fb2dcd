"""Charts as numbers: where the bars and the line of a drawing lie."""

from collections.abc import Sequence

from agentflow.details.records import Turn
from agentflow.frozen import record

WIDTH, HEIGHT = 720, 160
"""Of the drawing, in its own units; a page scales it."""
MOST = 10**15
"""Of anything: a journal may have come with a repository."""
KINDS = ("cache read", "cache written", "input", "output")


@record
class Bar:
    """One part of a turn's column."""

    kind: int
    """Which of `KINDS`."""
    x: float
    y: float
    width: float
    height: float


@record
class Chart:
    """Tokens of each turn as columns, and the cost so far as a line."""

    bars: tuple[tuple[str, tuple[Bar, ...]], ...]
    """For each turn what it says in words, and its parts."""
    most: int
    """Tokens of the highest column."""
    line: str
    """Points of the line; empty if a price is unknown."""
    cost: float
    """US dollars at the end of the line."""
    last: int
    """The number of the last turn."""


def draw(turns: Sequence[Turn]) -> Chart:
    """The chart of some turns, at least one."""
    amounts = [_amounts(turn) for turn in turns]
    most = max(1, *map(sum, amounts))
    step = WIDTH / len(turns)
    bars = tuple(
        (_words(turn, each), _column(each, n * step, step, most))
        for n, (turn, each) in enumerate(zip(turns, amounts, strict=True))
    )
    line, cost = _line(turns, step)
    return Chart(bars, most, line, cost, turns[-1].number)


def _amounts(turn: Turn) -> tuple[int, ...]:
    usage = turn.usage
    written = usage.cache_write_tokens + usage.cache_write_1h_tokens
    amounts = (usage.cache_read_tokens, written, usage.input_tokens, usage.output_tokens)
    return tuple(min(max(0, amount), MOST) for amount in amounts)


def _words(turn: Turn, amounts: Sequence[int]) -> str:
    parts = [f"{n:,} {kind}" for n, kind in zip(amounts, KINDS, strict=True) if n]
    return f"turn {turn.number}: {', '.join(parts) or 'nothing'}"


def _column(amounts: Sequence[int], x: float, step: float, most: int) -> tuple[Bar, ...]:
    found, top = list[Bar](), float(HEIGHT)
    for kind, amount in enumerate(amounts):
        height = amount * HEIGHT / most
        top -= height
        if amount:
            numbers = (round(n, 2) for n in (x + step * 0.1, top, step * 0.8, max(height, 0.5)))
            found.append(Bar(kind, *numbers))
    return tuple(found)


def _line(turns: Sequence[Turn], step: float) -> tuple[str, float]:
    costs = [turn.cost for turn in turns]
    known = [min(max(0.0, cost), MOST) for cost in costs if cost is not None]
    total = sum(known)
    if len(known) < len(costs) or not total:
        return "", total
    points, so_far = [f"0,{HEIGHT}"], 0.0
    for number, cost in enumerate(known, start=1):
        so_far += cost
        points.append(f"{number * step:.1f},{HEIGHT - so_far * HEIGHT / total:.1f}")
    return " ".join(points), total
