"""A single run whose branch others move meanwhile: merged and judged again, where the branch was named."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from agentflow.errors import Conflict
from agentflow.events import Event, GateFinished
from agentflow.order import Order
from agentflow.plan import make_plan
from agentflow.records import Json
from agentflow.resuming import order_of
from agentflow.rewinding import fork
from agentflow.workspace.repository import open_repository
from tests.run.project import HELLO, Project, turn

pytestmark = pytest.mark.sandbox

TURNS = [turn(HELLO), turn()]
TOGETHER = {"name": "test", "command": "test -s app/hello.txt && ! test -e RED", "must_fail_on_base": True}  # fmt: skip
"""Red with the one file that somebody else may bring."""


def land_there(project: Project, branch: str, path: str, text: str = "theirs\n") -> str:
    """Somebody else's commit of one file, on a branch that is not checked out; return it."""
    project.git("branch", branch) if not project.git("branch", "--list", branch) else None
    beside = project.root.parent / "beside"
    project.git("worktree", "add", "--quiet", "--detach", str(beside), branch)
    theirs = Project(beside, project.world)
    theirs.write(path, text)
    made = theirs.commit("somebody else")
    project.git("worktree", "remove", "--force", str(beside))
    project.git("update-ref", f"refs/heads/{branch}", made)
    return made


def meddling(
    project: Project, path: str, branch: str = "release", text: str = "theirs\n"
) -> tuple[list[str], Callable[[Event], None]]:
    """Moves a branch once, while the result is judged; the commit is in the list then."""
    moved: list[str] = []

    def watch(event: Event) -> None:
        judged = isinstance(event, GateFinished) and event.evidence.gate == "build:test"
        if judged and not moved:
            moved.append(land_there(project, branch, path, text))

    return moved, watch


async def go_on(project: Project, report: Json, turns: list[Json], **flags: Any) -> Json:
    """What `agentflow resume` of a run does, with these flags in place of its own."""
    repository = open_repository(project.root, project.world.environment)
    order = order_of(repository, project.world.cache, report["run"])
    given = {name: value for name, value in order.flags.items() if name != "base_url"}
    return await project.run(turns, order=replace(order, flags={**given, **flags}))


@pytest.mark.parametrize("there", [True, False])
async def test_a_named_target_that_moved_meanwhile_is_merged_and_judged_again(
    project: Project, *, there: bool
) -> None:
    if there:
        project.git("branch", "release")
    moved, watch = meddling(project, "other.txt")

    report = await project.run(TURNS, target="release", watch=watch)

    assert (report["outcome"], report["reason"]) == ("done", "")
    assert report["combined"]["base"] == moved[0]
    assert project.git("rev-parse", "release") == report["landed"]["tip"]
    assert project.git("rev-parse", "release^1") == moved[0]
    assert project.git("rev-parse", "release^2") == report["commits"][0]["sha"]
    assert project.git("show", "release:app/hello.txt", "release:other.txt") == "hello\ntheirs"
    judged = [e for e in project.events if isinstance(e, GateFinished)]
    assert [e.evidence.gate for e in judged].count("build:test") == 2
    assert project.git("for-each-ref", "refs/agentflow/verified") == ""


async def test_what_fails_together_does_not_land_and_goes_on_when_it_fits(
    project: Project,
) -> None:
    project.git("branch", "release")
    moved, watch = meddling(project, "RED")

    report = await project.run(TURNS, target="release", watch=watch, gates=[TOGETHER])

    assert (report["outcome"], report["exit_code"]) == ("conflict", 7)
    assert "release moved meanwhile: together with what landed there" in report["reason"]
    assert ": agentflow run TASK-1 --base release " in report["hint"]
    assert project.git("rev-parse", "release") == moved[0]

    with pytest.raises(Conflict, match="release exists and is not the base") as caught:
        await project.run(TURNS, target="release", gates=[TOGETHER])
    assert f"agentflow resume {report['run']}" in caught.value.hint

    project.git("update-ref", "refs/heads/release", project.git("rev-parse", "main"))
    theirs = land_there(project, "release", "other.txt")
    again = await go_on(project, report, [turn()])
    assert (again["run"], again["outcome"]) == (report["run"], "done")
    assert project.git("rev-parse", "release^1") == theirs


