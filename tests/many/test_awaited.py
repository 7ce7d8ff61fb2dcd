"""What is said of a dependency that the start does not hold: done elsewhere, nowhere known, the task itself."""

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from agentflow.backlog import Backlog, find_start, named_tasks
from agentflow.errors import UsageError
from agentflow.markers import write_marker
from agentflow.order import Order
from agentflow.plan import make_plan
from agentflow.ready_tasks import ready_tasks
from agentflow.waves import drawn, waves_json
from tests.run.project import Project, make_project

GATES = {"gates": [{"name": "t", "command": "true"}], "prompt": "plain"}
DONE = "agentflow/USERS-1"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """USERS-1 is done on its own branch, and MAIL-1 waits for it; so it would for what is not there."""
    made = make_project(tmp_path)
    task(made, "USERS-1")
    task(made, "ORDERS-1")
    task(made, "MAIL-1", "USERS-1, ORDERS-1")
    base = made.commit("chore: tasks")
    tip = made.git("commit-tree", "HEAD^{tree}", "-p", base, "-m", "u\n\nAgentflow-Task: USERS-1")
    made.git("branch", DONE, tip)
    is_done(made, "USERS-1", DONE, tip)
    return made


def is_done(project: Project, name: str, branch: str, tip: str) -> None:
    run = f"{name}-20250101T000000-aaaa"
    landed = {"ref": f"refs/heads/{branch}", "tip": tip}
    report = {"task": name, "run": run, "outcome": "done", "landed": landed}
    project.write(f".orchestrator/runs/{run}/report.json", json.dumps(report))
    write_marker(project.root, name, "done")


def task(project: Project, name: str, needs: str = "") -> None:
    header = f"depends_on: [{needs}]" if needs else "deny: [x]"
    project.write(f".orchestrator/tasks/{name}.md", f"---\n{header}\n---\n\n# {name}\n")


def several(project: Project, *names: str, fresh: bool = False, **flags: Any) -> Backlog:
    start = find_start(None, {**GATES, **flags}, project.world)
    if not names:
        return ready_tasks(start, project.world)
    return named_tasks(names, start, project.world, fresh=fresh)


def plan(project: Project, *names: str, **flags: Any) -> None:
    """What `run` does with one name or several before anything begins; all without any."""
    if len(names) == 1:
        asyncio.run(make_plan(Order(names[0], flags={**GATES, **flags}), project.world))
    else:
        waves_json(several(project, *names, **flags))


def refused(project: Project, *names: str, **flags: Any) -> tuple[str, str]:
    with pytest.raises(UsageError) as caught:
        plan(project, *names, **flags)
    return caught.value.message, caught.value.hint


def test_what_is_done_elsewhere_is_brought_to_a_target_that_all_land_on(project: Project) -> None:
    told = f"MAIL-1 depends on USERS-1, which is done on {DONE}, and release does not hold that"
    step = f"Begin it there: git branch release {DONE}"
    for names in (("USERS-1", "ORDERS-1", "MAIL-1"), ("ORDERS-1", "MAIL-1")):
        assert refused(project, *names, target="release") == (told, step)
    everything = several(project, target="release")
    assert [item.name for item in everything.items] == ["ORDERS-1", "TASK-1"]
    assert everything.left_out["MAIL-1"] == (
        f"waits for USERS-1: is done on {DONE}, and release does not hold that. {step}"
    )

    project.git("branch", "release")
    merge = f"Bring it there: git switch release && git merge {DONE} && git switch -"
    assert refused(project, "ORDERS-1", "MAIL-1", target="release") == (told, merge)
    assert len(several(project, "USERS-1", "ORDERS-1", "MAIL-1", fresh=True, target="release").items) == 3  # fmt: skip

    project.git("branch", "--force", "release", DONE)
    for names in (("USERS-1", "ORDERS-1", "MAIL-1"), ("ORDERS-1", "MAIL-1"), ()):
        assert "MAIL-1" in [item.name for item in several(project, *names, target="release").items]
    # Each on its own branch, tasks build on it where it is.
    assert len(several(project, "ORDERS-1", "MAIL-1").items) == 2


