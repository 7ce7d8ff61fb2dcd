"""A process that is stopped and let go on; one that goes on meanwhile; a journal that was damaged."""

import asyncio
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from agentflow.errors import EnvironmentFailure
from agentflow.models.scripted import ScriptedServer, read_script
from agentflow.runs import newest_run
from tests.crash.test_kills import life_of, lives
from tests.crash.victim import start
from tests.run.project import GATE, HELLO, Project, bash, make_project, turn
from tests.run.test_resume import resumed

pytestmark = pytest.mark.sandbox

TURNS = [turn(bash("echo once >> app/log.txt")), turn(HELLO), turn(text="I wrote it.")]


def wait_until_stopped(process: int) -> None:
    """Wait until the kernel says so."""
    while True:
        status = Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")[2].split()
        if status[0] == "T":
            return
        time.sleep(0.01)


@pytest.mark.parametrize("after", ["assistant", "agentflow.verified"])
async def test_a_stopped_run_keeps_its_task_and_goes_on(
    after: str, tmp_path: Path, bwrap: str
) -> None:
    async with ScriptedServer(read_script({"turns": TURNS})) as server:
        whole, project = make_project(tmp_path / "whole"), make_project(tmp_path / "stopped")
        told = tmp_path / "told.txt"
        life = replace(
            life_of(whole, server.url), flags={**life_of(whole, server.url).flags, "gates": [GATE]}
        )
        assert await lives(life, told) == 0
        moment = told.read_text("utf-8").splitlines()[1:].index(after) + 1
        server.requests.clear()

        life = replace(
            life,
            root=project.root,
            cache=project.world.cache,
            environment=project.world.environment,
        )
        stopped = start(replace(life, stops_at=moment), told)
        assert stopped.pid is not None
        await asyncio.to_thread(wait_until_stopped, stopped.pid)
        try:
            other = tmp_path / "other.txt"
            assert await lives(life, other) == 1
            assert "another run of TASK-1 is at work" in other.read_text("utf-8")
        finally:
            os.killpg(stopped.pid, signal.SIGCONT)
        await asyncio.to_thread(stopped.join)

        assert stopped.exitcode == 0
        assert len(server.requests) == len(TURNS)
        assert project.git("show", "agentflow/TASK-1:app/log.txt") == "once"
        assert len(project.git("reflog", "show", "agentflow/TASK-1").splitlines()) == 1


async def test_a_torn_last_line_is_cut_off_and_a_damaged_one_is_named(project: Project) -> None:
    stopped = await project.run(TURNS, max_turns=1)
    run = newest_run(project.root, "TASK-1") or ""
    journal = project.root / ".orchestrator/runs" / run / "journal.jsonl"
    whole = journal.read_bytes()
    number = whole.count(b"\n") + 1
    journal.write_bytes(whole + b'{"n": 9, "at\n{"n": 10}\n')
    with pytest.raises(
        EnvironmentFailure, match=rf"journal\.jsonl:{number}: the journal is damaged"
    ):
        await resumed(project, run, TURNS, max_turns=9)
    assert len(project.requests) == 1, "nothing was paid"

    journal.write_bytes(whole + b'{"n": 9, "at')
    report = await resumed(project, run, TURNS, max_turns=9)
    assert (report["outcome"], report["run"]) == ("done", stopped["run"])
    assert project.git("show", "agentflow/TASK-1:app/log.txt") == "once"
