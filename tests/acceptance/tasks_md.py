"""Reads and rewrites every tasks.md of a folder: `python tests/acceptance/tasks_md.py FOLDER`.

Files of one folder named `tasks.v00-….md`, `tasks.v01-….md`, …, `tasks.md` are versions of one
document, in this order. Prints counts, the transitions of statuses between versions, and in how many
of all cases the status is decided, a transition is plausible, and the batch that a later version marks
COMPLETE is the one that `tasks next` names in the earlier one. Exits with 1 if a file makes the parser
crash, if a batch's heading is missed that an independent reading of the raw lines finds, if a status
is neither decided nor reported with its line, if setting a status, of each batch every one and of each
task one, changes any byte outside of the batch or task or but a status within, or if the result, read
again, says anything else than that status.
"""

import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from agentflow.errors import UsageError
from agentflow.tasks.document import Batch, Document, TaskEntry
from agentflow.tasks.next_batch import next_batch
from agentflow.tasks.statuses import STATUSES, Status
from agentflow.tasks.tasks_edit import Change, apply
from agentflow.tasks.tasks_md import parse_tasks_md, read_tasks_md

_FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})[ \t]*(.*)")
_BATCH = re.compile(
    r"#{1,6}\s+(?:Sub-)?BATCH\s+-?\d+[A-Z]?(?:\.\d+)?\s*(?:$|[:\u2013—-])", re.IGNORECASE
)
_STATUS = re.compile(
    r"\W*(?:CODE )?(?:PENDING|(?:IN[ _-])?PROGRESS|IMPLEMENTED|COMPLETED?|BLOCKED|FAILED|PARTIAL|DEFERRED"
    + r"|SKIPPED|CANCELL?ED|VERIFIED|NOT STARTED|TODO|DONE|[\W_])*\W*",
    re.IGNORECASE,
)
_PLAUSIBLE = {
    None: set(STATUSES),
    "PENDING": set(STATUSES),
    "IN PROGRESS": set(STATUSES),
    "IMPLEMENTED": {"IN PROGRESS", "COMPLETE", "VERIFIED", "FAILED", "PARTIAL", "BLOCKED"},
    "PARTIAL": set(STATUSES),
    "FAILED": set(STATUSES),
    "BLOCKED": set(STATUSES),
    "DEFERRED": set(STATUSES),
    "SKIPPED": {"PENDING", "COMPLETE"},
    "CANCELLED": {"PENDING"},
    "COMPLETE": {"VERIFIED"},
    "VERIFIED": {"COMPLETE"},
}
"""What may follow a status without somebody taking back a result."""


def batch_lines(text: str) -> set[int]:
    """Numbers of lines that are a batch's heading outside fences; knows no Markdown but these."""
    found: set[int] = set()
    fence = ""
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        mark = _FENCE.match(line)
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1].startswith(fence) and not mark[2]:
            fence = ""
        elif not fence and _BATCH.match(line.lstrip("\ufeff")):
            found.add(number)
    return found


def examine(path: Path) -> Iterator[tuple[str, str]]:
    """What became of one file."""
    try:
        document = read_tasks_md(path)
    except UsageError as error:
        yield "refused", f"{path}: {error.message}"
        return
    except Exception as error:  # noqa: BLE001 - the point is to find any
        yield "crashed", f"{path}: {error!r}"
        return
    data = path.read_bytes()
    if document.text.encode() != data:
        yield "spoilt", f"{path}: is not read as it is"
    found = {batch.line for batch in document.batches}
    yield from (("missed", f"{path}:{line}") for line in batch_lines(data.decode()) - found)
    reported = {each.line for each in document.problems if each.code.startswith("status-")}
    for number, batch in enumerate(document.batches):
        yield "batch", f"status from {batch.source}"
        if batch.status is None:
            silent = batch.line not in reported
            yield ("silent" if silent else "undecided"), f"{path}:{batch.line}" if silent else ""
        yield from _set(path, document, batch, STATUSES[number % len(STATUSES)])
        for place, task in enumerate(batch.tasks):
            yield _set_task(path, document, batch, task, STATUSES[place % len(STATUSES)])


