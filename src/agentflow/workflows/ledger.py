"""The ledger of a batch: what is written into its document."""

import re
from collections.abc import Sequence
from pathlib import Path

from agentflow.errors import UsageError
from agentflow.kept_documents import Kept, paths_of
from agentflow.results import Bookkeeping, Ledger
from agentflow.task_documents import rewrite
from agentflow.tasks.document import Batch, Document, TaskEntry
from agentflow.tasks.markdown_lines import with_ends
from agentflow.tasks.statuses import Status
from agentflow.tasks.tasks_edit import Change, apply, apply_all, find_batch
from agentflow.tasks.tasks_md import parse_tasks_md
from agentflow.workspace.repository import Repository


def changes(
    batch: Batch, tasks: Sequence[TaskEntry], status: Status, sha: str | None
) -> list[Change]:
    """What is to be written: the tasks that have a status of their own, then the batch."""
    each = [Change(batch.id, status, task=task.id) for task in tasks if task.tokens or task.boxes]
    place = sha if batch.commit is not None else None
    others = [task for task in batch.tasks if task not in tasks and not task.finished]
    said = batch.tokens or place or (batch.boxes and not others)
    whole = [Change(batch.id, status, commit=place)] if said else []
    return [*each, *whole]


def rewritten(document: Document, wanted: Sequence[Change]) -> Document:
    """The document after these changes; a task without a place for its status stays as it is.

    Raises `UsageError` for such a batch: see `check_place`, which comes before any spend.
    """
    return parse_tasks_md(apply_all(document, wanted), folder=document.task_id)


def check_place(kept: Kept, batch: Batch, tasks: Sequence[TaskEntry]) -> None:
    """Raise `UsageError` if the document would not call the batch finished once it is, or failed: a
    box alone cannot say that.

    Without a place for its status it would be the next one for ever.
    """
    after = rewritten(kept.document, changes(batch, tasks, "COMPLETE", "0" * 40))
    missing = "" if find_batch(after, batch.id).finished else "COMPLETE"
    try:
        apply(kept.document, Change(batch.id, "FAILED"))
    except UsageError:
        missing = missing or "FAILED"
    if missing:
        raise UsageError(
            f"{kept.path}:{batch.line}: batch {batch.id} has no status that could be set to "
            f"{missing}",
            hint=f"Add one to its heading, for example: {batch.name[:60] or batch.id} - PENDING",
        )


def batch_ledger(
    kept: Kept,
    batch: Batch,
    tasks: Sequence[TaskEntry],
    message: str,
    roots: Sequence[str],
    held: str = "",
) -> Ledger:
    """What is written once the batch is verified; nothing if git does not have the document.

    What an agent writes where a document of the task would be found first is dropped as well.
    """
    task = kept.document.task_id

    def entry(commit: str) -> Bookkeeping:
        text = rewritten(kept.document, changes(batch, tasks, "COMPLETE", commit)).text
        files = {kept.path: text.encode()} if kept.tracked else {}
        return Bookkeeping(f"docs({task}): batch {batch.id} is complete", files)

    return Ledger(paths_of(task, roots), message, entry, batch.id, held)


def with_failure(document: Document, batch_id: str, line: str) -> str:
    """The text with one more line below the batch's heading: when and why it failed.

    It is the only thing that is ever inserted into a document. An agent may have chosen the words, so
    they can be neither a field (`**Status**: COMPLETE`) nor a table's row.
    """
    lines = with_ends(document.text)
    line = re.sub(r"\*(?=\*)", "* ", line).replace("|", "/")
    at = find_batch(document, batch_id).line
    heading = lines[at - 1]
    bare = heading.rstrip("\r\n")
    end = heading[len(bare) :] or "\n"
    # Nothing below may become part of the line's paragraph.
    apart = end if lines[at : at + 1] and lines[at].strip() else ""
    lines[at - 1] = f"{bare}{end}{end}> {line}{end}{apart}"
    return "".join(lines)


def write_untracked(
    repository: Repository, kept: Kept, wanted: Sequence[Change], locks: Path
) -> None:
    """Make the changes in the user's own file, which git does not have.

    Raises `Conflict` if somebody changed the very words since it was read.
    """
    file = repository.root / kept.path
    rewrite(file, kept.document, wanted, locks, lambda now: apply_all(now, wanted))
