"""What a run does before the first word: the base is checked, and the agent's place is made."""

import asyncio
import signal
from pathlib import Path

import pytest

from agentflow.events import BaseCheckFinished, BaseCheckStarted, Event
from tests.patience import PATIENCE
from tests.run.project import GATE, HELLO, Project, turn

pytestmark = pytest.mark.sandbox

ENDLESS = {"name": "test", "command": "sleep 600"}
RED = {"name": "test", "command": "false"}


def places(project: Project) -> list[Path]:
    """Where the agents' sandboxes are, as far as they were opened."""
    return [*project.world.cache.glob("*/runs/*/agent/checkpoint")]


async def test_the_agents_sandbox_opens_while_the_base_is_checked(project: Project) -> None:
    run = asyncio.create_task(project.run([turn(HELLO), turn()], gates=[ENDLESS]))
    async with asyncio.timeout(PATIENCE):
        while not places(project):  # noqa: ASYNC110  (a folder)
            await asyncio.sleep(0.01)
    run.cancel(signal.SIGINT)
    report = await run

    kinds = [type(event) for event in project.events]
    assert BaseCheckStarted in kinds
    assert BaseCheckFinished not in kinds
    assert (report["outcome"], report["exit_code"]) == ("interrupted", 130)
    assert project.requests == []


async def test_a_red_base_ends_the_run_before_the_model_is_asked(project: Project) -> None:
    report = await project.run([turn(HELLO), turn()], gates=[RED])

    assert (report["outcome"], report["exit_code"]) == ("environment", 5)
    assert "the gate test fails on the base" in report["reason"]
    assert project.requests == []


async def test_without_a_sandbox_the_one_waits_for_the_other(project: Project) -> None:
    """Services of both would want the same ports."""
    found: list[list[Path]] = []

    def watch(event: Event) -> None:
        if isinstance(event, BaseCheckFinished):
            found.append(places(project))

    report = await project.run([turn(HELLO), turn()], gates=[GATE], watch=watch, sandbox="none")

    assert (report["outcome"], found) == ("done", [[]])
