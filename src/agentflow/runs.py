"""Runs: their names, their folders, one lock per task, and what earlier ones say of themselves."""

import fcntl
import glob
import os
import time
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path

from agentflow.commands import again
from agentflow.errors import EnvironmentFailure, Held, UsageError
from agentflow.events import RunStarted
from agentflow.file_locks import open_lock, try_lock
from agentflow.journal import lines
from agentflow.line_kinds import line_kinds
from agentflow.nearest import nearest
from agentflow.records import Json
from agentflow.run_reports import KEPT, NAME, kept_report, read_report
from agentflow.spending import is_replay
from agentflow.words import word

FOLDER = ".orchestrator/runs"
JOURNAL = "journal.jsonl"
OUTCOMES = (
    "done", "failed", "blocked", "budget", "environment", "provider", "conflict", "interrupted",
    "unfinished", "running", "waiting",
)  # fmt: skip
"""What is said of a run: how it ended, that it was killed, that it is at work or waits for a worker."""
RESUMABLE = frozenset({
    *("unfinished", "budget", "provider", "interrupted"),
    *("blocked", "environment", "conflict"),
})
"""Outcomes after which a run can go on; a run that was killed has none."""
LEFT = RESUMABLE - {"blocked", "conflict"}
"""Those after which a new run of the task would lose what was paid for."""

MOST_AHEAD = timedelta(minutes=1)
"""A run whose name is later than that is not one of ours, or a clock was set."""
PID_WIDTH = 10
"""Characters of the process's number in a lock's file."""
PATIENCE = 0.3
"""Seconds until a process that was killed has let go of its lock."""
MAX_JOURNAL = 64 << 20
"""Bytes that are read of a journal in the work tree."""


def run_name(task: str, now: datetime, entropy: bytes) -> str:
    """`<task>-<utc yyyymmddThhmmss>-<4 hex>`: valid as a ref and as a file name."""
    return f"{task}-{now:%Y%m%dT%H%M%S}-{entropy.hex()[:4]}"


def new_run(root: Path, task: str, now: datetime, entropy: bytes) -> str:
    """The name of a new run of a task, later than those that are there, and than those of other batches
    of its document: one that began within the same second must not pass for the newer one. Call while
    the task's lock is held."""
    document = task.rpartition("-batch-")[0]
    others = batch_runs(root, document)[-1:] if document else []
    began = (started_at(run) for run in (newest_run(root, task) or "", *others))
    last = max(filter(None, began), default=None)
    ahead = last and timedelta(0) <= last - now.replace(microsecond=0) < MOST_AHEAD
    return run_name(task, last + timedelta(seconds=1) if last and ahead else now, entropy)


def started_at(run: str) -> datetime | None:
    """When a run began, as its name says; None for what is no run's name."""
    found = NAME.fullmatch(run)
    try:
        return (
            datetime.strptime(found["time"], "%Y%m%dT%H%M%S").replace(tzinfo=UTC) if found else None
        )
    except ValueError:
        return None


