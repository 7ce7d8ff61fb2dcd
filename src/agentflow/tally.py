"""The tally of many tasks: what became of each, and of all."""

import math
from collections.abc import Mapping, Sequence

from agentflow.backlog import Backlog, Item
from agentflow.commands import TasksCommand, enough_in
from agentflow.errors import AgentflowError, Interrupted
from agentflow.followups import followups_in
from agentflow.records import Json, Task
from agentflow.spending import Spending
from agentflow.what_next import command_alone, told_after
from agentflow.words import word

WORST = (
    "interrupted",
    "environment",
    "usage",
    "provider",
    "conflict",
    "failed",
    "blocked",
    "budget",
)
"""Outcomes, the one first that the whole ends with if any task does."""

BY_ITSELF = frozenset({"done", "skipped", "interrupted", "budget", "provider"})
"""Outcomes after which nobody needs to act before the same command goes on."""


def entry(item: Item, reports: Sequence[Json]) -> Json:
    """What became of a task, by the reports of its runs."""
    last = reports[-1]
    costs = [report.get("total_cost_usd", 0.0) for report in reports]
    landed: Json | None = last.get("landed")
    hint = last.get("hint") or ""
    if last.get("outcome") == "failed":
        hint = hint or f"Look at it: agentflow runs show {word(last['run'])}"
    return {
        "task": item.task.id,
        "title": item.task.title,
        "already_done": bool(last.get("already_done")),
        **{name: last.get(name) for name in ("outcome", "exit_code", "run", "base", "branch")},
        "reason": last.get("reason") or "",
        "hint": hint if last.get("outcome") == "done" else told_after(hint, command_alone(last)),
        "enough": enough_in(last),
        "runs": [report["run"] for report in reports],
        "commits": (last.get("commits") or []) if landed else [],
        "landed": landed,
        "combined": last.get("combined"),
        "follow_ups": list(dict.fromkeys(name for each in reports for name in followups_in(each))),
        "num_turns": sum(report.get("num_turns", 0) for report in reports),
        "duration_ms": sum(report.get("duration_ms") or 0 for report in reports),
        "total_cost_usd": None if None in costs else round(math.fsum(costs), 6),
    }


def document_entry(
    item: Item, reports: Sequence[Json], runs: Sequence[Json], tip: str | None
) -> Json:
    """What became of a document, by the reports of its series of batches, and those of their runs.
    `tip` is where its branch is then; None without one."""
    last: Json = reports[-1]
    batches: list[Json] = [batch for report in reports for batch in report["batches"]]
    landed: list[Json] = [run for run in runs if run.get("landed")]
    return {
        **(entry(item, runs) if runs else {**unstarted(item.task, ""), "base_of": []}),
        **{name: last[name] for name in ("outcome", "exit_code", "reason", "hint", "branch")},
        "enough": enough_in(last),
        "already_done": last["outcome"] == "done" and not batches,
        "commits": [commit for run in landed for commit in _commits(run)],
        "landed": {"ref": f"refs/heads/{last['branch']}", "tip": tip} if tip else None,
        "batches": batches,
    }


def _commits(report: Json) -> list[Json]:
    return report.get("commits") or []


def refused(item: Item, error: AgentflowError) -> Json:
    """What became of a task that was refused before it had a run."""
    return {
        **unstarted(item.task, error.message),
        "outcome": error.outcome,
        "exit_code": error.exit_code,
        "hint": error.hint,
        "enough": error.enough,
    }


def unstarted(task: Task, reason: str) -> Json:
    """What became of a task that was not begun."""
    return {
        "task": task.id,
        "title": task.title,
        "already_done": False,
        "outcome": "skipped",
        "exit_code": None,
        "reason": reason,
        "hint": "",
        "enough": {},
        **dict.fromkeys(("run", "base", "branch", "landed", "combined")),
        "runs": [],
        "commits": [],
        "base_of": [],
        "follow_ups": [],
        "num_turns": 0,
        "duration_ms": 0,
        "total_cost_usd": 0.0,
    }


def summary(
    backlog: Backlog,
    entries: Mapping[str, Json],
    spent: Spending,
    command: TasksCommand,
    stopped: int | None = None,
) -> Json:
    """What became of all tasks, in the order of the backlog, and the worst of it.

    `spent` is by this call, whose command is `command`. `stopped` is the signal after which nothing
    more was begun.
    """
    tasks = [
        entries.get(item.task.id) or unstarted(item.task, _why_not(item, entries))
        for item in backlog.items
    ]
    worst = next((kind for kind in WORST if any(t["outcome"] == kind for t in tasks)), "done")
    code = next((t["exit_code"] for t in tasks if t["outcome"] == worst != "done"), 0)
    if stopped is not None and any(task["outcome"] == "skipped" for task in tasks):
        worst, code = Interrupted.outcome, Interrupted(stopped).exit_code
    done = sum(task["outcome"] == "done" for task in tasks)
    told = "" if worst == "done" else f"{done} of {len(tasks)} tasks are done"
    again = command.again(_enough(tasks, command)) if told else ""
    return {
        "type": "tasks",
        "outcome": worst,
        "exit_code": code,
        "is_error": worst != "done",
        "reason": told,
        "hint": _hint(tasks, command, again) if told else "",
        "again": again,
        "tasks": tasks,
        "left_out": dict(backlog.left_out),
        "notices": list(backlog.notices),
        "num_turns": spent.turns,
        "total_cost_usd": None if spent.cost is None else round(spent.cost, 6),
    }


def _enough(tasks: Sequence[Json], command: TasksCommand) -> dict[str, float]:
    """The limits of the command with which all tasks could go on that one of them stopped."""
    enough: dict[str, float] = {}
    for name, limit in (each for task in tasks for each in task["enough"].items()):
        if name in command.flags:
            enough[name] = max(limit, enough.get(name, 0))
    return enough


def _hint(tasks: Sequence[Json], command: TasksCommand, again: str) -> str:
    """The next step of all tasks together, where some are not done."""
    by_itself = all(
        task["outcome"] in BY_ITSELF and {*task["enough"]} <= {*command.flags} for task in tasks
    )
    return again if by_itself else told_after("Do what the tasks say.", again)


def _why_not(item: Item, entries: Mapping[str, Json]) -> str:
    awaited = [n for n in item.waits_for if entries.get(n, {}).get("outcome") != "done"]
    if awaited:
        return f"waits for {', '.join(awaited)}"
    return "not begun"
