"""Waiting for a run, with real locks and a clock that moves when somebody sleeps."""

import json
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from agentflow.errors import UsageError
from agentflow.events import RunStarted
from agentflow.markers import write_marker
from agentflow.records import Json
from agentflow.runs import FOLDER, task_lock
from agentflow.wait import INTERVAL, NO_RESULT, wait_for_end
from agentflow.workspace.repository import Repository, open_repository
from tests.run.project import Project, make_project

FIRST, SECOND = "TASK-1-20250101T000000-ffff", "TASK-1-20250101T000001-0000"


class Room:
    """A repository in which runs begin and end while somebody waits."""

    def __init__(self, project: Project, task: str = "TASK-1") -> None:
        self.project = project
        self.task = task
        self.is_document = False
        self.repository: Repository = open_repository(project.root, project.world.environment)
        self.lock = ExitStack()
        self.now = 0.0
        self.steps: list[Callable[[], object]] = []
        self.told: list[str | None] = []

    def wait(self, *steps: Callable[[], object], timeout: float | None = None) -> Json | None:
        """Wait; each sleep is one step of the others."""
        self.steps = list(steps)
        return wait_for_end(
            self.repository,
            self.project.world.cache,
            self.task,
            timeout=timeout,
            is_document=lambda: self.is_document,
            clock=lambda: self.now,
            sleep=self._sleep,
            tell=self.told.append,
        )

    def _sleep(self, seconds: float) -> None:
        assert 0 < seconds <= INTERVAL
        self.now += seconds
        if self.steps:
            self.steps.pop(0)()
        else:
            assert self.now < 60, "it waits for ever"

    def hold(self, task: str = "TASK-1") -> None:
        """A run takes the lock."""
        self.lock.enter_context(task_lock(self.repository.locks(self.project.world.cache), task))

    def release(self) -> None:
        """Its process ends."""
        self.lock.close()

    def begin(self, run: str = FIRST) -> None:
        """It makes its folder."""
        self.project.write(f"{FOLDER}/{run}/journal.jsonl", "")

    def end(self, run: str = FIRST, outcome: str = "failed", **fields: object) -> None:
        """It writes its report."""
        report = {"task": run.rsplit("-", 2)[0], "run": run, "outcome": outcome, **fields}
        self.project.write(f"{FOLDER}/{run}/report.json", json.dumps(report))


@pytest.fixture
def room(tmp_path: Path) -> Generator[Room]:
    room = Room(make_project(tmp_path))
    yield room
    room.release()


def ended(report: Json | None) -> tuple[str, str, int]:
    assert report is not None
    return report["run"], report["outcome"], report["exit_code"]


def test_a_run_is_waited_for_until_its_process_has_let_go(room: Room) -> None:
    report = room.wait(room.hold, room.begin, room.end, lambda: None, room.release)
    assert ended(report) == (FIRST, "failed", 1)
    assert room.now == pytest.approx(5 * INTERVAL)
    assert room.told == [None]


def test_a_run_that_ended_before_counts(room: Room) -> None:
    room.end(outcome="done")
    assert ended(room.wait()) == (FIRST, "done", 0)
    assert (room.now, room.told) == (0, [])


def test_a_run_that_ended_before_does_not_count_while_another_begins(room: Room) -> None:
    room.end(outcome="done")
    room.hold()
    report = room.wait(
        lambda: None, lambda: room.begin(SECOND), lambda: room.end(SECOND, "blocked"), room.release
    )
    assert ended(report) == (SECOND, "blocked", 3)


def test_a_killed_run_has_ended_without_a_result(room: Room) -> None:
    room.hold()
    report = room.wait(room.begin, room.release)
    assert ended(report) == (FIRST, "interrupted", NO_RESULT)
    assert report is not None
    assert "its process was killed" in report["reason"]


def test_the_run_that_was_watched_is_told_though_another_has_begun(room: Room) -> None:
    room.hold()
    room.begin()
    report = room.wait(lambda: (room.end(), room.begin(SECOND)))
    assert ended(report) == (FIRST, "failed", 1)
    assert room.told == [FIRST]


