"""What the dashboard knows of runs, and how little it reads for that."""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from agentflow.events import AssistantMessage, RunStarted
from agentflow.journal import Journal
from agentflow.markers import write_marker
from agentflow.run_reports import REPORT
from agentflow.runs import FOLDER, JOURNAL, task_lock
from agentflow.web.following import Follower
from agentflow.web.local import LocalSource
from agentflow.web.shelf import Shelf
from agentflow.web.views import Views
from tests.cli.shell import Shell
from tests.report.test_report_command import KEY, WORD, make_run
from tests.sinks.sample import RUN, events, said, started
from tests.ui.place import Place, tell

BEGAN = datetime(2026, 11, 20, 19, 33, 18, tzinfo=UTC)


def test_only_a_report_that_changed_is_read_again(tmp_path: Path) -> None:
    names = [tell(tmp_path, f"A-{n}", BEGAN + timedelta(hours=n)) for n in range(3)]
    shelf = Shelf(tmp_path)
    before = shelf.rows()
    assert [row.run for row in before] == names
    report = tmp_path / FOLDER / names[1] / REPORT
    report.write_text(json.dumps({**json.loads(report.read_text()), "title": "Another"}))
    after = shelf.rows()
    assert [old is new for old, new in zip(before, after, strict=True)] == [True, False, True]
    assert after[1].title == "Another"
    for path in (tmp_path / FOLDER / names[0]).iterdir():
        path.unlink()
    (tmp_path / FOLDER / names[0]).rmdir()
    assert [row.run for row in shelf.rows()] == names[1:]


def test_a_journal_is_read_as_it_grows(tmp_path: Path) -> None:
    path, now = tmp_path / JOURNAL, BEGAN
    follower = Follower(path)
    follower.look()
    assert (follower.started, follower.spent()) == (None, {})
    journal = Journal(path, lambda: now)
    journal.append(started())
    follower.look()
    assert follower.started == started()
    for turn in (1, 2):
        journal.append(said("I look."))
        follower.look()
        assert follower.progress.turn == turn
        assert follower.spent()["num_turns"] == turn
    whole = path.read_bytes()
    with path.open("ab") as file:
        file.write(b'{"at": "2026-11-20T19:33')
    follower.look()
    assert follower.progress.turn == 2
    path.write_bytes(whole[: whole.index(b"\n") + 1])
    follower.look()
    assert (follower.progress.turn, follower.spent()["num_turns"]) == (0, 0)
    journal.close()


def test_a_damaged_journal_stays_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / JOURNAL
    journal = Journal(path, lambda: BEGAN)
    for event in (started(), said("I look.")):
        journal.append(event)
    journal.close()
    follower = Follower(path)
    follower.look()
    with path.open("ab") as file:
        file.write(b'{"type": "unknown"}\n{"type": 7}\nno json\n')
    follower.look()
    follower.look()
    assert follower.progress.turn == 1
    path.rename(tmp_path / "kept")
    os.mkfifo(path)
    follower.look()
    assert follower.progress.turn == 0


def test_a_run_at_work_is_the_one_that_was_written_to_last(other: Place) -> None:
    world = other.shell.project.world
    source = LocalSource(world)
    locks = source._locks  # pyright: ignore[reportPrivateUsage]
    story = [event for event in events() if isinstance(event, RunStarted | AssistantMessage)][:2]
    first = replace(started(), boundaries=(("notes/**", "x"), ("!notes/a", "x")))
    run = tell(other.root, "TASK-4", datetime.now(UTC), story=[first, *story[1:]], finished=False)
    (row,) = [row for row in source.board().rows if row.run == run]
    assert (row.outcome, row.spent.turns) == ("unfinished", 1)
    with task_lock(locks, "TASK-4"):
        source.forget()
        (work,) = source.board().at_work
        assert (work.row.run, work.row.outcome, work.process) == (run, "running", os.getpid())
        assert work.writes == ("notes/**", "!notes/a")
        assert work.progress.doing == "Read notes/store.py"
        states = {card.id: card.state for card in source.plan().cards}
        assert states["TASK-4"] == "running"
        details = source.details(run)
        assert details is not None
        assert (details.report["outcome"], details.report["num_turns"]) == ("running", 1)
        assert source.details(run) is details
    source.forget()
    assert source.board().at_work == ()
    assert source.details("TASK-4") is None


def test_a_task_that_is_done_asks_nothing(other: Place) -> None:
    """An answer to a newer run of it is refused."""
    source = LocalSource(other.shell.project.world)
    views = Views(source, "form")
    run = {"run": other.runs["TASK-3"]}

    def asked() -> tuple[bool, bool]:
        source.forget()
        pages = (views.overview({}), views.run(run))
        needs, own = (str(page.regions[0].html) for page in pages)
        return "archived_at" in needs, 'name="text"' in own

    assert asked() == (True, True)
    write_marker(other.root, "TASK-3", "done")
    assert asked() == (False, False)


def test_what_git_holds_of_a_secret_is_on_no_page(tmp_path: Path) -> None:
    """A commit that a person made, or one from before `env_from` named the variable."""
    shell = Shell(tmp_path)
    make_run(shell)
    world = shell.project.world
    source = LocalSource(replace(world, environment={**world.environment, "WORD": WORD}))
    details = source.details(RUN)
    assert details is not None
    assert [file.path for file in details.files] == ["app/search.py"]
    page = Views(source, "form").run({"run": RUN})
    shown = str(details) + "".join(region.html for region in page.regions)
    assert "[redacted]" in shown
    assert KEY not in shown
    assert WORD not in shown


def test_a_task_that_cannot_be_read_is_the_plan_s_problem(other: Place) -> None:
    source = LocalSource(other.shell.project.world)
    assert source.plan().problem == ""
    other.shell.project.write(".orchestrator/tasks/TASK-9.md", "---\nallow: [\n---\n\n# Bad\n")
    plan = source.plan()
    assert "TASK-9" in plan.problem
    assert {card.id for card in plan.cards} >= {"TASK-1", "TASK-9"}
    (card,) = [card for card in plan.cards if card.id == "TASK-9"]
    assert card.note
