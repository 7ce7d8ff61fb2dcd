"""A worker: takes runs from the database, one after another and several at once, until it is stopped.

DBOS calls `_Runs.run` for each, in an event loop of its own; this module's own thread watches over
lives (`liveness`). A worker that loses its lock ends at once, without a word to its runs: others may
have them already.
"""

import asyncio
import os
import random
import signal
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn

from agentflow.cluster.board import Board
from agentflow.cluster.database import (
    APPLICATION,
    QUEUE,
    VERSION,
    WORKFLOW,
    is_of_database,
    open_client,
    open_session,
)
from agentflow.cluster.execution import Site, execute
from agentflow.cluster.liveness import NAME, SILENCE, Liveness, worker_name
from agentflow.cluster.submission import read_submission
from agentflow.errors import AgentflowError, EnvironmentFailure, Fenced
from agentflow.frozen import record
from agentflow.records import Json
from agentflow.workspace.mirror import own_cache

if TYPE_CHECKING:
    from dbos import DBOSConfig

INTERVAL = 1.5
"""Seconds between two looks at other workers, more or less."""
POLL = 0.5
"""Seconds between two looks for a run."""
PATIENCE = 30.0
"""Seconds for runs to stop in, and for the database to take what became of one."""
LOST = EnvironmentFailure.exit_code
"""The exit code of a worker that lost its lock: whoever watches over it starts it again."""


@record
class Manner:
    """How a worker works."""

    at_once: int
    silence: float = SILENCE
    told: Callable[[str], None] = lambda _: None


def work(url: str, site: Site, manner: Manner, stop: threading.Event) -> None:
    """Take runs until `stop` is set; then leave those at work to others, and return.

    Ends the process with `LOST` if the database ends our session. Raises what DBOS and psycopg raise
    if they cannot begin; call within `database.refusals`.
    """
    me = worker_name()
    with own_cache(site.world.cache / "cluster") as cache, open_client(url) as client:
        _tidy(cache)
        own = replace(site, world=replace(site.world, cache=cache), owner=me)
        board = Board(client)
        runs = _Runs(own, board, manner)
        with open_session(url, NAME) as session:
            liveness = Liveness(session, client, me, manner.silence, manner.told)
            _launch(url, me, runs)
            drained = board.at_once == 0
            if not drained:
                client.register_queue(
                    QUEUE, worker_concurrency=manner.at_once, polling_interval_sec=POLL
                )
            manner.told(f"{me} is up" + ("; the cluster is drained" if drained else ""))
            while not stop.wait(INTERVAL * random.uniform(0.7, 1.3)):  # noqa: S311  # not for secrets
                _look(liveness, manner)
            runs.stop()


def _look(liveness: Liveness, manner: Manner) -> None:
    try:
        liveness.look()
    except Exception as error:  # noqa: BLE001  # whatever the database says, the lock may be lost
        _lose(manner, error)


def _lose(manner: Manner, error: Exception) -> NoReturn:
    manner.told(f"lost the database: {type(error).__name__}; others may take the runs")
    os._exit(LOST)


def _tidy(cache: Any) -> None:
    """Remove what a dead worker left in this cache, but for the mirrors and what was installed."""
    import shutil

    for tree in (*cache.glob("repositories/*/trees"), *cache.glob("*/runs")):
        shutil.rmtree(tree, ignore_errors=True)


def _launch(url: str, me: str, runs: "_Runs") -> None:
    import logging

    from dbos import DBOS, DBOSPortableJSONSerializer

    logging.getLogger("dbos").setLevel(logging.CRITICAL)
    config: DBOSConfig = {
        "name": APPLICATION,
        "system_database_url": url,
        "executor_id": me,
        "application_version": VERSION,
        "serializer": DBOSPortableJSONSerializer(),
        "log_level": "CRITICAL",
        "run_migrations": False,
        "enable_otlp": False,
    }
    DBOS(config=config)

    @DBOS.step(name="agentflow_execute", preemptible=True)
    async def step(run: str, stored: Json) -> Json:
        return await runs.run(run, stored)

    @DBOS.workflow(name=WORKFLOW, max_recovery_attempts=1000)
    async def agentflow_run(run: str, stored: Json) -> Json:
        return await step(run, stored)

    del agentflow_run  # DBOS finds it by its name
    DBOS.listen_queues([QUEUE])
    DBOS.launch()


