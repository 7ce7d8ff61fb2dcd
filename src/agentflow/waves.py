"""The plan of many tasks, drawn: waves, and who waits for whom and why."""

from collections.abc import Iterator, Mapping, Sequence

from agentflow.backlog import Backlog, Item
from agentflow.globs import as_written
from agentflow.neutral import neutral, one_line
from agentflow.overlaps import overlap
from agentflow.records import Json
from agentflow.scheduler import Slot, schedule
from agentflow.words import counted

LISTED = 5
"""Tasks that one waits for, as the text names them."""
TOLD = 1000
"""Characters of a reason, which ends with a command to copy."""


def waves_json(backlog: Backlog) -> Json:
    """The plan: each task in its order, with its wave, counted from 1, and what it waits for.

    Raises `UsageError` for tasks that wait for each other.
    """
    slots = schedule([item.job for item in backlog.items])
    items = {item.task.id: item for item in backlog.items}
    return {
        "type": "plan",
        "waves": max((slot.wave + 1 for slot in slots), default=0),
        "tasks": [
            {
                "task": slot.job.id,
                "title": items[slot.job.id].task.title,
                "wave": slot.wave + 1,
                "allow": list(slot.job.writes),
                "after": list(_after(slot, items)),
                "builds_on": dict(items[slot.job.id].builds_on),
            }
            for slot in slots
        ],
        "left_out": dict(backlog.left_out),
        "notices": [*backlog.notices, *(told for item in backlog.items for told in item.notices)],
    }


def _after(slot: Slot, items: Mapping[str, Item]) -> Iterator[Json]:
    """Whom a task waits for, and why."""
    for name in slot.job.depends_on:
        yield {"task": name, "why": "depends on it"}
    for name in slot.apart_from:
        if name not in slot.job.depends_on:
            yield {"task": name, "why": _why_apart(slot.job.writes, items[name].job.writes)}


def _why_apart(writes: Sequence[str], others: Sequence[str]) -> str:
    if not writes:
        return "may change any path itself"
    if not others:
        return "that one may change any path"
    pairs = ((one, other) for one in writes for other in others)
    one, other = next(pair for pair in pairs if overlap(*pair))
    one, other = as_written(one), as_written(other)
    return f"both may change {one}" if one == other else f"{one} and {other} overlap"


def drawn(plan: Json, at_once: int, landing: str) -> list[str]:
    """The plan as lines of text; `landing` says where results go."""
    tasks: list[Json] = plan["tasks"]
    head = f"{counted(len(tasks), 'task')} in {counted(plan['waves'], 'wave')}"
    lines = [f"{head}, at most {at_once} at once; {landing}"]
    width = max((len(name) for name in (*(t["task"] for t in tasks), *plan["left_out"])), default=0)
    for wave in range(1, plan["waves"] + 1):
        lines += ["", f"wave {wave}"]
        for task in tasks:
            if task["wave"] == wave:
                lines += _lines(task, width)
    if plan["left_out"]:
        lines += ["", "not ready"]
        lines += [
            f"  {name:<{width}}  {one_line(why, TOLD)}" for name, why in plan["left_out"].items()
        ]
    for notice in plan["notices"]:
        lines += ["", neutral(notice)]
    return lines


def _lines(task: Json, width: int) -> Iterator[str]:
    where = ", ".join(map(as_written, task["allow"])) or "any path"
    yield f"  {task['task']:<{width}}  {one_line(task['title'], 60)}  [{one_line(where, 120)}]"
    for each in task["after"][:LISTED]:
        yield f"  {'':<{width}}  after {each['task']}: {one_line(each['why'], TOLD)}"
    more = len(task["after"]) - LISTED
    if more > 0:
        yield f"  {'':<{width}}  and {more} more"
    for name, commit in task["builds_on"].items():
        yield f"  {'':<{width}}  builds on {name}, done before: {commit[:12]}"
