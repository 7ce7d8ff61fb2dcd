"""Runs of this repository that happen elsewhere, for `wait`, `runs list` and `runs show`."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from agentflow.cluster.board import Board
from agentflow.cluster.database import URL, database_url, open_client, open_session, refusals
from agentflow.cluster.entry import Entry
from agentflow.cluster.listing import found_in
from agentflow.records import Json
from agentflow.workspace.mirror import repository_keys
from agentflow.workspace.repository import open_repository
from agentflow.world import World

INTERVAL = 1.0
"""Seconds between two looks."""


def reports_of(world: World, task: str | None = None) -> list[Json]:
    """The reports of this repository's submitted runs, or of those of a task, oldest first; none
    without a database.

    A run that has not ended has the outcome `waiting` or `running`. Raises `EnvironmentFailure`.
    """
    if not world.environment.get(URL):
        return []
    with refusals(), open_client(database_url(world.environment)) as client:
        wanted = {"task": task} if task else {}
        return [entry.report for entry in _entries(Board(client).find, world, wanted)]


def summaries_of(world: World, task: str | None = None) -> list[Json]:
    """As `reports_of`, of each report what lists show. Raises `EnvironmentFailure`."""
    if not world.environment.get(URL):
        return []
    with refusals(), open_session(database_url(world.environment), "agentflow list") as session:
        wanted = {"task": task} if task else {}
        return [entry.report for entry in _entries(partial(found_in, session), world, wanted)]


def report_of(world: World, wanted: str) -> Json | None:
    """The report of a submitted run, or of a task's newest one, if it is of this repository.

    Raises `EnvironmentFailure`.
    """
    if not world.environment.get(URL):
        return None
    with refusals(), open_client(database_url(world.environment)) as client:
        found = _newest(Board(client), world, wanted)
    return found.report if found else None


def wait_for_submitted(
    world: World,
    task: str,
    *,
    timeout: float | None,
    sleep: Callable[[float], None],
    tell: Callable[[str], None],
) -> Json | None:
    """Wait until a submitted run of the task has ended; return its report, with the outcome
    `timeout` if it has not after `timeout` seconds. None if none was submitted from here.

    Raises `EnvironmentFailure` if the database is away.
    """
    if not world.environment.get(URL):
        return None
    end = None if timeout is None else world.clock() + timeout
    told = False
    while True:
        with refusals(), open_client(database_url(world.environment)) as client:
            found = _newest(Board(client), world, task)
        if not found:
            return None
        if found.state not in {"waiting", "running"}:
            return found.report
        if not told:
            tell(found.run)
            told = True
        left = INTERVAL if end is None else end - world.clock()
        if left <= 0:
            return {"type": "timeout", "task": task, "outcome": "timeout"}
        sleep(min(INTERVAL, left))


def _newest(board: Board, world: World, wanted: str) -> Entry | None:
    """A run, or a task's newest one, of this repository."""
    run = board.named(wanted)
    if run:
        return run if run.facts.get("repository") in _keys(world) else None
    found = _entries(board.find, world, {"task": wanted}, limit=1)
    return found[-1] if found else None


class _Find(Protocol):
    """Finds runs by facts, oldest first; of more than `limit` the newest."""

    def __call__(self, facts: Mapping[str, str], /, *, limit: int | None = None) -> list[Entry]: ...


def _entries(
    find: _Find, world: World, wanted: Mapping[str, str], limit: int | None = None
) -> list[Entry]:
    """The runs of this repository, oldest first; at most the newest `limit` of each address."""
    found = [
        entry for key in _keys(world) for entry in find({"repository": key, **wanted}, limit=limit)
    ]
    return sorted(found, key=lambda entry: entry.submitted)


def _keys(world: World) -> list[str]:
    return repository_keys(open_repository(world.directory, world.environment))