async def test_what_conflicts_names_a_command_that_works(project: Project) -> None:
    project.git("branch", "release")
    moved, watch = meddling(project, "app/hello.txt")
    gate = {"name": "test", "command": "true"}

    report = await project.run(TURNS, target="release", watch=watch, gates=[gate])

    assert (report["outcome"], report["exit_code"]) == ("conflict", 7)
    assert "app/hello.txt changed there too" in report["reason"]
    assert ": agentflow run TASK-1 --base release " in report["hint"]
    assert project.git("rev-parse", "release") == moved[0]
    changes = [turn({"tool": "Bash", "input": {"command": "echo both > app/hello.txt"}}), turn()]
    anew = Order("TASK-1", base="release")
    assert (await project.run(changes, order=anew, target="release", gates=[gate]))[
        "exit_code"
    ] == 0
    assert project.git("show", "release:app/hello.txt") == "both"


async def test_a_run_that_was_cut_off_goes_on_onto_a_named_target_that_moved(
    project: Project,
) -> None:
    project.git("branch", "release")
    cut = await project.run([turn(HELLO), turn(HELLO)], target="release", max_turns=1)
    assert cut["outcome"] == "budget"
    theirs = land_there(project, "release", "other.txt")

    report = await go_on(project, cut, TURNS, max_turns=9)

    assert (report["outcome"], report["run"]) == ("done", cut["run"])
    assert project.git("rev-parse", "release^1") == theirs


async def test_a_fork_begins_only_where_its_named_target_is(project: Project) -> None:
    cut = await project.run([turn(HELLO), turn(HELLO)], target="release", max_turns=1)
    repository = open_repository(project.root, project.world.environment)
    order = order_of(repository, project.world.cache, cut["run"])
    plan = await make_plan(order, project.world)
    forked = {"run": fork(plan, project.world, cut["run"], 1)}
    land_there(project, "release", "other.txt")
    project.requests.clear()

    with pytest.raises(Conflict, match="release exists and is not the base"):
        await go_on(project, forked, TURNS, max_turns=9)
    assert project.requests == []


async def test_fresh_never_replaces_or_merges_what_others_put_on_what_it_was_to_replace(
    project: Project,
) -> None:
    await project.run(TURNS, target="release")
    moved, watch = meddling(project, "other.txt")

    order = Order("TASK-1", fresh=True)
    report = await project.run(TURNS, order=order, target="release", watch=watch)

    assert (report["outcome"], report["exit_code"]) == ("conflict", 7)
    assert report["reason"] == f"the branch release moved to {moved[0][:12]} meanwhile"
    assert project.git("rev-parse", "release") == moved[0]


async def test_a_branch_of_the_task_s_own_that_others_made_is_in_the_way(project: Project) -> None:
    moved, watch = meddling(project, "other.txt", branch="agentflow/TASK-1")

    report = await project.run(TURNS, watch=watch)

    assert (report["outcome"], report["exit_code"]) == ("conflict", 7)
    assert project.git("rev-parse", "agentflow/TASK-1") == moved[0]
    assert report["hint"] == (
        "Rename it: git branch -m agentflow/TASK-1 NAME\nThe verified commits are on "
        f"refs/agentflow/verified/{report['run']}.\nThen go on: agentflow resume {report['run']}"
    )

    project.git("branch", "-m", "agentflow/TASK-1", "theirs")
    again = await go_on(project, report, [turn()])
    assert (again["outcome"], project.git("rev-parse", "theirs")) == ("done", moved[0])
