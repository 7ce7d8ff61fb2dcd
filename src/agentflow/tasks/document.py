"""A tasks.md as records: batches and tasks, their tokens with places, and what is wrong."""

import re
from typing import Literal

from agentflow.frozen import record
from agentflow.tasks.batch_dependencies import Dependencies
from agentflow.tasks.document_paths import Action
from agentflow.tasks.statuses import FINISHED, GIVEN_UP, Status

Source = Literal["heading", "field", "tasks", "table", "boxes"]
Severity = Literal["error", "warning", "notice"]

_ODD = re.compile(r"[^A-Za-z0-9._-]+")


@record
class Problem:
    """What could not be decided, or contradicts itself."""

    line: int
    severity: Severity
    code: str
    message: str


@record
class Token:
    """Words of the document that may be rewritten: a status, a commit's SHA or its placeholder."""

    start: int
    """Offset in the document's text, in characters."""
    end: int
    text: str
    line: int


@record
class DeclaredFile:
    """A file that a task names."""

    written: str
    """As in the document."""
    path: str | None
    """Relative to the workspace's root; None if it cannot be mapped there."""
    action: Action | None
    exists: bool | None
    """None if there was no workspace to look into."""
    line: int


@record
class TaskEntry:
    """`### Task 1.2: name`."""

    id: str
    name: str
    line: int
    end: int
    """The line after its last."""
    status: Status | None
    tokens: tuple[Token, ...]
    """Where its status stands: in the heading, in a field, or both."""
    boxes: tuple[Token, ...]
    """Those that say beside the status, or instead of it, whether it is done."""
    dependencies: Dependencies | None
    files: tuple[DeclaredFile, ...]
    quality: tuple[str, ...]
    verification: tuple[str, ...]
    commits: tuple[str, ...]
    commit: Token | None

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.status in FINISHED | GIVEN_UP


@record
class Batch:
    """`## Batch 2A: name`."""

    id: str
    name: str
    line: int
    end: int
    """The line after its last."""
    status: Status | None
    source: Source | None
    tokens: tuple[Token, ...]
    """As a task's; empty if the status follows from the tasks or boxes."""
    boxes: tuple[Token, ...]
    """As a task's: of the heading and of the field."""
    developer: str | None
    dependencies: Dependencies | None
    """None if it has no such field."""
    tasks: tuple[TaskEntry, ...]
    commits: tuple[str, ...]
    """SHAs, abbreviated as they are written."""
    commit: Token | None
    """What a SHA replaces: the only SHA that is there, or a placeholder; empty after a colon."""
    verification: tuple[str, ...]

    @property
    def finished(self) -> bool:
        """Whether it was done, and what waits for it may go on."""
        return self.status in FINISHED

    @property
    def over(self) -> bool:
        """Whether nobody will do anything more for it: it was done, or given up."""
        return self.finished or self.status in GIVEN_UP


@record
class Document:
    """A tasks.md as it was read."""

    text: str
    """Exactly as it stands in the file."""
    task_id: str
    batches: tuple[Batch, ...]
    loose: tuple[TaskEntry, ...]
    """Tasks that belong to no batch."""
    problems: tuple[Problem, ...]


def batch_task_id(document: Document, batch: Batch) -> str:
    """The id of the run for one batch: `TASK_2025_076-batch-2A`."""
    return _ODD.sub("-", f"{document.task_id}-batch-{batch.id}")
