"""What contradicts itself in a document: ids, dependencies, finished batches with open tasks."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from agentflow.frozen import record
from agentflow.tasks.batch_dependencies import Dependencies, Reference, find_cycle, told
from agentflow.tasks.document import Batch, Problem, TaskEntry


def check(batches: Sequence[Batch], loose: Sequence[TaskEntry]) -> list[Problem]:
    """All contradictions, each with its line."""
    problems = [*_duplicates(batches, loose), *_references(batches, loose), *_states(batches)]
    if not batches:
        problems.append(Problem(1, "warning", "no-batches", "there is no batch's heading here"))
    waits = Waits.of(batches)
    cycle = find_cycle({batch.id: waits.of_batch(batch) for batch in batches})
    if cycle:
        line = next(batch.line for batch in batches if batch.id == cycle[0])
        problems.append(Problem(line, "error", "dependency-cycle", told(cycle)))
    return problems


def _duplicates(batches: Sequence[Batch], loose: Sequence[TaskEntry]) -> Iterator[Problem]:
    tasks = [*(task for batch in batches for task in batch.tasks), *loose]
    for kind, entries in (("batch", batches), ("task", tasks)):
        counts = Counter(each.id for each in entries)
        seen: set[str] = set()
        for each in entries:
            if each.id in seen:
                message = f"{kind} {each.id} stands here again ({counts[each.id]} times in all)"
                yield Problem(each.line, "error", f"duplicate-{kind}", message)
            seen.add(each.id)


def _references(batches: Sequence[Batch], loose: Sequence[TaskEntry]) -> Iterator[Problem]:
    tasks = [*(task for batch in batches for task in batch.tasks), *loose]
    known = {Reference("batch", batch.id) for batch in batches}
    known |= {Reference("task", task.id) for task in tasks}
    for each in (*batches, *tasks):
        said = each.dependencies or Dependencies()
        for reference in said.references:
            if reference not in known:
                message = f"{reference.kind} {reference.id} is not in this document"
                yield Problem(each.line, "error", "dependency-unknown", message)
        if said.unread:
            message = f"cannot tell what is waited for: {said.unread[:120]!r}"
            yield Problem(each.line, "warning", "dependency-prose", message)


def _states(batches: Sequence[Batch]) -> Iterator[Problem]:
    for batch in batches:
        if batch.status is None:
            message = f"batch {batch.id} has no status that could be read"
            yield Problem(batch.line, "error", "status-missing", message)
        for task in batch.tasks:
            if batch.finished and task.status is not None and not task.finished:
                message = f"batch {batch.id} is {batch.status}, its task {task.id} {task.status}"
                yield Problem(task.line, "warning", "task-unfinished", message)


@record
class Waits:
    """What the batches of a document wait for; made once, asked for each."""

    batches: Sequence[Batch]
    by_id: Mapping[str, Batch]
    holders: Mapping[str, tuple[Batch, TaskEntry]]
    """The tasks by id, each with its batch."""

    @classmethod
    def of(cls, batches: Sequence[Batch]) -> "Waits":
        """Index the batches. Of several with one id the last counts: it was written later."""
        holders = {task.id: (batch, task) for batch in batches for task in batch.tasks}
        return cls(batches, {batch.id: batch for batch in batches}, holders)

    def of_batch(self, batch: Batch) -> dict[str, bool]:
        """The ids of what this batch waits for, and whether each wait is over.

        Its own field says it, else its tasks' fields. What the document does not hold is named all
        the same (`9`, `task 9.1`), and is never over.
        """
        found: dict[str, bool] = {}
        for said in _said(batch):
            if said.previous:
                before = self.batches[: self.batches.index(batch)]
                found |= {each.id: each.finished for each in before}
            for reference in said.references:
                name, over = self._followed(reference)
                if name != batch.id or reference.kind == "batch":
                    found[name] = over and found.get(name, True)
        return found

    def _followed(self, reference: Reference) -> tuple[str, bool]:
        if reference.kind == "batch":
            batch = self.by_id.get(reference.id)
            return reference.id, batch is not None and batch.finished
        place = self.holders.get(reference.id)
        if place is None:
            return f"task {reference.id}", False
        return place[0].id, place[0].finished or place[1].finished


def _said(batch: Batch) -> list[Dependencies]:
    if batch.dependencies is not None:
        return [batch.dependencies]
    return [task.dependencies for task in batch.tasks if task.dependencies is not None]
