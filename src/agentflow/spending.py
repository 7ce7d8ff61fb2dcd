"""What was spent: turns, tokens and money, of a call, a run, a model, a task."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import field
from typing import Any, cast

from agentflow.frozen import record
from agentflow.messages import Usage
from agentflow.records import Json
from agentflow.words import counted

_COUNTERS = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
)

REPLAYED = "a replay: nothing was paid"

_DAY = re.compile(r"-(\d{4})(\d{2})(\d{2})T\d{6}-[0-9a-f]{4}$")
"""At the end of a run's name."""


@record
class Spending:
    """One amount or the sum of several."""

    turns: int = 0
    """Replies of the model."""
    usage: Usage = field(default_factory=Usage)
    cost: float | None = 0.0
    """US dollars; None if one price among them is unknown."""

    def __add__(self, other: "Spending") -> "Spending":
        unknown = self.cost is None or other.cost is None
        return Spending(
            self.turns + other.turns,
            self.usage + other.usage,
            None if unknown else (self.cost or 0.0) + (other.cost or 0.0),
        )

    @property
    def as_text(self) -> str:
        """`3 turns · 1,200 tokens · $0.1234`."""
        tokens = counted(self.usage.total_tokens, "token")
        cost = "cost unknown" if self.cost is None else f"${self.cost:.4f}"
        return f"{counted(self.turns, 'turn')} · {tokens} · {cost}"

    def as_json(self) -> Json:
        """As in a report: `turns`, `cost_usd`, `usage` with the names of the Messages API."""
        return {
            "turns": self.turns,
            "cost_usd": None if self.cost is None else round(self.cost, 6),
            "usage": usage_json(self.usage),
        }


def usage_json(usage: Usage) -> Json:
    """Tokens under the names of the Messages API."""
    written = usage.cache_write_tokens + usage.cache_write_1h_tokens
    counts = (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, written)
    return dict(zip(_COUNTERS, counts, strict=True))


@record
class Total:
    """What several runs spent together."""

    runs: int
    spent: Spending

    def as_json(self) -> Json:
        """`runs`, and what `Spending` has."""
        return {"runs": self.runs, **self.spent.as_json()}


def of_report(report: Json) -> Spending:
    """What a run spent, as its report says it; a replay, which asks no model, nothing. A repository
    may have brought the report: what does not fit counts as nothing, and as an unknown cost."""
    if is_replay(report):
        return Spending()
    return _spending(report.get("num_turns"), report.get("usage"), report.get("total_cost_usd"))


def is_replay(report: Json) -> bool:
    """Whether a run repeated a recording: its tokens and cost are those of the recorded one."""
    return report.get("replay") is True


def total(reports: Iterable[Json]) -> Total:
    """What these runs spent together."""
    spent = [of_report(report) for report in reports]
    return Total(len(spent), sum(spent, Spending()))


def by_task(reports: Iterable[Json]) -> dict[str, Total]:
    """What all runs of each task spent together, tasks in the order of their first run."""
    return _grouped((str(report.get("task", "")), of_report(report)) for report in reports)


def by_day(reports: Iterable[Json]) -> dict[str, Total]:
    """What the runs that began on each day (UTC) spent together, as `2026-11-20`."""
    return _grouped((_day(report), of_report(report)) for report in reports)


def by_prompt(reports: Iterable[Json]) -> dict[str, Total]:
    """What the runs with each prompt spent together."""
    return _grouped(
        (str(_mapping(report.get("prompt")).get("name") or "unknown"), of_report(report))
        for report in reports
    )


def by_model(reports: Iterable[Json]) -> dict[str, Total]:
    """What each model was paid, in as many runs as it answered in; replays are none of them."""
    return _grouped(
        (name, _spending(each.get("turns"), each.get("usage"), each.get("cost_usd")))
        for report in reports
        for name, each in _models(report)
    )


def _day(report: Json) -> str:
    found = _DAY.search(str(report.get("run", "")))
    return "-".join(found.groups()) if found else "unknown"


def _models(report: Json) -> Iterator[tuple[str, Json]]:
    if is_replay(report):
        return
    for name, each in _mapping(report.get("models")).items():
        yield name, _mapping(each)


def _grouped(amounts: Iterable[tuple[str, Spending]]) -> dict[str, Total]:
    found: dict[str, Total] = {}
    for name, amount in amounts:
        before = found.get(name, Total(0, Spending()))
        found[name] = Total(before.runs + 1, before.spent + amount)
    return found


def _spending(turns: object, usage: object, cost: Any) -> Spending:
    counts = _mapping(usage)
    tokens = [_count(counts.get(name)) for name in _COUNTERS]
    known = type(cost) in {int, float} and 0 <= cost < 1e15
    return Spending(_count(turns), Usage(*tokens), cost if known else None)


def _count(value: object) -> int:
    return value if type(value) is int and 0 <= value < 10**15 else 0


def _mapping(value: object) -> Json:
    return cast("Json", value) if isinstance(value, dict) else {}
