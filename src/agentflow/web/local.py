"""The source on one machine: what runs have left in the repository, whoever started them."""

import threading
from collections.abc import Mapping
from dataclasses import replace

from agentflow.backlog import find_start
from agentflow.cancelling import holder
from agentflow.details.board import AtWork, Board, Plan, RunRow, TaskCard, newest_of
from agentflow.details.reading import read_details
from agentflow.details.records import Details
from agentflow.details.secrecy import secrets_of
from agentflow.errors import AgentflowError
from agentflow.globs import as_written
from agentflow.markers import FOLDER as MARKERS
from agentflow.markers import read_marker
from agentflow.ready_tasks import ready_tasks
from agentflow.records import Json
from agentflow.redaction import redactor
from agentflow.run_reports import REPORT, read_report
from agentflow.run_states import task_states
from agentflow.runs import FOLDER, JOURNAL, is_running, last_line
from agentflow.task_queues import queue_paths
from agentflow.tasks.task import FOLDER as TASKS
from agentflow.waves import waves_json
from agentflow.web.shelf import Shelf, key_of
from agentflow.workspace.repository import open_repository
from agentflow.world import World

FRESH = 0.4
"""Seconds for which a look at the runs is good enough for whoever asks next."""
KEPT = 8
"""Runs whose details are kept at most."""


class LocalSource:
    """Knows the runs of the repository of a world."""

    def __init__(self, world: World) -> None:
        self._world = world
        repository = open_repository(world.directory, world.environment)
        self._repository = repository
        self._root = repository.root
        self._locks = repository.locks(world.cache)
        self._shelf = Shelf(self._root)
        self._guard = threading.Lock()
        self._board: tuple[float, Board] | None = None
        self._plan: tuple[object, Plan] | None = None
        self._details: dict[str, tuple[object, Details]] = {}

    @property
    def name(self) -> str:
        """The repository's folder."""
        return self._root.name

    def board(self) -> Board:
        """All runs, and what is at work. Raises `EnvironmentFailure` if locks cannot be read."""
        with self._guard:
            now = self._world.clock()
            if self._board is None or now - self._board[0] > FRESH:
                self._board = now, self._look()
            return self._board[1]

    def forget(self) -> None:
        """The next one who asks looks anew."""
        with self._guard:
            self._board = None

    def _look(self) -> Board:
        rows = self._shelf.rows()
        at_work: list[AtWork] = []
        for task, run in self._running(rows).items():
            place = next(n for n, row in enumerate(rows) if row.run == run)
            rows[place] = replace(rows[place], outcome="running", reason="", hint="")
            follower = self._shelf.follower(run)
            started = follower.started
            at_work.append(
                AtWork(
                    rows[place],
                    replace(follower.progress, task=task, run=run),
                    tuple(glob for glob, _ in started.boundaries) if started else (),
                    started.network if started else (),
                    holder(self._locks, task),
                )
            )
        asking = [task for task, row in newest_of(rows).items() if row.outcome == "blocked"]
        settled = (task for task in asking if read_marker(self._root, task) == "done")
        return Board(self._world.now(), tuple(rows), tuple(at_work), settled=frozenset(settled))

    def _running(self, rows: list[RunRow]) -> dict[str, str]:
        """The tasks that are at work, each with its run: the one that was written to last."""
        by_task: dict[str, list[str]] = {}
        for row in rows:
            by_task.setdefault(row.task, []).append(row.run)
        return {
            task: max(runs, key=lambda run: last_line(self._root / FOLDER / run))
            for task, runs in by_task.items()
            if is_running(self._locks, task)
        }

    def details(self, run: str) -> Details | None:
        """All that can be shown of a run; None if there is none of this name.

        Raises `AgentflowError` if it cannot be read.
        """
        row = next((row for row in self.board().rows if row.run == run), None)
        if row is None:
            return None
        folder = self._root / FOLDER / run
        key = (key_of(folder / REPORT), key_of(folder / JOURNAL), row.outcome)
        kept = self._details.get(run)
        if kept and kept[0] == key:
            return kept[1]
        report = {**read_report(folder), "outcome": row.outcome}
        if row.outcome == "running":
            report |= {"reason": "", "hint": ""}
        if row.outcome in {"running", "unfinished"}:
            report |= self._spent(run)
        redact = redactor(secrets_of(self._repository, self._world.environment))
        details = read_details(self._repository, self._world.cache, report, redact)
        while len(self._details) >= KEPT:
            self._details.pop(next(iter(self._details)), None)
        self._details[run] = key, details
        return details

    def _spent(self, run: str) -> Json:
        with self._guard:
            so_far = self._shelf.follower(run).spent()
        names = ("num_turns", "usage", "total_cost_usd")
        return {name: so_far[name] for name in names if name in so_far}

    def plan(self) -> Plan:
        """The tasks in the order in which they would be run. What prevents one is its `problem`."""
        board = self.board()
        running = tuple(each.row.run for each in board.at_work)
        newest = {row.task: row for row in board.rows}
        key = (self._stamp(), running, len(board.rows))
        with self._guard:
            if self._plan is None or self._plan[0] != key:
                self._plan = key, self._planned(newest)
            return self._plan[1]

    def _stamp(self) -> object:
        """What is another one when tasks, queue, markers or HEAD have changed."""
        files = sorted((self._root / TASKS).glob("*.md"))
        places = (*files, *queue_paths(self._root), self._root / MARKERS)
        head = open_repository(self._root, self._world.environment).head
        return head, tuple(map(key_of, places))

    def _planned(self, newest: Mapping[str, RunRow]) -> Plan:
        standing = {str(each["id"]): each for each in task_states(self._world)}
        planned: Json = {"tasks": [], "left_out": {}}
        problem = ""
        try:
            planned = waves_json(ready_tasks(find_start(None, {}, self._world), self._world))
        except AgentflowError as error:
            problem = f"{error.message}. {error.hint}".strip()
        cards = [_in_plan(task, standing.pop(task["task"], {})) for task in planned["tasks"]]
        cards += [
            _beside(each, planned["left_out"].get(name, ""), newest.get(name))
            for name, each in standing.items()
        ]
        return Plan(tuple(cards), problem)


def _in_plan(task: Json, standing: Json) -> TaskCard:
    """A task that can be run now, or after others."""
    state = standing.get("state", "new")
    if state not in {"running", "stopped"}:
        state = "ready" if task["wave"] == 1 else "waiting"
    return TaskCard(
        task["task"],
        task["title"],
        state,
        task["wave"],
        tuple(map(as_written, task["allow"])),
        tuple((each["task"], each["why"]) for each in task["after"]),
        run=standing.get("run"),
    )


def _beside(standing: Json, why: str, row: RunRow | None) -> TaskCard:
    """A task that is not in the plan."""
    state = standing["state"]
    return TaskCard(
        standing["id"],
        standing.get("title") or (row.title if row else ""),
        "waiting" if state == "new" else state,
        note=why or standing.get("problem") or "",
        run=standing["run"],
    )