def copied(project: Project, step: str) -> None:
    """Run the command of a hint in a shell, as a person does who copies it."""
    command = step.partition(": ")[2]
    quiet = {**project.world.environment, "GIT_MERGE_AUTOEDIT": "no"}
    subprocess.run(
        command, shell=True, cwd=project.root, env=quiet, check=True, capture_output=True
    )


def done_besides(project: Project, name: str, branch: str) -> str:
    """A task that is done on a branch of its own, beside that of USERS-1; return its commit."""
    task(project, name)
    tree = project.git("rev-parse", "HEAD^{tree}")
    tip = project.git("commit-tree", tree, "-p", "HEAD", "-m", f"o\n\nAgentflow-Task: {name}")
    project.git("branch", branch, tip)
    is_done(project, name, branch, tip)
    return tip


@pytest.mark.parametrize("there", [False, True])
def test_all_says_what_is_done_elsewhere_and_how_it_is_brought(
    project: Project, there: bool
) -> None:
    done_besides(project, "OTHER-1", "feat/a&b")
    if there:
        project.git("branch", "release")
    backlog = several(project, target="release")
    assert {"USERS-1", "OTHER-1"}.isdisjoint(backlog.left_out)
    told = f"done elsewhere, so left out: OTHER-1 (feat/a&b), USERS-1 ({DONE}). release does not hold that. "
    (notice,) = backlog.notices
    assert notice == told + (
        f"Bring it there: git switch release && git merge 'feat/a&b' && git merge {DONE} && git switch -"
        if there
        else f"Begin it there: git branch release 'feat/a&b' && git switch release && git merge {DONE} && git switch -"
    )
    assert waves_json(backlog)["notices"] == [notice]
    assert drawn(waves_json(backlog), 4, "")[-1] == notice

    branch = project.git("branch", "--show-current")
    copied(project, notice.removeprefix(told))
    assert project.git("branch", "--show-current") == branch
    assert several(project, target="release").notices == ()
    assert several(project).notices == ()


def test_what_is_done_elsewhere_is_brought_to_where_the_target_is_checked_out(
    project: Project, tmp_path: Path
) -> None:
    place = tmp_path / "other place; touch x"
    project.git("worktree", "add", "--quiet", "-b", "release", str(place))
    _, step = refused(project, "ORDERS-1", "MAIL-1", target="release")
    assert step == f"Bring it there: git -C '{place}' merge {DONE}"
    copied(project, step)
    assert len(several(project, "ORDERS-1", "MAIL-1", target="release").items) == 2

    project.git("switch", "--quiet", "-c", "here", "HEAD")
    assert refused(project, "ORDERS-1", "MAIL-1", target="here")[1] == f"Bring it there: git merge {DONE}"  # fmt: skip


def test_the_names_of_branches_are_words_of_a_command(project: Project) -> None:
    task(project, "MAIL-1", "OTHER-1")
    done_besides(project, "OTHER-1", "feat/$(touch${IFS}x)")
    begin = "Begin there: agentflow run MAIL-1 --base 'feat/$(touch${IFS}x)' --target 'a&b'"
    assert refused(project, "MAIL-1", target="a&b")[1] == begin
    task(project, "MAIL-1", "ORDERS-1")
    assert refused(project, "MAIL-1", target="a&b")[1].endswith("MAIL-1 --base REV --target 'a&b'")
    step = refused(project, "MAIL-1", "TASK-1", target="a&b")[1]
    assert step == "Give it as well: agentflow run ORDERS-1 MAIL-1 TASK-1 --target 'a&b'"


