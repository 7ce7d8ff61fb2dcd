"""Verification alone: the gates on commits made by anybody. No model, no landing, no marker."""

import asyncio
import dataclasses
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from agentflow.checkouts import Checkouts, remove_folder, temporary_folder
from agentflow.configuration import Settings
from agentflow.environment import Environment
from agentflow.errors import Conflict, UsageError
from agentflow.events import Notice
from agentflow.frozen import record
from agentflow.gates import verify
from agentflow.gates.boundaries import BoundariesGate
from agentflow.gates.build import BuildGate
from agentflow.gates.commit import CommitGate
from agentflow.gates.files import FilesGate
from agentflow.gates.secrets import SecretsGate
from agentflow.gates.setup import SetupGate
from agentflow.gates.tamper import TamperGate
from agentflow.installation import Installation
from agentflow.interfaces import Emit, Gate
from agentflow.markers import read_marker
from agentflow.provisions import Provisions
from agentflow.records import Backend, Json, Task
from agentflow.redaction import Redact, redactor
from agentflow.results import Candidate, Verdict
from agentflow.sandbox import notices, require
from agentflow.sandbox.traffic import Traffic
from agentflow.settings import CONFIG, load_settings
from agentflow.tasks.task import FOLDER, check_id, read_task
from agentflow.trust import read_trust
from agentflow.workspace.git import Git, GitError
from agentflow.workspace.importer import as_it_is
from agentflow.workspace.lfs import content_stores
from agentflow.workspace.repository import Repository, open_repository
from agentflow.world import World

TRUNKS = (
    "HEAD",
    *(f"refs/remotes/origin/{name}" for name in ("HEAD", "main", "master")),
    *(f"refs/heads/{name}" for name in ("main", "master")),
)
"""Where a change starts from, if nobody says: the first that does not hold it already. Whole names:
of a short one git takes a tag first, and tags come with a clone."""


@record
class Brought:
    """Commits that the repository does not hold yet."""

    base: str
    tip: str
    bring: Callable[[Git], None]
    """Puts them into a repository of ours. Raises `UsageError`."""


