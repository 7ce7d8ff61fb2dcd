"""Admission: what earlier runs and branches allow."""

import json
from pathlib import Path
from typing import Any

import pytest

from agentflow.admission import Unfinished, admit, finished_before
from agentflow.errors import Conflict, UsageError
from agentflow.markers import write_marker
from agentflow.order import Order
from agentflow.plan import Plan, make_plan
from tests.run.project import GATE, Project, make_project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A small repository with a task; nothing is run."""
    return make_project(tmp_path)


async def make(project: Project, *, fresh: bool = False, **flags: Any) -> Plan:
    given = {"gates": [GATE], "prompt": "plain", "base_url": "http://127.0.0.1:1", **flags}
    return await make_plan(Order("TASK-1", fresh=fresh, flags=given), project.world)


def report(project: Project, run: str, **values: Any) -> dict[str, Any]:
    found = {"task": "TASK-1", "run": run, **values}
    project.write(f".orchestrator/runs/{run}/report.json", json.dumps(found))
    return found


FIRST, SECOND = "TASK-1-20260101T000000-0001", "TASK-1-20260102T000000-0002"


async def test_a_first_run_has_something_to_do(project: Project) -> None:
    plan = await make(project)

    assert finished_before(plan) is None
    assert admit(plan) is None


async def test_a_done_task_has_the_newest_done_report(project: Project) -> None:
    report(project, FIRST, outcome="done", exit_code=0, turns=1)
    done = report(project, SECOND, outcome="done", exit_code=0, turns=2)
    write_marker(project.root, "TASK-1", "done")

    assert finished_before(await make(project)) == {**done, "already_done": True}
    assert finished_before(await make(project, fresh=True)) is None


async def test_a_marker_alone_is_enough(project: Project) -> None:
    write_marker(project.root, "TASK-1", "done")

    assert finished_before(await make(project)) == {
        "type": "result",
        "task": "TASK-1",
        "run": None,
        "reason": ".orchestrator/complete/TASK-1.done says so, and no report of it is here",
        "outcome": "done",
        "exit_code": 0,
        "already_done": True,
    }


@pytest.mark.parametrize("outcome", ["budget", "provider", "interrupted", "environment", None])
async def test_an_unfinished_run_is_named(project: Project, outcome: str | None) -> None:
    project.write(f".orchestrator/runs/{FIRST}/journal.jsonl", '{"type": "assistant"}\n')
    if outcome:
        report(project, FIRST, outcome=outcome, exit_code=4)

    with pytest.raises(
        Unfinished, match=f"the run {FIRST} of TASK-1 was left unfinished"
    ) as caught:
        finished_before(await make(project))
    assert "--fresh" in caught.value.hint
    assert finished_before(await make(project, fresh=True)) is None


@pytest.mark.parametrize("outcome", ["failed", "blocked", "conflict", "environment"])
async def test_a_run_that_ended_may_be_tried_again(project: Project, outcome: str) -> None:
    report(project, FIRST, outcome=outcome, exit_code=1)
    write_marker(project.root, "TASK-1", "failed")

    assert finished_before(await make(project)) is None


async def test_only_a_branch_as_a_run_of_ours_left_it_may_be_replaced(project: Project) -> None:
    base = project.git("rev-parse", "HEAD")
    tree = project.git("rev-parse", "HEAD^{tree}")
    ours = project.git("commit-tree", tree, "-p", base, "-m", "ours")
    project.git("branch", "agentflow/TASK-1", ours)

    with pytest.raises(Conflict, match="agentflow/TASK-1 exists and is not the base") as caught:
        admit(await make(project, fresh=True))
    assert "--fresh" in caught.value.hint

    report(project, FIRST, outcome="done", exit_code=0, landed={"tip": ours})
    with pytest.raises(Conflict):
        admit(await make(project))
    assert admit(await make(project, fresh=True)) == ours

    theirs = project.git("commit-tree", tree, "-p", ours, "-m", "by hand")
    project.git("branch", "-f", "agentflow/TASK-1", theirs)
    with pytest.raises(Conflict):
        admit(await make(project, fresh=True))


async def test_a_question_that_waits_is_named_where_its_branch_is_in_the_way(
    project: Project,
) -> None:
    project.git("branch", "agentflow/TASK-1", project.git("commit-tree", "HEAD^{tree}", "-m", "x"))
    report(project, FIRST, outcome="blocked", exit_code=3)

    with pytest.raises(Conflict, match="exists and is not the base") as caught:
        admit(await make(project))
    assert caught.value.hint.startswith(
        f"The run {FIRST} waits for an answer: agentflow answer {FIRST} 'your answer'\nGive --base "
    )
    with pytest.raises(Conflict) as caught:
        admit(await make(project, fresh=True))
    assert "answer" not in caught.value.hint


async def test_what_landing_would_refuse_is_refused_now(project: Project) -> None:
    with pytest.raises(Conflict, match="main is checked out"):
        admit(await make(project, target="main"))
    for name in ("a..b", "-x", "@{-1}", "HEAD"):
        with pytest.raises(UsageError, match="not a valid branch name"):
            await make(project, target=name)
    project.git("checkout", "-q", "--detach")
    with pytest.raises(Conflict, match="HEAD is detached"):
        admit(await make(project, land="current"))
    assert admit(await make(project, land="none", target="a..b")) is None
