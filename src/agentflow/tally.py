"""The tally of many tasks: what became of each, and of all."""

import math
from collections.abc import Mapping, Sequence

from agentflow.backlog import Backlog, Item
from agentflow.errors import AgentflowError, Interrupted
from agentflow.followups import followups_in
from agentflow.records import Json, Task
from agentflow.spending import Spending
from agentflow.what_next import command_after, told_after

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
    is_done, step = last.get("outcome") == "done", command_after({**last, "again": None})
    return {
        "task": item.task.id,
        "title": item.task.title,
        "already_done": bool(last.get("already_done")),
        **{name: last.get(name) for name in ("outcome", "exit_code", "run", "base", "branch")},
        "reason": last.get("reason") or "",
        "hint": last.get("hint") or "" if is_done else told_after(last.get("hint") or "", step),
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
    stopped: int | None = None,
    *,
    fresh: bool = False,
) -> Json:
    """What became of all tasks, in the order of the backlog, and the worst of it.

    `spent` is by this call. `stopped` is the signal after which nothing more was begun. `fresh` says
    that what was done is begun anew by the same command.
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
    return {
        "type": "tasks",
        "outcome": worst,
        "exit_code": code,
        "is_error": worst != "done",
        "reason": told,
        "hint": _hint(tasks, fresh=fresh) if told else "",
        "tasks": tasks,
        "left_out": dict(backlog.left_out),
        "notices": list(backlog.notices),
        "num_turns": spent.turns,
        "total_cost_usd": None if spent.cost is None else round(spent.cost, 6),
    }


def _hint(tasks: Sequence[Json], *, fresh: bool) -> str:
    """The next step of all tasks together, where some are not done."""
    command = "the same command without --fresh" if fresh else "the same command"
    again = f"{command} goes on with what is left, and repeats nothing that is done"
    by_itself = all(task["outcome"] in BY_ITSELF for task in tasks)
    return again if by_itself else f"do what the tasks say; then {again}"


def _why_not(item: Item, entries: Mapping[str, Json]) -> str:
    awaited = [n for n in item.waits_for if entries.get(n, {}).get("outcome") != "done"]
    if awaited:
        return f"waits for {', '.join(awaited)}"
    return "not begun"
