"""A task on which others depend and that their start does not hold: where it is done, or that nobody
knows it."""

from collections.abc import Callable, Sequence
from contextlib import suppress

from agentflow.done_runs import done_run
from agentflow.errors import UsageError
from agentflow.nearest import nearest
from agentflow.records import Landing, Task
from agentflow.runs import landed_on, list_runs
from agentflow.tasks.queue_headings import is_queue
from agentflow.tasks.task import FOLDER
from agentflow.words import word
from agentflow.workspace.land import branch_tip, checked_out_in
from agentflow.workspace.repository import Repository


def done_on(repository: Repository, name: str) -> str | None:
    """The branch that holds what a task that is done landed; None if it is not done, or no branch is
    there that does."""
    done = done_run(repository.root, name)
    ref = landed_on(done) if done else None
    tip = str(done["landed"]["tip"]) if done and ref else ""
    holds = ref and repository.git.succeeds("merge-base", "--is-ancestor", tip, ref)
    return ref.removeprefix("refs/heads/") if ref and holds else None


def why_unknown(
    repository: Repository,
    base: str,
    name: str,
    is_document: Callable[[str], bool],
    asking: str = "",
) -> str | None:
    """That there is no such task, neither in a file nor in the base's queue, and that no run of it is
    known; None if there is one, or a document of that name, or whose batch it is. `asking` is the
    task that waits, which is never what was meant."""
    from agentflow.task_queues import queue_of_base  # 14 ms that task files do not need

    root = repository.root
    known = {file.stem for file in (root / FOLDER).glob("*.md")}
    with suppress(UsageError):  # who takes a task of the queue is told what is wrong with it
        queue = queue_of_base(repository, base)
        known |= {entry.id for entry in queue.queue.entries} if queue else set[str]()
    document = name.rpartition("-batch-")[0]
    if name in known or is_document(name) or (document and is_document(document)):
        return None
    if list_runs(root, name) or done_run(root, name):
        return None
    return f"there is no such task{nearest(name, sorted(known - {asking}))}"


def check_known(
    task: Task, name: str, repository: Repository, base: str, is_document: Callable[[str], bool]
) -> None:
    """Refuse to wait for the task itself, or for what is no task. Raises `UsageError`."""
    queued = task.path.name if task.path and is_queue(task.path) else ""
    correct = (
        f"Correct {f'what it depends on in {queued}' if queued else f'`depends_on` of {task.id}'}"
    )
    if name == task.id:
        raise UsageError(f"{task.id} depends on itself", hint=f"{correct}.")
    why = why_unknown(repository, base, name, is_document, task.id)
    if why:
        hint = f"{correct}, or write {FOLDER}/{name}.md."
        raise UsageError(f"{task.id} depends on {name}, and {why}", hint=hint)


def done_elsewhere(
    repository: Repository, name: str, branch: str, place: str, anew: str
) -> UsageError:
    """That a task is done on a branch, and not where its result was to land: at a `place`, or on the
    current branch. `anew` is the command that does it again there."""
    return UsageError(
        f"{name} is done on {branch}, and {place or 'the current branch'} does not hold that",
        hint=f"{bringing([branch], repository, place)}. Or do it anew there: {anew}",
    )


def bringing(branches: Sequence[str], repository: Repository, target: str) -> str:
    """How what branches hold comes to where results land; no target means the current branch."""
    if target and branch_tip(repository, target) is None:
        first, *others = branches
        begin = f"Begin it there: git branch {word(target)} {word(first)}"
        return f"{begin} && {_merged_on(target, others)}" if others else begin
    places = checked_out_in(repository, target) if target else [str(repository.root)]
    if not places:
        return f"Bring it there: {_merged_on(target, branches)}"
    here = str(repository.root) in places
    return f"Bring it there: {_merges('git' if here else f'git -C {word(places[0])}', branches)}"


def _merges(git: str, branches: Sequence[str]) -> str:
    return " && ".join(f"{git} merge {word(branch)}" for branch in branches)


def _merged_on(target: str, branches: Sequence[str]) -> str:
    return f"git switch {word(target)} && {_merges('git', branches)} && git switch -"


def beginning(
    task: Task, branch: str, repository: Repository, landing: Landing, target: str
) -> str:
    """How a single task begins from what a branch holds, and still lands where it was to land."""
    if landing == "current":
        return bringing([branch], repository, "")
    there = landing == "branch" and target and branch_tip(repository, target)
    command = f"agentflow run {word(task.id)} --base {word(target if there else branch)}"
    command += f" --target {word(target)}" if target else ""
    return f"{bringing([branch], repository, target)}. Then: {command}" if there else f"Begin there: {command}"  # fmt: skip