def _set(
    path: Path, document: Document, batch: Batch, read_again: Status
) -> Iterator[tuple[str, str]]:
    """Set every status; compare with the file byte by byte, and of one read the result again."""
    old = document.text
    for status in STATUSES:
        try:
            new = apply(document, Change(batch.id, status))
        except UsageError as error:
            yield "not set", re.sub(r"\d+[A-Z]?|'.*", "", error.message)[:60]
            return
        told = elsewhere(old, new, batch) or difference(old.encode(), new.encode())
        told = told or (status == read_again and misread(document, new, batch, status))
        if told:
            yield "spoilt", f"{path}: batch {batch.id} {status}: {told}"
    yield "set", "every status"


def _set_task(
    path: Path, document: Document, batch: Batch, task: TaskEntry, status: Status
) -> tuple[str, str]:
    """Set a task's status, compare byte by byte, and read the result again."""
    old = document.text
    try:
        new = apply(document, Change(batch.id, status, task=task.id))
    except UsageError as error:
        return "task not set", re.sub(r"\d+[\w.-]*|'.*", "", error.message)[:60]
    told = elsewhere(old, new, task) or difference(old.encode(), new.encode())
    told = told or misread_task(document, new, batch, task, status)
    return ("spoilt", f"{path}: task {task.id} {status}: {told}") if told else ("task set", "")


def misread_task(
    document: Document, new: str, batch: Batch, task: TaskEntry, status: Status
) -> str:
    """What the changed text says wrongly, read again; empty if only this task's status, and that of a
    batch that follows from it, are others."""
    again = parse_tasks_md(new, folder=document.task_id)
    for one, other in zip(document.batches, again.batches, strict=True):
        if _kept(one) != _kept(other):
            return f"batch {one.id} is read with another name, place, developer or commit"
        if one.status != other.status and not (one is batch and one.source == "tasks"):
            return f"batch {one.id} is read as {other.status}, not {one.status}"
        for before, after in zip(one.tasks, other.tasks, strict=True):
            wanted = status if before is task else before.status
            if after.status != wanted:
                return f"task {before.id} is read as {after.status}, not {wanted}"
    return ""


_END = re.compile(r"(?<=\n)|(?<=\r)(?!\n)")


def elsewhere(old: str, new: str, batch: Batch | TaskEntry) -> str:
    """What changed outside of the lines of a batch or task; empty if nothing did."""
    before, after = _END.split(old), _END.split(new)
    last = len(before) - (batch.end - 1)
    same = before[: batch.line - 1] == after[: batch.line - 1] and (
        last <= 0 or before[-last:] == after[-last:]
    )
    return "" if same else "something outside of the batch changed"


def misread(document: Document, new: str, batch: Batch, status: Status) -> str:
    """What the changed text says wrongly, read again; empty if only this batch's status, or those of
    its tasks that it follows from, are others."""
    again = parse_tasks_md(new, folder=document.task_id)
    if len(again.batches) != len(document.batches):
        return f"{len(document.batches)} batches became {len(again.batches)}"
    for one, other in zip(document.batches, again.batches, strict=True):
        wanted = status if one is batch else one.status
        if one is batch and batch.source == "tasks":
            # What is finished or given up stays so: they need not all agree.
            wanted = other.status if _follows(other, status) else status
        if other.status != wanted:
            return f"batch {one.id} is read as {other.status}, not {wanted}"
        if _kept(one) != _kept(other):
            return f"batch {one.id} is read with another name, place, developer or commit"
        for task, same in zip(one.tasks, other.tasks, strict=True):
            if one is not batch and task.status != same.status:
                return f"task {task.id} is read as {same.status}, not {task.status}"
    return ""


def _follows(batch: Batch, status: Status) -> bool:
    """Whether every task that was open has the status."""
    return all(task.status == status or task.finished for task in batch.tasks)


def _kept(batch: Batch) -> tuple[object, ...]:
    def of(entry: Batch | TaskEntry) -> tuple[object, ...]:
        return entry.id, entry.name, entry.line, entry.end, entry.commits, entry.dependencies

    return (*of(batch), batch.developer, *(of(task) for task in batch.tasks))


