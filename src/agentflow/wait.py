"""Waiting: until a task's run has ended, whoever started it and however it ends; of a document until no
process is at work on its batches."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from agentflow.done_runs import done_run
from agentflow.errors import UsageError
from agentflow.markers import read_marker
from agentflow.nearest import nearest
from agentflow.records import Json
from agentflow.run_reports import KEPT, NAME, REPORT, kept_report, read_report
from agentflow.runs import (
    FOLDER,
    batch_runs,
    is_begun,
    is_running,
    list_runs,
    newest_run,
    started_at,
)
from agentflow.tasks.task import FOLDER as TASKS
from agentflow.tasks.task import check_id
from agentflow.words import word
from agentflow.workspace.repository import Repository

INTERVAL = 0.2
"""Seconds between two looks."""
NO_RESULT = 143
"""The exit code of a run that left no report: its process was killed. Not 130, which is also how
a Ctrl-C of the waiting itself ends."""
_LONG_AGO = datetime.min.replace(tzinfo=UTC)

_CODES = {
    "done": 0, "failed": 1, "blocked": 3, "budget": 4, "environment": 5, "provider": 6,
    "conflict": 7,
}  # fmt: skip


def wait_for_end(
    repository: Repository,
    cache: Path,
    task: str,
    *,
    timeout: float | None,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    tell: Callable[[str | None], None],
    is_document: Callable[[], bool],
) -> Json | None:
    """Wait until a run of the task has ended; return its report, or None after `timeout` seconds.

    A document with batches has ended when no process is at work on it or its batches; it is asked for
    (`is_document`) where nothing else has that name. `tell` gets the newest run, once, if there is something to wait for. A run that had ended before
    counts, unless another is at work. The report's `exit_code` is a number that fits its outcome; a
    run without one has the outcome `interrupted`. Raises `UsageError` for an unknown task, and for
    a report that came with the repository.
    """
    known = _is_task(repository.root, task)
    if not known:
        _check_document(repository, task, is_document)
    deadline = None if timeout is None else clock() + timeout
    watch = (_Watch if known else _DocumentWatch)(repository, repository.locks(cache), task)
    report = watch.look()
    if report is None:
        tell(watch.run)
    while report is None:
        left = INTERVAL if deadline is None else deadline - clock()
        if left <= 0:
            return None
        sleep(min(INTERVAL, left))
        report = watch.look()
    return report


class _Watch:
    """Looks at the runs of one task, one look after another."""

    def __init__(self, repository: Repository, locks: Path, task: str) -> None:
        self._repository = repository
        self._locks = locks
        self._task = task
        self.run: str | None = None
        """The run that is waited for."""

    def look(self) -> Json | None:
        """The report of a run that has ended, or None."""
        root = self._repository.root
        newest = newest_run(root, self._task)
        # The lock is asked for only when there is something to say: to ask is to hold it for a moment, in
        # which a run that begins would be refused.
        if newest is None:
            pruned = self._pruned()
            return None if pruned and is_running(self._locks, self._task) else pruned
        at_work = is_running(self._locks, self._task)
        if self.run and self.run != newest and _has_report(root, self.run):
            return result_of(self._repository, self.run)
        if not at_work:
            return result_of(self._repository, self._settled() or newest)
        if not _has_report(root, newest):
            self.run = newest
        return None

    def _pruned(self) -> Json | None:
        """What a task came to of which no run is here any more, or of which only a marker tells."""
        root, task = self._repository.root, self._task
        kept = kept_report(root, task)
        code = _exit_code(kept) if kept else None
        if kept and code is not None and not self._repository.tracks(f"{KEPT}/{task}.json"):
            return {**kept, "exit_code": code}
        if read_marker(root, task) != "done":
            return None
        return _done(task)

    def _settled(self) -> str | None:
        """The run that did the task, else its newest that a process ever worked at: a fork waits for
        `agentflow resume`."""
        root = self._repository.root
        done = done_run(root, self._task)
        if done:
            return str(done["run"])
        runs = (str(report["run"]) for report in reversed(list_runs(root, self._task)))
        return next((run for run in runs if is_begun(root / FOLDER / run)), None)


class _DocumentWatch:
    """Looks at the runs of one document's batches, one look after another."""

    def __init__(self, repository: Repository, locks: Path, document: str) -> None:
        self._repository = repository
        self._locks = locks
        self._document = document
        self.run: str | None = None
        """The run that is waited for."""

    def look(self) -> Json | None:
        """The report of the newest batch's run, of the document's last one that is done if its marker
        says so, or None while a process is at work."""
        root = self._repository.root
        runs = [run for run in batch_runs(root, self._document) if is_begun(root / FOLDER / run)]
        # Whoever works on the batches holds the document's lock; whoever runs one, that batch's.
        names = {self._document, *(NAME.sub(r"\g<task>", run) for run in runs)}
        if any(is_running(self._locks, name) for name in names):
            at_work = runs and not _has_report(root, runs[-1])
            self.run = runs[-1] if at_work else None
            return None
        if read_marker(root, self._document) == "done":
            done = (run for run in reversed(runs) if _outcome(root, run) == "done")
            run = next(done, None)
            return result_of(self._repository, run) if run else _done(self._document)
        return result_of(self._repository, runs[-1]) if runs else self._pruned()

    def _pruned(self) -> Json | None:
        """What the newest batch came to, if no run of any is here any more."""
        kept = _kept_of_batches(self._repository, self._document)
        newest = max(kept, key=lambda each: started_at(str(each["run"])) or _LONG_AGO, default=None)
        return newest and {**newest, "exit_code": _exit_code(newest)}


