"""Many tasks at once: each an ordinary run, in one process, in the order of the plan.

They share a budget and, if they land on one branch, its landings. A person may
stop them: soon, when each agent has finished its turn, or now.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from agentflow.backlog import Backlog, Item, Start, find_start, named_tasks
from agentflow.budget import Account, shared_account
from agentflow.commands import TasksCommand
from agentflow.done_runs import began_anew, left_to_do
from agentflow.errors import AgentflowError, Interrupted, UsageError
from agentflow.events import Clashed, Event
from agentflow.frozen import record
from agentflow.interfaces import Emit
from agentflow.order import Order
from agentflow.plan import make_plan
from agentflow.prompts.context import Measure
from agentflow.records import Json, Neighbour
from agentflow.repair import clash_message
from agentflow.resuming import order_of
from agentflow.run import Connect, run_task
from agentflow.scheduler import Job, Slot, drive, earlier, schedule
from agentflow.stopping import Stop, stoppable
from agentflow.tally import document_entry, entry, refused, summary
from agentflow.tasks.task import FOLDER
from agentflow.workspace.combine import common_base
from agentflow.workspace.land import branch_tip, target_tip
from agentflow.workspace.repository import Repository
from agentflow.world import World

if TYPE_CHECKING:
    from agentflow.whole_documents import Whole


@record
class Wanted:
    """What the caller asked for."""

    start: Start
    backlog: Backlog
    command: TasksCommand
    """What was asked for, to be asked for again."""
    at_once: int = 4
    keep_going: bool = False
    fresh: bool = False
    accept: bool = False
    """Whether what the agents ask for elsewhere is run as well, once."""


async def run_many(
    wanted: Wanted,
    world: World,
    connect: Connect,
    sinks: Callable[[str], Sequence[Emit]],
    measure: Measure,
    told: Callable[[Json], None],
    stop: Stop,
) -> Json:
    """Run all tasks of a backlog; return their summary.

    `sinks` are made for each task by its id; `told` gets the report of each run that ends. Raises
    `UsageError` for tasks that wait for each other.
    """
    account = shared_account(wanted.start.flags, "all tasks together", world.clock)
    entries: dict[str, Json] = {}
    backlog = wanted.backlog

    async def work(wanted: Wanted) -> None:
        await _drive(wanted, world, connect, sinks, measure, told, stop, account, entries)

    await work(wanted)
    if wanted.accept and not stop():
        accepted = await asyncio.to_thread(_accepted, wanted, world, entries)
        await work(replace(wanted, backlog=accepted))
        backlog = replace(backlog, items=(*backlog.items, *accepted.items))
    return summary(backlog, entries, account.spent, wanted.command, stop.signal)


def _accepted(wanted: Wanted, world: World, entries: Mapping[str, Json]) -> Backlog:
    """What the agents of this call asked for and said where."""
    start, known = wanted.start, {item.task.id for item in wanted.backlog.items}
    if start.shared:
        start = replace(find_start(None, start.flags, world), flags=start.flags)
    proposed = [name for each in entries.values() for name in each["follow_ups"]]
    folder = start.repository.root / FOLDER  # where a person may have removed some since
    new = [
        name
        for name in dict.fromkeys(proposed)
        if name not in known and (folder / f"{name}.md").is_file()
    ]
    found = named_tasks(new, start, world)
    return Backlog(tuple(item for item in found.items if item.task.boundaries.allow))


async def _drive(
    wanted: Wanted,
    world: World,
    connect: Connect,
    sinks: Callable[[str], Sequence[Emit]],
    measure: Measure,
    told: Callable[[Json], None],
    stop: Stop,
    account: Account,
    entries: dict[str, Json],
) -> None:
    """Run the tasks of one backlog; what became of each is added to `entries`."""
    items = {item.task.id: item for item in wanted.backlog.items}
    slots = schedule([item.job for item in items.values()])
    fleet = _Fleet(
        wanted,
        items,
        slots,
        earlier(slots),
        world,
        stoppable(connect, stop),
        sinks,
        measure,
        told,
        stop,
        account,
        entries,
    )
    await drive(
        slots,
        fleet.run,
        at_once=wanted.at_once,
        keep_going=wanted.keep_going,
        is_stopped=stop,
    )


@dataclass(slots=True)
class _Fleet:
    """The runs of one invocation."""

    wanted: Wanted
    items: Mapping[str, Item]
    slots: Sequence[Slot]
    before: Sequence[int]
    """See `earlier`."""
    world: World
    connect: Connect
    sinks: Callable[[str], Sequence[Emit]]
    measure: Measure
    told: Callable[[Json], None]
    stop: Stop
    account: Account
    entries: dict[str, Json]
    """What became of each task that was begun, by its id."""

    async def run(self, job: Job) -> bool:
        """Run one task to its end; return whether it is done."""
        item = self.items[job.id]
        try:
            repository = self.wanted.start.repository
            if item.whole:
                self.entries[job.id] = await self._batches(item, item.whole, repository)
            else:
                self.entries[job.id] = await self._task(item, repository)
        except AgentflowError as error:
            self.entries[job.id] = refused(item, error)
        return self.entries[job.id]["outcome"] == "done"

    async def _task(self, item: Item, repository: Repository) -> Json:
        """What became of a task."""
        base, parts = await asyncio.to_thread(self._base, repository, item)
        order = await asyncio.to_thread(self._order, repository, item, base)

        async def begin(listen: Emit, clash: Clashed | None) -> Json:
            again = clash and await asyncio.to_thread(self._again, repository, item, clash)
            return await self._run(item, again or order, listen)

        return {**entry(item, await self._tries(begin)), "base_of": parts}

    async def _batches(self, item: Item, whole: "Whole", repository: Repository) -> Json:
        """What became of a document. The batch that clashes begins anew from where the branch is."""

        from agentflow.workflows.batches import Among, run_batches  # few calls need it

        runs: list[Json] = []

        def ended(report: Json) -> None:
            runs.append(report)
            self.told(report)

        among = Among(self.account, partial(self._beside, item.task.id), ended)

        async def begin(listen: Emit, _: Clashed | None) -> Json:
            sinks = [*self.sinks(item.task.id), listen]
            work = run_batches(
                whole.wanted, self.world, self.connect, sinks, self.measure, _nothing, among
            )
            try:
                return await self.stop.watch(asyncio.ensure_future(work))
            except asyncio.CancelledError as error:
                raise Interrupted.of(error) from error

        reports = await self._tries(begin)
        tip = await asyncio.to_thread(branch_tip, repository, whole.wanted.branch)
        return document_entry(item, reports, runs, tip)

    async def _tries(self, begin: Callable[[Emit, Clashed | None], Awaitable[Json]]) -> list[Json]:
        """The reports of what began: a result that clashes with others' goes back once."""
        clashes: list[Clashed] = []

        def listen(event: Event) -> None:
            if isinstance(event, Clashed):
                clashes.append(event)

        reports = [await begin(listen, None)]
        if reports[-1]["outcome"] == "conflict" and clashes and not self.stop():
            reports.append(await begin(listen, clashes[-1]))
        return reports

    async def _run(self, item: Item, order: Order, listen: Emit) -> Json:
        sinks = [*self.sinks(item.task.id), listen]
        plan = await make_plan(order, self.world, self.measure, self._beside(item.task.id))
        if item.builds_on or item.waits_for:
            names = ", ".join((*item.builds_on, *item.waits_for))
            plan = replace(
                plan, notices=(*plan.notices, f"the base {plan.base[:12]} holds {names}")
            )
        run = run_task(plan, self.world, self.connect, sinks, self.account)
        report = await self.stop.watch(asyncio.ensure_future(run))
        self.told(report)
        return report

    def _base(self, repository: Repository, item: Item) -> tuple[str, list[str]]:
        """The commit that a task starts from, and the tasks whose commits are merged in it."""
        start = self.wanted.start
        if start.shared:
            tip = target_tip(repository, start.land, start.target)
            return tip or start.base, []
        base = start.base
        if item.task.base and not start.is_given:
            base = repository.resolve(item.task.base)
        tips = {base: "the start", **{tip: name for name, tip in item.builds_on.items()}}
        for name in item.waits_for:
            landed = self.entries[name]["landed"]
            if landed:
                tips[landed["tip"]] = name
        if len(tips) == 1:
            return base, []
        parts = list(tips.values())[1:]
        return common_base(repository, list(tips), list(tips.values())), parts

    def _order(self, repository: Repository, item: Item, base: str) -> Order:
        """The order to begin a task, or to go on with what is left of it."""
        start = self.wanted.start
        given = start.base if start.is_given and not start.shared else None
        new = replace(start.order(item.name), base=base, asked_base=given, fresh=self.wanted.fresh)
        left = None if self.wanted.fresh else left_to_do(repository.root, item.task.id)
        if left is None:
            return replace(new, fresh=new.fresh or began_anew(repository.root, item.task.id))
        try:
            order = order_of(repository, self.world.cache, left)
        except UsageError:
            return replace(new, fresh=True)
        flags = {**order.flags, **start.flags}
        return replace(order, flags=flags, shared_target=start.shared)

    def _again(self, repository: Repository, item: Item, clash: Clashed) -> Order:
        """The order to do a task once more, from where the target is now, with both sides."""
        base, _ = self._base(repository, item)
        made = replace(item.task, text=f"{item.task.text}\n\n{clash_message(clash)}")
        return replace(self.wanted.start.order(item.name), base=base, made=made)

    def _beside(self, task: str) -> list[Neighbour]:
        """The tasks that may be worked on at the same time: neither before this one nor after it,
        and not done yet."""
        before = self.before
        number = next(n for n, slot in enumerate(self.slots) if slot.job.id == task)
        return [
            self.items[slot.job.id].neighbour
            for other, slot in enumerate(self.slots)
            if other != number
            and not before[number] >> other & 1
            and not before[other] >> number & 1
            and slot.job.id not in self.entries
        ]


def _nothing(_: Json) -> None:
    """Tell nobody the next step of a document: the next batch begins."""
