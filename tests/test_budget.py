"""The budget: what is counted, and which limit is named."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.budget import (
    SMALLEST_REPLY,
    UNLIMITED,
    Account,
    Admission,
    Budget,
    Call,
    shared_account,
)
from agentflow.errors import BudgetExceeded
from agentflow.events import LimitNear
from agentflow.messages import Usage
from agentflow.records import Limits
from agentflow.spending import Spending


class Clock:
    """Seconds set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def dollars(model: str, usage: Usage) -> float | None:
    """$1 per million input tokens, $10 for output; cache writes 1.25 and 2 times, reads a tenth."""
    if model == "unpriced":
        return None
    written = usage.cache_write_tokens * 1.25 + usage.cache_write_1h_tokens * 2
    read = usage.cache_read_tokens / 10
    return (usage.input_tokens + written + read + usage.output_tokens * 10) / 1e6


def still() -> float:
    """A clock that stands."""
    return 0.0


def make(clock: Clock | None = None, shared: Account | None = None, **limits: Any) -> Budget:
    return Budget(Limits(**limits), dollars, clock or Clock(), shared)


def near(amount: float) -> Any:
    """About so much."""
    return pytest.approx(amount)


def call(prompt: int = 1_000, output: int = 32_000, fixed: int = 0, model: str = "m") -> Call:
    return Call(model, fixed, prompt, output)


def test_what_is_charged_adds_up() -> None:
    budget = make()
    assert budget.charge("m", Usage(100_000, 10_000)) == pytest.approx(0.2)
    assert budget.charge("m", Usage(100_000), turns=0) == pytest.approx(0.1)
    assert (budget.spent.turns, budget.spent.usage) == (1, Usage(200_000, 10_000))
    assert budget.spent.cost == pytest.approx(0.3)
    assert budget.admit(call()) == Admission(32_000, None)


def test_one_unknown_price_makes_the_sum_unknown_for_good() -> None:
    budget = make(max_cost=1.0)
    assert budget.charge("unpriced", Usage(1)) is None
    budget.charge("m", Usage(1))
    assert budget.spent.cost is None
    with pytest.raises(BudgetExceeded, match=r"what was spent is unknown.*\$1.00"):
        budget.admit(call())
    make().admit(call(model="unpriced"))


def test_a_call_of_unknown_price_is_not_made_under_a_limit() -> None:
    with pytest.raises(BudgetExceeded, match=r"price of the next call is unknown.*\$1.00"):
        make(max_cost=1.0).admit(call(model="unpriced"))


@pytest.mark.parametrize(
    ("limits", "message", "enough"),
    [
        ({"max_turns": 1}, "1 turn", 4),
        ({"max_turns": 2}, "2 turns", 4),
        ({"max_cost": 0.02}, "$0.0200", 0.11),
        ({"max_tokens": 4_000}, "4000 tokens", 15_000),
        ({"max_input_tokens": 2_000}, "2000 input tokens", 4_000),
        ({"max_output_tokens": 2_000}, "2000 output tokens", 11_000),
        ({"timeout": 60}, "60 seconds", 120),
    ],
)
def test_the_limit_that_is_reached_is_named_and_one_that_would_do(
    limits: dict[str, Any], message: str, enough: float
) -> None:
    clock = Clock()
    budget = make(clock, **limits)
    for _ in range(2):
        budget.charge("m", Usage(1_000, 1_000))
    clock.now += 60
    with pytest.raises(BudgetExceeded) as caught:
        budget.admit(call())
    assert caught.value.message == f"the limit of {message} is reached"
    assert (caught.value.exit_code, caught.value.enough) == (4, {next(iter(limits)): enough})


@pytest.mark.parametrize(
    ("limits", "worst"),
    [
        # 100,000 tokens written to the cache, 10,000 of them for an hour, and the smallest reply.
        ({"max_cost": 0.5}, 0.02 + 0.1125 + SMALLEST_REPLY * 10 / 1e6),
        ({"max_tokens": 500_000}, 100_000 + SMALLEST_REPLY),
        ({"max_input_tokens": 500_000}, 100_000),
        ({"max_output_tokens": 50_000}, SMALLEST_REPLY),
    ],
)
def test_a_call_is_refused_if_its_worst_does_not_fit(limits: dict[str, Any], worst: float) -> None:
    (most,) = limits.values()
    wanted = call(prompt=100_000, fixed=10_000)
    for spare, fits in ((0.001, True), (-0.001, False)):
        spent = most - worst * (1 + spare)
        budget = make(**limits)
        unit = {"max_cost": Usage(round(spent * 1e6)), "max_output_tokens": Usage(0, int(spent))}
        budget.charge("m", unit.get(next(iter(limits)), Usage(int(spent))))
        if fits:
            admission = budget.admit(wanted)
            assert SMALLEST_REPLY <= admission.output <= wanted.output
            assert admission.attempts in {1, None}
        else:
            with pytest.raises(BudgetExceeded, match="the next call could exceed the limit of"):
                budget.admit(wanted)


