"""What becomes of the agent's result before it lands: collected, judged, signed, written down.

Imported when the agent has ended: before the first request it would be waited for.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace

from agentflow.dependencies import Difference
from agentflow.events import (
    Collected,
    Notice,
    PackagesChanged,
    PromisesCompared,
    Recorded,
    ReplyMeasured,
    Signed,
    Verified,
)
from agentflow.gates import verify
from agentflow.gates.packages import package_changes
from agentflow.gates.promises import compare_promises
from agentflow.interfaces import Audit, Gate
from agentflow.judges import audits_of, gates_of
from agentflow.messages import Ending
from agentflow.replies import measure_reply
from agentflow.results import Candidate, Evidence, Ledger, Verdict
from agentflow.stage import Stage
from agentflow.tasks.commit_messages import subject_notices
from agentflow.workspace.bookkeeping import with_bookkeeping
from agentflow.workspace.held import held
from agentflow.workspace.recreate import Authorship, signed, trailers_for

LISTED = 5
"""Paths that are named in a notice."""


async def collect(stage: Stage, ending: Ending) -> Candidate:
    """What the agent made, in our repository, with what formatters make of it."""
    author = authorship(stage)
    collected = await stage.bench.collect(author)
    mended = await stage.bench.mending.mend(collected, stage.plan.gates, author, stage.emit)
    ledger = stage.plan.ledger
    if ledger and ledger.held and not (mended.commits or mended.leftovers or mended.violations):
        mended = await asyncio.to_thread(held, stage.bench.state, mended, ledger.held)
    candidate = replace(mended, answer=ending.text)
    _tell_collected(stage, candidate)
    return candidate


def _tell_collected(stage: Stage, candidate: Candidate) -> None:
    """Tell what was collected; an agent may have written a secret into a message."""
    event = Collected.of(candidate)
    commits = tuple((sha, stage.redact(subject)) for sha, subject in event.commits)
    stage.emit(replace(event, commits=commits))
    if stage.plan.promises:
        answer = stage.redact(candidate.answer)
        stage.emit(PromisesCompared(compare_promises(stage.plan.promises, answer)))


async def judge(stage: Stage, candidate: Candidate, on_base: Mapping[str, Evidence]) -> Verdict:
    """What all gates and audits say. Raises `EnvironmentFailure` where they cannot run."""
    packages = await _packages(stage, candidate)
    gates = await asyncio.to_thread(_gates, stage, candidate, on_base)
    return await verify(gates, candidate, stage.emit, _audits(stage, packages))


async def judge_again(
    stage: Stage, candidate: Candidate, on_base: Mapping[str, Evidence]
) -> Verdict:
    """What all gates say of a result that others' commits were merged into."""
    gates = await asyncio.to_thread(_gates, stage, candidate, on_base)
    return await verify(gates, candidate, stage.emit)


def _gates(stage: Stage, candidate: Candidate, on_base: Mapping[str, Evidence]) -> tuple[Gate, ...]:
    """All gates, the cheap and decisive ones first."""
    found = gates_of(stage.plan, stage.bench, stage.redact, on_base, candidate)
    if not stage.hooks.has("gate.finished"):
        return found
    from agentflow.hooked import HookedGate

    return tuple(HookedGate(gate, stage.hooks, stage.tell) for gate in found)


def _audits(stage: Stage, packages: Difference) -> tuple[Audit, ...]:
    """What compares claims with what the gates measured, as far as anything was asked for."""
    found = audits_of(stage.plan, stage.bench.state, packages)
    if not stage.hooks.has("gate.finished"):
        return found
    from agentflow.hooked import HookedAudit

    return tuple(HookedAudit(audit, stage.hooks, stage.tell) for audit in found)


async def _packages(stage: Stage, candidate: Candidate) -> Difference:
    """What the candidate does to the direct dependencies; told if it is anything."""
    found = await asyncio.to_thread(
        package_changes, stage.bench.state, candidate.base, candidate.tip
    )
    if found:
        stage.emit(PackagesChanged(found.as_json()))
    return found


async def seal(stage: Stage, candidate: Candidate) -> Candidate:
    """Sign what was verified, measure the reply it gives, write it down; return what is to land.

    Raises `EnvironmentFailure`.
    """
    made = await _sign(stage, candidate)
    await _reply(stage, made)
    made = await _write_down(stage, made)
    stage.emit(Verified(made.base, made.tip))
    return made


async def _sign(stage: Stage, candidate: Candidate) -> Candidate:
    """Sign verified commits, where the user signs."""
    signing = stage.plan.signing
    if signing is None or candidate.tip == candidate.base:
        return candidate
    author = replace(authorship(stage), signing=signing)
    made = await asyncio.to_thread(signed, stage.bench.state, candidate, author)
    commits = tuple((commit.sha, stage.redact(commit.subject)) for commit in made.commits)
    stage.emit(Signed(made.tip, commits, made.claimed))
    return made


async def _reply(stage: Stage, candidate: Candidate) -> None:
    """Tell what verified work on a handoff gives to whoever handed it over."""
    if stage.plan.task.handed is None:
        return
    answer = replace(candidate, answer=stage.redact(candidate.answer))
    found = await asyncio.to_thread(measure_reply, stage.plan.task, answer, stage.bench.state)
    stage.emit(ReplyMeasured(found))


async def _write_down(stage: Stage, candidate: Candidate) -> Candidate:
    """Write verified commits down in the document that their task stands in, if it stands in one, so
    that both land at once."""
    ledger = stage.plan.ledger
    if ledger is None or not candidate.commits:
        return candidate
    for told in _told(ledger, candidate):
        stage.emit(Notice(stage.redact(told)))
    entry = ledger.entry(candidate.commits[-1].sha)
    made = await asyncio.to_thread(
        with_bookkeeping,
        stage.bench.state,
        candidate,
        entry.files,
        entry.message,
        replace(_authorship(stage, ""), signing=stage.plan.signing),
    )
    if made is not candidate:
        stage.emit(Recorded(made.tip, tuple(entry.files)))
    return made


def _told(ledger: Ledger, candidate: Candidate) -> Iterator[str]:
    """What the user should know of a batch's commit, and no gate decides."""
    last = candidate.commits[-1]
    if candidate.tip == candidate.base:
        yield f"nothing was to be mended: {last.sha[:12]} holds the work, {last.subject[:100]}"
    elif ledger.held:
        yield f"the work in {ledger.held[:12]} was mended: the batch's commit is the one on top"
    if candidate.squashed:
        yield f"{candidate.squashed} commits of the agent became one: {last.subject[:100]}"
    if candidate.dropped:
        listed = ", ".join(candidate.dropped[:LISTED])
        yield f"what the agent wrote into {listed} was dropped: agentflow writes that"
    yield from subject_notices(last.subject, ledger.batch)


def authorship(stage: Stage) -> Authorship:
    """Who the re-created commits are by, and when; not signed before they are verified."""
    return _authorship(stage, stage.plan.settings.commit.assisted_by)


def _authorship(stage: Stage, assisted_by: str) -> Authorship:
    plan = stage.plan
    (name, email), commit = plan.identity, plan.settings.commit
    return Authorship(
        name=name,
        email=email,
        seconds=int(stage.started.timestamp()),
        trailers=trailers_for(
            plan.task.id,
            stage.run,
            plan.model,
            assisted_by,
            plan.identity if commit.sign_off else None,
        ),
        rest_message=f"{plan.task.id}: {plan.task.title}",
    )
