"""The budget: what is counted, and which limit is named."""

import pytest

from agentflow.budget import Budget
from agentflow.errors import BudgetExceeded
from agentflow.messages import Reply, Usage
from agentflow.records import Limits


class Clock:
    """Seconds set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def cents(usage: Usage) -> float | None:
    """A cent for each output token; the price of cache reads is unknown."""
    return None if usage.cache_read_tokens else usage.output_tokens / 100


def reply(output: int, discarded: int = 0, cached: int = 0) -> Reply:
    usage = Usage(10, output, cached)
    return Reply((), "end_turn", usage, discarded=Usage(0, discarded))


def test_a_reply_counts_with_its_failed_attempts() -> None:
    budget = Budget(Limits(), cents, Clock())
    assert budget.charge(reply(5, discarded=2)) == pytest.approx(0.07)
    assert budget.charge(reply(1)) == pytest.approx(0.01)
    assert (budget.turns, budget.usage) == (2, Usage(20, 8))
    assert budget.cost == pytest.approx(0.08)
    budget.check()


def test_one_unknown_price_makes_the_sum_unknown_for_good() -> None:
    budget = Budget(Limits(max_cost=1.0), cents, Clock())
    assert budget.charge(reply(1, cached=1)) is None
    assert budget.charge(reply(1)) == pytest.approx(0.01)
    assert budget.cost is None
    with pytest.raises(BudgetExceeded):
        budget.check()
    Budget(Limits(), cents, Clock()).check()


@pytest.mark.parametrize(
    ("limits", "message", "hint"),
    [
        (Limits(max_turns=2), "the limit of 2 turns is reached", "--max-turns"),
        (Limits(max_cost=0.1), "the limit of $0.1 is reached", "--max-cost"),
        (Limits(max_tokens=30), "the limit of 30 tokens is reached", "max_tokens"),
        (Limits(timeout=60), "the limit of 60 seconds is reached", "--timeout"),
    ],
)
def test_the_limit_that_is_reached_is_named(limits: Limits, message: str, hint: str) -> None:
    clock = Clock()
    budget = Budget(limits, cents, clock)
    budget.charge(reply(5))
    clock.now += 59.9
    budget.check()
    budget.charge(reply(5))
    clock.now += 0.1
    with pytest.raises(BudgetExceeded) as caught:
        budget.check()
    assert (caught.value.message, caught.value.exit_code) == (message, 4)
    assert hint in caught.value.hint


def test_seconds_left_falls_with_the_clock() -> None:
    clock = Clock()
    budget = Budget(Limits(timeout=60), cents, clock)
    clock.now += 70
    assert budget.seconds_left == -10
