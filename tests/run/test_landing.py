"""Landing, and what is refused before it: branches, the current branch, a second run."""

import asyncio

import pytest

from agentflow.errors import Conflict, Held, UsageError
from agentflow.events import Event, RunFinished
from agentflow.order import Order
from agentflow.runs import task_lock
from tests.run.project import HELLO, Project, call, turn

pytestmark = pytest.mark.sandbox

TURNS = [turn(HELLO), turn()]


async def test_current_moves_branch_index_and_files(project: Project) -> None:
    project.write("app/main.py", "changed by hand\n")

    report = await project.run(TURNS, land="current")

    assert report["landed"]["ref"] == "refs/heads/main"
    assert project.git("rev-parse", "HEAD") == report["landed"]["tip"]
    assert (project.root / "app/hello.txt").read_text() == "hello\n"
    assert project.git("status", "--porcelain") == "M app/main.py"


async def test_current_refuses_to_overwrite_and_keeps_the_work(project: Project) -> None:
    project.write("app/hello.txt", "mine\n")

    report = await project.run(TURNS, land="current")

    assert (report["outcome"], report["exit_code"]) == ("conflict", 7)
    kept = f"refs/agentflow/verified/{report['run']}"
    assert kept in report["hint"]
    assert project.git("show", f"{kept}:app/hello.txt") == "hello"
    assert (project.root / "app/hello.txt").read_text() == "mine\n"
    assert project.git("log", "--format=%s") == "feat: start"
    assert project.marker("done") is None


async def test_none_lands_nothing_but_keeps_the_commits(project: Project) -> None:
    report = await project.run(TURNS, land="none")

    assert report["outcome"] == "done"
    assert report["landed"]["ref"] is None
    kept = f"refs/agentflow/verified/{report['run']}"
    assert project.git("rev-parse", kept) == report["landed"]["tip"]
    assert project.git("branch", "--list", "agentflow/*") == ""


async def test_a_target_at_the_base_is_moved_forward(project: Project) -> None:
    project.git("branch", "release")

    report = await project.run(TURNS, target="release")

    assert project.git("rev-parse", "release") == report["landed"]["tip"]


@pytest.mark.parametrize("target", ["main", "agentflow/TASK-1"])
async def test_a_target_that_cannot_take_it_is_refused_before_any_spend(
    project: Project, target: str
) -> None:
    project.write("more.txt", "more\n")
    project.commit()
    project.git("branch", "--force", "agentflow/TASK-1")

    with pytest.raises(Conflict):
        await project.run(TURNS, order=Order("TASK-1", base="HEAD~1"), target=target)
    assert project.requests == []


async def test_a_done_task_is_done(project: Project) -> None:
    first = await project.run(TURNS)
    again = await project.run(TURNS)

    assert (again["outcome"], again["exit_code"], again["already_done"]) == ("done", 0, True)
    assert again["run"] == first["run"]


async def test_fresh_replaces_a_branch_of_ours_and_keeps_the_old_one(project: Project) -> None:
    first = await project.run(TURNS)
    other = [turn(call("Write", file_path="app/hello.txt", content="other\n")), turn()]

    second = await project.run(other, order=Order("TASK-1", fresh=True))

    assert project.git("show", "agentflow/TASK-1:app/hello.txt") == "other"
    kept = second["landed"]["replaced"]
    assert kept == f"refs/heads/agentflow/TASK-1@{second['run']}"
    assert project.git("rev-parse", kept) == first["landed"]["tip"]


async def test_fresh_takes_nothing_of_others_from_a_branch_that_was_named(
    project: Project,
) -> None:
    """Below what the task landed may be what others did."""
    tree, head = project.git("rev-parse", "HEAD^{tree}"), project.git("rev-parse", "HEAD")
    theirs = project.git("commit-tree", tree, "-p", head, "-m", "fix: theirs")
    project.git("branch", "release", theirs)
    first = await project.run(TURNS, order=Order("TASK-1", base="release"), target="release")
    other = [turn(call("Write", file_path="app/hello.txt", content="other\n")), turn()]

    with pytest.raises(Conflict, match="the branch release exists and is not the base"):
        await project.run(other, order=Order("TASK-1", fresh=True), target="release")
    again = Order("TASK-1", base=theirs, fresh=True)
    second = await project.run(other, order=again, target="release")

    assert project.git("log", "--format=%s", "release").splitlines()[1] == "fix: theirs"
    assert project.git("rev-parse", second["landed"]["replaced"]) == first["landed"]["tip"]


