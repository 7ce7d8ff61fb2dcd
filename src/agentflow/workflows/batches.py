"""Phase 6: the batches of a document, one run each, until none is left or one fails."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from agentflow.budget import Account, shared_account
from agentflow.errors import AgentflowError, Conflict, Interrupted
from agentflow.frozen import record
from agentflow.interfaces import Emit
from agentflow.kept_documents import find_kept
from agentflow.markers import write_marker
from agentflow.plan import Plan, make_plan
from agentflow.prompts.context import Measure
from agentflow.records import Json, Neighbour
from agentflow.run import Connect, run_task
from agentflow.runs import task_lock
from agentflow.tasks.document import Batch
from agentflow.tasks.next_batch import is_for
from agentflow.tasks.tasks_edit import find_batch
from agentflow.what_next import command_after, command_alone, told_after
from agentflow.words import word
from agentflow.workflows.endings import Ending
from agentflow.workflows.escalation import escalate, escalation
from agentflow.workflows.ledger import changes, write_untracked
from agentflow.workflows.next_step import next_step
from agentflow.workflows.situation import (
    Situation,
    Wanted,
    check,
    cut_short,
    look,
    plan_batch,
    unseen,
)
from agentflow.workspace.land import branch_tip
from agentflow.world import World


@record
class Among:
    """What batches share with other runs of the same call."""

    account: Account
    """What all of them spend."""
    beside: Callable[[], Sequence[Neighbour] | None]
    """The tasks that others work on by then; None if there are no others."""
    ended: Callable[[Json], None]
    """Gets the report of each run."""


async def run_batches(
    wanted: Wanted,
    world: World,
    connect: Connect,
    sinks: Sequence[Emit],
    measure: Measure,
    told: Callable[[Json], None],
    among: Among | None = None,
) -> Json:
    """Run batch after batch; return the report of all of them. `told` gets each next step.

    Raises `UsageError` and `Conflict` for what is refused before a batch is begun.
    """
    situation = look(wanted, world)
    check(situation)
    account = shared_account(wanted.flags, "all batches together", world.clock)
    alone = Among(account, lambda: None, lambda _: None)
    series = _Series(wanted, world, connect, sinks, measure, told, among or alone)
    with task_lock(situation.repository.locks(world.cache), wanted.task):
        try:
            return await series.work()
        except (AgentflowError, asyncio.CancelledError) as error:
            if not series.done:
                raise
            # What has landed is reported, whatever is wrong with the rest.
            series.step = None
            known = error if isinstance(error, AgentflowError) else Interrupted.of(error)
            known.hint = known.hint or f"To go on: {wanted.again()}"
            return series.report(situation, Ending.of(known))


@dataclass
class _Series:
    """Batch after batch, and what became of each."""

    wanted: Wanted
    world: World
    connect: Connect
    sinks: Sequence[Emit]
    measure: Measure
    told: Callable[[Json], None]
    among: Among
    done: list[Json] = field(default_factory=list[Json])
    step: Json | None = None
    """The newest one."""
    escalation: Json | None = None
    """Of the batch that failed in this call."""

    async def work(self) -> Json:
        """Run batch after batch, to the report of all."""
        await self._end_what_was_cut_short()
        while True:
            wanted, situation = self.wanted, await asyncio.to_thread(look, self.wanted, self.world)
            batch = situation.choice.batch
            over = bool(self.done) and (wanted.one or self.done[-1]["id"] == (batch and batch.id))
            if situation.choice.state != "next" or batch is None or over:
                if wanted.run and not self.done:
                    raise wanted.changed
                return self.report(situation, self._ending(situation))
            beside = self.among.beside()
            plan = await plan_batch(wanted, self.world, situation, batch, self.measure, beside)
            report = await self._run(batch, plan)
            if report["outcome"] != "done":
                return self._stopped(situation, plan, report)
            try:
                self._complete(situation, batch, report)
            except Conflict as conflict:
                self.step = None
                return self.report(situation, Ending.of(conflict))

    async def _end_what_was_cut_short(self) -> None:
        """Say what a call that died after its last landing did not come to say."""
        situation = look(self.wanted, self.world)
        found = cut_short(self.wanted, self.world, situation)
        if found is None:
            return
        batch, order = found
        plan = await make_plan(order, self.world, self.measure)
        report = await self._run(batch, plan)
        self._tell(situation, batch, report)

    async def _run(self, batch: Batch, plan: Plan) -> Json:
        report = await run_task(plan, self.world, self.connect, self.sinks, self.among.account)
        self.done.append(_entry(batch, report))
        self.among.ended(report)
        return report

    def _complete(self, situation: Situation, batch: Batch, report: Json) -> None:
        """Write down what git does not have, and tell the next step."""
        repository, kept = situation.repository, situation.kept
        if not kept.tracked:
            sha = report["commits"][-1]["sha"]
            wished = changes(batch, situation.choice.tasks, "COMPLETE", sha)
            write_untracked(repository, kept, wished, repository.locks(self.world.cache))
        self._tell(situation, batch, report)

    def _tell(self, situation: Situation, batch: Batch, report: Json) -> None:
        """Tell the next step after a batch, and mark the task if that was the last one."""
        repository, sha = situation.repository, report["commits"][-1]["sha"]
        tip = branch_tip(repository, self.wanted.branch) or sha
        documents = self.wanted.documents
        kept = find_kept(repository, tip, self.wanted.task, documents.roots, documents.prefixes)
        listing = repository.git.text(
            "diff-tree", "-r", "-z", "--root", "-m", "--no-commit-id", "--no-renames", "--name-only",
            sha,
        )  # fmt: skip
        files = [path for path in dict.fromkeys(listing.split("\0")) if path]
        step = next_step(kept.document, find_batch(kept.document, batch.id), sha, files)
        if step["kind"] == "completion":
            write_marker(repository.root, self.wanted.task, "done")
        self.step = step
        self.told(step)

    def _stopped(self, situation: Situation, plan: Plan, report: Json) -> Json:
        """The report after a run that did not end well; a failed batch is marked so."""
        hint = told_after(report["hint"], self._command_after(report))
        if report["outcome"] == "failed" and situation.choice.batch:
            repository, now = situation.repository, situation
            if self.wanted.shared:  # others moved the branch, and it is marked where that is now
                now = look(self.wanted, self.world)
                plan = replace(plan, base=now.base)
            kept, locks = now.kept, repository.locks(self.world.cache)
            batch = find_batch(kept.document, situation.choice.batch.id)
            commit = escalate(plan, repository, kept, batch, report, locks)
            self.escalation = escalation(kept, batch, report, commit, self.wanted.again())
            hint = f"Look at it: agentflow runs show {word(report['run'])}\n"
            hint += f"Mend task or plan, then: {self.wanted.again(retry=True)}"
        self.step = None
        ended = report["outcome"], report["exit_code"], report["reason"]
        return self.report(situation, Ending(*ended, hint, report["enough"]))

    def _command_after(self, report: Json) -> str:
        """The command that goes on with a batch that was not done."""
        again = self.wanted.again(report["enough"], retry=self.wanted.retry)
        if report["outcome"] != "blocked" and command_alone(report) and not self.wanted.run:
            return again
        return command_after({**report, "again": again})

    def _ending(self, situation: Situation) -> Ending:
        """How it ends where no batch is left that could be done now."""
        choice, wanted = situation.choice, self.wanted
        match choice.state:
            case "failed":
                name = choice.batch.id if choice.batch else ""
                ending = Ending(
                    "failed",
                    1,
                    f"batch {name} is marked FAILED",
                    f"To try it again: {wanted.again(retry=True)}",
                )
            case "waiting":
                ending = _waiting(situation)
            case "blocked":
                ending = _blocked(situation, wanted)
            case "undecided":
                ending = Ending.of(situation.undecided)
            case "next" if choice.batch and self.done[-1]["id"] == choice.batch.id:
                path = situation.kept.path
                told = f"batch {choice.batch.id} is verified, but {path} does not say so"
                ending = Ending("failed", 1, told, situation.lint)
            case "next":
                ending = Ending(hint=f"For the next batch: {wanted.again()}")
            case _:
                told = "" if self.done else "no batch is left for the backend developer"
                ending = Ending(reason=told)
        return ending

    def report(self, situation: Situation, ending: Ending) -> Json:
        """The report of all batches."""
        wanted = self.wanted
        return {
            **ending.report("batches", wanted.task, self.among.account.spent),
            "branch": wanted.branch if branch_tip(situation.repository, wanted.branch) else None,
            "document": situation.kept.path,
            "batches": list(self.done),
            "notices": [*unseen(wanted, situation), *situation.choice.notices],
            "next_step": self.step,
            "escalation": self.escalation,
        }


def _entry(batch: Batch, report: Json) -> Json:
    commits: list[Json] = report["commits"] if report["landed"] else []
    return {
        "id": batch.id,
        "name": batch.name,
        **{name: report[name] for name in ("outcome", "run", "total_cost_usd", "num_turns")},
        "commit": commits[-1]["sha"] if commits else None,
        "bookkeeping": report["bookkeeping"] and report["bookkeeping"]["tip"],
        "notices": list(report["notices"]),
    }


def _blocked(situation: Situation, wanted: Wanted) -> Ending:
    """How it ends where a person must act on a batch before anything is left to do."""
    name = situation.choice.batch.id if situation.choice.batch else ""
    tip = branch_tip(situation.repository, wanted.branch)
    where = f", and commit that on {wanted.branch}" if tip and situation.kept.tracked else ""
    return Ending(
        reason=f"batch {name} is BLOCKED, and no other is left for the backend developer",
        hint=f"When it can be done: agentflow tasks set {word(wanted.task)} --batch {word(name)} --status PENDING"
        + where,
    )


def _waiting(situation: Situation) -> Ending:
    """How it ends where every batch that is left waits: it fails if what it waits for is ours, or
    nobody's (an id that the document does not have)."""
    choice, document = situation.choice, situation.kept.document
    theirs = {each.id for each in document.batches if not is_for(each)}
    awaited = {name for each in choice.waiting for name in each.awaited}
    told = "; ".join(f"batch {w.batch} waits for {', '.join(w.awaited)}" for w in choice.waiting)
    if awaited <= theirs:
        return Ending(reason=told)
    hint = f"Mend what they wait for: agentflow tasks show {word(document.task_id)}"
    return Ending("failed", 1, told, hint)
