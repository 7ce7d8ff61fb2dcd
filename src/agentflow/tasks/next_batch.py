"""The next batch of a tasks.md: which one, what of it, and why not the others."""

import re
from collections import Counter
from typing import Literal

from agentflow.frozen import record
from agentflow.tasks.document import Batch, Document, TaskEntry
from agentflow.tasks.document_checks import Waits
from agentflow.tasks.statuses import PASSED_OVER, Status

State = Literal["next", "complete", "failed", "undecided", "waiting", "blocked", "none"]
"""`blocked`: what is left for this developer is BLOCKED; `none`: nothing is left for this developer, though the document is not complete."""
Work = Literal["do", "finish", "verify"]
"""`finish`: the unfinished tasks only; `verify`: it is there already, check and commit it."""

BACKEND = "backend"
_ANYBODY = re.compile(r"(?:any(?:one|body)?|either|both|tbd|unassigned|all|none|n/?a|-)\b", re.I)
_PATH = re.compile(
    r"(?:[^\s,;+&|()\[\]/\\]{0,200}[/\\]){1,20}(?P<name>[^\s,;+&|()\[\]/\\.]{1,200})[^\s,;+&|()\[\]]{0,200}"
)
"""A persona's file: `.claude/agents/backend-developer.md`."""
_BACK_END = re.compile(r"\bback[ -]end\b")
_ASIDE = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_WORD = re.compile(r"(?<!non-)(?<!non )(?<!not )(?<!not-)\b[a-z]+\b")
_ROLE = re.compile(r"(?<!non-)(?<!not )\b([a-z]+)[ _-](?:developers?|devs?|engineers?|agents?)\b")
"""What counts in brackets too, where other words are an aside: `team-leader (backend-developer)`."""
_WORK: dict[Status, Work] = {"PARTIAL": "finish", "IMPLEMENTED": "verify"}


@record
class Waiting:
    """A batch that cannot be done yet."""

    batch: str
    line: int
    awaited: tuple[str, ...]
    """Ids of unfinished batches, or `task 9.1` for a task that the document does not hold."""


@record
class NextBatch:
    """What is to be done next, or why nothing is."""

    state: State
    batch: Batch | None = None
    """Also the one that stopped the search (`failed`, `undecided`), or the first that is `blocked`."""
    work: Work | None = None
    tasks: tuple[TaskEntry, ...] = ()
    notices: tuple[str, ...] = ()
    waiting: tuple[Waiting, ...] = ()


def next_batch(
    document: Document, *, developer: str | None = BACKEND, retry: bool = False
) -> NextBatch:
    """The first batch that is not finished, is this developer's or nobody's, and waits for nothing.

    `developer` is a word of the developer's name, or None for everybody; `retry` takes up what
    FAILED, which otherwise stops the search, as does a batch whose status cannot be decided.
    """
    waits = Waits.of(document.batches)
    twice = {name for name, n in Counter(each.id for each in document.batches).items() if n > 1}
    notices: list[str] = []
    waiting: list[Waiting] = []
    for batch in document.batches:
        passed = _passed_over(batch, developer)
        if batch.finished or passed:
            notices += [passed] if passed else []
            continue
        if batch.status is None or batch.id in twice:
            return NextBatch("undecided", batch, notices=tuple(notices), waiting=tuple(waiting))
        awaited = tuple(name for name, over in waits.of_batch(batch).items() if not over)
        if awaited:
            waiting.append(Waiting(batch.id, batch.line, awaited))
        elif batch.status == "FAILED" and not retry:
            return NextBatch("failed", batch, notices=tuple(notices), waiting=tuple(waiting))
        else:
            notices += _notices(batch)
            return _found(batch, tuple(notices), tuple(waiting))
    if waiting:
        return NextBatch("waiting", notices=tuple(notices), waiting=tuple(waiting))
    return _nothing_left(document, developer, tuple(notices))


def _nothing_left(document: Document, developer: str | None, notices: tuple[str, ...]) -> NextBatch:
    ours = (batch for batch in document.batches if is_for(batch, developer))
    blocked = next((batch for batch in ours if batch.status == "BLOCKED"), None)
    if blocked:
        return NextBatch("blocked", blocked, notices=notices)
    complete = bool(document.batches) and all(batch.over for batch in document.batches)
    return NextBatch("complete" if complete else "none", notices=notices)


def _found(batch: Batch, notices: tuple[str, ...], waiting: tuple[Waiting, ...]) -> NextBatch:
    work: Work = _WORK.get(batch.status, "do") if batch.status else "do"
    left = tuple(task for task in batch.tasks if work != "finish" or not task.finished)
    return NextBatch("next", batch, work, left, notices, waiting)


def _passed_over(batch: Batch, developer: str | None) -> str:
    """Why a batch that is not finished is left alone, else empty."""
    if batch.finished:
        return ""
    if batch.status in PASSED_OVER:
        return f"batch {batch.id} is {batch.status} and passed over"
    return (
        "" if is_for(batch, developer) else f"batch {batch.id} is for {batch.developer or ''}"[:80]
    )


def is_for(batch: Batch, developer: str | None = BACKEND) -> bool:
    """Whether a batch is this developer's, or nobody's in particular; None means everybody.

    The word counts as a whole, in a name of several (`nitro-backend-developer`) and of a path its
    last name; in brackets only as a role.
    """
    said = batch.developer
    if developer is None or said is None or _ANYBODY.match(said):
        return True
    plain = _PATH.sub(_last_name, _BACK_END.sub("backend", said.lower()))
    named = _ROLE.findall(plain) + _WORD.findall(_ASIDE.sub(" ", plain))
    return developer in named


def _last_name(path: re.Match[str]) -> str:
    """Of a path; `backend/frontend` is none."""
    whole = path[0]
    is_path = whole[0] in ".@/~" or "." in whole or len(re.findall(r"[/\\]", whole)) > 1
    return path["name"] if is_path else whole


def _notices(batch: Batch) -> list[str]:
    said = batch.developer
    if said is None or _ANYBODY.match(said):
        return [f"batch {batch.id} is assigned to nobody in particular"]
    if len(set(re.findall(r"[a-z]+(?=[ -]developer)", said.lower()))) > 1:
        return [f"batch {batch.id} is assigned to several: {said[:80]}"]
    return []
