"""What `agentflow tasks` says of queues, and setting a status in one."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from agentflow.cli.desk import Desk
from agentflow.cli.output import data, print_json, print_table, say

if TYPE_CHECKING:
    from agentflow.records import Json
    from agentflow.sinks.tables import Row
    from agentflow.task_queues import QueueFile


ENTRIES = "{:<14} {:<12} {}  {}"
"""A row of a queue's entries: id, status, title, what it waits for."""


def find_queue(here: Desk, name: str | None) -> "QueueFile | None":
    """The queue that a path names, or the repository's own if there is one.

    Raises `UsageError` for one that cannot be read.
    """
    from agentflow.errors import UsageError
    from agentflow.task_queues import queue_paths, read_queue_file
    from agentflow.tasks.queue_headings import is_queue

    if name is not None and is_queue(Path(name)):
        if not Path(name).is_file():
            raise UsageError(f"there is no queue {name}")
        return read_queue_file(Path(name), here.root)
    paths = queue_paths(here.root)
    return read_queue_file(paths[0], here.root) if paths else None


def queue_for(here: Desk, task: str) -> "QueueFile | None":
    """The queue that is meant by its path, or by the id of one of its tasks that has no document.

    Raises `UsageError` naming the nearest task for an id that is in neither.
    """
    from agentflow.tasks.queue_headings import is_queue
    from agentflow.tasks.task import names_a_file

    if is_queue(Path(task)):
        return find_queue(here, task)
    documents = (here.root / folder / task / "tasks.md" for folder in here.setting.roots)
    if names_a_file(task) or Path(task).exists() or any(each.is_file() for each in documents):
        return None
    held = find_queue(here, None)
    names = [entry.id for entry in held.queue.entries] if held else []
    if task not in names:
        here.find(task, names)
    return held


def describe_queue(path: Path, here: Desk) -> "Json":
    """A queue's entry in what `tasks lint` says; of one that cannot be read, why."""
    from agentflow.errors import UsageError
    from agentflow.task_queues import read_queue_file
    from agentflow.tasks.queue_shown import describe, describe_refusal

    try:
        return describe(str(path), read_queue_file(path, here.root, here.has_task).queue)
    except UsageError as error:
        return describe_refusal(str(path), error.message)


def show_queue(held: "QueueFile", name: str, *, json: bool) -> None:
    """Print one entry, or of a path all of them."""
    from agentflow.neutral import neutral, one_line
    from agentflow.tasks.queue_edit import find_entry
    from agentflow.tasks.queue_headings import is_queue
    from agentflow.tasks.queue_shown import describe, describe_entry

    if is_queue(Path(name)):
        if json:
            print_json(describe(str(held.path), held.queue))
            return
        print_table(ENTRIES, [_row(describe_entry(entry)) for entry in held.queue.entries])
        said = f"{len(held.queue.problems)} problems (agentflow tasks lint)"
        say(f"{one_line(str(held.path), 200)}: {said}")
        return
    entry = find_entry(held.queue, name, where=str(held.path))
    if json:
        print_json({"path": str(held.path), **describe_entry(entry), "text": entry.text})
        return
    print_table(ENTRIES, [_row(describe_entry(entry))])
    data().print(neutral(entry.text), fit="whole")
    for doubt in entry.doubts:
        say(one_line(f"{held.path}:{entry.line}: {doubt}", 300))


def _row(entry: "Json") -> "Row":
    from agentflow.neutral import one_line
    from agentflow.sinks.tables import Row

    waits = one_line(", ".join(entry["depends_on"]), 100)
    title = one_line(entry["title"], 70)
    return Row((entry["id"], entry["status"] or "?", title, f"after {waits}" if waits else ""))


def next_in_queue(held: "QueueFile | None", here: Desk, *, json: bool) -> None:
    """Print the first entry that is ready; exits with 3 if none is and some wait.

    Raises `UsageError` where there is no queue.
    """
    from agentflow.errors import UsageError
    from agentflow.neutral import one_line
    from agentflow.task_queues import next_entry
    from agentflow.tasks.queue_shown import describe_next

    if held is None:
        raise UsageError(
            f"there is no task_queue.md in {here.root}",
            hint="Give a task, for the next batch of its tasks.md.",
        )
    depended_on = {name for entry in held.queue.entries for name in entry.depends_on}
    found = next_entry(held.queue, here.root, here.landed(depended_on))
    if json:
        print_json(describe_next(str(held.path), found.entry, found.waiting))
    else:
        for each in found.waiting:
            awaited = ", ".join(each.awaited) or "; ".join(each.entry.doubts)
            waits = f"waits for {awaited}" if awaited else ""
            told = "; it ".join(filter(None, (each.entry.unknown_status, waits)))
            say(one_line(f"{each.entry.id} (line {each.entry.line}) {told}", 300))
        entry = found.entry
        name = f"  {entry.id}  {one_line(entry.title, 80)} (line {entry.line})" if entry else ""
        data().print(f"do{name}" if entry else "waiting" if found.waiting else "none")
    if found.entry is None and found.waiting:
        raise typer.Exit(3)


def set_in_queue(
    held: "QueueFile", here: Desk, name: str | None, status: str, *, json: bool
) -> None:
    """Set an entry's status. Raises `UsageError` without its name, and as `write_status` does."""
    from agentflow.errors import UsageError
    from agentflow.neutral import one_line
    from agentflow.task_queues import write_status
    from agentflow.tasks.queue_edit import parse_word

    if name is None:
        raise UsageError(f"which task of {held.path} is meant?", hint="Give it: --task TASK-001")
    word = parse_word(status)
    changed = write_status(held, name, word, here.locks)
    if json:
        told = {"type": "tasks.set", "path": str(held.path), "task": name, "status": word}
        print_json({**told, "changed": changed})
    else:
        told = f"{held.path}: {name} {'set to' if changed else 'is already'} {word}"
        say(one_line(told, 300))