def test_a_killed_run_that_was_followed_by_another_says_nothing(room: Room) -> None:
    room.begin()
    room.hold()
    report = room.wait(lambda: room.begin(SECOND), lambda: room.end(SECOND, "done"), room.release)
    assert ended(report) == (SECOND, "done", 0)


@pytest.mark.parametrize(
    ("outcome", "given", "code"),
    [
        ("done", 0, 0), ("failed", 1, 1), ("blocked", 3, 3), ("budget", 4, 4),
        ("environment", 5, 5), ("provider", 6, 6), ("conflict", 7, 7),
        ("interrupted", 130, 130), ("interrupted", 143, 143),
        # what no run of ours says
        ("failed", 0, 1), ("done", 1, 0), ("interrupted", 0, 143), ("interrupted", [], 143),
        ("interrupted", True, 143), ("odd", 0, 143),
    ],
)  # fmt: skip
def test_the_code_is_the_outcome_s(room: Room, outcome: str, given: object, code: int) -> None:
    room.end(outcome=outcome, exit_code=given)
    report = room.wait()
    assert report is not None
    assert report["exit_code"] == code


def test_the_time_may_be_over_first(room: Room) -> None:
    assert room.wait(timeout=0.5) is None
    assert room.now == pytest.approx(0.5)
    room.hold()
    room.begin()
    assert room.wait(timeout=1) is None
    room.release()
    assert ended(room.wait(timeout=0)) == (FIRST, "interrupted", NO_RESULT)


def test_other_tasks_are_not_this_one(room: Room) -> None:
    room.project.write(f"{FOLDER}/TASK-1-2-20250101T000000-ffff/journal.jsonl", "")
    room.project.write(f"{FOLDER}/TASK-1-notes/x", "")
    assert room.wait(timeout=0) is None


def test_a_report_that_came_with_the_repository_is_refused(room: Room) -> None:
    room.end(outcome="done")
    room.project.git("add", "--force", FOLDER)
    with pytest.raises(UsageError, match="is tracked by git") as caught:
        room.wait()
    assert caught.value.hint == f"Remove it: git rm -r --cached {FOLDER}/{FIRST}"


@pytest.mark.parametrize("name", ["TASK-2", "../TASK-1", "", "*"])
def test_a_task_that_nobody_knows_is_refused(room: Room, name: str) -> None:
    with pytest.raises(UsageError):
        wait_for_end(
            room.repository, room.project.world.cache, name,
            timeout=None, clock=lambda: 0.0, sleep=lambda _: None, tell=room.told.append,
            is_document=lambda: False,
        )  # fmt: skip
    assert not list(room.project.world.cache.glob("**/*"))


def _kept(room: Room, **report: Any) -> None:
    told = {"task": "TASK-1", "run": FIRST, "outcome": "failed", **report}
    room.project.write(".orchestrator/reports/TASK-1.json", json.dumps(told))


def test_a_run_that_was_pruned_has_ended(room: Room) -> None:
    _kept(room)
    assert ended(room.wait()) == (FIRST, "failed", 1)
    assert room.told == []

    (room.project.root / ".orchestrator/tasks/TASK-1.md").unlink()
    assert ended(room.wait()) == (FIRST, "failed", 1)


def test_a_run_that_was_pruned_does_not_count_while_another_begins(room: Room) -> None:
    _kept(room)
    room.hold()
    found = room.wait(lambda: room.begin(SECOND), lambda: room.end(SECOND, "done"), room.release)
    assert ended(found) == (SECOND, "done", 0)


@pytest.mark.parametrize("given", [{"outcome": "unfinished"}, {"run": "TASK-2"}, {"landed": 1}])
def test_a_kept_report_that_says_nothing_ends_no_waiting(room: Room, given: dict[str, Any]) -> None:
    _kept(room, **given)
    assert room.wait(timeout=1) is None


def test_a_kept_report_of_the_repository_ends_no_waiting(room: Room) -> None:
    _kept(room)
    room.project.git("add", "-f", ".orchestrator/reports/TASK-1.json")
    assert room.wait(timeout=1) is None


