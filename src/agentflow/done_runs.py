"""The run that did a task, which counts whatever newer runs of the task came to or wait for."""

from pathlib import Path

from agentflow.markers import read_marker
from agentflow.records import Json
from agentflow.run_reports import kept_report
from agentflow.runs import landed_on, list_runs
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
