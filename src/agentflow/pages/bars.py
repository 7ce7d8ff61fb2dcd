"""Costs as numbers: columns of days, and bars of whatever else costs are summed up by."""

from collections.abc import Mapping
from datetime import date, timedelta

from agentflow.frozen import record
from agentflow.pages.chart import HEIGHT, MOST, WIDTH
from agentflow.pages.environment import dollars
from agentflow.spending import Total
from agentflow.words import counted

LONGEST = 20
"""Bars that are drawn; more names are summed up as one."""


@record
class Column:
    """A day."""

    words: str
    x: float
    y: float
    width: float
    height: float


@record
class Columns:
    """Days beside each other, oldest first."""

    columns: tuple[Column, ...]
    most: float
    """US dollars of the highest one."""
    first: str
    last: str


@record
class Share:
    """A name with what it cost."""

    name: str
    total: Total
    part: float
    """Of the most expensive one: 0 to 100."""


def columns(totals: Mapping[str, Total], first: date, last: date) -> Columns:
    """Every day from the first to the last, those without runs too."""
    count = (last - first).days + 1
    days = [f"{first + timedelta(days=n)}" for n in range(count)]
    costs = [_cost(totals.get(day)) for day in days]
    most = max(costs, default=0.0) or 1.0
    step = WIDTH / max(1, count)
    found = tuple(
        Column(
            _words(day, totals.get(day)),
            round(n * step + step * 0.1, 2),
            round(HEIGHT - cost * HEIGHT / most, 2),
            round(step * 0.8, 2),
            round(cost * HEIGHT / most, 2),
        )
        for n, (day, cost) in enumerate(zip(days, costs, strict=True))
    )
    return Columns(found, most, days[0], days[-1])


def shares(totals: Mapping[str, Total]) -> tuple[Share, ...]:
    """The most expensive names first, and what is left of them as one."""
    ordered = sorted(totals.items(), key=lambda each: -_cost(each[1]))
    kept, rest = ordered[:LONGEST], ordered[LONGEST:]
    if rest:
        first, *more = (total for _, total in rest)
        for each in more:
            first = Total(first.runs + each.runs, first.spent + each.spent)
        kept.append((f"{counted(len(rest), 'other')}", first))
    most = max((_cost(total) for _, total in kept), default=0.0) or 1.0
    return tuple(Share(name, each, round(100 * _cost(each) / most, 1)) for name, each in kept)


def _cost(total: Total | None) -> float:
    return min(total.spent.cost or 0.0, MOST) if total else 0.0


def _words(day: str, total: Total | None) -> str:
    told = f"{dollars(total.spent.cost)}, {counted(total.runs, 'run')}" if total else "nothing"
    return f"{day}: {told}"
