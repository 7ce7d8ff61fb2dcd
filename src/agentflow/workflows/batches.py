"""Phase 6: the batches of a document, one run each, until none is left or one fails."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from typing import Any

from agentflow.configuration import DocumentsSetting
from agentflow.errors import AgentflowError, UsageError
from agentflow.frozen import record
from agentflow.interfaces import Emit
from agentflow.markers import write_marker
from agentflow.order import Order
from agentflow.plan import Plan, make_plan
from agentflow.prompts.context import Measure
from agentflow.records import Json
from agentflow.resuming import left_of
from agentflow.run import Connect, run_task
from agentflow.runs import task_lock
from agentflow.tasks.document import Batch
from agentflow.tasks.next_batch import NextBatch, is_for, next_batch
from agentflow.tasks.task import check_id
from agentflow.tasks.tasks_edit import find_batch
from agentflow.workflows.assignment import assignment, commit_message
from agentflow.workflows.escalation import escalate
from agentflow.workflows.ledger import (
    Kept,
    batch_ledger,
    changes,
    check_place,
    find_kept,
    write_untracked,
)
from agentflow.workflows.next_step import next_step
from agentflow.workspace.land import branch_tip
from agentflow.workspace.repository import Repository, open_repository
from agentflow.world import World

PROMPT = "phase-6"
ADVICE = "write a line `**Commit**: pending` below its heading"


@record
class Wanted:
    """What the caller asked for."""

    task: str
    """The id of the task whose document it is."""
    base: str | None = None
    """Where the branch begins, if there is none yet."""
    one: bool = False
    """Whether to stop after one batch."""
    retry: bool = False
    """Whether batches that failed before are tried again."""
    flags: Mapping[str, Any] = field(default_factory=dict[str, Any])
    documents: DocumentsSetting = field(default_factory=DocumentsSetting)

    @property
    def branch(self) -> str:
        """The branch on which all batches land."""
        return str(self.flags.get("target") or f"agentflow/{self.task}")


@record
class Situation:
    """Where the work stands: the newest commit, its document, and what is next in it."""

    repository: Repository
    base: str
    kept: Kept
    choice: NextBatch


def look(wanted: Wanted, world: World) -> Situation:
    """Find out what is next. Raises `UsageError` without a document."""
    repository = open_repository(world.directory, world.environment)
    task = check_id(wanted.task)
    tip = branch_tip(repository, wanted.branch)
    base = tip or repository.resolve(wanted.base or "HEAD")
    kept = find_kept(repository, base, task, wanted.documents.roots, wanted.documents.prefixes)
    return Situation(repository, base, kept, next_batch(kept.document, retry=wanted.retry))


def check(situation: Situation) -> None:
    """Raise `UsageError` if there is no batch for the backend developer, or if the status of the
    one that would be next cannot be decided."""
    kept, choice = situation.kept, situation.choice
    if not any(is_for(batch) for batch in kept.document.batches):
        raise UsageError(
            f"{kept.path} has no batch for the backend developer",
            hint=f"See what is read there: agentflow tasks show {kept.document.task_id}",
        )
    if choice.state == "undecided" and choice.batch:
        raise UsageError(_undecided(kept, choice.batch), hint=_lint(kept))


def _undecided(kept: Kept, batch: Batch) -> str:
    return f"{kept.path}:{batch.line}: the status of batch {batch.id} cannot be decided"


def _lint(kept: Kept) -> str:
    return f"See why, and mend it: agentflow tasks lint {kept.path}"


async def plan_batch(
    wanted: Wanted, world: World, situation: Situation, batch: Batch, measure: Measure
) -> Plan:
    """The plan of the run for one batch.

    Raises as `make_plan` does, and `UsageError` for a batch that could not be marked COMPLETE.
    """
    kept, choice = situation.kept, situation.choice
    check_place(kept, batch, choice.tasks)
    made = assignment(kept.document, batch, kept.path, choice.tasks, choice.work or "do")
    flags = {"prompt": PROMPT, **wanted.flags, "target": wanted.branch, "land": "branch"}
    left = left_of(situation.repository, world.cache, made, situation.base)
    order = Order(base=situation.base, fresh=not left, resume=left, flags=flags, made=made)
    plan = await make_plan(order, world, measure)
    message = commit_message(batch, choice.tasks)
    ledger = batch_ledger(kept, batch, choice.tasks, message, wanted.documents.roots)
    unsaid = (
        (f"batch {batch.id} has no place for its commit: {ADVICE}",) if not batch.commit else ()
    )
    return replace(plan, ledger=ledger, notices=(*choice.notices, *unsaid, *plan.notices))


async def run_batches(
    wanted: Wanted,
    world: World,
    connect: Connect,
    sinks: Sequence[Emit],
    measure: Measure,
    told: Callable[[Json], None],
) -> Json:
    """Run batch after batch; return the report of all of them. `told` gets each next step.

    Raises `UsageError` and `Conflict` for what is refused before a batch is begun.
    """
    situation = look(wanted, world)
    check(situation)
    done: list[Json] = []
    with task_lock(situation.repository.locks(world.cache), wanted.task):
        try:
            return await _each(wanted, world, connect, sinks, measure, told, done)
        except AgentflowError as error:
            if not done:
                raise
            # What has landed is reported, whatever is wrong with the rest.
            return _report(
                wanted, situation, done, None, error.outcome, error.exit_code, error.message,
                error.hint,
            )  # fmt: skip


async def _each(
    wanted: Wanted,
    world: World,
    connect: Connect,
    sinks: Sequence[Emit],
    measure: Measure,
    told: Callable[[Json], None],
    done: list[Json],
) -> Json:
    """Run batch after batch; `done` gets what became of each."""
    step: Json | None = None
    while True:
        situation = look(wanted, world)
        batch = situation.choice.batch
        over = bool(done) and (wanted.one or done[-1]["id"] == (batch and batch.id))
        if situation.choice.state != "next" or batch is None or over:
            return _ended(wanted, situation, done, step)
        plan = await plan_batch(wanted, world, situation, batch, measure)
        report = await run_task(plan, world, connect, sinks)
        done.append(_entry(batch, report))
        if report["outcome"] != "done":
            return _stopped(wanted, world, situation, plan, report, done)
        step = _complete(wanted, world, situation, batch, report)
        told(step)


def _entry(batch: Batch, report: Json) -> Json:
    commits: list[Json] = report["commits"] if report["landed"] else []
    return {
        "id": batch.id,
        "name": batch.name,
        **{name: report[name] for name in ("outcome", "run", "total_cost_usd", "num_turns")},
        "commit": commits[-1]["sha"] if commits else None,
        "bookkeeping": report["bookkeeping"] and report["bookkeeping"]["tip"],
    }


def _complete(
    wanted: Wanted, world: World, situation: Situation, batch: Batch, report: Json
) -> Json:
    """Write down what git does not have, and return the next step."""
    repository, kept, sha = situation.repository, situation.kept, report["commits"][-1]["sha"]
    if not kept.tracked:
        wished = changes(batch, situation.choice.tasks, "COMPLETE", sha)
        write_untracked(repository, kept, wished, repository.locks(world.cache))
    tip = branch_tip(repository, wanted.branch) or sha
    roots, prefixes = wanted.documents.roots, wanted.documents.prefixes
    after = find_kept(repository, tip, wanted.task, roots, prefixes).document
    listing = repository.git.text(
        "diff-tree", "-r", "-z", "--no-renames", "--name-only", situation.base, sha
    )
    files = [path for path in listing.split("\0") if path]
    step = next_step(after, find_batch(after, batch.id), sha, files)
    if step["kind"] == "completion":
        write_marker(repository.root, wanted.task, "done")
    return step


def _stopped(
    wanted: Wanted,
    world: World,
    situation: Situation,
    plan: Plan,
    report: Json,
    done: Sequence[Json],
) -> Json:
    """The report after a run that did not end well; a failed batch is marked so."""
    told = report["reason"]
    hint = report["hint"]
    if report["outcome"] == "failed" and situation.choice.batch:
        repository, kept = situation.repository, situation.kept
        locks = repository.locks(world.cache)
        escalate(plan, repository, kept, situation.choice.batch, report, locks)
        hint = f"Look at it: agentflow runs show {report['run']}. Mend task or plan, then: "
        hint += f"{_again(wanted)} --retry"
    return _report(
        wanted, situation, done, None, report["outcome"], report["exit_code"], told, hint
    )


def _ended(wanted: Wanted, situation: Situation, done: Sequence[Json], step: Json | None) -> Json:
    """The report where no batch is left that could be done now."""
    choice = situation.choice
    outcome, code, told, hint = "done", 0, "", ""
    match choice.state:
        case "failed" if choice.batch:
            outcome, code = "failed", 1
            told = f"batch {choice.batch.id} is marked FAILED"
            hint = f"To try it again: {_again(wanted)} --retry"
        case "waiting":
            batches = situation.kept.document.batches
            theirs = {each.id for each in batches if not is_for(each)}
            awaited = {name for each in choice.waiting for name in each.awaited}
            told = "; ".join(
                f"batch {w.batch} waits for {', '.join(w.awaited)}" for w in choice.waiting
            )
            if awaited - theirs:  # ours, or nobody's: an id that the document does not have
                outcome, code = "failed", 1
                hint = "Mend what they wait for: agentflow tasks show " + wanted.task
        case "undecided" if choice.batch:
            outcome, code = UsageError.outcome, UsageError.exit_code
            told, hint = _undecided(situation.kept, choice.batch), _lint(situation.kept)
        case "next" if choice.batch and done[-1]["id"] == choice.batch.id:
            outcome, code = "failed", 1
            told = f"batch {choice.batch.id} is verified, but {situation.kept.path} does not say so"
            hint = _lint(situation.kept)
        case "next":
            hint = f"For the next batch: {_again(wanted)}"
        case _:
            told = "" if done else "no batch is left for the backend developer"
    return _report(wanted, situation, done, step, outcome, code, told, hint)


def _again(wanted: Wanted) -> str:
    return f"agentflow phase-6 {wanted.task}"


def _report(
    wanted: Wanted,
    situation: Situation,
    done: Sequence[Json],
    step: Json | None,
    outcome: str,
    code: int,
    told: str,
    hint: str,
) -> Json:
    costs = [each["total_cost_usd"] for each in done]
    return {
        "type": "batches",
        "task": wanted.task,
        "outcome": outcome,
        "exit_code": code,
        "reason": told,
        "hint": hint,
        "branch": wanted.branch if branch_tip(situation.repository, wanted.branch) else None,
        "document": situation.kept.path,
        "batches": list(done),
        "notices": list(situation.choice.notices),
        "next_step": step,
        "num_turns": sum(each["num_turns"] for each in done),
        "total_cost_usd": None if None in costs else round(sum(costs), 6),
    }
