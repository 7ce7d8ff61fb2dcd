"""One task on one page: work, import, verify, repair, land, mark."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from agentflow.admission import admit, finished_before
from agentflow.agent import Agent
from agentflow.errors import AgentFailed, AgentflowError, Interrupted
from agentflow.events import LandingDone, Notice, RepairStarted, RunFinished
from agentflow.gates import verify
from agentflow.interfaces import Emit, Model
from agentflow.markers import remove_markers
from agentflow.models.opening import OpeningModel
from agentflow.plan import Plan
from agentflow.records import Candidate, Evidence, Json, Landed, Verdict
from agentflow.repair import repair_message, same_failure
from agentflow.runs import task_lock
from agentflow.stage import Stage, set_stage
from agentflow.threads import to_the_end
from agentflow.tools import Toolkit
from agentflow.workspace.land import keep_verified, land, pin_base
from agentflow.world import World

OpenModel = Callable[[], Model]
"""Connects to a model. Slow (it imports the SDK) and called in a thread."""
Connect = Callable[[Plan], OpenModel]
"""Finds out how to connect to the plan's model. Raises `UsageError` without a key."""


async def run_task(plan: Plan, world: World, connect: Connect, sinks: Sequence[Emit] = ()) -> Json:
    """Run one task to its end, whatever the end is; return its report.

    Raises `UsageError` and `Conflict` for what is refused before the run exists. Every later
    failure is the report's outcome.
    """
    with task_lock(plan.repository.locks(world.cache), plan.task.id):
        done = finished_before(plan)
        if done:
            return done
        replaceable = admit(plan)
        open_model = connect(plan)
        remove_markers(plan.repository.root, plan.task.id)
        stage = set_stage(plan, world, sinks)
        try:
            stage.announce()
            candidate = await _work(stage, open_model)
            landed = await to_the_end(_land, stage, candidate, replaceable)
            stage.emit(LandingDone(landed.ref, landed.tip, landed.replaced))
            finished = RunFinished("done", 0, "", "")
        except AgentflowError as error:
            finished = RunFinished(error.outcome, error.exit_code, error.message, error.hint)
        except asyncio.CancelledError as error:
            stop = Interrupted.of(error)
            finished = RunFinished(stop.outcome, stop.exit_code, stop.message, stop.hint)
        return await stage.close(finished)


async def _work(stage: Stage, open_model: OpenModel) -> Candidate:
    """Prepare, and let the agent work until its result is verified."""
    plan, bench = stage.plan, stage.bench
    model = OpeningModel(open_model)
    try:
        await asyncio.to_thread(pin_base, plan.repository, stage.run, plan.base)
        await bench.prepare()
        for text in bench.notices:
            stage.emit(Notice(text))
        await bench.install(stage.emit, stage.redact)
        on_base = await stage.check_base()
        return await _work_until_verified(stage, stage.agent(model), on_base)
    finally:
        await model.close()


def _land(stage: Stage, candidate: Candidate, replaceable: str | None) -> Landed:
    plan, repository = stage.plan, stage.plan.repository
    if candidate.tip != candidate.base:
        keep_verified(repository, stage.bench.state, stage.run, candidate)
    return land(
        repository,
        candidate,
        plan.settings.land,
        plan.branch,
        stage.run,
        replaceable=replaceable,
    )


async def _work_until_verified(
    stage: Stage, agent: Agent, on_base: Mapping[str, Evidence]
) -> Candidate:
    """Let the agent work and judge the result; a failed verdict goes back to it, bounded."""
    plan, bench = stage.plan, stage.bench
    message = plan.rendered.first_message
    earlier = Verdict()
    for attempt in range(plan.limits.max_repairs + 1):
        if attempt:
            stage.emit(RepairStarted(attempt, plan.limits.max_repairs))
        async with bench.agent_sandbox() as sandbox:
            toolkit = Toolkit(sandbox, plan.prompt.tools, stage.redact, plan.prompt.scopes)
            ending = await agent.work(message, toolkit)
        collected = await bench.collect(stage.authorship)
        mended = await bench.fixed(collected, plan.gates, stage.authorship, stage.emit)
        candidate = replace(mended, answer=ending.text)
        stage.collected(candidate)
        audits = stage.audits(await stage.packages(candidate))
        gates = await asyncio.to_thread(stage.gates, on_base, candidate)
        verdict = await verify(gates, candidate, stage.emit, audits)
        if verdict.passed:
            verified = await stage.sign(candidate)
            await stage.reply(verified)
            return await stage.record(verified)
        if not verdict.failures:
            raise AgentFailed(
                "no build gate ran and passed, so nothing is verified",
                hint="At least one gate must run here on this change: see `paths` and `where`.",
            )
        if same_failure(earlier, verdict):
            raise AgentFailed("the same gates failed twice in the same way")
        message, earlier = repair_message(verdict), verdict
    failed = ", ".join(evidence.gate for evidence in earlier.failures)
    raise AgentFailed(f"not verified after {plan.limits.max_repairs} repairs: {failed}")
