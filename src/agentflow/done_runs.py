"""The run that did a task, which counts whatever newer runs of the task came to or wait for; and which
runs can go on."""

from pathlib import Path

from agentflow.errors import EnvironmentFailure, UsageError
from agentflow.events import RunStarted
from agentflow.journal import lines
from agentflow.markers import read_marker
from agentflow.records import Json
from agentflow.run_reports import kept_report
from agentflow.runs import (
    FOLDER,
    JOURNAL,
    RESUMABLE,
    anew,
    begun_order,
    check_no_replay,
    find_report,
    landed_on,
    list_runs,
    newest_run,
    next_of,
    unfinished_run,
    was_answered,
)
from agentflow.spending import is_replay
from agentflow.words import ended, word


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


def left_to_do(root: Path, task: str) -> str | None:
    """The newest run of a task, if it can go on without a person, and no other did the task since."""
    runs = list_runs(root, task)
    conflict = bool(runs) and runs[-1]["outcome"] == "conflict"
    left = str(runs[-1]["run"]) if conflict else unfinished_run(root, task)
    return None if left and is_superseded(root, task, left) else left


def began_anew(root: Path, task: str) -> bool:
    """Whether the task is not done as its newest run was to do it anew: that still is to be done."""
    run = None if read_marker(root, task) == "done" else newest_run(root, task)
    return run is not None and begun_order(root, run).get("fresh") is True


def open_runs(root: Path) -> list[str]:
    """The newest run of each task that can go on, oldest first: one whose task another did cannot."""
    newest = {report["task"]: report for report in list_runs(root) if not is_replay(report)}
    return [
        str(report["run"])
        for report in newest.values()
        if report["outcome"] in RESUMABLE
        and was_answered(root / FOLDER / str(report["run"]) / JOURNAL)
        and not is_superseded(root, str(report["task"]), str(report["run"]))
    ]


def choose_run(root: Path, wanted: str | None, *, blocked: bool) -> str:
    """The run that a person means: by its name, by its task, or the only one that can go on.

    `blocked` says that it must be waiting for an answer. Raises `UsageError`.
    """
    if wanted is None:
        names = open_runs(root)
        if len(names) == 1:
            return names[0]
        raise UsageError(
            "several runs can go on" if names else "no run here can go on",
            hint="\n".join(f"agentflow resume {word(name)}" for name in names)
            or "List them: agentflow runs list",
        )
    report = find_report(root, wanted, is_replay)
    name, outcome = str(report["run"]), str(report["outcome"])
    check_no_replay(root, name, replay=is_replay(report))
    if blocked and outcome != "blocked":
        raise UsageError(f"the run {name} asks nothing: it {ended(outcome)}", hint=next_of(report))
    if outcome == "done" or outcome not in {*RESUMABLE, "failed"}:
        raise UsageError(f"the run {name} {ended(outcome)}", hint=anew(root, name))
    return name


def _instead_of(folder: Path) -> str | None:
    """The run of which the run in a folder is another try; None also if its journal cannot be read,
    as going on then tells."""
    try:
        begun = [line for line in lines(folder / JOURNAL) if line.get("type") == RunStarted.type]
    except EnvironmentFailure:
        return None
    return begun[-1].get("instead_of") if begun else None
