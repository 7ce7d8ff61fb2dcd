"""What was spent: turns, tokens and money, of a call, a run, a model, a task."""

from collections.abc import Iterable
from dataclasses import field
from typing import Any, cast

from agentflow.frozen import record
from agentflow.messages import Usage
from agentflow.records import Json

_COUNTERS = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
)


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


def of_report(report: Json) -> Spending:
    """What a run spent, as its report says it. A repository may have brought the report: what does
    not fit counts as nothing, and as an unknown cost."""
    counts = _mapping(report.get("usage"))
    tokens = [_count(counts.get(name)) for name in _COUNTERS]
    cost: Any = report.get("total_cost_usd")
    known = type(cost) in {int, float} and 0 <= cost < 1e15
    return Spending(_count(report.get("num_turns")), Usage(*tokens), cost if known else None)


def by_task(reports: Iterable[Json]) -> dict[str, Spending]:
    """What all runs of each task spent together, tasks in the order of their first run."""
    found: dict[str, Spending] = {}
    for report in reports:
        task = str(report.get("task", ""))
        found[task] = found.get(task, Spending()) + of_report(report)
    return found


def _count(value: object) -> int:
    return value if type(value) is int and 0 <= value < 10**15 else 0


def _mapping(value: object) -> Json:
    return cast("Json", value) if isinstance(value, dict) else {}
