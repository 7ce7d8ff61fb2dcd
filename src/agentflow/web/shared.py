"""The source and the actions where a database is configured: the runs here, and those of this
repository that were submitted to workers."""

import asyncio
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from agentflow.cluster.database import database_url, open_client, refusals
from agentflow.cluster.elsewhere import report_of, summaries_of
from agentflow.details.board import AtWork, Board, Plan, RunRow, TaskCard
from agentflow.details.reading import read_details
from agentflow.details.records import Details
from agentflow.details.secrecy import secrets_of
from agentflow.errors import EnvironmentFailure
from agentflow.models.endpoint import keys
from agentflow.progress import Progress
from agentflow.records import Json
from agentflow.redaction import redactor
from agentflow.runs import FOLDER
from agentflow.web.actions import LocalActions, task_of
from agentflow.web.interfaces import Source
from agentflow.web.shelf import as_row
from agentflow.workspace.repository import open_repository
from agentflow.world import World

if TYPE_CHECKING:
    from agentflow.cluster.board import Board as Cluster

FRESH = 2.0
"""Seconds for which a look at the database is good enough for whoever asks next."""
SHARE = 10
"""A look that takes long is followed by a pause that is so many times as long."""


class SharedSource:
    """The runs of another source, and the submitted ones beside them."""

    def __init__(self, here: Source, world: World) -> None:
        self._here = here
        self._world = world
        self._repository = open_repository(world.directory, world.environment)
        self._guard = threading.Lock()
        self._until = 0.0
        self._reports: dict[str, Json] = {}
        """Without what no list shows: a report may have a million characters."""
        self._problem = ""
        self._details: dict[str, tuple[Json, Details]] = {}

    @property
    def name(self) -> str:
        """As here."""
        return self._here.name

    def board(self) -> Board:
        """All runs. Where the database is away, its `problem` says so, and those that were known
        are shown."""
        board = self._here.board()
        reports, problem = self._look()
        here = {row.run for row in board.rows}
        rows = {run: as_row(report) for run, report in reports.items() if run not in here}
        at_work = [_at_work(row, reports[run]) for run, row in rows.items() if _runs(row)]
        return replace(
            board,
            rows=tuple(sorted((*board.rows, *rows.values()), key=_order)),
            at_work=(*board.at_work, *at_work),
            problem=problem,
        )

    def _look(self) -> tuple[dict[str, Json], str]:
        with self._guard:
            began = self._world.clock()
            if began >= self._until:
                try:
                    found = {str(each["run"]): each for each in summaries_of(self._world)}
                    # The same object as long as it says the same: pages are kept by it.
                    self._reports = {
                        run: self._reports[run] if self._reports.get(run) == report else report
                        for run, report in found.items()
                    }
                    self._problem = ""
                except EnvironmentFailure as error:
                    self._problem = f"Submitted runs are not up to date: {error.message}"
                now = self._world.clock()
                self._until = now + max(FRESH, SHARE * (now - began))
            return self._reports, self._problem

    def forget(self) -> None:
        """The next one who asks looks anew."""
        self._here.forget()
        with self._guard:
            self._until = 0.0

    def plan(self) -> Plan:
        """The tasks as they would be run here; one that a worker has, or that waits for one, says
        so."""
        plan = self._here.plan()
        newest = {str(report["task"]): report for report in self._look()[0].values()}
        out = {t: report for t, report in newest.items() if report["outcome"] in _NOT_ENDED}
        cards = (_submitted(card, out[card.id]) if card.id in out else card for card in plan.cards)
        return replace(plan, cards=tuple(cards))

    def details(self, run: str) -> Details | None:
        """What the database holds of a submitted run: verdict, commits and spending. Its
        conversation is on the state remote. Raises `EnvironmentFailure` if the database is away."""
        found = self._here.details(run)
        summary = self._look()[0].get(run)
        if found is not None or summary is None:
            return found
        kept = self._details.get(run)
        if kept is None or kept[0] is not summary:
            report = report_of(self._world, run) or summary
            redact = redactor(secrets_of(self._repository, self._world.environment))
            details = read_details(self._repository, self._world.cache, report, redact)
            if details.diff_problem:
                details = replace(details, diff_problem="the commits are on the remote: git fetch")
            self._details = {run: (summary, details)}
            return details
        return kept[1]


_NOT_ENDED = frozenset({"waiting", "running"})


def _submitted(card: TaskCard, report: Json) -> TaskCard:
    """A task that waits for a worker, or that one has."""
    state, run = str(report["outcome"]), str(report["run"])
    return replace(card, state=state, run=run, wave=None, note="submitted to the workers")


def _runs(row: RunRow) -> bool:
    return row.outcome == "running"


def _order(row: RunRow) -> tuple[str, str]:
    """By when it was named, as runs of one machine are."""
    return (f"{row.began:%Y%m%d%H%M%S}" if row.began else "", row.run)


def _at_work(row: RunRow, report: Json) -> AtWork:
    """A run that a worker has: what it does now is known to that worker alone."""
    worker = str(report["cluster"].get("worker") or "a worker")
    began = row.began.timestamp() if row.began else 0.0
    progress = Progress(task=row.task, run=row.run, phase="at work", began=began)
    return AtWork(row, progress, (), (), worker=worker)


class SharedActions:
    """Changes runs here, and submitted ones by the database."""

    def __init__(self, here: LocalActions, world: World) -> None:
        self._here = here
        self._world = world
        self._runs = open_repository(world.directory, world.environment).root / FOLDER

    async def cancel(self, run: str, form: Mapping[str, str]) -> str:
        """Interrupt it; the worker that has it ends its processes."""
        if self._is_here(run):
            return await self._here.cancel(run, form)
        await asyncio.to_thread(self._cancel, run)
        return run

    async def resume(self, run: str, form: Mapping[str, str]) -> str:
        """Let it go on, a submitted one on the next free worker."""
        if self._is_here(run):
            return await self._here.resume(run, form)
        await asyncio.to_thread(self._resume, run)
        return run

    async def retry(self, run: str, form: Mapping[str, str]) -> str:
        """Begin its task anew, where it was begun before."""
        if self._is_here(run):
            return await self._here.retry(run, form)
        return await self._here.start(["submit", "--fresh", "--json", "--", task_of(run)])

    async def answer(self, run: str, form: Mapping[str, str]) -> str:
        """Give it the `text` of a person."""
        if self._is_here(run):
            return await self._here.answer(run, form)
        await asyncio.to_thread(self._answer, run, form.get("text", "").replace("\r\n", "\n"))
        return run

    def _is_here(self, run: str) -> bool:
        return (self._runs / run).is_dir()

    def _cancel(self, run: str) -> None:
        with self._cluster() as cluster:
            cluster.cancel(cluster.get(run), "cancelled in the dashboard")

    def _resume(self, run: str) -> None:
        with self._cluster() as cluster:
            cluster.retry(cluster.get(run))

    def _answer(self, run: str, text: str) -> None:
        with self._cluster() as cluster:
            cluster.answer(cluster.get(run), text, redactor(keys(self._world.environment)))

    @contextmanager
    def _cluster(self) -> "Generator[Cluster]":
        """Raises `EnvironmentFailure` if the database is away."""
        with refusals():
            from agentflow.cluster.board import Board as Cluster

            with open_client(database_url(self._world.environment)) as client:
                yield Cluster(client)