def test_the_reply_is_shortened_to_what_is_left() -> None:
    budget = make(max_cost=0.2, max_tokens=30_000)
    assert budget.admit(call(prompt=1_000)).output == 19_875  # (0.2 - 0.00125) / 10 * 1e6
    budget.charge("m", Usage(0, 11_000))
    assert budget.admit(call(prompt=1_000)).output == 8_875
    assert budget.admit(call(prompt=1_000, output=500)).output == 500


def test_attempts_are_counted_by_what_they_may_use() -> None:
    budget = make(max_tokens=100_000, max_turns=1)
    assert budget.admit(call(prompt=10_000, output=10_000)) == Admission(10_000, 5)
    budget.charge("m", Usage(70_001), turns=0)
    assert budget.admit(call(prompt=10_000, output=10_000)) == Admission(10_000, 1)


@given(
    st.lists(st.tuples(st.integers(0, 200_000), st.integers(1, 40_000)), max_size=30),
    st.floats(0.01, 2.0),
)
def test_no_limit_is_ever_overshot(calls: list[tuple[int, int]], most: float) -> None:
    budget = make(max_cost=most, max_tokens=400_000, max_turns=20)
    for prompt, output in calls:
        try:
            admission = budget.admit(call(prompt, output, prompt // 10))
        except BudgetExceeded:
            continue
        used = Usage(0, admission.output, 0, prompt - prompt // 10, prompt // 10)
        budget.charge("m", used)
    assert (budget.spent.cost or 0.0) <= most + 1e-9
    assert budget.spent.usage.total_tokens <= 400_000
    assert budget.spent.turns <= 20


def test_runs_share_an_account_and_calls_in_flight_count() -> None:
    shared = Account(Limits(max_turns=3, max_tokens=100_000), still, "all runs together")
    one, two = make(shared=shared), make(shared=shared)
    assert one.admit(call(prompt=50_000, output=20_000)).output == 20_000
    with pytest.raises(BudgetExceeded, match="100000 tokens for all runs together: 0 tokens are"):
        two.admit(call(prompt=50_000, output=20_000))
    one.charge("m", Usage(1_000, 1_000))
    assert two.admit(call(prompt=50_000, output=20_000)).output == 20_000
    two.release()
    two.charge("m", Usage(1_000, 1_000))
    one.charge("m", Usage(1_000))
    assert shared.spent == Spending(3, Usage(3_000, 2_000), near(0.023))
    assert (one.spent.turns, two.spent.turns) == (2, 1)
    with pytest.raises(BudgetExceeded, match="the limit of 3 turns for all runs together is"):
        two.admit(call())


def test_the_limits_of_an_invocation_are_those_that_were_given_to_it() -> None:
    given: dict[str, Any] = {
        "max_turns": 4, "max_cost": 2.0, "max_tokens": 9_000, "max_input_tokens": 8_000,
        "max_output_tokens": 7_000, "timeout": 60.0,
    }  # fmt: skip
    account = shared_account({**given, "model": "opus"}, "all runs together", still)
    assert account.limits == Limits(**given)
    assert shared_account({}, "", still).limits == UNLIMITED
    make(shared=shared_account({}, "", still)).admit(call())


def test_the_time_of_all_runs_together_ends_each_of_them() -> None:
    clock = Clock()
    shared = shared_account({"timeout": 100.0}, "all runs together", clock)
    clock.now += 70
    late = make(clock, shared, timeout=60)
    assert late.seconds_left == 30
    clock.now += 20
    (warning,) = late.warnings()
    assert warning.text == "90 of 100 seconds for all runs together are over"
    clock.now += 10
    with pytest.raises(BudgetExceeded, match="100 seconds for all runs together is reached"):
        late.admit(call())
    alone = make(clock, timeout=60)
    assert alone.seconds_left == 60


def test_each_limit_warns_once_at_80_percent() -> None:
    clock = Clock()
    shared = Account(Limits(max_turns=10), clock, "all runs together")
    budget = make(clock, shared, max_cost=1.0, max_turns=20, timeout=100)
    assert list(budget.warnings()) == []
    budget.charge("m", Usage(799_999))
    clock.now += 79
    assert list(budget.warnings()) == []
    budget.charge("m", Usage(1))
    clock.now += 1
    assert list(budget.warnings()) == [
        LimitNear("max_cost", near(0.8), 1.0, "$0.80 of $1.00 are spent by this run"),
        LimitNear("timeout", 80.0, 100, "80 of 100 seconds are over"),
    ]
    for _ in range(6):
        budget.charge("m", Usage())
    (warning,) = budget.warnings()
    assert warning.text == "8 turns of 10 turns are spent by all runs together"
    assert list(budget.warnings()) == []


def test_a_resumed_run_goes_on_with_what_it_had_spent() -> None:
    clock = Clock()
    budget = make(clock, max_turns=10, max_cost=1.0, timeout=100)
    budget.restore(Usage(100, 5), 0.5, 9, 60.0)
    assert budget.spent == Spending(9, Usage(100, 5), 0.5)
    assert budget.seconds_left == 40
    budget.charge("m", Usage(1))
    with pytest.raises(BudgetExceeded, match="the limit of 10 turns"):
        budget.admit(call())
    clock.now += 50
    assert budget.seconds_left == -10
