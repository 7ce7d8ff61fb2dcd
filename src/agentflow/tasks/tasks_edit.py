"""Changes in a tasks.md: only tokens of statuses, their boxes, and commits are rewritten, all else stays."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

from agentflow.errors import UsageError
from agentflow.frozen import record
from agentflow.tasks.boxes import SAID, boxed
from agentflow.tasks.document import Batch, Document, TaskEntry, Token
from agentflow.tasks.statuses import STATUSES, Status, in_value, sign_of, written

SHA = re.compile(r"[0-9a-f]{7,40}")
_Edit = tuple[Token, str]
"""A token, and what stands there afterwards."""


@record
class Change:
    """What a batch, or one of its tasks, is to say."""

    batch: str
    status: Status
    commit: str | None = None
    """A SHA."""
    task: str | None = None


def find_batch(document: Document, name: str) -> Batch:
    """The only batch of this id. Raises `UsageError` if there is none, or several."""
    found = [batch for batch in document.batches if batch.id == name.upper()]
    if len(found) == 1:
        return found[0]
    if found:
        lines = ", ".join(str(batch.line) for batch in found)
        raise UsageError(f"batch {name} stands {len(found)} times in the document (lines {lines})")
    known = ", ".join(batch.id for batch in document.batches[:50])
    raise UsageError(f"there is no batch {name!r}", hint=f"Known batches: {known or 'none'}")


def find_task(batch: Batch, name: str) -> TaskEntry:
    """The only task of this id in a batch. Raises `UsageError` if there is none, or several."""
    found = [task for task in batch.tasks if task.id == name.upper()]
    if len(found) == 1:
        return found[0]
    known = ", ".join(task.id for task in batch.tasks[:50])
    raise UsageError(
        f"batch {batch.id} has {'several tasks' if found else 'no task'} {name!r}",
        hint=f"Its tasks: {known or 'none'}",
    )


def apply(document: Document, change: Change) -> str:
    """Return the document's text with the change; equal to the old one if that says it already.

    Of a batch whose status follows from its tasks, the tasks that differ are rewritten. A box beside a
    status is ticked or not, as that says. Raises `UsageError` where there is no such token: nothing is
    ever inserted.
    """
    return _edited(document, _edits(document, change, _signs(document)))


def apply_all(document: Document, changes: Iterable[Change]) -> str:
    """The same for several changes at once, read once: a document may hold thousands of tasks.

    A task whose change has no place stays as it is. Raises `UsageError` as `apply` for a batch.
    """
    signs = _signs(document)
    edits: list[_Edit] = []
    for change in changes:
        try:
            edits += _edits(document, change, signs)
        except UsageError:
            if change.task is None:
                raise
    return _edited(document, edits)


def _edits(document: Document, change: Change, signs: dict[Status, str]) -> list[_Edit]:
    batch = find_batch(document, change.batch)
    entry = find_task(batch, change.task) if change.task else batch
    edits = _status_edits(entry, change.status, signs)
    if change.commit is not None:
        edits.append(_commit_edit(document.text, entry, change.commit))
    return edits


def _edited(document: Document, edits: Iterable[_Edit]) -> str:
    ordered = sorted(dict.fromkeys(edits), key=lambda edit: (edit[0].start, edit[0].end))
    _refuse_overlap([token for token, _ in ordered])
    pieces: list[str] = []
    position = 0
    for token, new in ordered:
        pieces += (document.text[position : token.start], new)
        position = token.end
    return "".join((*pieces, document.text[position:]))


def _refuse_overlap(tokens: Sequence[Token]) -> None:
    """Raise `UsageError` where one token is part of another: `## Batch 1: x **commit**: PENDING`."""
    for first, second in pairwise(tokens):
        if second.start < first.end:
            raise UsageError(
                f"line {second.line} says a status and a commit with the same words",
                hint="Write each on a line of its own below the heading.",
            )


def tokens_of(document: Document, change: Change) -> tuple[tuple[str, str], ...]:
    """What the lines of all tokens that the change rewrites say now: whoever writes after somebody
    else compares them."""
    batch = find_batch(document, change.batch)
    entry = find_task(batch, change.task) if change.task else batch
    tokens = [token for token, _ in _status_edits(entry, change.status, {})]
    if change.commit is not None:
        tokens += [entry.commit] if entry.commit else []
    return (("name", entry.name), *((str(index), each.text) for index, each in enumerate(tokens)))


def _status_edits(
    entry: Batch | TaskEntry, status: Status, signs: dict[Status, str]
) -> list[_Edit]:
    boxes = [(box, boxed(status, box.text)) for box in entry.boxes]
    if entry.tokens:
        return [*((each, written(status, each.text, signs)) for each in entry.tokens), *boxes]
    source = entry.source if isinstance(entry, Batch) else "heading"
    if isinstance(entry, Batch) and source == "tasks":
        open_tasks = [task for task in entry.tasks if not task.finished] or entry.tasks
        return [
            *(each for task in open_tasks for each in _status_edits(task, status, signs)),
            *boxes,
        ]
    if boxes and source == "heading" and entry.status and status in SAID:
        return boxes
    what = "batch" if isinstance(entry, Batch) else "task"
    raise UsageError(
        f"line {entry.line}: {what} {entry.id} has no status that could be set to {status}",
        hint=f"Add one to its heading, for example: {entry.name[:60] or entry.id} - PENDING",
    )


def _commit_edit(text: str, entry: Batch | TaskEntry, commit: str) -> tuple[Token, str]:
    if not SHA.fullmatch(commit):
        raise UsageError(f"{commit[:60]!r} is no commit's SHA", hint="7 to 40 of 0-9 and a-f.")
    token = entry.commit
    if token is None:
        many = f"names {len(entry.commits)} commits" if entry.commits else "has no field for one"
        raise UsageError(
            f"line {entry.line}: {entry.id} {many}, so the SHA has no place",
            hint="Write one line below its heading: **Commit**: pending",
        )
    glued = not token.text and text[token.start - 1 : token.start] not in {" ", "\t"}
    quoted = len(token.text) > 2 and token.text[0] == "`" == token.text[-1]
    new = f"`{commit}`" if quoted else commit
    return token, f" {new}" if glued else new


def _signs(document: Document) -> dict[Status, str]:
    """The sign that the document puts before each status most often."""
    seen: defaultdict[Status, Counter[str]] = defaultdict(Counter)
    for batch in document.batches:
        for entry in (batch, *batch.tasks):
            for token in entry.tokens:
                found = in_value(token.text)
                sign = sign_of(found) if found else None
                if found and sign:
                    seen[found.status][sign] += 1
    return {status: seen[status].most_common(1)[0][0] for status in STATUSES if status in seen}