@dataclass(slots=True)
class _Runs:
    """The runs at work here."""

    site: Site
    board: Board
    manner: Manner
    active: dict[str, tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = field(
        default_factory=dict[str, tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]]
    )
    locks: dict[str, asyncio.Lock] = field(default_factory=dict[str, asyncio.Lock])
    is_stopping: bool = False

    async def run(self, run: str, stored: Json) -> Json:
        """Bring one run to an end, and write down what became of it.

        A run that was cancelled and is to go on may come while its end is still at work.
        """
        lock = self.locks.setdefault(run, asyncio.Lock())
        async with lock:
            return await self._run(run, stored)

    async def _run(self, run: str, stored: Json) -> Json:
        if task := asyncio.current_task():
            self.active[run] = (asyncio.get_running_loop(), task)
        self.manner.told(f"{run} begins")
        try:
            report = await self._report(run, stored)
        except asyncio.CancelledError:
            if not self.is_stopping:
                raise
            report = None
        if self.is_stopping and (report is None or report["outcome"] == "interrupted"):
            self.active.pop(run, None)
            await asyncio.Event().wait()  # DBOS is told nothing: another worker goes on
        self.active.pop(run, None)
        if report is None:
            self.manner.told(f"{run} is with another worker")
            return {"outcome": "fenced"}
        await asyncio.to_thread(_patiently, lambda: self.board.note_report(run, report))
        self.manner.told(f"{run} ended: {report['outcome']}")
        return {"outcome": report["outcome"], "exit_code": report["exit_code"]}

    async def _report(self, run: str, stored: Json) -> Json | None:
        """The report of a run, however it ended; None if another worker has it."""
        try:
            made = read_submission(stored)
            while True:
                entry = await asyncio.to_thread(self.board.get, run)
                if entry.state == "running" and entry.worker != self.site.owner:
                    return None
                await asyncio.to_thread(self._begun, run, entry.facts)
                try:
                    return await execute(
                        self.site, run, made, entry.facts, lambda said: self.board.note(run, **said)
                    )
                except Fenced:
                    self.manner.told(f"{run} went on elsewhere")
        except AgentflowError as error:
            return _refusal(error)
        except Exception as error:  # noqa: BLE001  # one run's bug is not the worker's end
            if is_of_database(error):
                _lose(self.manner, error)  # DBOS would write down that the run is broken
            traceback.print_exc()
            return _refusal(EnvironmentFailure(f"internal error: {type(error).__name__}"))

    def _begun(self, run: str, facts: Json) -> None:
        seconds = facts.get("seconds")
        deadline = facts.get("deadline") or (time.time() + seconds if seconds else None)
        self.board.note(run, worker=self.site.owner, deadline=deadline)

    def stop(self) -> None:
        """Stop all runs where they are, with what they did kept."""
        self.is_stopping = True
        for loop, task in list(self.active.values()):
            loop.call_soon_threadsafe(task.cancel, signal.SIGTERM)
        end = time.monotonic() + PATIENCE
        while self.active and time.monotonic() < end:
            time.sleep(0.05)


def _refusal(error: AgentflowError) -> Json:
    """What is reported of a run that could not begin here."""
    return {
        "type": "result",
        "outcome": error.outcome,
        "exit_code": error.exit_code,
        "reason": error.message,
        "hint": error.hint,
    }


def _patiently(write: Callable[[], None]) -> None:
    """Write to the database, which may be away for a while."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            write()
        except Exception:
            if time.monotonic() > end:
                raise
            time.sleep(1.0)
        else:
            return