def test_a_task_that_only_its_marker_calls_done_is_done(room: Room) -> None:
    write_marker(room.project.root, "TASK-1", "failed")
    assert room.wait(timeout=1) is None
    write_marker(room.project.root, "TASK-1", "done")
    found = room.wait()
    assert found == {
        "type": "result",
        "task": "TASK-1",
        "run": None,
        "outcome": "done",
        "exit_code": 0,
    }


def test_a_task_without_a_file_is_known_by_its_runs(room: Room) -> None:
    (room.project.root / ".orchestrator/tasks/TASK-1.md").unlink()
    room.end()
    assert ended(room.wait()) == (FIRST, "failed", 1)


DOCUMENT = "TASK_2025_001"
BATCHES = [f"{DOCUMENT}-batch-{n}-20250101T00000{n}-ffff" for n in (1, 2)]


@pytest.fixture
def desk(room: Room) -> Room:
    """Where a document is waited for."""
    room.task = DOCUMENT
    return room


def test_a_document_is_waited_for_until_no_process_is_at_work_on_it(desk: Room) -> None:
    first, second = BATCHES
    desk.is_document = True
    report = desk.wait(
        lambda: desk.hold(DOCUMENT),
        lambda: desk.begin(first),
        lambda: desk.end(first, "done"),
        lambda: None,
        lambda: desk.begin(second),
        lambda: desk.end(second, "blocked"),
        desk.release,
    )
    assert ended(report) == (second, "blocked", 3)
    assert desk.now == pytest.approx(7 * INTERVAL)
    assert desk.told == [None]


def test_a_document_is_known_by_the_runs_of_its_batches(desk: Room) -> None:
    first, second = BATCHES
    desk.end(first, "done")
    assert ended(desk.wait()) == (first, "done", 0)
    desk.begin(second)
    assert ended(desk.wait()) == (second, "interrupted", NO_RESULT)
    desk.project.write(f"{FOLDER}/{DOCUMENT}-20250101T000000-ffff/journal.jsonl", "")
    assert ended(desk.wait())[0].startswith(f"{DOCUMENT}-2025"), "a run of that very name is meant"


def test_a_run_of_one_batch_is_waited_for_too(desk: Room) -> None:
    first, second = BATCHES
    desk.end(first, "done")
    desk.begin(second)
    desk.hold(f"{DOCUMENT}-batch-2")
    report = desk.wait(lambda: None, lambda: desk.end(second), desk.release)
    assert ended(report) == (second, "failed", 1)
    assert desk.told == [second]


def test_a_document_whose_marker_calls_it_done_is_done(desk: Room) -> None:
    desk.is_document = True
    write_marker(desk.project.root, DOCUMENT, "done")
    report = desk.wait()
    assert report is not None
    assert (report["run"], report["outcome"], report["exit_code"]) == (None, "done", 0)
    first, second = BATCHES
    desk.end(first, "done")
    desk.end(second, "failed")
    assert ended(desk.wait()) == (first, "done", 0)
    desk.hold(DOCUMENT)
    assert desk.wait(timeout=1) is None


@pytest.mark.parametrize("newest", [0, 1])
def test_a_document_whose_runs_were_pruned_has_ended(desk: Room, newest: int) -> None:
    for n, outcome in enumerate(("done", "failed")):
        name = f"{DOCUMENT}-batch-{n}"
        run = f"{name}-20250101T00000{int(n == newest)}-ffff"
        kept = json.dumps({"task": name, "run": run, "outcome": outcome})
        desk.project.write(f".orchestrator/reports/{name}.json", kept)
    report = desk.wait()
    assert report is not None
    assert (report["outcome"], report["exit_code"]) == (("done", 0), ("failed", 1))[newest]
    desk.project.git("add", "-f", ".orchestrator/reports")
    with pytest.raises(UsageError):
        desk.wait()


def test_a_batch_s_fork_that_has_not_begun_does_not_count(desk: Room) -> None:
    first, second = BATCHES
    desk.end(first)
    begins = json.dumps({"type": RunStarted.type})
    desk.project.write(f"{FOLDER}/{second}/journal.jsonl", f"{begins}\n{begins}\n")
    assert ended(desk.wait()) == (first, "failed", 1)