@contextmanager
def task_lock(folder: Path, task: str, patience: float = PATIENCE) -> Generator[None]:
    """Hold the only lock of a task; the kernel lets go of it when the process dies.

    The file then says which process that was: `cancelling` proves it before it believes it.

    `patience`: seconds that it may still be held, by a process that is dying.
    Raises `Held` if another process holds it, `EnvironmentFailure` if it cannot be made.
    """
    path = folder / f"{task}.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = open_lock(path)
    except OSError as error:
        raise EnvironmentFailure(f"cannot make the lock {path}: {error.strerror}") from error
    try:
        deadline = time.monotonic() + patience
        while not try_lock(descriptor):
            if time.monotonic() >= deadline:
                raise Held(
                    f"another run of {task} is at work",
                    hint=f"Stop it with Ctrl-C where it runs, or wait for it: agentflow wait {word(task)}",
                )
            time.sleep(0.02)
        with suppress(OSError):  # a full disk: who holds it is still told by the lock itself
            os.pwrite(descriptor, f"{os.getpid():<{PID_WIDTH}}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def list_runs(root: Path, task: str | None = None) -> list[Json]:
    """What is known of the runs in a work tree, oldest first, as their reports say.

    A run without a readable report has the outcome `unfinished`.
    """
    named = _named(root)
    wanted = [name for name, of in named.items() if task in {None, of}]
    return [read_report(root / FOLDER / name) for name in wanted]


def _named(root: Path) -> dict[str, str]:
    """The runs of a work tree and their tasks, by the names of their folders, oldest first."""
    parts = (NAME.fullmatch(path.name) for path in (root / FOLDER).glob("*/"))
    found = {part[0]: part["task"] for part in parts if part}
    return dict(sorted(found.items(), key=lambda each: each[0].rsplit("-", 2)[1:]))


def newest_run(root: Path, task: str) -> str | None:
    """The name of a task's newest run in a work tree, or None."""
    names = (path.name for path in (root / FOLDER).glob(f"{glob.escape(task)}-*/"))
    parts = (NAME.fullmatch(name) for name in names)
    return max((found[0] for found in parts if found and found["task"] == task), default=None)


def unfinished_run(root: Path, task: str, outcomes: Collection[str] = LEFT) -> str | None:
    """The newest run of a task, if it could be continued: it ended in one of these ways, and the model
    had answered."""
    runs = [report for report in list_runs(root, task) if not is_replay(report)]
    if not runs or runs[-1]["outcome"] not in outcomes:
        return None
    name = str(runs[-1]["run"])
    return name if was_answered(root / FOLDER / name / JOURNAL) else None


def batch_runs(root: Path, document: str) -> list[str]:
    """The names of the runs of a document's batches in a work tree, oldest first."""
    return [run for run, task in _named(root).items() if task.startswith(f"{document}-batch-")]


def is_here(root: Path, wanted: str) -> bool:
    """Whether a run of this name, or of this task or one of its batches, is in a work tree."""
    named = _named(root)
    return wanted in {*named, *named.values()} or bool(batch_runs(root, wanted))


def find_report(root: Path, wanted: str, skip: Callable[[Json], bool] = lambda _: False) -> Json:
    """The report of a run, or of a task's newest one, be it of one of its batches: its newest that
    `skip` does not say no to, if there is any. Raises `UsageError` naming the nearest."""
    named = _named(root)
    match = [run for run, task in named.items() if wanted in {run, task}]
    match = match or batch_runs(root, wanted)
    if not match:
        kept = kept_report(root, wanted)
        if kept:
            raise UsageError(
                f"no run of {wanted} is here any more",
                hint=f"How its last one ended ({kept['outcome']}) is in {KEPT}/{wanted}.json",
            )
        raise UsageError(
            f"there is no run or task {wanted!r} here{nearest(wanted, list(named))}",
            hint="List them: agentflow runs list",
        )
    reports = (read_report(root / FOLDER / each) for each in reversed(match))
    newest = next(reports)
    return next((each for each in chain([newest], reports) if not skip(each)), newest)


def _goes_on(report: Json) -> bool:
    """Whether `done_runs.choose_run` takes this run, where it need not ask anything."""
    kept = report.get("num_turns") != 0  # before the first reply nothing is
    return kept and not is_replay(report) and report["outcome"] in {*RESUMABLE, "failed"}


def next_of(report: Json) -> str:
    """What a person can do with a run that is here."""
    name = report["run"]
    if _goes_on(report):
        return f"Go on with it: agentflow resume {word(name)}"
    return f"Look at it: agentflow runs show {word(name)}"


def check_no_replay(root: Path, run: str, *, replay: bool) -> None:
    """Raise `UsageError` for a run that asked no model: none goes on where it ended."""
    if replay:
        raise UsageError(
            f"the run {run} repeats a recording, and cannot go on",
            hint=f"{anew(root, run)}\nThat asks a model. With --replay FILE it repeats a recording.",
        )


def anew(root: Path, run: str) -> str:
    """The next step where a run cannot go on: the command that began it, with `--fresh`."""
    order, unknown = begun_order(root, run), f"the command that began {run}"
    return f"Begin anew: {again(order, {'fresh': True}, unknown)}"


def begun_order(root: Path, run: str) -> Json:
    """What a run was asked for when it began, as its journal says it; empty if that does not."""
    with suppress(EnvironmentFailure):
        for line in lines(root / FOLDER / run / JOURNAL):
            if line.get("type") == RunStarted.type and isinstance(line.get("order"), dict):
                return line["order"]
    return {}


def was_answered(journal: Path) -> bool:
    """Whether the model said anything in a run."""
    return "assistant" in line_kinds(journal, MAX_JOURNAL)


def is_begun(folder: Path) -> bool:
    """Whether a process ever worked at the run in a folder: at a fork none does until it is resumed.
    Then its last line says how it begins, after the lines that it was given."""
    lines, last = 0, ""
    for kind in line_kinds(folder / JOURNAL, MAX_JOURNAL):
        lines, last = lines + 1, kind
    return lines < 2 or last != RunStarted.type


def is_running(folder: Path, task: str) -> bool:
    """Whether a process holds a task's lock. Two that look at once do not take each other for it.

    Raises `EnvironmentFailure` if the lock cannot be looked at.
    """
    path = folder / f"{task}.lock"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise EnvironmentFailure(f"cannot look at the lock {path}: {error.strerror}") from error
    try:
        return not try_lock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def last_line(folder: Path) -> float:
    """When the journal in a run's folder was written to last; 0 without one. Of a task that is at
    work it is that run: one that goes on may be older than others."""
    try:
        return (folder / JOURNAL).lstat().st_mtime
    except OSError:
        return 0.0


def landed_on(report: Json) -> str | None:
    """The ref on which a run landed; None for one that landed on none."""
    landed: Json = report.get("landed") or {}
    return landed.get("ref")


def landed_by(root: Path, task: str, tip: str) -> str | None:
    """The run of this task that landed exactly this commit, be it pruned, or None."""
    for report in (*reversed(list_runs(root, task)), kept_report(root, task) or Json()):
        landed: Json = report.get("landed") or {}
        if landed.get("tip") == tip:
            return str(report["run"])
    return None