@record
class Question:
    """What the caller asked about."""

    what: str
    """A task, for its branch, or a revision."""
    base: str | None = None
    """A revision; where it and the change part is the base."""
    flags: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Settings given as flags."""
    brought: Brought | None = None
    """The commits, if they come from elsewhere; `what` is their task then."""
    home: Repository | None = None
    """The repository whose grants count, and where what is installed is kept, if it is another one."""


@record
class Subject:
    """The commits that are judged, and by what."""

    task: Task
    base: str
    tip: str
    settings: Settings
    environment: Environment
    notices: tuple[str, ...]
    home: Repository
    brought: Brought | None = None


Passed = Callable[[Repository, Git, Candidate], None]


async def verify_commits(
    question: Question, world: World, emit: Emit, passed: Passed | None = None
) -> Json:
    """Judge the commits as they are; return what was measured as one JSON object. `passed` is called,
    in a thread, if all gates passed and while our repository still holds the commits.

    Settings are those of the branch that the change is for, as it is now, and so is the task if it
    holds it: a change does not choose its own measure. Raises `UsageError` if there is nothing to judge or no gate,
    `EnvironmentFailure`.
    """
    repository = await asyncio.to_thread(open_repository, world.directory, world.environment)
    subject = await asyncio.to_thread(_subject, question, repository, world)
    backend = await asyncio.to_thread(require, subject.settings.sandbox.backend)
    for text in notices(backend):
        emit(Notice(text))
    folder = await asyncio.to_thread(temporary_folder, world.cache / repository.key, "verify-")
    try:
        verdict, candidate, state = await _judge(subject, repository, world, folder, backend, emit)
        if verdict.passed and passed:
            await asyncio.to_thread(passed, repository, state, candidate)
    finally:
        await asyncio.to_thread(remove_folder, folder)
    return _described(question, subject, candidate, verdict)


async def _judge(
    subject: Subject,
    repository: Repository,
    world: World,
    folder: Path,
    backend: Backend,
    emit: Emit,
) -> tuple[Verdict, Candidate, Git]:
    settings = subject.settings
    checkouts = Checkouts(
        folder,
        repository,
        world,
        backend=backend,
        limits=settings.sandbox.limits,
        readable=settings.readable,
        environment=subject.environment,
        gates=settings.commands,
        traffic=Traffic(settings.sandbox.upload, emit=emit),
    )
    await asyncio.to_thread(checkouts.prepare)
    if subject.brought:
        await asyncio.to_thread(subject.brought.bring, checkouts.state)
    redact = redactor(subject.environment.secrets)
    installation: Installation | None = None
    if subject.environment.setup:
        store = world.cache / subject.home.key / "provisions"
        provisions = Provisions(
            subject.environment.setup,
            store,
            checkouts.state,
            checkouts.toolchain,
            checkouts.setup,
            emit,
            redact,
            secret_files=settings.secrets.files,
        )
        installation = Installation(subject.base, provisions, folder / "provisions")
        checkouts.provide = installation.of
    candidate = await asyncio.to_thread(
        as_it_is,
        checkouts.state,
        subject.base,
        subject.tip,
        settings.boundaries,
        await asyncio.to_thread(content_stores, repository),
    )
    gates = _gates(subject, checkouts, installation, redact)
    return await verify(gates, candidate, emit), candidate, checkouts.state


def _gates(
    subject: Subject, checkouts: Checkouts, installation: Installation | None, redact: Redact
) -> tuple[Gate, ...]:
    settings, task, state = subject.settings, subject.task, checkouts.state
    return (
        CommitGate(task.expect, "orchestrator"),
        BoundariesGate(settings.boundaries),
        FilesGate(state, task.files),
        TamperGate(state, settings.boundaries),
        SecretsGate(state, settings.secrets.allow, subject.environment.secrets),
        *([SetupGate(installation.judge)] if installation else []),
        *(
            BuildGate(command, checkouts.open, state, settings.boundaries, redact)
            for command in settings.commands
        ),
    )


def _subject(question: Question, repository: Repository, world: World) -> Subject:
    path = _task_path(question.what, repository)
    home, brought = question.home or repository, question.brought
    if brought:
        tip, (base, measure) = brought.tip, _start_of(brought, question, repository)
    else:
        tip = (
            _branch_tip(question.what, repository) if path else _revision(question.what, repository)
        )
        base, measure = _start(question, repository, tip)
    task, notices = _task(path, question.what, repository, measure)
    settings = load_settings(
        question.flags,
        world.environment,
        repository.read(measure, CONFIG),
        task,
        read_trust(home.common_dir, world.environment),
    )
    if not settings.commands:
        raise UsageError(
            "no gate is configured, so nothing could be verified",
            hint=f"{CONFIG} is read as of {measure[:12]}, which the change is for, and names none. "
            + "Give --gate 'test=<command>', or commit [[gates]] before the change.",
        )
    environment = settings.surroundings(world.environment)
    return Subject(task, base, tip, settings, environment, notices, home, brought)


def _task_path(what: str, repository: Repository) -> str | None:
    """Where the task of this name is, in the repository; None if it is a revision."""
    try:
        check_id(what)
    except UsageError:
        return None
    path = f"{FOLDER}/{what}.md"
    known = (repository.root / path).is_file() or repository.read("HEAD", path) is not None
    return path if known else None


def _revision(what: str, repository: Repository) -> str:
    try:
        return repository.resolve(what)
    except UsageError as error:
        hint = error.hint or "There is no task of that name either. Give a task, branch or commit."
        raise UsageError(error.message, hint=hint) from error


def _branch_tip(task: str, repository: Repository) -> str:
    branch = f"agentflow/{task}"
    for ref in (f"refs/heads/{branch}", f"refs/remotes/origin/{branch}"):
        if repository.git.succeeds("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}"):
            return repository.resolve(ref)
    done = read_marker(repository.root, task) == "done"
    again = f"again: agentflow run {task} --fresh" if done else f"first: agentflow run {task}"
    raise UsageError(
        f"there is no branch {branch}, where {task} would have landed",
        hint=f"Run it {again}. Or give a revision instead.",
    )


def _start(question: Question, repository: Repository, tip: str) -> tuple[str, str]:
    """Where the change parts from what was given, else from the first trunk without it; and the
    commit of that, which says what must hold: who forks early escapes no later gate."""
    if question.base is not None:
        given = repository.resolve(question.base)
        for start in _forks(repository, (given,), tip):
            return start
        raise UsageError(f"{question.base} and {question.what} have no common history")
    for base, measure in _forks(repository, TRUNKS, tip):
        if base != tip:
            return base, measure
    raise UsageError(
        f"{question.what} changes nothing: every branch that could be its base holds it",
        hint="Name the commit before the change: --base REV.",
    )


def _start_of(brought: Brought, question: Question, repository: Repository) -> tuple[str, str]:
    """The base of commits from elsewhere, which must be in the history of what they are for; and that
    itself, which says what must hold."""
    measure = repository.resolve(question.base or "HEAD")
    if not repository.git.succeeds("merge-base", "--is-ancestor", brought.base, measure):
        raise Conflict(
            f"the base {brought.base[:12]} is not in the history of {measure[:12]}",
            hint="Fetch the whole history, or name the branch that it is for: --base REV.",
        )
    return brought.base, measure


def _forks(
    repository: Repository, revisions: tuple[str, ...], tip: str
) -> Iterator[tuple[str, str]]:
    """Where each of these that exists parts from `tip`, and its own commit."""
    for revision in revisions:
        try:
            commit = repository.resolve(revision)
            base = repository.git.text("merge-base", "--end-of-options", commit, tip)
            yield base.splitlines()[0], commit
        except (GitError, IndexError, UsageError):
            continue


def _task(
    path: str | None, what: str, repository: Repository, base: str
) -> tuple[Task, tuple[str, ...]]:
    """The task as the base has it, else as it lies in the work tree."""
    if path is None:
        return Task(id="-", title=what, text=""), ()
    text = repository.read(base, path)
    if text is None:
        task, warnings = read_task(repository.root / path)
        told = f"{path} is not in the base {base[:12]}: it is taken from your work tree"
        return task, (told, *warnings)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, Path(path).name)
        copy.write_text(text, encoding="utf-8")
        return read_task(copy)[0], ()


def _described(
    question: Question, subject: Subject, candidate: Candidate, verdict: Verdict
) -> Json:
    reason = "" if verdict.passed or verdict.failures else "no build gate ran here and passed"
    return {
        "type": "verification",
        "what": question.what,
        "task": None if subject.task.id == "-" else subject.task.id,
        "base": subject.base,
        "tip": subject.tip,
        "passed": verdict.passed,
        "exit_code": 0 if verdict.passed else 1,
        "reason": reason,
        "changes": {
            name: getattr(candidate, name) for name in ("files_changed", "insertions", "deletions")
        },
        "gates": [dataclasses.asdict(evidence) for evidence in verdict.evidence],
        "left_to_ci": list(verdict.left_to_ci),
        "notices": list(subject.notices),
    }
