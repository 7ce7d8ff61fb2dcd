"""The tasks that can be worked on now, for `agentflow run --all`, and why others cannot."""

import re
from pathlib import Path

from agentflow.backlog import Backlog, Item, Start, item_of, linked
from agentflow.done_before import DoneBefore
from agentflow.markers import read_marker
from agentflow.refusals import Refusals
from agentflow.task_queues import queue_of_base
from agentflow.tasks.queue import Entry
from agentflow.tasks.task import FOLDER, check_id
from agentflow.world import World

_NUMBER = re.compile(r"(\d+)")


def ready_tasks(start: Start, world: World, *, proposed: bool = False) -> Backlog:
    """The backlog of all task files and queue entries that can be worked on now, files first.

    Left out is what is done, failed or asks something, what waits for such a task, and unless
    `proposed`, what an agent proposed. Raises `UsageError` for tasks that cannot be read: it names all.
    """
    root = start.repository.root
    files = sorted((path.stem for path in (root / FOLDER).glob("*.md")), key=natural)
    queue = queue_of_base(start.repository, start.base)
    entries = {entry.id: entry for entry in queue.queue.entries} if queue else {}
    names = [*files, *(name for name in entries if name not in files)]
    left_out: dict[str, str] = {}
    done_names: list[str] = []
    items: dict[str, Item] = {}
    refusals = Refusals()
    for name in names:
        reason = _unready(name, root, entries.get(name) if name not in files else None)
        with refusals.kept():
            if reason is None:
                if name in files:
                    check_id(name, where=str(root / FOLDER / f"{name}.md"))
                item = item_of(name, start, world)
                if item.task.status == "proposed" and not proposed:
                    reason = "proposed by an agent: name it, or give --accept-followups"
                else:
                    items[name] = item
        if reason:
            left_out[name] = reason
        elif reason is not None:
            done_names.append(name)
    refusals.check()
    done = start.done_before()
    _leave_out_waiting(items, left_out, done, start.target)
    known = {name: name for name in items}
    notices = done.told_elsewhere(done_names, place=start.target)
    return Backlog(tuple(linked(item, known, done) for item in items.values()), left_out, notices)


def _leave_out_waiting(
    items: dict[str, Item], left_out: dict[str, str], done: DoneBefore, place: str
) -> None:
    """Take out what waits for a task that is not there, and what waits for that."""
    while True:
        waiting = {
            name: awaited
            for name, item in items.items()
            for awaited in item.task.depends_on
            if awaited not in items and not done.is_held(awaited) and not done.commit(awaited)
        }
        if not waiting:
            return
        for name, awaited in waiting.items():
            why = left_out.get(awaited) or done.left_of(awaited)
            why = why or done.why_not(awaited, place=place, asking=name)
            left_out[name] = f"waits for {awaited}: {why}"
            del items[name]


_MARKED = {
    "done": "",
    "failed": "failed before: name it to try again",
    "blocked": "waits for an answer (`agentflow answer`)",
}


def _unready(name: str, root: Path, entry: Entry | None) -> str | None:
    """Why a task is not run now; an empty text for one that is done, None if it is."""
    marker = read_marker(root, name)
    if marker:
        return _MARKED[marker]
    if entry is None or (entry.status == "pending" and not entry.doubts):
        return None
    if entry.status == "completed":
        return ""
    if not entry.status:
        return f"{entry.unknown_status} (agentflow tasks lint)"
    return (*entry.doubts, f"is {entry.status.replace('_', ' ')} in the queue")[0]


def natural(name: str) -> tuple[tuple[int, int | str], ...]:
    """A key by which TASK-2 comes before TASK-10."""
    parts = _NUMBER.split(name)
    return tuple((1, int(part)) if part.isdigit() else (0, part) for part in parts if part)
