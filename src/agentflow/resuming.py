"""Going on with a run: its last checkpoint, and what its journal says beyond that.

What a run's folder in the work tree says is believed only as far as our own repository in the
cache confirms it: the folder may have come with a repository.
"""

from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path

from agentflow import __version__
from agentflow.disk import write_atomically
from agentflow.errors import EnvironmentFailure, UsageError
from agentflow.events import AssistantMessage, RunResumed, RunStarted, UserMessage
from agentflow.frozen import record
from agentflow.history import History, decode, goes_on_at, read_history
from agentflow.journal import load, open_regular
from agentflow.markers import own_folder
from agentflow.order import Order, read_order
from agentflow.plan import Plan
from agentflow.records import Json, Rendered, Task
from agentflow.runs import FOLDER, JOURNAL, anew, landed_on, list_runs
from agentflow.strict_json import parse_object
from agentflow.workspace.checkpoint import Checkpoint, read_checkpoints, remove_locks
from agentflow.workspace.git import Git, GitError, isolated
from agentflow.workspace.land import base_ref
from agentflow.workspace.repository import Repository


@record
class Resumption:
    """Where a run goes on."""

    run: str
    started: RunStarted
    history: History
    checkpoint: Checkpoint


def run_started(plan: Plan, run: str, replaceable: str | None) -> RunStarted:
    """How a run begins, with all that a later process needs to go on with it."""
    return RunStarted(
        run=run,
        task=plan.task.id,
        task_sha256=plan.task.sha256,
        title=plan.task.title,
        prompt=plan.prompt.name,
        prompt_sha256=plan.prompt.sha256,
        model=plan.model,
        base=plan.base,
        sandbox=plan.sandbox.label,
        branch=plan.lands_on,
        tools=plan.prompt.tools,
        system=plan.rendered.system,
        version=__version__,
        effort=plan.effort,
        skills=tuple(skill.as_json for skill in plan.skills),
        first_message=plan.rendered.first_message,
        order=plan.order.as_json,
        replaceable=replaceable,
        network=plan.environment.agent_network,
        limits=asdict(plan.limits),
        boundaries=plan.mounts.labels,
        replay=plan.replay,
    )


def among_others(plan: Plan, done: Json) -> bool:
    """Whether a run landed where this plan's would, and where others may have built on it: on no
    branch of the task's own. Then nothing replaces it. A document's batches have one together."""
    branch = plan.lands_on
    own = plan.settings.land == "branch" and branch == f"agentflow/{plan.task.id}"
    there = landed_on(done) == f"refs/heads/{branch}"
    return there and not own and plan.repository.holds(done["landed"]["tip"])


def state_folder(repository: Repository, cache: Path, run: str) -> Path:
    """Where our repository of a run is, or would be."""
    return cache / repository.key / "runs" / run / "state.git"


def state_of(repository: Repository, cache: Path, run: str) -> Git:
    """Our repository of a run. Raises `UsageError` if it is gone."""
    folder = state_folder(repository, cache, run)
    if not folder.is_dir():
        raise UsageError(
            f"nothing is kept of the run {run}, so it cannot go on", hint=anew(repository.root, run)
        )
    return isolated(folder)


def base_of(repository: Repository, run: str) -> str:
    """The commit that a run began from. Raises `UsageError` if nothing keeps it any more."""
    try:
        return repository.git.text("rev-parse", "--verify", base_ref(run))
    except GitError as error:
        raise UsageError(
            f"the base of the run {run} is gone", hint=anew(repository.root, run)
        ) from error


def checkpoints_of(repository: Repository, state: Git, run: str) -> list[Checkpoint]:
    """All checkpoints of a run, oldest first. Raises `UsageError` if there are none."""
    found = read_checkpoints(state, run, base_of(repository, run))
    if not found:
        raise UsageError(
            f"the run {run} ended before its first checkpoint", hint=anew(repository.root, run)
        )
    return found


