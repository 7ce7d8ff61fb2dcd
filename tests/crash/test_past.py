"""Killed at each moment of going back in a run, or of tidying up: nothing is left half done."""

import signal
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import pytest

from agentflow.done_runs import open_runs
from agentflow.plan import make_plan
from agentflow.resuming import Resumption, order_of, resume
from agentflow.runs import list_runs, newest_run
from agentflow.workspace.repository import open_repository
from tests.crash.test_kills import lives
from tests.crash.victim import Life
from tests.run.project import HELLO, Project, bash, turn
from tests.run.test_resume import resumed

pytestmark = pytest.mark.sandbox

TURNS = [turn(bash("echo once >> app/log.txt")), turn(HELLO), turn(text="I wrote it.")]


async def deaths(project: Project, past: str, told: Path, **flags: str) -> AsyncGenerator[int]:
    """Do it over and over, each time killed one moment later, until it is done."""
    world, moment, code = project.world, 0, -signal.SIGKILL
    life = Life(project.root, world.cache, world.environment, flags, past=past)
    while code:
        moment += 1
        code = await lives(replace(life, dies_at=moment), told)
        assert code in {0, -signal.SIGKILL}
        yield moment
    assert moment > 3, "there were moments"


async def where(project: Project, run: str) -> Resumption:
    """Where a run would go on."""
    repository = open_repository(project.root, project.world.environment)
    plan = await make_plan(order_of(repository, project.world.cache, run), project.world)
    return resume(plan, project.world.cache, run)


async def test_killed_while_a_run_is_set_back(project: Project, tmp_path: Path) -> None:
    stopped = await project.run(TURNS, max_turns=2)
    async for moment in deaths(project, "rewind 1", tmp_path / "told.txt"):
        past = await where(project, stopped["run"])
        turns = past.history.conversation.turns
        back = past.checkpoint.turn
        assert (back, turns) in {(2, 2), (1, 2), (1, 1)}, f"moment {moment}"
    assert ((await where(project, stopped["run"])).history.conversation.turns) == 1

    report = await resumed(project, stopped["run"], TURNS, max_turns=9)
    assert report["outcome"] == "done"
    assert project.git("show", "agentflow/TASK-1:app/log.txt") == "once"


async def test_killed_while_a_run_is_forked(project: Project, tmp_path: Path) -> None:
    done = await project.run(TURNS)
    flags = {"source": done["run"]}
    async for moment in deaths(project, "fork 1", tmp_path / "told.txt", **flags):
        for each in open_runs(project.root):
            past = await where(project, each)
            assert past.history.spent.turns == 0, f"moment {moment}"
            assert past.history.conversation.turns == 1
        assert open_runs(project.root) or newest_run(project.root, "TASK-1") == done["run"]

    [name] = open_runs(project.root)
    project.git("update-ref", "-d", "refs/heads/agentflow/TASK-1")
    (project.root / ".orchestrator/complete/TASK-1.done").unlink()
    report = await resumed(project, name, TURNS)
    assert (report["outcome"], report["run"]) == ("done", name)
    assert project.git("show", "agentflow/TASK-1:app/log.txt") == "once"


async def test_killed_while_old_runs_are_removed(project: Project, tmp_path: Path) -> None:
    await project.run(TURNS, max_turns=2)
    async for _ in deaths(project, "prune", tmp_path / "told.txt"):
        for each in open_runs(project.root):
            assert (await where(project, each)).history.conversation.turns == 2
    assert list_runs(project.root) == []
    assert project.git("for-each-ref", "refs/agentflow") == ""
    assert list(project.world.cache.glob("*/runs/*")) == []
