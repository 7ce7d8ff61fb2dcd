"""Landing on a branch that others land on too: what moved there is merged, and judged again.

One run at a time lands on a branch, also of other processes, so every commit that the branch gets
has passed the gates as it is.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from agentflow.candidates import authorship, judge_again
from agentflow.commands import again
from agentflow.errors import Conflict, Held
from agentflow.events import Clashed, Combined
from agentflow.repair import repair_message
from agentflow.results import Candidate, Landed, Verdict
from agentflow.runs import task_lock
from agentflow.stage import Stage
from agentflow.staging import gates_on_base, prepare
from agentflow.threads import then_stop, to_the_end
from agentflow.words import word
from agentflow.workspace.combine import both_sides, merge_commit, merge_trees
from agentflow.workspace.git import Git
from agentflow.workspace.land import forget_verified, keep_verified, land, target_tip
from agentflow.workspace.objects import commits_between
from agentflow.workspace.recreate import deleted, inserted, statistics
from agentflow.workspace.refs import CANDIDATE, move_ref

ATTEMPTS = 20
"""Merges of one result, each after somebody else moved the branch meanwhile."""
POLL = 0.05
"""Seconds between two looks at whether it is our turn."""


async def land_result(stage: Stage, candidate: Candidate) -> Landed:
    """Land verified commits. Raises `Conflict`; the commits then stay on the run's ref."""
    if candidate.tip != candidate.base:
        await to_the_end(_keep, stage, candidate)
    await then_stop(stage.claim, candidate.tip)
    replaces = stage.replaceable not in {None, candidate.base}
    if not stage.plan.joins or replaces or candidate.tip == candidate.base:
        return await to_the_end(_land, stage, candidate)
    async with _turn(stage.bench.locks, f"landing-on-{_place(stage)}"):
        return await _land_shared(stage, candidate)


async def _land_shared(stage: Stage, candidate: Candidate) -> Landed:
    """Land on a branch that may have moved, as often as it moves meanwhile."""
    made = stage.history.combined
    before = replace(candidate, base=made.base, tip=made.tip) if made else candidate
    if made and await asyncio.to_thread(_has_landed, stage, made.tip):
        landed = await to_the_end(_land, stage, before)
        await to_the_end(forget_verified, stage.plan.repository, stage.run, candidate.tip)
        return landed
    for _ in range(ATTEMPTS):
        tip = await asyncio.to_thread(_tip, stage)
        ready = candidate
        if tip is not None and tip != candidate.base and not _holds(stage, tip, candidate.tip):
            ready = await _combined(stage, candidate, tip)
        try:
            return await to_the_end(_land, stage, ready)
        except Conflict:
            if await asyncio.to_thread(_tip, stage) == tip:
                raise
    told = f"{stage.plan.branch} moved {ATTEMPTS} times while the result was judged"
    raise Conflict(told, hint=f"Go on when it is quiet: agentflow resume {word(stage.run)}")


async def _combined(stage: Stage, candidate: Candidate, onto: str) -> Candidate:
    """The result merged with where the branch is now, judged. Raises `Conflict`."""
    state = stage.bench.state
    merge = await asyncio.to_thread(merge_trees, state, onto, candidate.tip)
    if merge.conflicts:
        detail = await asyncio.to_thread(both_sides, state, merge, candidate.base, candidate.tip)
        stage.emit(Clashed(onto, merge.conflicts, stage.redact(detail)))
        first, *others = merge.conflicts
        more = f" and {len(others)} more" if others else ""
        raise _conflict(stage, f"{first}{more} changed there too")
    combined = await asyncio.to_thread(_merged, stage, state, candidate, onto, merge.tree)
    stage.emit(Combined(onto, combined.tip))
    verdict = await _judged(stage, combined)
    if not verdict.passed:
        stage.emit(Clashed(onto, (), stage.redact(repair_message(verdict))))
        failed = ", ".join(each.gate for each in verdict.failures) or "no gate"
        raise _conflict(stage, f"together with what landed there, {failed} fails")
    await to_the_end(_keep, stage, combined)
    return combined


def _conflict(stage: Stage, reason: str) -> Conflict:
    plan, hint = stage.plan, f"The verified commits are on refs/agentflow/verified/{stage.run}."
    if not plan.order.shared_target:  # else it goes back to an agent by itself
        anew = again(plan.order.as_json, {"base": plan.branch})
        hint += f" Begin anew from where {plan.branch} is: {anew}"
    return Conflict(f"{plan.branch} moved meanwhile: {reason}", hint=hint)


def _merged(stage: Stage, state: Git, candidate: Candidate, onto: str, tree: str) -> Candidate:
    task = stage.plan.task
    message = f"Merge {task.id}: {task.title}"
    author = replace(authorship(stage), signing=stage.plan.signing)
    name = merge_commit(state, onto, candidate.tip, tree, message, author)
    commits = candidate.commits or tuple(commits_between(state, candidate.base, candidate.tip))
    stat = statistics(state, onto, name)
    return replace(
        candidate,
        base=onto,
        tip=name,
        commits=commits,
        files_changed=len(stat),
        insertions=inserted(stat),
        deletions=deleted(stat),
        stat=stat,
    )


async def _judged(stage: Stage, combined: Candidate) -> Verdict:
    """What all gates say of the merge; a process that only lands gets ready for that first."""
    await prepare(stage)
    return await judge_again(stage, combined, await gates_on_base(stage))


def _keep(stage: Stage, candidate: Candidate) -> None:
    move_ref(stage.bench.state.directory, CANDIDATE, candidate.tip)
    keep_verified(stage.plan.repository, stage.bench.state, stage.run, candidate)


def _land(stage: Stage, candidate: Candidate) -> Landed:
    plan = stage.plan
    try:
        landed = land(
            plan.repository,
            candidate,
            plan.settings.land,
            plan.branch,
            stage.run,
            replaceable=stage.replaceable,
        )
    except Conflict as conflict:
        if _can_land_later(stage, candidate):
            conflict.hint = f"{conflict.hint}\nThen go on: agentflow resume {word(stage.run)}"
        raise
    if stage.relay and landed.ref:
        stage.relay.publish(landed.ref, landed.tip)
    return landed


def _can_land_later(stage: Stage, candidate: Candidate) -> bool:
    """Whether the same run can land when a person has made room: a replay, a batch and a handoff do
    not go on by themselves, and from a current branch that moved a task begins anew."""
    plan = stage.plan
    moved = plan.settings.land == "current" and plan.repository.resolve("HEAD") != candidate.base
    return not (plan.replay or plan.order.made or moved)


def _tip(stage: Stage) -> str | None:
    if stage.relay:
        stage.relay.refresh(stage.plan.branch)
    return target_tip(stage.plan.repository, stage.plan.settings.land, stage.plan.branch)


def _has_landed(stage: Stage, commit: str) -> bool:
    tip = _tip(stage)
    return tip is not None and _holds(stage, tip, commit)


def _holds(stage: Stage, tip: str, commit: str) -> bool:
    return stage.plan.repository.git.succeeds("merge-base", "--is-ancestor", commit, tip)


def _place(stage: Stage) -> str:
    plan = stage.plan
    return "HEAD" if plan.settings.land == "current" else plan.branch.replace("/", "~")


@asynccontextmanager
async def _turn(locks: Path, name: str) -> AsyncGenerator[None]:
    """Wait until nobody else lands there, however long that takes."""
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(task_lock(locks, name, patience=0.0))
                break
            except Held:
                await asyncio.sleep(POLL)
        yield
