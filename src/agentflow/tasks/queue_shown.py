"""What `agentflow tasks` says of a queue, as data."""

from collections.abc import Sequence
from typing import Protocol

from agentflow.records import Json
from agentflow.tasks.document import Problem
from agentflow.tasks.queue import Entry, Queue
from agentflow.tasks.tasks_lint import describe_problem


class Waits(Protocol):
    """An entry, and the tasks that it waits for."""

    @property
    def entry(self) -> Entry: ...
    @property
    def awaited(self) -> tuple[str, ...]: ...
    @property
    def doubts(self) -> tuple[str, ...]: ...


def describe(path: str, queue: Queue) -> Json:
    """One queue: its tasks and its problems."""
    return {
        "path": path,
        "kind": "queue",
        "tasks": [describe_entry(entry) for entry in queue.entries],
        "problems": [describe_problem(problem) for problem in queue.problems],
    }


def describe_refusal(path: str, message: str) -> Json:
    """A queue that could not be read."""
    problem = Problem(1, "error", "unreadable", message)
    return {"path": path, "kind": "queue", "tasks": [], "problems": [describe_problem(problem)]}


def describe_entry(entry: Entry) -> Json:
    """One task; a status that cannot be told is null."""
    return {
        "id": entry.id,
        "title": entry.title,
        "status": entry.status or None,
        "category": entry.category,
        "complexity": entry.complexity,
        "depends_on": list(entry.depends_on),
        "line": entry.line,
    }


def describe_next(path: str, entry: Entry | None, waiting: Sequence[Waits]) -> Json:
    """What `agentflow tasks next` says of a queue."""
    return {
        "type": "tasks.next",
        "path": path,
        "kind": "queue",
        "state": "next" if entry else "waiting" if waiting else "none",
        "task": describe_entry(entry) if entry else None,
        "waiting": [
            {
                "task": each.entry.id,
                "line": each.entry.line,
                "for": list(each.awaited),
                "doubts": list(each.doubts),
            }
            for each in waiting
        ],
    }
