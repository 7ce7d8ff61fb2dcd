"""Waiting: until a task's run has ended, whoever started it and however it ends."""

from collections.abc import Callable
from pathlib import Path

from agentflow.done_runs import done_run
from agentflow.errors import UsageError
from agentflow.markers import read_marker
from agentflow.nearest import nearest
from agentflow.records import Json
from agentflow.run_reports import KEPT, REPORT, kept_report, read_report
from agentflow.runs import FOLDER, is_begun, is_running, list_runs, newest_run
from agentflow.tasks.task import FOLDER as TASKS
from agentflow.tasks.task import check_id
from agentflow.workspace.repository import Repository

INTERVAL = 0.2
"""Seconds between two looks."""
NO_RESULT = 143
"""The exit code of a run that left no report: its process was killed. Not 130, which is also how
a Ctrl-C of the waiting itself ends."""

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
) -> Json | None:
    """Wait until a run of the task has ended; return its report, or None after `timeout` seconds.

    `tell` gets the newest run, once, if there is something to wait for. A run that had ended before
    counts, unless another is at work. The report's `exit_code` is a number that fits its outcome; a
    run without one has the outcome `interrupted`. Raises `UsageError` for an unknown task, and for
    a report that came with the repository.
    """
    _check_known(repository.root, task)
    deadline = None if timeout is None else clock() + timeout
    watch = _Watch(repository, repository.locks(cache), task)
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
        return {"type": "result", "task": task, "run": None, "outcome": "done", "exit_code": 0}

    def _settled(self) -> str | None:
        """The run that did the task, else its newest that a process ever worked at: a fork waits for
        `agentflow resume`."""
        root = self._repository.root
        done = done_run(root, self._task)
        if done:
            return str(done["run"])
        runs = (str(report["run"]) for report in reversed(list_runs(root, self._task)))
        return next((run for run in runs if is_begun(root / FOLDER / run)), None)


def _check_known(root: Path, task: str) -> None:
    check_id(task)
    known = {path.stem for path in (root / TASKS).glob("*.md")}
    has_run = newest_run(root, task) is not None or kept_report(root, task) is not None
    if task not in known and not has_run:
        raise UsageError(
            f"there is no task and no run of {task!r} here{nearest(task, known)}",
            hint="List the runs with `agentflow runs list`.",
        )


def _has_report(root: Path, run: str) -> bool:
    return read_report(root / FOLDER / run)["outcome"] != "unfinished"


def result_of(repository: Repository, run: str) -> Json:
    """The report of a run at which no process is at work, as `wait_for_end` returns it.

    Raises `UsageError` for a report that came with the repository.
    """
    path = f"{FOLDER}/{run}/{REPORT}"
    if repository.tracks(path):
        raise UsageError(
            f"{path} is tracked by git, so it does not say how a run ended here",
            hint=f"Remove it: git rm -r --cached {FOLDER}/{run}",
        )
    report = read_report(repository.root / FOLDER / run)
    code = _exit_code(report)
    if code is not None:
        return {**report, "exit_code": code}
    killed = "it ended without a result: its process was killed"
    begun = is_begun(repository.root / FOLDER / run)
    reason = killed if begun else f"it was forked, and not gone on with: agentflow resume {run}"
    return {**report, "outcome": "interrupted", "exit_code": NO_RESULT, "reason": reason}


def _exit_code(report: Json) -> int | None:
    """The code of the report's outcome; for an interruption, the one of its signal."""
    outcome, code = report["outcome"], report.get("exit_code")
    if outcome == "interrupted" and code in (130, 143):
        return int(code)
    return _CODES.get(outcome)
