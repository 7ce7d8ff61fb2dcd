"""What `agentflow tasks` says of a tasks.md, as data."""

from agentflow.records import Json
from agentflow.tasks.document import Batch, Document, Problem, TaskEntry
from agentflow.tasks.next_batch import NextBatch


def describe(path: str, document: Document) -> Json:
    """One file's entry: its batches with tasks and files, and the problems."""
    return {
        "path": path,
        "task_id": document.task_id,
        "batches": [describe_batch(batch) for batch in document.batches],
        "problems": [describe_problem(problem) for problem in document.problems],
    }


def describe_refusal(path: str, message: str) -> Json:
    """The entry of a file that could not be read."""
    problem = Problem(1, "error", "unreadable", message)
    return {
        "path": path,
        "task_id": None,
        "batches": [],
        "problems": [describe_problem(problem)],
    }


def describe_problem(problem: Problem) -> Json:
    """A problem."""
    return {
        "line": problem.line,
        "severity": problem.severity,
        "code": problem.code,
        "message": problem.message,
    }


def describe_batch(batch: Batch) -> Json:
    """A batch; `commit` is its first SHA, `depends_on` holds ids of batches and tasks."""
    said = batch.dependencies
    return {
        "id": batch.id,
        "name": batch.name,
        "status": batch.status,
        "status_source": batch.source,
        "developer": batch.developer,
        "line": batch.line,
        "depends_on": [each.id for each in said.references] if said else [],
        "tasks": [_task(task) for task in batch.tasks],
        "commit": batch.commits[0] if batch.commits else None,
    }


def _task(task: TaskEntry) -> Json:
    return {
        "id": task.id,
        "name": task.name,
        "status": task.status,
        "files": [
            {"path": file.path or file.written, "action": file.action, "exists": file.exists}
            for file in task.files
        ],
        "line": task.line,
    }


def describe_next(path: str, found: NextBatch) -> Json:
    """What `agentflow tasks next` says."""
    return {
        "type": "tasks.next",
        "path": path,
        "state": found.state,
        "batch": describe_batch(found.batch) if found.batch else None,
        "work": found.work,
        "tasks": [task.id for task in found.tasks],
        "notices": list(found.notices),
        "waiting": [
            {"batch": each.batch, "line": each.line, "for": list(each.awaited)}
            for each in found.waiting
        ],
    }
