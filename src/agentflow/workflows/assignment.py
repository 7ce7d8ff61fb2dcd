"""The assignment: one batch of a document as a task, whole and in its own words."""

import hashlib
import re
from collections.abc import Sequence

from agentflow.records import Task
from agentflow.tasks.document import Batch, Document, TaskEntry, batch_task_id
from agentflow.tasks.markdown_lines import with_ends
from agentflow.tasks.next_batch import Work
from agentflow.workflows.declared import Declared

NOTHING = Declared()
_BOX = re.compile(r"\[[ xX~]?\]")


def assignment(
    document: Document,
    batch: Batch,
    path: str,
    tasks: Sequence[TaskEntry],
    work: Work,
    declared: Declared = NOTHING,
    held: str = "",
) -> Task:
    """The task for a batch of the document at `path`: these of its tasks, all or the open ones.

    `declared` are their files; `held` is the commit that holds the work already.
    """
    text = _text(document, batch, path, tasks, work, held)
    return Task(
        id=batch_task_id(document, batch),
        title=f"{document.task_id}, batch {batch.id}: {batch.name}"[:200],
        text=text,
        sha256=hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest(),
        files=declared.files,
        deleted=declared.deleted,
        areas=declared.areas,
        unplaced=tuple(f"{path}:{file.line} {file.written}" for file in declared.unplaced),
        tracking_id=document.task_id,
    )


def _text(
    document: Document,
    batch: Batch,
    path: str,
    tasks: Sequence[TaskEntry],
    work: Work,
    held: str,
) -> str:
    section = "".join(with_ends(document.text)[batch.line - 1 : batch.end - 1]).rstrip()
    whose = (
        f"What is left of the batch is yours: {_listed(tasks)}. Its other tasks are finished."
        if work == "finish"
        else f"The whole batch is yours: {_listed(tasks)}."
    )
    return "\n".join((
        f"# {document.task_id}, batch {batch.id}: {batch.name}",
        "",
        f"{whose} It stands in `{path}`, lines {batch.line} to "
        f"{batch.end - 1}, and below in its own words. Do its tasks in order, stage the files of "
        "each when it is done, and make one commit of all at the end. Status and commit are "
        f"written into `{path}` for you: what you change there is dropped.",
        *([_HELD.format(held) if held else _ALREADY] if work == "verify" else []),
        "",
        "---",
        "",
        section,
        *_points(batch, tasks),
    ))


def _points(batch: Batch, tasks: Sequence[TaskEntry]) -> list[str]:
    """What is required of these tasks, as boxes that the checklist judges; boxes of the document's own
    stand there already."""
    said = [point for task in tasks for point in (*task.quality, *task.verification)]
    points = dict.fromkeys(_one_line(point) for point in (*said, *batch.verification))
    boxes = [f"- [ ] {point}" for point in points if point and not _BOX.match(point)]
    return ["", "## What it must meet", "", *boxes] if boxes else []


_ALREADY = (
    "\nThe document says that this batch is implemented and not yet committed: check it against "
    "every point, mend what is missing, and commit."
)
_HELD = (
    "\nThe document says that this batch is implemented, and the commit {} holds it: check that "
    "against every point. Mend what is missing, and commit it. If nothing is missing, change nothing "
    "and say so: then that commit is the batch's."
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
