"""The outcome of many tasks is that of the worst."""

from itertools import combinations

import pytest

from agentflow import errors
from agentflow.backlog import Backlog, Item
from agentflow.commands import TasksCommand
from agentflow.configuration import Settings
from agentflow.records import Json, Task
from agentflow.spending import Spending
from agentflow.tally import refused, summary

WORST_FIRST = (
    errors.Interrupted(2),
    errors.EnvironmentFailure("x"),
    errors.UsageError("x"),
    errors.ProviderFailure("x"),
    errors.Conflict("x"),
    errors.AgentFailed("x"),
    errors.Blocked("x"),
    errors.BudgetExceeded("x"),
)
"""As docs/many.md says."""
COMMAND = TasksCommand(("A", "B"), {})
ITEMS = {name: Item(name, Task(name, name, name), Settings()) for name in "AB"}


def tally(flags: Json | None = None, **ends: errors.AgentflowError) -> Json:
    entries = {name: refused(ITEMS[name], error) for name, error in ends.items()}
    return summary(
        Backlog(tuple(ITEMS.values())), entries, Spending(), TasksCommand("AB", flags or {})
    )


@pytest.mark.parametrize(
    ("worse", "other"), list(combinations(WORST_FIRST, 2)), ids=lambda e: e.outcome
)
def test_of_two_bad_outcomes_the_worse_one_counts(
    worse: errors.AgentflowError, other: errors.AgentflowError
) -> None:
    for report in (tally(A=worse, B=other), tally(A=other, B=worse)):
        assert (report["outcome"], report["exit_code"]) == (worse.outcome, worse.exit_code)
        assert report["reason"] == "0 of 2 tasks are done"


def test_what_was_not_begun_decides_nothing_unless_a_signal_is_why() -> None:
    backlog = Backlog(tuple(ITEMS.values()))
    done: Json = {**refused(ITEMS["A"], errors.Blocked("x")), "outcome": "done", "exit_code": 0}
    assert summary(backlog, {"A": done}, Spending(), COMMAND)["exit_code"] == 0
    assert summary(backlog, {"A": done}, Spending(), COMMAND, 15)["exit_code"] == 143


def test_the_limits_that_would_do_are_the_highest_that_a_task_needs() -> None:
    ended = tally(
        {"max_tokens": 8, "max_turns": 2},
        A=errors.BudgetExceeded("x", enough={"max_tokens": 9_000, "max_turns": 4}),
        B=errors.BudgetExceeded("x", enough={"max_tokens": 8_000}),
    )
    assert ended["hint"] == ended["again"] == "agentflow run A B --max-turns 4 --max-tokens 9000"
    assert [task["hint"] for task in ended["tasks"]] == ["", ""]


def test_a_limit_that_the_command_did_not_give_is_raised_for_its_task_alone() -> None:
    ended = tally(A=errors.BudgetExceeded("x", enough={"max_turns": 4}))
    assert ended["again"] == "agentflow run A B"
    assert ended["hint"] == "Do what the tasks say.\nagentflow run A B"
