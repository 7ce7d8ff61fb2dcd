"""Which tasks may run together: dependencies first, and never two that may write the same path."""

import asyncio
import graphlib
import heapq
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from agentflow.errors import UsageError
from agentflow.frozen import record
from agentflow.globs import alternatives, literal_prefix
from agentflow.overlaps import overlap

Ending = Literal["succeeded", "failed", "skipped"]


@record
class Job:
    """A task as the scheduler sees it."""

    id: str
    depends_on: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    """Globs of what it may write; none means anything."""


@record
class Slot:
    """A job's place in the plan."""

    job: Job
    wave: int
    """Counted from 0: every job that this one waits for is in an earlier wave."""
    apart_from: tuple[str, ...]
    """Earlier jobs that may write what this one may write; they must have ended."""


@dataclass(slots=True)
class _Folder:
    """The globs whose literal prefix is this folder."""

    globs: list[str] = field(default_factory=list[str])
    folders: "dict[str, _Folder]" = field(default_factory=dict[str, "_Folder"])

    def add(self, glob: str) -> None:
        folder = self
        for name in _prefix(glob):
            folder = folder.folders.setdefault(name, _Folder())
        folder.globs.append(glob)

    def meeting(self, glob: str) -> Iterator[str]:
        """The globs here that overlap this one."""
        folder: _Folder | None = self
        for name in _prefix(glob):
            yield from folder._overlapping(glob)
            folder = folder.folders.get(name)
            if folder is None:
                return
        below = [folder]
        while below:
            folder = below.pop()
            yield from folder._overlapping(glob)
            below += folder.folders.values()

    def _overlapping(self, glob: str) -> Iterator[str]:
        return (other for other in self.globs if overlap(glob, other))


class _Writers:
    """Who may write where: each glob with the last job that has it, and the globs that it meets."""

    def __init__(self) -> None:
        self._tree = _Folder()
        self._last: dict[str, int] = {}
        self._meets: dict[str, list[str]] = {}

    def beside(self, globs: Sequence[str]) -> set[int]:
        """The last job of each glob that overlaps one of these, by its place."""
        for glob in globs:
            if glob not in self._meets:
                self._enter(glob)
        last = self._last
        return {last[other] for glob in globs for other in self._meets[glob] if other in last}

    def write(self, globs: Sequence[str], place: int) -> None:
        """The job at a place is the last one that has these globs."""
        for glob in globs:
            self._last[glob] = place

    def _enter(self, glob: str) -> None:
        """Find out once which globs a new one meets."""
        met = list(self._tree.meeting(glob))
        self._meets[glob] = [*met, glob]
        for other in met:
            self._meets[other].append(glob)
        self._tree.add(glob)


def _prefix(glob: str) -> list[str]:
    return [name for name in literal_prefix(glob).split("/") if name]


def schedule(jobs: Sequence[Job]) -> tuple[Slot, ...]:
    """The jobs in the order in which they start.

    Depends only on the jobs and their order. A job that another one waits for anyway is not named
    again. Raises `UsageError`, which names the jobs, for an id that is given twice, a dependency
    that is not among them, or a cycle.
    """
    places: dict[str, int] = {}
    slots: list[Slot] = []
    before: list[int] = []  # for each slot those that end before it starts, as bits by place
    writers, alone, since = _Writers(), set[int](), set[int]()
    for place, job in enumerate(_ordered(jobs)):
        globs = [glob for written in job.writes for glob in alternatives(written)]
        met = (writers.beside(globs) if globs else since) | alone
        waited = [places[name] for name in job.depends_on]
        covered = _all_before(before, waited)
        apart: list[int] = []
        for other in sorted(met, reverse=True):
            if not covered >> other & 1:
                apart.append(other)
                covered |= before[other] | 1 << other
        wave = max((slots[other].wave + 1 for other in (*waited, *apart)), default=0)
        places[job.id] = place
        before.append(covered)
        slots.append(Slot(job, wave, tuple(slots[other].job.id for other in reversed(apart))))
        if globs:
            since.add(place)
            writers.write(globs, place)
        else:
            writers, alone, since = _Writers(), {place}, set[int]()
    return tuple(slots)


def _all_before(before: Sequence[int], places: Iterable[int]) -> int:
    """These jobs and all that end before they start, as bits."""
    found = 0
    for place in places:
        found |= before[place] | 1 << place
    return found


def _ordered(jobs: Sequence[Job]) -> Iterator[Job]:
    """As given, but that dependencies come first."""
    by_id = {job.id: job for job in jobs}
    _check_names(jobs, by_id)
    sorter = graphlib.TopologicalSorter({job.id: job.depends_on for job in jobs})
    try:
        sorter.prepare()
    except graphlib.CycleError as error:
        first, *others = reversed(error.args[1])
        if set(others) == {first}:
            hint = f"Correct `depends_on` of {first}."
            raise UsageError(f"{first} depends on itself", hint=hint) from error
        circle = " → ".join((first, *others))
        hint = "Correct `depends_on` of one of them."
        raise UsageError(f"these tasks wait for each other: {circle}", hint=hint) from error
    place = {job.id: i for i, job in enumerate(jobs)}
    ready: list[int] = []
    while sorter.is_active():
        for name in sorter.get_ready():
            heapq.heappush(ready, place[name])
        job = jobs[heapq.heappop(ready)]
        yield job
        sorter.done(job.id)


def _check_names(jobs: Sequence[Job], by_id: Mapping[str, Job]) -> None:
    if len(by_id) != len(jobs):
        seen = [job.id for job in jobs]
        raise UsageError(f"given twice: {', '.join(n for n in by_id if seen.count(n) > 1)}")
    for job in jobs:
        unknown = [name for name in job.depends_on if name not in by_id]
        if unknown:
            raise UsageError(f"{job.id} depends on {', '.join(unknown)}, which is not among them")


def earlier(slots: Sequence[Slot]) -> list[int]:
    """For each slot a set of all slots that end before it starts, as bits by their place."""
    places = {slot.job.id: number for number, slot in enumerate(slots)}
    sets: list[int] = []
    for slot in slots:
        found = 0
        for name in (*slot.job.depends_on, *slot.apart_from):
            found |= sets[places[name]] | 1 << places[name]
        sets.append(found)
    return sets


async def drive(
    slots: Sequence[Slot],
    run: Callable[[Job], Awaitable[bool]],
    *,
    at_once: int,
    keep_going: bool = False,
    is_stopped: Callable[[], bool] = lambda: False,
) -> dict[str, Ending]:
    """Run the jobs of a plan, at most so many at once, and return how each ended.

    `run` says whether a job succeeded. Whoever depends on one that did not is skipped; without
    `keep_going` no other job starts either, and none once `is_stopped`. What `run` raises ends the
    others too.
    """
    ended: dict[str, Ending] = {}
    free = asyncio.Semaphore(at_once)
    over = {slot.job.id: asyncio.Event() for slot in slots}

    async def one(slot: Slot) -> None:
        # A skipped job ends in its turn too: who comes after it waits for those before it.
        for name in (*slot.job.depends_on, *slot.apart_from):
            await over[name].wait()
        async with free:
            after = ended.values() if not keep_going else [ended[n] for n in slot.job.depends_on]
            if is_stopped() or {"failed", "skipped"}.intersection(after):
                ending: Ending = "skipped"
            else:
                ending = "succeeded" if await run(slot.job) else "failed"
            ended[slot.job.id] = ending
            over[slot.job.id].set()

    async with asyncio.TaskGroup() as group:
        for slot in slots:
            group.create_task(one(slot))
    return ended
