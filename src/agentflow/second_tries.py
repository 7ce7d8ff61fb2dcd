"""A result that clashes with what others landed on its branch: the task goes back to an agent once, with
both sides, from where the branch is by then."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from agentflow.budget import shared_account
from agentflow.errors import AgentflowError
from agentflow.events import Clashed, Event
from agentflow.interfaces import Emit
from agentflow.order import Order
from agentflow.plan import Plan, make_plan
from agentflow.prompts.context import Measure
from agentflow.records import Json, Task
from agentflow.repair import clash_message
from agentflow.run import Connect, run_task
from agentflow.workspace.land import target_tip
from agentflow.world import World

Begin = Callable[[Emit, Clashed | None], Awaitable[Json]]
"""Does a task once, after a clash if there was one; returns the run's report."""


async def with_second_try(begin: Begin, is_stopped: Callable[[], bool]) -> list[Json]:
    """The reports of what began: a second one if the first clashed."""
    clashes: list[Clashed] = []

    def listen(event: Event) -> None:
        if isinstance(event, Clashed):
            clashes.append(event)

    reports = [await begin(listen, None)]
    if reports[-1]["outcome"] == "conflict" and clashes and not is_stopped():
        reports.append(await begin(listen, clashes[-1]))
    return reports


def told_of(clash: Clashed, task: Task) -> Task:
    """The task with both sides of what clashed."""
    return replace(task, text=f"{task.text}\n\n{clash_message(clash)}")


async def run_alone(
    plan: Plan, world: World, connect: Connect, sinks: Sequence[Emit], measure: Measure
) -> Json:
    """Run a task that is run by itself, and a second time if its result clashes with what landed on the
    branch that was named; return the last report. Both together keep to the limits that were given.

    Raises as `run_task` does.
    """
    if not plan.joins or plan.replay:
        return await run_task(plan, world, connect, sinks)
    account = shared_account(plan.order.flags, "both tries together", world.clock)

    ended: list[Json] = []

    async def begin(listen: Emit, clash: Clashed | None) -> Json:
        try:
            now = await make_plan(_again(plan, clash), world, measure) if clash else plan
            ended.append(await run_task(now, world, connect, [*sinks, listen], account))
        except AgentflowError:
            if not ended:
                raise
        return ended[-1]  # the first, if no second could begin: it says what a person can do

    return (await with_second_try(begin, lambda: False))[-1]


def _again(plan: Plan, clash: Clashed) -> Order:
    """The order to do a task once more, from where its branch is now."""
    tip = target_tip(plan.repository, plan.settings.land, plan.branch)
    made = told_of(clash, plan.task)
    return replace(
        plan.order,
        base=tip or plan.base,
        fresh=False,
        resume=None,
        answer=None,
        named=None,
        made=made,
    )
