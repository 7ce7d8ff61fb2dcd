"""Setting a run back to one of its checkpoints, or beginning another run there."""

from dataclasses import replace

from agentflow.commands import again
from agentflow.done_runs import done_run
from agentflow.errors import Conflict, UsageError
from agentflow.events import RunResumed, RunStarted
from agentflow.journal import Journal
from agentflow.markers import own_folder, read_marker, remove_markers
from agentflow.plan import Plan
from agentflow.records import Json
from agentflow.resuming import (
    among_others,
    checkpoints_of,
    resume,
    run_started,
    state_of,
)
from agentflow.run_reports import REPORT
from agentflow.runs import (
    FOLDER,
    JOURNAL,
    check_no_replay,
    is_begun,
    landed_by,
    new_run,
    task_lock,
)
from agentflow.spending import is_replay
from agentflow.strict_json import parse_object
from agentflow.words import word
from agentflow.workspace.checkpoint import (
    Checkpoint,
    move_to,
    remove_locks,
    take_over,
    write_checkpoint,
)
from agentflow.workspace.clone import make_repository
from agentflow.workspace.land import branch_tip, pin_base
from agentflow.workspace.repository import Repository
from agentflow.world import World


def checkpoint_at(kept: list[Checkpoint], turn: int) -> Checkpoint:
    """The last checkpoint of a turn. Raises `UsageError` naming those that there are."""
    found = [each for each in kept if each.turn == turn]
    if not found:
        last = kept[-1].turn
        raise UsageError(
            f"there is no checkpoint of turn {turn}", hint=f"There are turns 0 to {last}."
        )
    return found[-1]


def rewind(repository: Repository, world: World, report: dict[str, object], turn: int) -> None:
    """Set a run back to the end of a turn; it goes on from there when it is resumed.

    What it paid since stays counted. Raises `UsageError` for a run that is done, a replay, a turn that
    is not there, and one from before a fork began, `Held` for a task that is at work.
    """
    run, task = str(report["run"]), str(report["task"])
    check_no_replay(repository.root, run, replay=is_replay(report))
    with task_lock(repository.locks(world.cache), task):
        state = state_of(repository, world.cache, run)
        remove_locks(state.directory)
        kept = checkpoints_of(repository, state, run)
        wanted = checkpoint_at(kept, turn)
        folder = own_folder(repository.root, FOLDER) / run
        first = next(each for each in reversed(kept) if _begins(each) or each is kept[0])
        if wanted.lines < first.lines:
            raise UsageError(
                f"the run {run} is a fork that begins after turn {first.turn}",
                hint=f"Begin another one there: agentflow runs fork {word(run)} --at {turn}",
            )
        if wanted is first and not is_begun(folder):
            return
        done = f"the run {run}" if report["outcome"] == "done" else ""
        done = done or (task if read_marker(repository.root, task) == "done" else "")
        if done:
            raise UsageError(
                f"{done} is done, and what was verified stays",
                hint=f"Begin another run there: agentflow runs fork {word(run)} --at {turn}",
            )
        # The files first: lines beyond a checkpoint are done again, files ahead of lines are not.
        move_to(state, run, wanted.commit, kept[-1].commit)
        journal = Journal(folder / JOURNAL, world.now)
        journal.append(RunResumed(wanted.lines, run, turn, ""))
        journal.close()
        (folder / REPORT).unlink(missing_ok=True)
        remove_markers(repository.root, task)


def _begins(checkpoint: Checkpoint) -> bool:
    """Whether a run began with this checkpoint."""
    lines = checkpoint.journal.splitlines()
    return any(parse_object(line)["type"] == RunStarted.type for line in lines)


def fork(plan: Plan, world: World, source: str, turn: int) -> str:
    """Begin another run where a turn of `source` ended, with its conversation and files; return
    its name. It has spent nothing, and goes on when it is resumed.

    Raises `UsageError` for a turn that is not there, and for a replay, `Conflict` if it would have to
    replace what landed where others land too.
    """
    repository = plan.repository
    with task_lock(repository.locks(world.cache), plan.task.id):
        done = done_run(repository.root, plan.task.id)
        if done and among_others(plan, done):
            raise Conflict(
                f"{done['run']} landed on {plan.lands_on}, where others may have built on it, so no "
                "other run replaces it",
                hint=_beside(plan, source),
            )
        past = resume(plan, world.cache, source)
        check_no_replay(repository.root, source, replay=past.started.replay)
        old = state_of(repository, world.cache, source)
        kept = checkpoints_of(repository, old, source)
        wanted = checkpoint_at(kept, turn)
        run = new_run(repository.root, plan.task.id, world.now(), world.entropy(2))
        state = make_repository(
            world.cache / repository.key / "runs" / run / "state.git",
            repository,
            repository.object_stores,
        )
        take_over(state, run, old, source, wanted.commit)
        # Under its name only when it is whole: a half one would be taken for a run.
        folder = own_folder(repository.root, FOLDER) / run
        begun = folder.with_name(f"{run}.part")
        begun.mkdir()
        earlier = b"".join(each.journal for each in kept[: kept.index(wanted) + 1])
        (begun / JOURNAL).write_bytes(earlier)
        journal = Journal(begun / JOURNAL, world.now)
        journal.append(_begun(plan, run, past.started, done))
        lines, size = journal.extent
        added = journal.read(wanted.size, size)
        journal.close()
        made = replace(wanted, commit="", lines=lines, size=size, journal=added)
        write_checkpoint(state, run, wanted, made, int(world.now().timestamp()))
        pin_base(repository, run, plan.base)
        begun.rename(folder)
    return run


def _beside(plan: Plan, source: str) -> str:
    """What to do for another solution where the first one stays."""
    task = plan.task
    if task.tracking_id:
        return (
            f"Write a batch that changes it into the document on {plan.lands_on}, then: "
            f"agentflow phase-6 {word(task.tracking_id)}"
        )
    apart = {"fresh": True, "land": "branch", "target": f"agentflow/{task.id}"}
    command = again(plan.order.as_json, apart, f"the command that began {source}")
    return f"Begin anew on a branch of its own: {command}"


def _begun(plan: Plan, run: str, source: RunStarted, done: Json | None) -> RunStarted:
    """How the new run began: with the words of the old one, unless it has another prompt. It may
    replace what a run of the task landed, be it the old one, and is another try of the run that is
    `done`."""
    tip = branch_tip(plan.repository, plan.branch)
    ours = tip and landed_by(plan.repository.root, plan.task.id, tip)
    begun = run_started(plan, run, tip if ours else source.replaceable)
    system = plan.rendered.system if begun.prompt_sha256 != source.prompt_sha256 else source.system
    instead_of = done and str(done["run"])
    return replace(begun, system=system, first_message=source.first_message, instead_of=instead_of)


def turns_of(words: str | None, kept: list[Checkpoint]) -> tuple[int, int]:
    """The turns that `N`, `N..M` or nothing means: after the first, up to and with the second.

    Raises `UsageError`.
    """
    if words is None:
        return kept[0].turn, kept[-1].turn
    first, dots, last = words.partition("..")
    try:
        return (int(first), int(last)) if dots else (int(first) - 1, int(first))
    except ValueError as error:
        raise UsageError(f"{words!r} is no turn", hint="Give 3, or 3..7.") from error
