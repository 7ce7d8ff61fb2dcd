"""A run's money: another model goes on, limits hold before they are overshot, the report says all."""

from pathlib import Path

import pytest

from agentflow.errors import UsageError
from agentflow.events import FallbackStarted, LimitNear
from agentflow.messages import Usage
from agentflow.order import Order
from agentflow.records import Json
from agentflow.spending import Spending, Total, by_model, by_task, of_report, total
from tests.run.project import HELLO, Project, turn

pytestmark = pytest.mark.sandbox

SPENT: Json = {"input_tokens": 1_000_000, "output_tokens": 100_000}


async def test_another_model_goes_on_and_each_is_priced_as_it_is(project: Project) -> None:
    turns = [
        turn(HELLO, usage=SPENT),
        turn(text="Done.", usage=SPENT, faults=["overloaded"] * 5),
    ]

    report = await project.run(turns, fallback_model="haiku")

    assert report["outcome"] == "done"
    assert report["fallback"]["instead_of"] == "claude-sonnet-5-5"
    assert "529" in report["fallback"]["reason"]
    usage = {**SPENT, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
    assert report["models"] == {
        "claude-sonnet-5-5": {"turns": 1, "cost_usd": 3.0, "usage": usage},
        "claude-haiku-5-5": {"turns": 1, "cost_usd": 0.75, "usage": usage},
    }
    assert (report["num_turns"], report["total_cost_usd"]) == (2, 3.75)
    asked = [body["model"] for body in project.requests]
    assert asked == ["claude-sonnet-5-5"] * 6 + ["claude-haiku-5-5"]
    assert any(isinstance(event, FallbackStarted) for event in project.events)
    answered = [line for line in project.journal(report["run"]) if line["type"] == "assistant"]
    assert [line["model"] for line in answered] == ["claude-sonnet-5-5", "claude-haiku-5-5"]


async def test_a_report_says_what_the_task_cost_so_far(project: Project) -> None:
    first = await project.run([turn(HELLO, usage=SPENT), turn(usage=SPENT)], max_turns=1)
    assert first["task_total"]["runs"] == 1
    second = await project.run(
        [turn(HELLO, usage=SPENT), turn(usage=SPENT)], order=Order("TASK-1", fresh=True)
    )
    whole = second["task_total"]
    assert (whole["runs"], whole["turns"], whole["cost_usd"]) == (2, 3, 9.0)
    assert whole["usage"]["input_tokens"] == 3_000_000


async def test_a_refusal_ends_the_run_in_spite_of_a_fallback(project: Project) -> None:
    report = await project.run([turn(HELLO, faults=["unauthorized"])], fallback_model="haiku")
    assert (report["outcome"], report["exit_code"]) == ("provider", 6)
    assert len(project.requests) == 1


async def test_a_limit_warns_and_is_not_overshot(project: Project) -> None:
    turns = [turn(HELLO, usage={"input_tokens": 400_000, "output_tokens": 1_000}), turn()]

    report = await project.run(turns, max_cost=1.0)

    assert (report["outcome"], report["exit_code"]) == ("budget", 4)
    assert "the next call could exceed the limit of $1.00: $0.81 are spent" in report["reason"]
    assert len(project.requests) == 1
    assert report["total_cost_usd"] == pytest.approx(0.81)
    (near,) = [event for event in project.events if isinstance(event, LimitNear)]
    assert near.limit == "max_cost"


async def test_a_model_of_unknown_price_cannot_be_fallen_back_on_under_a_limit(
    project: Project,
) -> None:
    with pytest.raises(UsageError, match=r"price of local is unknown.*\$5.00"):
        await project.run([turn(HELLO)], max_cost=5.0, fallback_model="local")
    with pytest.raises(UsageError, match="is the first one already"):
        await project.run([turn(HELLO)], fallback_model="sonnet")


async def test_what_takes_a_file_s_limit_away_for_a_model_without_a_price_is_said(
    project: Project,
) -> None:
    project.write(".orchestrator/config.toml", "max_cost = 5\n")
    project.commit()
    with pytest.raises(UsageError, match=r"price of local is unknown.*\$5.00") as caught:
        await project.run([turn(HELLO)], model="local", max_turns=3)
    assert "take max_cost away where it is set, which `agentflow config show` names" in (
        caught.value.hint
    )

    project.write(".orchestrator/config.toml", "max_turns = 5\n")
    project.commit()
    report = await project.run([turn(HELLO), turn()], model="local", max_turns=3)
    assert report["outcome"] == "done"


async def test_a_model_of_unknown_price_under_a_limit_needs_one_from_the_user(
    project: Project,
) -> None:
    with pytest.raises(UsageError, match=r"price of local is unknown.*\$5.00") as caught:
        await project.run([turn(HELLO)], model="local", max_cost=5.0)
    assert '[prices."local"] with `input` and `output`' in caught.value.hint
    assert "leave out --max-cost, and limit turns" in caught.value.hint
    assert not project.requests

    config = Path(project.world.environment["XDG_CONFIG_HOME"]) / "agentflow/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("[prices.local]\ninput = 1\noutput = 5\n")
    turns = [turn(HELLO, usage=SPENT), turn(usage={"input_tokens": 0, "output_tokens": 0})]
    report = await project.run(turns, model="local", max_cost=50.0)

    assert (report["outcome"], report["total_cost_usd"]) == ("done", 1.5)


def test_what_was_spent_on_each_task() -> None:
    usage = {"input_tokens": 5, "output_tokens": 2, "cache_read_input_tokens": 7}
    one: Json = {"task": "A", "num_turns": 3, "total_cost_usd": 0.5, "usage": usage}
    odd: Json = {"task": "B", "num_turns": True, "total_cost_usd": "1", "usage": [], "x": 1}
    assert by_task([one, odd, one]) == {
        "A": Total(2, Spending(6, Usage(10, 4, 14), 1.0)),
        "B": Total(1, Spending(0, Usage(), None)),
    }
    paid = {"m": {"turns": 2, "cost_usd": 0.25, "usage": usage}, "n": 7}
    assert by_model([{"models": paid}, {"models": []}, {"models": paid}]) == {
        "m": Total(2, Spending(4, Usage(10, 4, 14), 0.5)),
        "n": Total(2, Spending(0, Usage(), None)),
    }
    assert total([one, one]).spent.as_text == "6 turns · 28 tokens · $1.0000"
    assert total([one, odd]).spent.as_text == "3 turns · 14 tokens · cost unknown"
    assert of_report({"total_cost_usd": -1, "usage": {"input_tokens": -5}}).usage == Usage()
