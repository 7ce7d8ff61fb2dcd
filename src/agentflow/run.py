"""One task on one page: work, import, verify, repair, land, mark."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from agentflow.admission import admit, finished_before, refuse_other, with_question
from agentflow.agent import Agent
from agentflow.budget import Account
from agentflow.checkpoints import Checkpoints
from agentflow.closing import close
from agentflow.conversation import Word
from agentflow.disk import check_room, refused
from agentflow.errors import AgentFailed, AgentflowError, Interrupted
from agentflow.events import LandingDone, RepairStarted, RunFinished
from agentflow.interfaces import Emit, Model
from agentflow.markers import remove_markers
from agentflow.messages import Ending
from agentflow.models.opening import OpeningModel
from agentflow.plan import Plan
from agentflow.records import Json
from agentflow.repair import repair_message, same_failure
from agentflow.results import Candidate, Evidence
from agentflow.resuming import adjusted, resume
from agentflow.runs import task_lock
from agentflow.stage import Stage
from agentflow.staging import gates_on_base, prepare, set_stage
from agentflow.threads import meanwhile, then_stop
from agentflow.tools import Toolkit
from agentflow.workspace.relay import Relay
from agentflow.world import World

OpenModel = Callable[[], Model]
"""Connects to a model. Slow (it imports the SDK) and called in a thread."""
Connect = Callable[[Plan], OpenModel]
"""Finds out how to connect to the plan's model. Raises `UsageError` without a key."""
OnBase = Awaitable[Mapping[str, Evidence]]
"""How the gates end on the base, when that is known; may be awaited again."""


async def run_task(
    plan: Plan,
    world: World,
    connect: Connect,
    sinks: Sequence[Emit] = (),
    account: Account | None = None,
    relay: Relay | None = None,
) -> Json:
    """Run one task to its end, whatever the end is; return its report. `account` is what it shares
    with other runs; `relay` brings it to other machines, and `Fenced` is raised if one of them took
    it.

    Raises `UsageError` and `Conflict` for what is refused before the run exists or goes on. Every
    later failure that has a name (`AgentflowError`, `OSError`, a stop) is the report's outcome; a
    fault of ours passes through and leaves what a kill leaves: a run to be resumed.
    """
    with task_lock(plan.repository.locks(world.cache), plan.task.id):
        done = finished_before(plan)
        if done:
            refuse_other(plan, world.cache, done)
            return done
        past = resume(plan, world.cache, plan.order.resume) if plan.order.resume else None
        plan = adjusted(plan, past) if past else with_question(plan)
        replaceable = admit(plan, past)
        open_model = connect(plan)
        remove_markers(plan.repository.root, plan.task.id)
        stage = set_stage(plan, world, sinks, replaceable, past, account, relay)
        return await close(stage, stage.history.finished or await _to_an_end(stage, open_model))


async def _to_an_end(stage: Stage, open_model: OpenModel) -> RunFinished:
    """Do what is left of the run; whatever happens is how it ended."""
    try:
        await stage.begin()
        if not stage.history.landed:
            verified = await asyncio.to_thread(stage.verified_before)
            candidate = verified or await _work(stage, open_model)
            from agentflow.landing import land_result  # as late as what judges the candidate

            landed = await land_result(stage, candidate)
            stage.emit(LandingDone(landed.ref, landed.tip, landed.replaced))
    except AgentflowError as error:
        return RunFinished.of(error)
    except OSError as error:
        return RunFinished.of(refused(error))
    except asyncio.CancelledError as error:
        return RunFinished.of(Interrupted.of(error))
    return RunFinished("done", 0, "", "")


async def _work(stage: Stage, open_model: OpenModel) -> Candidate:
    """Prepare, and let the agent work until its result is verified."""
    model = OpeningModel(open_model)
    try:
        await prepare(stage)
        await then_stop(stage.claim)
        async with meanwhile(gates_on_base(stage)) as on_base:
            return await _work_until_verified(stage, stage.agent(model), on_base)
    finally:
        await model.close()


async def _work_until_verified(stage: Stage, agent: Agent, on_base: OnBase) -> Candidate:
    """Let the agent work and judge the result; a failed verdict goes back to it, bounded."""
    past, repairs = stage.history, stage.plan.limits.max_repairs
    keeper = await asyncio.to_thread(stage.checkpoints)
    word, earlier, ending = stage.next_word(), past.earlier, past.ending
    for attempt in range(past.repairs, repairs + 1):
        ending = ending or await _let_work(stage, agent, keeper, word, on_base)
        # Imported when the agent has ended: before the first request it would be waited for.
        from agentflow.candidates import collect, judge, seal

        candidate = await collect(stage, ending)
        verdict = await judge(stage, candidate, await on_base)
        if verdict.passed:
            return await seal(stage, candidate)
        # On a full disk gates fail for that alone.
        await asyncio.to_thread(check_room, stage.bench.folder)
        if not verdict.failures:
            raise AgentFailed(
                "no build gate ran and passed, so nothing is verified",
                hint="At least one gate must run here on this change: see `paths` and `where`.",
            )
        if same_failure(earlier, verdict):
            raise AgentFailed("the same gates failed twice in the same way")
        if attempt < repairs:
            stage.emit(RepairStarted(attempt + 1, repairs))
        word, earlier, ending = Word("repair", stage.redact(repair_message(verdict))), verdict, None
    failed = ", ".join(evidence.gate for evidence in earlier.failures)
    raise AgentFailed(f"not verified after {repairs} repairs: {failed}")


async def _let_work(
    stage: Stage, agent: Agent, checkpoints: Checkpoints, word: Word | None, on_base: OnBase
) -> Ending:
    plan, bench = stage.plan, stage.bench
    if not bench.is_mounted:  # services of a gate and the agent's would want the same ports
        await on_base
    async with bench.agent_sandbox() as sandbox, stage.keeping(sandbox, checkpoints) as keeper:
        await on_base
        toolkit = Toolkit(
            sandbox,
            plan.prompt.tools,
            stage.redact,
            plan.prompt.scopes,
            stage.ask,
            repeated=stage.repeated,
        )
        return await agent.work(word, stage.hooked(toolkit), keeper)
