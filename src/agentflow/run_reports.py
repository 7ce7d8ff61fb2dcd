"""What a run says of itself when it has ended, as the files in the work tree have it."""

import re
from pathlib import Path
from typing import cast

from agentflow.journal import open_regular
from agentflow.records import Json
from agentflow.strict_json import parse_object

REPORT = "report.json"
"""In the run's own folder."""
KEPT = ".orchestrator/reports"
"""Copies of each task's last report, `<TASK>.json`: they are there when its runs were pruned."""
MAX_REPORT = 16 << 20
"""Bytes that are read of a report."""
NAME = re.compile(r"(?P<task>.+)-(?P<time>\d{8}T\d{6})-[0-9a-f]{4}")
"""Of a run."""


def read_report(folder: Path) -> Json:
    """A run's report, or what its folder's name says if it has none that fits.

    The folder lies in the work tree, so a repository may have brought anything.
    """
    report = _read(folder / REPORT)
    task = _task_of(folder.name) or folder.name
    bare: Json = {"task": task, "run": folder.name, "outcome": "unfinished", "exit_code": None}
    return report if _fits(report, task, folder.name) else bare


def kept_report(root: Path, task: str) -> Json | None:
    """The report of the last run of a task that ended, be it pruned; None without one that fits."""
    report = _read(root / KEPT / f"{task}.json")
    run = str(report.get("run"))
    return report if _task_of(run) == task and _fits(report, task, run) else None


def _read(path: Path) -> Json:
    """The object in a file; empty if there is none."""
    try:
        with open_regular(path) as file:
            data = file.read(MAX_REPORT + 1)
        return parse_object(data) if len(data) <= MAX_REPORT else {}
    except (OSError, ValueError, RecursionError):
        return {}


def _task_of(run: str) -> str | None:
    parts = NAME.fullmatch(run)
    return parts["task"] if parts else None


def _fits(report: Json, task: str, run: str) -> bool:
    """Whether a report speaks of this run, with fields of the types that are read here."""
    return (
        report.get("task") == task
        and report.get("run") == run
        and isinstance(report.get("outcome"), str)
        and isinstance(report.get("task_sha256"), str | None)
        and _is_landing(report.get("landed"))
    )


def _is_landing(landed: object) -> bool:
    if not isinstance(landed, dict):
        return landed is None
    fields = cast(Json, landed)
    return isinstance(fields.get("tip"), str) and isinstance(fields.get("ref"), str | None)
