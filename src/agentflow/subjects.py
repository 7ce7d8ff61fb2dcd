"""What verification is asked about: the commits, where they start from, and what must hold for them."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from agentflow.configuration import Settings
from agentflow.environment import Environment
from agentflow.errors import Conflict, UsageError
from agentflow.frozen import record
from agentflow.markers import read_marker
from agentflow.records import Task
from agentflow.settings import CONFIG, load_settings
from agentflow.tasks.task import FOLDER, check_id, read_task
from agentflow.trust import read_trust
from agentflow.words import word
from agentflow.workspace.git import Git, GitError
from agentflow.workspace.repository import Repository
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


def find_subject(question: Question, repository: Repository, world: World) -> Subject:
    """The commits that are meant, and what the branch says that they are for.

    Raises `UsageError` if there is nothing to judge or no gate, `Conflict` for commits from elsewhere
    that do not start here.
    """
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
        hint = "There is no task of that name either. Give a task, branch or commit."
        raise UsageError(error.message, hint=hint) from error


def _branch_tip(task: str, repository: Repository) -> str:
    branch = f"agentflow/{task}"
    for ref in (f"refs/heads/{branch}", f"refs/remotes/origin/{branch}"):
        if repository.git.succeeds("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}"):
            return repository.resolve(ref)
    done = read_marker(repository.root, task) == "done"
    again = (
        f"again: agentflow run {word(task)} --fresh"
        if done
        else f"first: agentflow run {word(task)}"
    )
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
    measure = repository.resolve("HEAD" if question.base is None else question.base)
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
