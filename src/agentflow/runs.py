"""Runs: their names, their folders, one lock per task, and what earlier ones say of themselves."""

import fcntl
import json
import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import cast

from agentflow.errors import EnvironmentFailure, UsageError
from agentflow.records import Json

FOLDER = ".orchestrator/runs"
REPORT = "report.json"
JOURNAL = "journal.jsonl"
RESUMABLE = frozenset({"budget", "provider", "interrupted"})
"""Outcomes after which a run could be continued."""

_NAME = re.compile(r"(?P<task>.+)-(?P<time>\d{8}T\d{6})-[0-9a-f]{4}")


def run_name(task: str, now: datetime, entropy: bytes) -> str:
    """`<task>-<utc yyyymmddThhmmss>-<4 hex>`: valid as a ref and as a file name."""
    return f"{task}-{now:%Y%m%dT%H%M%S}-{entropy.hex()[:4]}"


@contextmanager
def task_lock(folder: Path, task: str) -> Generator[None]:
    """Hold the only lock of a task; the kernel lets go of it when the process dies.

    Raises `UsageError` if another process holds it, `EnvironmentFailure` if it cannot be made.
    """
    path = folder / f"{task}.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise EnvironmentFailure(f"cannot make the lock {path}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                f"another run of {task} is at work",
                hint="Wait for it, or stop it with Ctrl-C where it runs.",
            ) from error
        yield
    finally:
        os.close(descriptor)


def list_runs(root: Path, task: str | None = None) -> list[Json]:
    """What is known of the runs in a work tree, oldest first, as their reports say.

    A run without a readable report has the outcome `unfinished`.
    """
    folder = root / FOLDER
    names = sorted(
        (path.name for path in folder.glob("*/") if _NAME.fullmatch(path.name)),
        key=lambda name: name.rsplit("-", 2)[1:],
    )
    reports = (read_report(folder / name) for name in names)
    return [report for report in reports if task is None or report["task"] == task]


def read_report(folder: Path) -> Json:
    """A run's report, or what its folder's name says if it has none that fits.

    The folder lies in the work tree, so a repository may have brought anything.
    """
    parts = _NAME.fullmatch(folder.name)
    task = parts["task"] if parts else folder.name
    bare: Json = {"task": task, "run": folder.name, "outcome": "unfinished", "exit_code": None}
    try:
        report = json.loads((folder / REPORT).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return bare
    if isinstance(report, dict) and _fits(cast(Json, report), bare):
        return cast(Json, report)
    return bare


def _fits(report: Json, bare: Json) -> bool:
    """Whether a report speaks of its own run, with fields of the types that are read here."""
    return (
        report.get("task") == bare["task"]
        and report.get("run") == bare["run"]
        and isinstance(report.get("outcome"), str)
        and isinstance(report.get("landed"), dict | None)
    )


def unfinished_run(root: Path, task: str) -> str | None:
    """The newest run of a task, if it could be continued: it ended early, and the model had
    answered."""
    runs = list_runs(root, task)
    if not runs or runs[-1]["outcome"] not in {"unfinished", *RESUMABLE}:
        return None
    name = str(runs[-1]["run"])
    return name if _was_answered(root / FOLDER / name / JOURNAL) else None


def _was_answered(journal: Path) -> bool:
    try:
        return b'"type": "assistant"' in journal.read_bytes()
    except OSError:
        return False


def is_running(folder: Path, task: str) -> bool:
    """Whether a process holds a task's lock."""
    try:
        with task_lock(folder, task):
            return False
    except UsageError:
        return True


def landed_by(root: Path, task: str, tip: str) -> str | None:
    """The run of this task that landed exactly this commit, or None."""
    for report in reversed(list_runs(root, task)):
        landed: Json = report.get("landed") or {}
        if landed.get("tip") == tip:
            return str(report["run"])
    return None
