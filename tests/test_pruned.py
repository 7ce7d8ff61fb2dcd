"""Tasks whose runs were pruned: the copy of the last report says what came of them."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agentflow.admission import admit, finished_before, refuse_other
from agentflow.archive import prune
from agentflow.done_before import DoneBefore
from agentflow.errors import UsageError
from agentflow.markers import write_marker
from agentflow.order import Order
from agentflow.plan import Plan, make_plan
from agentflow.records import Json
from agentflow.run_reports import KEPT, REPORT
from agentflow.run_states import task_states
from agentflow.runs import FOLDER, find_report
from agentflow.setting_tables import DocumentsSetting
from agentflow.workspace.repository import Repository, open_repository
from tests.run.project import GATE, Project, make_project

RUN = "TASK-1-20250101T000000-ffff"
BRANCH = "agentflow/TASK-1"


class Pruned:
    """A repository in which TASK-1 was done, and then all runs were pruned."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.repository: Repository = open_repository(project.root, project.world.environment)
        base, tree = project.git("rev-parse", "HEAD"), project.git("rev-parse", "HEAD^{tree}")
        self.tip: str = project.git("commit-tree", tree, "-p", base, "-m", "done")
        project.git("branch", BRANCH, self.tip)
        landed = {"tip": self.tip, "ref": f"refs/heads/{BRANCH}"}
        self.report: Json = {"task": "TASK-1", "run": RUN, "outcome": "done", "landed": landed}
        self.tell()

    def tell(self, **values: Any) -> None:
        """What the run said of itself, in both places; then it is pruned."""
        self.report |= values
        text = json.dumps(self.report)
        self.project.write(f"{FOLDER}/{RUN}/{REPORT}", text)
        self.project.write(f"{KEPT}/TASK-1.json", text)
        write_marker(self.project.root, "TASK-1", "done")
        found = prune(
            self.repository, self.project.world.cache, datetime.now(UTC), timedelta(), really=True
        )
        assert [each.run for each in found] == [RUN]
        assert not (self.project.root / FOLDER / RUN).exists()

    async def plan(self, *, fresh: bool = False, resume: str | None = None) -> Plan:
        """A plan of TASK-1, as its file is now."""
        flags = {"gates": [GATE], "prompt": "plain", "base_url": "http://127.0.0.1:1"}
        order = Order("TASK-1", fresh=fresh, resume=resume, flags=flags)
        return await make_plan(order, self.project.world)


@pytest.fixture
def pruned(tmp_path: Path) -> Pruned:
    return Pruned(make_project(tmp_path))


async def test_it_is_done_as_long_as_that_is_true(pruned: Pruned) -> None:
    found = finished_before(await pruned.plan())
    assert found == {**pruned.report, "exit_code": 0, "already_done": True}

    pruned.tell(task_sha256="0" * 64)
    with pytest.raises(UsageError, match="TASK-1 was done, but its text changed since"):
        finished_before(await pruned.plan())


async def test_commits_that_are_gone_are_not_done(pruned: Pruned) -> None:
    pruned.project.git("branch", "-D", BRANCH)

    with pytest.raises(UsageError, match=f"its commit {pruned.tip[:12]} is on no branch"):
        finished_before(await pruned.plan())
    assert finished_before(await pruned.plan(resume="TASK-1-20250102T000000-0000")) is None


async def test_a_fresh_run_may_replace_what_it_landed(pruned: Pruned) -> None:
    assert admit(await pruned.plan(fresh=True)) == pruned.tip


async def test_no_ref_is_named_that_prune_removed(pruned: Pruned) -> None:
    pruned.project.git("branch", "-D", BRANCH)
    pruned.tell(landed={"tip": pruned.tip, "ref": None})
    plan = await pruned.plan()

    assert "kept" not in (finished_before(plan) or {})
    pruned.project.git("update-ref", f"refs/agentflow/verified/{RUN}", pruned.tip)
    assert (finished_before(plan) or {})["kept"] == f"refs/agentflow/verified/{RUN}"


def test_others_build_on_what_it_landed(pruned: Pruned) -> None:
    base = pruned.project.git("rev-parse", "main")
    done = DoneBefore(pruned.repository, base, DocumentsSetting(), shared=False)
    assert done.commit("TASK-1") == pruned.tip


def test_it_is_said_where_the_report_is(pruned: Pruned) -> None:
    with pytest.raises(UsageError, match="no run of TASK-1 is here any more") as caught:
        find_report(pruned.project.root, "TASK-1")
    assert f"(done) is in {KEPT}/TASK-1.json" in caught.value.hint


@pytest.mark.parametrize("landed", [True, False])
async def test_who_goes_on_with_another_run_is_told_where_the_result_is(
    pruned: Pruned, landed: bool
) -> None:
    if not landed:
        pruned.tell(landed=None)
    plan = await pruned.plan(resume="TASK-1-20250102T000000-0000")
    answering = replace(plan, order=replace(plan.order, answer="yes"))
    with pytest.raises(UsageError) as caught:
        refuse_other(answering, pruned.project.world.cache, pruned.report)
    kept = f"its run was pruned; its report is kept in {KEPT}/TASK-1.json"
    shown = f"git log -p {pruned.tip} ({kept})" if landed else kept
    assert caught.value.hint.startswith(f"Look at the result: {shown}\nOr begin anew: ")


def test_the_list_of_tasks_knows_it(pruned: Pruned) -> None:
    [task] = task_states(pruned.project.world)
    assert (task["state"], task["run"]) == ("done", None)
