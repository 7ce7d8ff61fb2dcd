"""Runs of this repository that happen elsewhere, for `wait`, `runs list` and `runs show`."""

from collections.abc import Callable

from agentflow.cluster.board import Board, Entry
from agentflow.cluster.database import URL, database_url, open_client, refusals
from agentflow.records import Json
from agentflow.workspace.mirror import remote_addresses
from agentflow.workspace.repository import open_repository
from agentflow.world import World

INTERVAL = 1.0
"""Seconds between two looks."""


def reports_of(world: World) -> list[Json]:
    """The reports of this repository's submitted runs, oldest first; none without a database.

    A run that has not ended has the outcome `waiting` or `running`. Raises `EnvironmentFailure`.
    """
    if not world.environment.get(URL):
        return []
    with refusals(), open_client(database_url(world.environment)) as client:
        return [entry.report for entry in _entries(Board(client), world, None)]


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
            found = _entries(Board(client), world, task)
        if not found:
            return None
        if found[-1].state not in {"waiting", "running"}:
            return found[-1].report
        if not told:
            tell(found[-1].run)
            told = True
        left = INTERVAL if end is None else end - world.clock()
        if left <= 0:
            return {"type": "timeout", "task": task, "outcome": "timeout"}
        sleep(min(INTERVAL, left))


def _entries(board: Board, world: World, task: str | None) -> list[Entry]:
    repository = open_repository(world.directory, world.environment)
    wanted = {"task": task} if task else {}
    found = [
        entry
        for url in remote_addresses(repository)
        for entry in board.find({"repository": url, **wanted})
    ]
    return sorted(found, key=lambda entry: entry.submitted)
