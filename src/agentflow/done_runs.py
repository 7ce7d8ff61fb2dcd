"""The run that did a task, which counts whatever newer runs of the task came to or wait for."""

from pathlib import Path

from agentflow.errors import EnvironmentFailure
from agentflow.events import RunStarted
from agentflow.journal import lines
from agentflow.markers import read_marker
from agentflow.records import Json
from agentflow.run_reports import kept_report
from agentflow.runs import FOLDER, JOURNAL, landed_on, list_runs
from agentflow.spending import is_replay


def done_run(root: Path, task: str) -> Json | None:
    """The report of the newest run that did a task, be it pruned; None without one, or without the
    task's marker: then a newer run has begun, or nobody knows of the task."""
    if read_marker(root, task) != "done":
        return None
    done = [report for report in list_runs(root, task) if report["outcome"] == "done"]
    # A replay that landed nowhere was a trial: it is not the task's result.
    done = [each for each in done if not (is_replay(each) and not landed_on(each))] or done
    if done:
        return done[-1]
    kept = kept_report(root, task)
    return kept if kept and kept["outcome"] == "done" else None


def is_another_try(root: Path, task: str, run: str) -> bool:
    """Whether a run is a fork that was made when the task was done as it is now."""
    done = done_run(root, task)
    return done is not None and _instead_of(root / FOLDER / run) == done["run"]


def is_superseded(root: Path, task: str, run: str) -> bool:
    """Whether another run did the task, and this one is no other try of it: it does not go on."""
    done = done_run(root, task)
    return done is not None and done["run"] not in {run, _instead_of(root / FOLDER / run)}


def _instead_of(folder: Path) -> str | None:
    """The run of which the run in a folder is another try; None also if its journal cannot be read,
    as going on then tells."""
    try:
        begun = [line for line in lines(folder / JOURNAL) if line.get("type") == RunStarted.type]
    except EnvironmentFailure:
        return None
    return begun[-1].get("instead_of") if begun else None