def _kept_of_batches(repository: Repository, document: str) -> list[Json]:
    """The kept reports of a document's batches that say how they ended, and did not come with the
    repository."""
    root = repository.root
    names = [path.stem for path in (root / KEPT).glob(f"{document}-batch-*.json")]
    kept = [
        kept_report(root, name) for name in names if not repository.tracks(f"{KEPT}/{name}.json")
    ]
    return [each for each in kept if each and _exit_code(each) is not None]


def _is_task(root: Path, task: str) -> bool:
    """Whether a task file has this name, or a run. Raises `UsageError` for what can be no name."""
    check_id(task)
    is_file = (root / TASKS / f"{task}.md").is_file()
    return is_file or newest_run(root, task) is not None or kept_report(root, task) is not None


def _check_document(repository: Repository, task: str, is_document: Callable[[], bool]) -> None:
    """Raise `UsageError` for a name that neither a document nor the runs of its batches have."""
    root = repository.root
    if batch_runs(root, task) or _kept_of_batches(repository, task) or is_document():
        return
    known = {path.stem for path in (root / TASKS).glob("*.md")}
    raise UsageError(
        f"there is no task and no run of {task!r} here{nearest(task, known)}",
        hint="List the runs with `agentflow runs list`.",
    )


def _done(task: str) -> Json:
    """The report of what only a marker calls done."""
    return {"type": "result", "task": task, "run": None, "outcome": "done", "exit_code": 0}


def _has_report(root: Path, run: str) -> bool:
    return _outcome(root, run) != "unfinished"


def _outcome(root: Path, run: str) -> str:
    return str(read_report(root / FOLDER / run)["outcome"])


def result_of(repository: Repository, run: str) -> Json:
    """The report of a run at which no process is at work, as `wait_for_end` returns it.

    Raises `UsageError` for a report that came with the repository.
    """
    path = f"{FOLDER}/{run}/{REPORT}"
    if repository.tracks(path):
        raise UsageError(
            f"{path} is tracked by git, so it does not say how a run ended here",
            hint=f"Remove it: git rm -r --cached {FOLDER}/{word(run)}",
        )
    report = read_report(repository.root / FOLDER / run)
    code = _exit_code(report)
    if code is not None:
        return {**report, "exit_code": code}
    killed = "it ended without a result: its process was killed"
    begun = is_begun(repository.root / FOLDER / run)
    reason = (
        killed if begun else f"it was forked, and not gone on with: agentflow resume {word(run)}"
    )
    return {**report, "outcome": "interrupted", "exit_code": NO_RESULT, "reason": reason}


def _exit_code(report: Json) -> int | None:
    """The code of the report's outcome; for an interruption, the one of its signal."""
    outcome, code = report["outcome"], report.get("exit_code")
    if outcome == "interrupted" and code in (130, 143):
        return int(code)
    return _CODES.get(outcome)