def difference(old: bytes, new: bytes) -> str:
    """What differs besides statuses and their boxes, line by line; empty if nothing does."""
    before, after = old.split(b"\n"), new.split(b"\n")
    if len(before) != len(after):
        return "another number of lines"
    for one, other in zip(before, after, strict=True):
        if one == other:
            continue
        a, b = _unticked(one.decode()), _unticked(other.decode())
        if a == b:
            continue
        start = next(
            (i for i, pair in enumerate(zip(a, b, strict=False)) if pair[0] != pair[1]),
            min(len(a), len(b)),
        )
        rest_a, rest_b = a[start:][::-1], b[start:][::-1]
        end = next(
            (i for i, pair in enumerate(zip(rest_a, rest_b, strict=False)) if pair[0] != pair[1]),
            min(len(rest_a), len(rest_b)),
        )
        changed = _whole(a, start, len(a) - end), _whole(b, start, len(b) - end)
        if not all(_STATUS.fullmatch(each) for each in changed):
            return f"{changed[0]!r} became {changed[1]!r}"
    return ""


def _unticked(line: str) -> str:
    """A heading, or the line of a status, with every box empty."""
    said = line.lstrip().startswith("#") or "status" in line.lower()
    return re.sub(r"\[[xX~]\]", "[ ]", line) if said else line


def _whole(line: str, start: int, end: int) -> str:
    """The changed part, widened to whole words."""
    while start and re.match(r"[\w-]", line[start - 1]):
        start -= 1
    while end < len(line) and re.match(r"[\w-]", line[end]):
        end += 1
    return line[start:end]


def versions(files: list[Path]) -> Iterator[tuple[Document, Document]]:
    """Neighbouring versions of one document, the earlier one first."""
    by_folder: defaultdict[Path, list[Path]] = defaultdict(list)
    for path in files:
        by_folder[path.parent].append(path)
    for paths in by_folder.values():
        older = [path for path in paths if re.match(r"tasks\.v\d+", path.name)]
        newest = [path for path in paths if path.name == "tasks.md"]
        for one, other in pairwise(sorted(older) + newest):
            try:
                yield read_tasks_md(one), read_tasks_md(other)
            except UsageError:
                continue


def replay(earlier: Document, later: Document) -> Iterator[tuple[str, str]]:
    """Transitions between two versions, and whether the next batch was the one that was done."""
    before = {batch.id: batch for batch in earlier.batches}
    done: list[str] = []
    for batch in later.batches:
        old = before.get(batch.id)
        if old is None or old.name != batch.name or old.status == batch.status or not batch.status:
            continue
        plausible = batch.status in _PLAUSIBLE[old.status]
        yield "plausible" if plausible else "odd", f"{old.status} -> {batch.status}"
        done += [batch.id] if batch.finished and not old.finished else []
    if not done:
        return
    named = next_batch(earlier, developer=None)
    if named.state == "next" and named.batch:
        hit = named.batch.id in done
        many = "of several" if len(done) > 1 else "the only one"
        yield "hit" if hit else "miss", many if hit else _why(earlier, named.batch.id, done)
    else:
        yield "miss", named.state


def _why(earlier: Document, named: str, done: list[str]) -> str:
    old = {batch.id: batch for batch in earlier.batches}
    if old[named].status == "IMPLEMENTED":
        return "an IMPLEMENTED batch was named first and left so"
    if any(old[each].status in {"IN PROGRESS", "IMPLEMENTED"} for each in done):
        return "a later batch was under way already"
    return "a later batch was done first"


def main(folder: Path) -> int:
    """Examine a folder; return the exit code."""
    files = sorted(folder.rglob("*.md"))
    counts = Counter(result for path in files for result in examine(path))
    for pair in versions(files):
        counts.update(replay(*pair))
    for (result, reason), count in sorted(counts.items()):
        sys.stdout.write(f"{count:6} {result:9} {reason}\n")
    total: Counter[str] = Counter()
    for (result, _), count in counts.items():
        total[result] += count
    sys.stdout.write(f"{len(files):6} files, {total['batch']} batches\n")
    for told, good, all_ in (
        ("of the batches have a status", total["batch"] - total["undecided"] - total["silent"],
         total["batch"]),
        ("of the transitions are plausible", total["plausible"], total["plausible"] + total["odd"]),
        ("of the next batches were the ones done", total["hit"], total["hit"] + total["miss"]),
    ):  # fmt: skip
        if all_:
            sys.stdout.write(f"{good / all_:6.1%} {told} ({good} of {all_})\n")
    bad = any(total[result] for result in ("crashed", "missed", "silent", "spoilt"))
    return 1 if bad or not total["batch"] else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