async def test_fresh_does_not_replace_a_branch_that_somebody_moved(project: Project) -> None:
    await project.run(TURNS)
    tree = project.git("rev-parse", "main^{tree}")
    other = project.git("commit-tree", tree, "-p", "agentflow/TASK-1", "-m", "by hand")
    project.git("update-ref", "refs/heads/agentflow/TASK-1", other)

    with pytest.raises(Conflict, match="exists and is not the base"):
        await project.run(TURNS, order=Order("TASK-1", fresh=True))


async def test_an_unfinished_run_is_named(project: Project) -> None:
    first = await project.run([turn(HELLO)] * 2, max_turns=1)
    assert first["outcome"] == "budget"

    with pytest.raises(UsageError, match=first["run"]):
        await project.run(TURNS)

    report = await project.run(TURNS, order=Order("TASK-1", fresh=True))
    assert report["outcome"] == "done"


async def test_two_runs_of_one_task_never_interleave(project: Project) -> None:
    locks = next(project.world.cache.glob("*/locks"), None)
    assert locks is None
    await project.run(TURNS)
    locks = next(project.world.cache.glob("*/locks"))

    with task_lock(locks, "TASK-1"), pytest.raises(Held, match="another run of TASK-1"):
        await project.run(TURNS, order=Order("TASK-1", fresh=True))


async def test_the_work_folder_is_gone_when_the_task_is_done(project: Project) -> None:
    await project.run(TURNS)
    assert [path.name for path in project.world.cache.glob("*/runs/*/*")] == ["state.git"]


async def test_a_detached_and_shallow_clone_works(project: Project) -> None:
    project.write("more.txt", "more\n")
    project.commit()
    shallow = project.root.parent / "shallow"
    project.git("clone", "--quiet", "--depth=1", f"file://{project.root}", str(shallow))
    clone = Project(
        shallow, project.world.__class__(shallow, project.world.environment, project.world.cache)
    )
    clone.git("checkout", "--quiet", "--detach")
    clone.git("config", "user.name", "Ada")
    clone.git("config", "user.email", "ada@example.com")

    report = await clone.run(TURNS)

    assert report["outcome"] == "done"
    assert clone.git("show", "agentflow/TASK-1:app/hello.txt") == "hello"


async def test_a_dependency_must_have_landed_in_the_base(project: Project) -> None:
    project.write(
        ".orchestrator/tasks/TASK-2.md", "---\ndepends_on: TASK-1\n---\n# Say it louder\n"
    )
    project.commit()
    louder = [turn(call("Write", file_path="app/louder.txt", content="HELLO\n")), turn()]
    with pytest.raises(UsageError, match="TASK-2 depends on TASK-1, which the base"):
        await project.run(louder, order=Order("TASK-2"))

    await project.run(TURNS)
    gate = {"name": "test", "command": "test -s app/louder.txt", "must_fail_on_base": True}
    order = Order("TASK-2", base="agentflow/TASK-1")
    report = await project.run(louder, order=order, gates=[gate])

    assert report["outcome"] == "done"
    assert project.git("log", "--format=%s", "agentflow/TASK-2").splitlines()[:2] == [
        "TASK-2: Say it louder",
        "TASK-1: Say hello",
    ]


async def test_a_task_may_take_the_profile_of_another_prompt(project: Project) -> None:
    project.task("profile: agent")
    report = await project.run([turn(HELLO), turn(), turn()])
    nudge = project.requests[2]["messages"][-1]["content"]
    assert nudge.startswith("You ended your turn without the completion marker.")
    assert report["outcome"] == "done"


async def test_a_committed_marker_is_not_believed(project: Project) -> None:
    project.write(".orchestrator/complete/TASK-1.done", "done")
    project.commit()
    with pytest.raises(UsageError, match="is committed to git"):
        await project.run(TURNS)


@pytest.mark.parametrize("link", [".orchestrator/complete", ".orchestrator"])
async def test_a_marker_behind_a_committed_link_is_not_believed(
    project: Project, link: str
) -> None:
    real = project.root / "elsewhere"
    if link == ".orchestrator":
        (project.root / link).rename(real)
    (real / "complete" if link == ".orchestrator" else real).mkdir(exist_ok=True, parents=True)
    marker = "complete/TASK-1.done" if link == ".orchestrator" else "TASK-1.done"
    (real / marker).write_text("done")
    (project.root / link).symlink_to("elsewhere" if link == ".orchestrator" else "../elsewhere")
    project.commit()
    with pytest.raises(UsageError, match="is behind a link"):
        await project.run(TURNS)


async def test_a_stop_while_closing_still_ends_with_report_and_marker(project: Project) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, RunFinished):
            task = asyncio.current_task()
            assert task is not None
            task.cancel(15)

    report = await project.run(TURNS, watch=stop)

    assert (report["outcome"], report["exit_code"]) == ("done", 0)
    assert project.marker("done") == "done"
