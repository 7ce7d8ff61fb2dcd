"""Where runs and tasks stand, for another program: read from what they left, whoever started them."""

from pathlib import Path

from agentflow.done_runs import done_run
from agentflow.errors import AgentflowError, UsageError
from agentflow.line_kinds import line_kinds
from agentflow.markers import read_marker
from agentflow.records import Json
from agentflow.replies import reply_block
from agentflow.run_reports import REPORT
from agentflow.runs import FOLDER, JOURNAL, MAX_JOURNAL, find_report, is_running, newest_run
from agentflow.shown_reports import shown
from agentflow.task_queues import queue_paths, read_queue_file
from agentflow.tasks.task import FOLDER as TASKS
from agentflow.tasks.task import read_task
from agentflow.wait import result_of
from agentflow.workspace.repository import Repository, open_repository
from agentflow.world import World

ENDS = frozenset({"done", "failed", "blocked"})
"""Outcomes that are states; a run with any other one is `stopped`, and may go on."""


def repository_of(world: World, wanted: str) -> Repository:
    """The repository that holds a run, or a task's runs: this one, or one of its submodules."""
    home = open_repository(world.directory, world.environment)
    modules = [path for path, mode in home.modes(home.head).items() if mode == "160000"]
    for path in modules:
        root = home.root / path
        if (root / FOLDER / wanted).is_dir() or newest_run(root, wanted):
            return open_repository(root, world.environment)
    return home


def run_state(world: World, wanted: str) -> Json:
    """Where a run stands, or of a task that which did it, else its newest one.

    `state` is `running`, `done`, `failed`, `blocked` or `stopped`; every other field is that of the
    report, and there once the run has ended. Raises `UsageError` for an unknown name.
    """
    repository = repository_of(world, wanted)
    known = find_report(repository.root, wanted)
    run, task = str(known["run"]), str(known["task"])
    if run == newest_run(repository.root, task) and is_running(repository.locks(world.cache), task):
        turns, last = _progress(repository.root / FOLDER / run / JOURNAL)
        return {"run": run, "task": task, "state": "running", "turns": turns, "progress": last}
    done = done_run(repository.root, task) if task == wanted else None
    run = str(done["run"]) if done else run
    report = result_of(repository, run)
    fields, outcome = shown(report), str(report["outcome"])
    reply = report.get("reply")
    return {
        "run": run,
        "task": task,
        "state": outcome if outcome in ENDS else "stopped",
        "turns": fields["num_turns"],
        "outcome": outcome,
        "exit_code": report["exit_code"],
        "reason": fields["reason"],
        "hint": fields["hint"],
        "question": fields["reason"] if outcome == "blocked" else None,
        "cost_usd": fields["total_cost_usd"],
        "branch": str(report.get("branch") or "") or None,
        "landed": fields["landed"] and fields["landed"]["tip"],
        "commits": fields["commits"],
        "gates": [
            {name: gate[name] for name in ("gate", "status", "summary")}
            for gate in fields["verification"]["gates"]
        ],
        "reply": reply if isinstance(reply, dict) else None,
        "reply_block": reply_block(report) if isinstance(reply, dict) else None,
        "report": str(repository.root / FOLDER / run / REPORT),
    }


def _progress(journal: Path) -> tuple[int, str]:
    """How often the model answered, and what the journal's last line is about."""
    turns, last = 0, ""
    for kind in line_kinds(journal, MAX_JOURNAL):
        turns += kind == "assistant"
        last = kind or last
    return turns, last.removeprefix("agentflow.")


def task_states(world: World) -> list[Json]:
    """Every task file and queue entry that `agentflow run` takes, and where it stands.

    A file or queue that cannot be read has a `problem` instead of a title.
    """
    repository = open_repository(world.directory, world.environment)
    listed: list[Json] = []
    for path in sorted((repository.root / TASKS).glob("*.md")):
        try:
            task, _ = read_task(path)
            listed.append({"id": task.id, "title": task.title, "source": "file"})
        except AgentflowError as error:
            listed.append({"id": path.stem, "source": "file", "problem": error.message})
    known = {each["id"] for each in listed}
    for path in queue_paths(repository.root)[:1]:
        try:
            entries = read_queue_file(path, repository.root).queue.entries
            listed += [
                {"id": each.id, "title": each.title, "source": "queue"}
                for each in entries
                if each.id not in known
            ]
        except UsageError as error:
            listed.append({"id": path.name, "source": "queue", "problem": error.message})
    locks = repository.locks(world.cache)
    return [{**each, **_standing(repository, locks, str(each["id"]))} for each in listed]


def _standing(repository: Repository, locks: Path, task: str) -> Json:
    run = newest_run(repository.root, task)
    if run is None:
        return {"state": read_marker(repository.root, task) or "new", "run": None}
    if is_running(locks, task):
        return {"state": "running", "run": run}
    return {"state": read_marker(repository.root, task) or "stopped", "run": run}
