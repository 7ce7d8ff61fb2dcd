"""The assignment: one batch of a document as a task, whole and in its own words."""

import re
from collections.abc import Iterable, Sequence

from agentflow.boundaries import is_path
from agentflow.records import Task
from agentflow.tasks.document import Batch, Document, TaskEntry
from agentflow.tasks.markdown_lines import with_ends
from agentflow.tasks.next_batch import Work

_ODD = re.compile(r"[^A-Za-z0-9._-]+")


def batch_task_id(document: Document, batch: Batch) -> str:
    """The id of the run for one batch: `TASK_2025_076-batch-2A`."""
    return _ODD.sub("-", f"{document.task_id}-batch-{batch.id}")


def assignment(
    document: Document, batch: Batch, path: str, tasks: Sequence[TaskEntry], work: Work
) -> Task:
    """The task for a batch of the document at `path`: these of its tasks, all or the open ones."""
    return Task(
        id=batch_task_id(document, batch),
        title=f"{document.task_id}, batch {batch.id}: {batch.name}"[:200],
        text=_text(document, batch, path, tasks, work),
        files=_files(tasks),
        deleted=_deleted(tasks),
        tracking_id=document.task_id,
    )


def _files(tasks: Sequence[TaskEntry]) -> tuple[str, ...]:
    """What must be there in the end: every declared file that is not to be deleted."""
    named = (file.path for task in tasks for file in task.files if file.action != "delete")
    gone = set(_deleted(tasks))
    return tuple(path for path in _plain(named) if path not in gone)


def _deleted(tasks: Sequence[TaskEntry]) -> tuple[str, ...]:
    return _plain(file.path for task in tasks for file in task.files if file.action == "delete")


def _plain(paths: Iterable[str | None]) -> tuple[str, ...]:
    """Files, each once; folders and globs declare nothing that could be measured."""
    known = dict.fromkeys(path for path in paths if path is not None)
    return tuple(path for path in known if is_path(path) and not path.endswith("/"))


def _text(
    document: Document, batch: Batch, path: str, tasks: Sequence[TaskEntry], work: Work
) -> str:
    section = "".join(with_ends(document.text)[batch.line - 1 : batch.end - 1]).rstrip()
    return "\n".join((
        f"# {document.task_id}, batch {batch.id}: {batch.name}",
        "",
        f"The whole batch is yours: {_listed(tasks)}. It stands in `{path}`, lines {batch.line} to "
        f"{batch.end - 1}, and below in its own words. Do its tasks in order, stage the files of "
        "each when it is done, and make one commit of all at the end. Status and commit are "
        f"written into `{path}` for you: what you change there is dropped.",
        *([_ALREADY] if work == "verify" else []),
        "",
        "---",
        "",
        section,
    ))


_ALREADY = (
    "\nThe document says that this batch is implemented and not yet committed: check it against "
    "every point, mend what is missing, and commit."
)


def _listed(tasks: Sequence[TaskEntry]) -> str:
    return ", ".join(f"task {task.id}" for task in tasks) or "it names no tasks of its own"


def commit_message(batch: Batch, tasks: Sequence[TaskEntry]) -> str:
    """The message that several commits of an agent become one under."""
    head = f"feat: batch {batch.id} - {_one_line(batch.name)}"[:100]
    points = [f"- Task {task.id}: {_one_line(task.name)}"[:160] for task in tasks]
    return "\n".join((head, *(["", *points] if points else []))) + "\n"


def _one_line(text: str) -> str:
    return " ".join(text.split())
