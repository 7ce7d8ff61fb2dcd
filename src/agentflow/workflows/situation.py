"""Where the batches of a document stand, and the plan of the next one's run."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Any

from agentflow.commands import batches_command
from agentflow.errors import UsageError
from agentflow.frozen import record
from agentflow.globs import matches
from agentflow.kept_documents import Kept, find_kept, paths_of
from agentflow.markers import read_marker
from agentflow.order import Order
from agentflow.plan import Plan, make_plan
from agentflow.prompts.context import Measure
from agentflow.prompts.file_boundaries import unnamed
from agentflow.records import Neighbour
from agentflow.resuming import earlier_order, order_of
from agentflow.runs import list_runs
from agentflow.setting_tables import DocumentsSetting
from agentflow.tasks.document import Batch, TaskEntry, batch_task_id
from agentflow.tasks.next_batch import NextBatch, is_for, next_batch
from agentflow.tasks.task import check_id
from agentflow.words import word
from agentflow.workflows.assignment import assignment, commit_message
from agentflow.workflows.declared import Declared, declared_by, written
from agentflow.workflows.holding import holder
from agentflow.workflows.ledger import batch_ledger, check_place
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
    run: str | None = None
    """The only run to go on with; None begins and goes on with what is next."""
    answer: str | None = None
    """A person's words to the agent of that run, which asked."""
    flags: Mapping[str, Any] = field(default_factory=dict[str, Any])
    asked_base: str | None = None
    """The base as the caller named it, who may have named none; `base` may be one that we chose."""
    documents: DocumentsSetting = field(default_factory=DocumentsSetting)
    shared: bool = False
    """Whether others land on the same branch meanwhile."""
    within: tuple[str, ...] = ()
    """What batches may write, each what it declares of it and what is there; none means that nothing
    but the settings bounds them."""

    @property
    def branch(self) -> str:
        """The branch on which all batches land."""
        return str(self.flags.get("target") or f"agentflow/{self.task}")

    @property
    def run_flags(self) -> dict[str, Any]:
        """The settings of each batch's run."""
        return {"prompt": PROMPT, **self.flags, "target": self.branch, "land": "branch"}

    def again(self, enough: Mapping[str, float] | None = None, *, retry: bool = False) -> str:
        """The command that goes on, with limits instead of its own; `retry` tries batches that failed
        again."""
        flags = {**self.flags, **(enough or {})}
        more = ["--one-batch"] if self.one and not self.run else []
        more += ["--retry"] if retry else []
        command = batches_command(self.task, flags, self.asked_base, *more)
        return command or f"the same command{' with --retry' if retry else ''}"

    @property
    def changed(self) -> UsageError:
        """What is wrong where the only run that is meant cannot go on."""
        return UsageError(
            f"the run {self.run} cannot go on: document or branch changed since",
            hint=f"Begin what is next: {self.again()}",
        )


@record
class Situation:
    """Where the work stands: the newest commit, its document, and what is next in it."""

    repository: Repository
    base: str
    kept: Kept
    choice: NextBatch

    @property
    def undecided(self) -> UsageError:
        """What is wrong where the status of the batch that would be next cannot be decided."""
        line = self.choice.batch.line if self.choice.batch else 0
        name = self.choice.batch.id if self.choice.batch else ""
        told = f"{self.kept.path}:{line}: the status of batch {name} cannot be decided"
        return UsageError(told, hint=self.lint)

    @property
    def over(self) -> bool:
        """Whether nothing is left of the document, for anybody."""
        return all(batch.over for batch in self.kept.document.batches)

    @property
    def lint(self) -> str:
        """How to see what is wrong with the document."""
        return f"See why, and mend it: agentflow tasks lint {word(self.kept.path)}"


def look(wanted: Wanted, world: World) -> Situation:
    """Find out what is next. Raises `UsageError` without a document."""
    repository = open_repository(world.directory, world.environment)
    task = check_id(wanted.task)
    begin = begin_of(wanted, repository)
    base = branch_tip(repository, wanted.branch) or begin
    kept = find_kept(repository, base, task, wanted.documents.roots, wanted.documents.prefixes)
    return Situation(repository, base, kept, next_batch(kept.document, retry=wanted.retry))


def begin_of(wanted: Wanted, repository: Repository) -> str:
    """The commit where the branch begins, if there is none yet. Raises `UsageError` for a base that is
    none, whether or not there is a branch."""
    return repository.head if wanted.base is None else repository.resolve(wanted.base)


def unseen(wanted: Wanted, situation: Situation) -> tuple[str, ...]:
    """A notice, if the document of the work tree says what neither the branch nor the commit where it
    parted from HEAD says: that is not what the batches are read from."""
    repository, kept = situation.repository, situation.kept
    tip, file = branch_tip(repository, wanted.branch), repository.root / kept.path
    if tip is None or not kept.tracked or not file.is_file():
        return ()
    here = file.read_bytes().decode("utf-8", "replace")
    listed = repository.git.text("rev-parse", f"{tip}...HEAD")  # ends with where they parted
    commits = (tip, listed.split()[-1].removeprefix("^"))
    if here in {repository.read(commit, kept.path) for commit in commits}:
        return ()
    told = f"{kept.path} was changed here, which is not seen: that of {wanted.branch} counts"
    return (f"{told}. See: git diff {word(wanted.branch)} -- {word(kept.path)}",)


def has_document(wanted: Wanted, repository: Repository) -> bool:
    """Whether `look` would find a document. Raises `UsageError` for a base that is none."""
    begin = begin_of(wanted, repository)
    tip = branch_tip(repository, wanted.branch) or begin
    paths = paths_of(wanted.task, wanted.documents.roots)
    held = repository.modes(tip)
    return any(path in held or (repository.root / path).is_file() for path in paths)


