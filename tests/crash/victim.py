"""Processes that are killed: each runs TASK-1, several tasks, the batches of a document or a handoff, or
goes on with that, and dies at a given moment.

They are forked by a server that has imported everything, so that a kill costs no import.
"""

import asyncio
import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from agentflow.archive import prune
from agentflow.backlog import find_start, named_tasks
from agentflow.command_values import command_values
from agentflow.commands import TasksCommand
from agentflow.events import Event
from agentflow.handoff_parts import prepare
from agentflow.many import Wanted as Several
from agentflow.many import run_many
from agentflow.models.anthropic import open_model
from agentflow.order import Order
from agentflow.plan import Plan, make_plan
from agentflow.resuming import order_of
from agentflow.rewinding import fork, rewind
from agentflow.run import OpenModel, run_task
from agentflow.runs import find_report, newest_run
from agentflow.stopping import Stop
from agentflow.workflows.asked import Pasted
from agentflow.workflows.batches import run_batches
from agentflow.workflows.linked import Linked, run_linked
from agentflow.workflows.pointers import bump
from agentflow.workflows.situation import Wanted
from agentflow.workspace.repository import open_repository
from agentflow.world import World
from tests.forks.imports import import_most

import_most()

AUDITED = frozenset({
    *("subprocess.Popen", "os.rename", "os.remove", "os.truncate"),
    *("os.link", "os.mkdir", "os.utime"),
})
"""Before each of them a process may die: what it changes on the disk happens there."""


@dataclass
class Moments:
    """Counts the moments of a life; at the given one the process and its group die."""

    last: int | None
    pause: int | None = None
    """Here they are stopped instead, until somebody lets them go on."""
    after: tuple[str, int, int] | None = None
    """Or so many moments after one of this name, the how manieth."""
    seen: int = 0
    armed: bool = False
    names: list[str] = field(default_factory=list[str])

    def pass_by(self, name: str) -> None:
        """One moment."""
        if not self.armed:
            return
        self.seen += 1
        self.names.append(name)
        if self.seen == self.last or self._is_after():
            os.killpg(0, signal.SIGKILL)
        if self.seen == self.pause:
            os.killpg(0, signal.SIGSTOP)

    def _is_after(self) -> bool:
        if self.after is None:
            return False
        name, count, later = self.after
        earlier = self.names[: len(self.names) - later]
        return earlier[-1:] == [name] and earlier.count(name) == count

    def now(self) -> datetime:
        """The clock: asked before each line of the journal."""
        self.pass_by("now")
        return datetime.now(UTC)

    def watch(self, event: Event, /) -> None:
        """The sink: told after each line of the journal."""
        self.pass_by(event.type)

    def audit(self, name: str, _: tuple[Any, ...]) -> None:
        """The interpreter's audit hook."""
        if name in AUDITED:
            self.pass_by(name)


@dataclass(frozen=True)
class Life:
    """One process to be."""

    root: Path
    cache: Path
    environment: Mapping[str, str]
    flags: Mapping[str, Any]
    dies_at: int | None = None
    """The moment, from 1; None lets it live."""
    dies_after: tuple[str, int, int] | None = None
    """So many moments after one of this name, the how manieth."""
    stops_at: int | None = None
    past: str = ""
    """What to do with the task's newest run instead of going on: `rewind TURN`, `fork TURN`,
    `prune`."""
    answer: str | None = None
    several: tuple[str, ...] = ()
    """The tasks that are run at once, instead of TASK-1."""
    batches: str = ""
    """The task whose document's batches are run, instead of TASK-1."""
    handoff: str = ""
    """The block of a handoff whose linked runs are made, and the pointers then moved."""


def live(life: Life, told: Path) -> None:
    """Run or go on; write the number of moments and the outcome to a file."""
    os.setpgid(0, 0)
    moments = Moments(life.dies_at, life.stops_at, life.dies_after)
    sys.addaudithook(moments.audit)
    world = World(life.root, life.environment, life.cache, now=moments.now)
    work = _run
    if life.past:
        work = _go_back
    elif life.several:
        work = _run_several
    elif life.batches or life.handoff:
        work = _run_batches if life.batches else _run_handoff
    try:
        report = asyncio.run(work(life, world, moments))
    except Exception as error:
        told.write_text(f"{moments.seen} {error!r}", "utf-8")
        raise
    moments.armed = False
    told.write_text(f"{moments.seen} {report['outcome']}\n" + "\n".join(moments.names), "utf-8")


async def _run(life: Life, world: World, moments: Moments) -> dict[str, Any]:
    plan = await make_plan(_order(life, world), world)
    moments.armed = True
    return await run_task(plan, world, _connect, [moments.watch])


async def _run_several(life: Life, world: World, moments: Moments) -> dict[str, Any]:
    moments.armed = True
    begun = find_start(None, life.flags, world)
    command = TasksCommand(life.several, life.flags)
    several = Several(begun, named_tasks(life.several, begun, world), command)
    return await run_many(
        several,
        world,
        _connect,
        lambda _: [moments.watch],
        command_values,
        lambda _: None,
        Stop(),
    )


async def _run_batches(life: Life, world: World, moments: Moments) -> dict[str, Any]:
    moments.armed = True
    wanted = Wanted(life.batches, flags=life.flags)
    return await run_batches(
        wanted, world, _connect, [moments.watch], command_values, lambda _: None
    )


async def _run_handoff(life: Life, world: World, moments: Moments) -> dict[str, Any]:
    repository = open_repository(world.directory, world.environment)
    pasted = Pasted(life.handoff)
    prepared = prepare(repository, pasted.reading(repository), None, pasted.id)
    moments.armed = True
    wanted = Linked(prepared, flags=life.flags)
    report = await run_linked(
        wanted,
        world,
        _connect,
        [moments.watch],
        command_values,
        lambda _: None,
        lambda _part, _plan: None,
    )
    bump(prepared, report["runs"], None, world)
    return report


async def _go_back(life: Life, world: World, moments: Moments) -> dict[str, Any]:
    repository = open_repository(world.directory, world.environment)
    deed, _, turn = life.past.partition(" ")
    match deed:
        case "rewind":
            report = find_report(world.directory, "TASK-1")
            moments.armed = True
            rewind(repository, world, report, int(turn))
        case "fork":
            source = life.flags["source"]
            order = order_of(repository, world.cache, source)
            plan = await make_plan(order, world)
            moments.armed = True
            fork(plan, world, source, int(turn))
        case _:
            moments.armed = True
            prune(repository, world.cache, world.now(), timedelta(0), really=True)
    return {"outcome": deed}


def _order(life: Life, world: World) -> Order:
    """To go on with the run, if it got as far as that."""
    flags = dict(life.flags)
    run = newest_run(life.root, "TASK-1")
    if run is not None:
        from agentflow.errors import UsageError

        repository = open_repository(world.directory, world.environment)
        with contextlib.suppress(UsageError):
            order = order_of(repository, world.cache, run)
            return Order(order.task, base=order.base, resume=run, flags=flags, answer=life.answer)
    return Order("TASK-1", flags=flags)


def _connect(plan: Plan) -> OpenModel:
    return lambda: open_model(
        base_url=plan.base_url, api_key=None, sleep=lambda _: asyncio.sleep(0)
    )


_server = multiprocessing.get_context("forkserver")


def start(life: Life, told: Path) -> BaseProcess:
    """Start a process; its exit code is -9 if it died."""
    _server.set_forkserver_preload(["tests.crash.victim"])
    process = _server.Process(target=live, args=(life, told))
    process.start()
    return process


Starter = Callable[[Life, Path], BaseProcess]