def test_a_single_task_is_told_where_to_begin(project: Project) -> None:
    task(project, "MAIL-1", "USERS-1")
    base = project.git("rev-parse", "--short=12", "HEAD")
    told = f"MAIL-1 depends on USERS-1, which is done on {DONE}, and the base {base} does not hold that"
    begin = f"Begin there: agentflow run MAIL-1 --base {DONE}"
    assert refused(project, "MAIL-1") == (told, begin)
    assert refused(project, "MAIL-1", target="new") == (told, f"{begin} --target new")
    project.git("branch", "release")
    assert refused(project, "MAIL-1", target="release") == (
        told,
        f"Bring it there: git switch release && git merge {DONE} && git switch -. "
        "Then: agentflow run MAIL-1 --base release --target release",
    )


def test_what_is_not_done_is_named_with_the_target(project: Project) -> None:
    assert refused(project, "MAIL-1", "TASK-1", target="rel4")[1] == f"Begin it there: git branch rel4 {DONE}"  # fmt: skip
    task(project, "MAIL-1", "ORDERS-1")
    told, step = refused(project, "MAIL-1", "TASK-1", target="rel4")
    assert told.startswith("MAIL-1 depends on ORDERS-1, which is neither done on the target nor")
    assert step == "Give it as well: agentflow run ORDERS-1 MAIL-1 TASK-1 --target rel4"
    assert refused(project, "MAIL-1", target="rel4")[1] == (
        "Run it first: agentflow run ORDERS-1 --target rel4. Or begin from a commit that holds what it landed: "
        "agentflow run MAIL-1 --base REV --target rel4"
    )


@pytest.mark.parametrize("names", [("X-3",), ("X-3", "ORDERS-1")])
def test_a_dependency_that_nobody_knows_is_no_task(project: Project, names: tuple[str]) -> None:
    task(project, "X-3", "USER-1")
    told, step = refused(project, *names)
    assert told == "X-3 depends on USER-1, and there is no such task; did you mean 'USERS-1'?"
    assert step == "Correct `depends_on` of X-3, or write .orchestrator/tasks/USER-1.md."
    left = several(project).left_out["X-3"]
    assert left == "waits for USER-1: there is no such task; did you mean 'USERS-1'?"


@pytest.mark.parametrize("names", [("X-3",), ("X-3", "ORDERS-1")])
def test_who_waits_is_not_what_was_meant_and_a_queue_has_its_own_place(
    project: Project, names: tuple[str]
) -> None:
    entry = "### X-3: a\n**Status:** pending\n**Depends On:** X-9\n"
    project.write("task_queue.md", entry)
    told, step = refused(project, *names)
    assert told == "X-3 depends on X-9, and there is no such task"
    assert (
        step == "Correct what it depends on in task_queue.md, or write .orchestrator/tasks/X-9.md."
    )
    assert several(project).left_out["X-3"] == "waits for X-9: there is no such task"


@pytest.mark.parametrize("names", [("X-1",), ("X-1", "ORDERS-1"), ()])
def test_a_task_that_depends_on_itself_is_told_so(project: Project, names: tuple[str, ...]) -> None:
    task(project, "X-1", "X-1")
    assert refused(project, *names) == ("X-1 depends on itself", "Correct `depends_on` of X-1.")


def test_who_names_a_task_that_is_done_elsewhere_is_told_so(project: Project) -> None:
    project.git("branch", "release")
    told, hint = refused(project, "USERS-1", "ORDERS-1", target="release")
    assert told == f"USERS-1 is done on {DONE}, and release does not hold that"
    anew = "agentflow run USERS-1 ORDERS-1 --target release --fresh"
    bring, _, last = hint.partition(". Or do it anew there: ")
    assert last == anew
    assert several(project, "USERS-1", "ORDERS-1", target="release", fresh=True)
    subprocess.run(bring.removeprefix("Bring it there: "), shell=True, cwd=project.root, check=True)
    assert [item.name for item in several(project, "USERS-1", "ORDERS-1", target="release").items]
    assert several(project, "USERS-1", "ORDERS-1")