def check(situation: Situation) -> None:
    """Raise `UsageError` if there is no batch for the backend developer, or if the status of the
    one that would be next cannot be decided."""
    kept, choice = situation.kept, situation.choice
    if not any(is_for(batch) for batch in kept.document.batches):
        raise UsageError(
            f"{kept.path} has no batch for the backend developer",
            hint=f"See what is read there: agentflow tasks show {word(kept.document.task_id)}",
        )
    if choice.state == "undecided":
        raise situation.undecided


async def plan_batch(
    wanted: Wanted,
    world: World,
    situation: Situation,
    batch: Batch,
    measure: Measure,
    beside: Sequence[Neighbour] | None = None,
) -> Plan:
    """The plan of the run for one batch: of the one that was cut off, if there is one. `beside` as
    in `make_plan`.

    Raises as `make_plan` does, and `UsageError` for a batch that could not be marked COMPLETE, or
    for another run than the one that is wanted.
    """
    kept, choice, repository = situation.kept, situation.choice, situation.repository
    check_place(kept, batch, choice.tasks)
    declared = declared_by(choice.tasks, repository.paths(situation.base))
    _check_declared(kept, batch, declared)
    work = choice.work or "do"
    held = holder(repository, situation.base, kept, batch, declared) if work == "verify" else ""
    made = assignment(kept.document, batch, kept.path, choice.tasks, work, declared, held)
    earlier = earlier_order(repository, world.cache, made, situation.base, failed=not wanted.retry)
    if wanted.run and (earlier is None or earlier.resume != wanted.run):
        raise wanted.changed
    order = earlier or Order(base=situation.base, fresh=True, made=made)
    flags = {**wanted.run_flags, **_bounds(wanted, declared, repository.paths(situation.base))}
    order = replace(order, flags=flags, answer=wanted.answer, shared_target=wanted.shared)
    plan = await make_plan(order, world, measure, beside)
    message = commit_message(batch, choice.tasks)
    ledger = batch_ledger(kept, batch, choice.tasks, message, wanted.documents.roots, held)
    if held:  # a gate that is to fail before the work cannot: the base has the work
        gates = tuple(replace(gate, must_fail_on_base=False) for gate in plan.gates)
        plan = replace(plan, gates=gates)
    notices = (*unseen(wanted, situation), *choice.notices, *_unsaid(batch))
    notices += tuple(_unmeasured(kept, choice.tasks, declared))
    return replace(plan, ledger=ledger, notices=(*notices, *plan.notices))


def _bounds(wanted: Wanted, declared: Declared, there: frozenset[str]) -> dict[str, Any]:
    """The boundaries of a batch as flags give them, if it has some that the settings do not give."""
    own = written(declared)
    found = [
        glob for glob in wanted.within if glob in own or any(matches(glob, path) for path in there)
    ]
    allow = [each for glob in found or wanted.within for each in unnamed(glob, there)]
    return {"allow": allow} if allow else {}


def _check_declared(kept: Kept, batch: Batch, declared: Declared) -> None:
    """Raise `UsageError` for a batch whose declared files have all no place here: nothing of it could
    be measured."""
    if not declared.nothing_measured:
        return
    first, *others = declared.unplaced
    more = f", nor have {len(others)} others" if others else ""
    raise UsageError(
        f"{kept.path}:{first.line}: of the files that batch {batch.id} declares none could be checked: "
        f"{first.written[:200]!r} has no place in this repository{more}",
        hint="Write paths relative to the repository's root, or set [documents] prefixes to what "
        "the writers of the document call this workspace.",
    )


def _unsaid(batch: Batch) -> tuple[str, ...]:
    told = f"batch {batch.id} has no place for its commit: {ADVICE}"
    return () if batch.commit else (told,)


def _unmeasured(kept: Kept, tasks: Sequence[TaskEntry], declared: Declared) -> list[str]:
    """What the tasks say of files and nobody checks, each with its line."""
    told = [
        f"{kept.path}:{file.line}: {file.written[:200]!r} is not checked: "
        + ("RENAME to what?" if file.path else "it has no place in this repository")
        for file in declared.unplaced
    ]
    unread = (
        f"{kept.path}:{each.line}: {each.message}"
        for task in tasks
        for each in kept.document.problems
        if each.code == "file-unread" and task.line <= each.line < task.end
    )
    return [*told, *unread]


def cut_short(wanted: Wanted, world: World, situation: Situation) -> tuple[Batch, Order] | None:
    """The finished batch whose run landed last, with the order to bring that run to its end, if it
    died before it had said all: its report, its marker, or that the whole task is done."""
    batches, repository = situation.kept.document.batches, situation.repository
    known = Counter(batch.id for batch in batches)
    ours = {
        batch_task_id(situation.kept.document, batch): batch
        for batch in batches
        if known[batch.id] == 1
    }
    runs = [report for report in list_runs(repository.root) if report["task"] in ours]
    if not runs:
        return None
    last, batch = runs[-1], ours[runs[-1]["task"]]
    name, landed = str(last["run"]), repository.landed_runs(situation.base)
    whole = read_marker(repository.root, wanted.task if situation.over else str(last["task"]))
    said = last["outcome"] == "done" and whole == "done"
    if said or not batch.finished or name not in landed:
        return None
    try:
        return batch, replace(order_of(repository, world.cache, name), flags=wanted.run_flags)
    except UsageError:
        return None
