"""A document with batches as one task beside others: its batches one after the other, as phase 6 runs
them, and within what they declare, so that nobody else is at work there."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from agentflow.configuration import Settings
from agentflow.frozen import record
from agentflow.order import Order
from agentflow.outline import make_outline
from agentflow.prompts.search import plain_name
from agentflow.records import Task
from agentflow.setting_tables import DocumentsSetting
from agentflow.task_queues import queue_of_base
from agentflow.tasks.document import Batch, batch_task_id
from agentflow.tasks.next_batch import is_for
from agentflow.tasks.statuses import PASSED_OVER
from agentflow.tasks.task import FOLDER, names_a_file
from agentflow.workflows.declared import declared_by, written
from agentflow.workflows.situation import PROMPT, Wanted, begin_of, check, has_document, look
from agentflow.workspace.repository import Repository
from agentflow.world import World


@record
class Whole:
    """A document that is run beside other tasks."""

    wanted: Wanted
    task: Task
    """The document as others see it."""
    settings: Settings
    """`allow` is all that its batches may write, and the document itself; none means anything."""
    batches: tuple[str, ...]
    """Ids of its batches' tasks, which others may depend on."""
    aside: tuple[str, ...] = ()
    """Which batches of the backend developer are set aside, as words: it is not complete without."""


def means_document(wanted: Wanted, repository: Repository) -> bool:
    """Whether the name that a caller gave means a document with batches, where phase 6 would find it:
    at the branch's tip, in the base, or in the work tree.

    A task file of that name comes first, and an entry of the queue too, unless the caller gives a
    prompt for phase 6; any other prompt is for tasks. Raises `UsageError` for a base that is none.
    """
    prompt = wanted.flags.get("prompt")
    asked = prompt is not None and plain_name(prompt).startswith(PROMPT)
    if names_a_file(wanted.task) or (prompt is not None and not asked):
        return False
    if Path(repository.root, FOLDER, f"{wanted.task}.md").exists():
        return False
    return has_document(wanted, repository) and (asked or not _is_queued(wanted, repository))


def _is_queued(wanted: Wanted, repository: Repository) -> bool:
    held = queue_of_base(repository, begin_of(wanted, repository))
    return held is not None and wanted.task in {entry.id for entry in held.queue.entries}


def find_whole(
    name: str,
    base: str,
    repository: Repository,
    flags: Mapping[str, Any],
    documents: DocumentsSetting,
    world: World,
    *,
    shared: bool,
) -> Whole | None:
    """The document that a name means, None if it means another task. `shared` says that others land
    on its branch.

    Raises `UsageError` as `check` and `make_outline` do.
    """
    wanted = Wanted(name, base, flags=flags, documents=documents, shared=shared)
    if not means_document(wanted, repository):
        return None
    situation = look(wanted, world)
    check(situation)
    kept = situation.kept
    ours = [batch for batch in kept.document.batches if is_for(batch)]
    left = [batch for batch in ours if not batch.over and batch.status not in PASSED_OVER]
    title = "; ".join(f"batch {batch.id}: {batch.name}" for batch in left) or "no batch is left"
    task = Task(name, title[:200], "", tracking_id=kept.document.task_id)
    order = Order(base=situation.base, made=task, flags=wanted.run_flags)
    settings = make_outline(order, world, repository).settings
    within = () if settings.allow else _declared(left, repository.paths(situation.base))
    writes = (
        (*(settings.allow or within), kept.path) if settings.allow or within or not left else ()
    )
    return Whole(
        replace(wanted, within=within),
        task,
        settings.model_copy(update={"allow": writes}),
        tuple(batch_task_id(kept.document, batch) for batch in ours),
        tuple(f"batch {b.id} is {b.status}" for b in ours if not b.over and b not in left),
    )


def _declared(batches: Sequence[Batch], there: frozenset[str]) -> tuple[str, ...]:
    """What these batches declare; none if one of them declares nothing."""
    each = [written(declared_by(batch.tasks, there)) for batch in batches]
    return tuple(dict.fromkeys(glob for globs in each for glob in globs)) if all(each) else ()