def order_of(repository: Repository, cache: Path, run: str) -> Order:
    """What the caller of a run asked for, and whoever went on with it. Raises `UsageError` if the run
    cannot go on."""
    lines = _kept(repository, cache, run)
    try:
        start = max(n for n, line in enumerate(lines) if line["type"] == RunStarted.type)
        order, base = lines[start]["order"], str(lines[start]["base"])
        for line in lines[start:]:
            if line["type"] == RunResumed.type:
                order = {**order, **line.get("asked", {})}
        return read_order(order, base=base, resume=run)
    except (LookupError, TypeError, ValueError) as error:
        raise UsageError(
            f"the run {run} was begun by another version of agentflow",
            hint=anew(repository.root, run),
        ) from error


def said_in(repository: Repository, cache: Path, run: str) -> int:
    """How often somebody said something in the conversation that the checkpoints of a run hold,
    where it would go on."""
    lines = decode(_kept(repository, cache, run))
    history = read_history(lines, len(lines))
    return sum(isinstance(line.event, AssistantMessage | UserMessage) for line in history.lines)


def _kept(repository: Repository, cache: Path, run: str) -> list[Json]:
    """The lines of the journal that the checkpoints of a run hold. Raises `UsageError`."""
    kept = checkpoints_of(repository, state_of(repository, cache, run), run)
    return [parse_object(line) for each in kept for line in each.journal.splitlines()]


def earlier_order(
    repository: Repository, cache: Path, made: Task, base: str, *, failed: bool
) -> Order | None:
    """The order to go on with the newest run of a task that a document made; None if the task has
    to begin anew.

    The run had the same words, and began from this commit or has landed in it: it was cut off, or
    what it came to was not written down. `failed` says that a failed one counts too: then it is
    not tried again, but told again.
    """
    reports = list_runs(repository.root, made.id)
    if not reports or (reports[-1]["outcome"] == "failed" and not failed):
        return None
    run = str(reports[-1]["run"])
    try:
        order = order_of(repository, cache, run)
    except UsageError:
        return None
    if order.made is None or order.made.text != made.text:
        return None
    return order if order.base == base or run in repository.landed_runs(base) else None


def resume(plan: Plan, cache: Path, run: str) -> Resumption:
    """Find out where a run goes on; call while the task's lock is held.

    The journal in the run's folder is made to agree with the checkpoints. Raises `UsageError` if
    the run cannot go on, `EnvironmentFailure` for a journal that is damaged.
    """
    repository = plan.repository
    state = state_of(repository, cache, run)
    remove_locks(state.directory)
    kept = checkpoints_of(repository, state, run)
    path = own_folder(repository.root, FOLDER) / run / JOURNAL
    _agree(path, b"".join(each.journal for each in kept))
    history = read_history(decode(load(path)), kept[-1].lines)
    if history.started is None:
        raise EnvironmentFailure(
            f"{path} does not say how the run began", hint=anew(repository.root, run)
        )
    if history.started.task_sha256 != plan.task.sha256:
        raise UsageError(
            f"the text of {plan.task.id} changed since the run {run} began",
            hint=f"{anew(repository.root, run)}\nOr take the change back",
        )
    return Resumption(run, history.started, history, kept[-1])


def kept_lines(path: Path, tip: int) -> tuple[int, int]:
    """How many lines of a journal, and bytes, another process would go on from, if the last
    checkpoint holds `tip` lines."""
    lines = decode(load(path))
    kept = max(tip, goes_on_at(lines, tip))
    with open_regular(path) as file:
        return kept, sum(len(line) for line in islice(file, kept))


def adjusted(plan: Plan, past: Resumption) -> Plan:
    """The plan with the words that the conversation began with."""
    rendered = Rendered(past.started.system, past.started.first_message)
    changed = past.started.prompt_sha256 != plan.prompt.sha256
    told = f"the prompt {plan.prompt.name} changed since: the run goes on with its own text"
    return replace(plan, rendered=rendered, notices=(*plan.notices, *([told] if changed else [])))


def _agree(path: Path, kept: bytes) -> None:
    """Put back the lines that the checkpoints hold, if the file lacks or contradicts them."""
    try:
        with open_regular(path) as file:
            if file.read(len(kept)) == kept:
                return
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentFailure(f"cannot read {path}: {error.strerror}") from error
    write_atomically(path, kept.decode("utf-8", "replace"))
