"""Without a sandbox nothing ends what a dead run leaves but its record: going on ends it first."""

import asyncio
import json
import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from agentflow.models.scripted import ScriptedServer, read_script
from agentflow.runs import newest_run
from agentflow.sandbox.leftovers import end_all_leftovers
from agentflow.toolbox.record import started
from tests.crash.test_kills import life_of, lives
from tests.crash.victim import start
from tests.run.project import GATE, HELLO, bash, make_project, turn

ONCE = "test -e {0} || {{ setsid sleep 600 & echo $! > {0}.1; echo $$ > {0}.2; mv {0}.2 {0}; sleep 600; }}"
"""Starts two processes, one in a session of its own, and waits; the second time it does nothing."""


def wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.01)


def number(path: Path) -> int:
    return int(path.read_text("ascii"))


@pytest.mark.parametrize("toolbox", ["dies too", "is stopped"])
async def test_what_a_dead_run_left_is_ended_before_it_goes_on(
    toolbox: str, tmp_path: Path
) -> None:
    project, mark = make_project(tmp_path / "place"), tmp_path / "mark"
    turns = [turn(bash(ONCE.format(mark))), turn(HELLO), turn(text="Done.")]
    async with ScriptedServer(read_script({"turns": turns})) as server:
        life = life_of(project, server.url)
        life = replace(life, flags={**life.flags, "gates": [GATE], "sandbox": "none"})
        victim = start(life, tmp_path / "told.txt")
        assert victim.pid is not None
        await asyncio.to_thread(wait_for, mark)
        [record] = project.world.cache.glob("*/runs/*/agent/tree.*.processes.json")
        known = json.loads(record.read_text())
        assert list(known["agentflow"]) == [str(victim.pid)]
        assert number(mark) in map(int, known["processes"])
        left = {each: started(each) for each in (number(mark), number(Path(f"{mark}.1")))}

        end_all_leftovers(record.parent.parent)
        assert {each: started(each) for each in left} == left, "its agentflow is alive"

        first = next(map(int, known["processes"]))
        os.kill(first, signal.SIGKILL if toolbox == "dies too" else signal.SIGSTOP)
        os.kill(victim.pid, signal.SIGKILL)
        await asyncio.to_thread(victim.join)
        assert {each: started(each) for each in left} == left, "nobody else ends them"

        assert await lives(life, tmp_path / "told.txt") == 0, (tmp_path / "told.txt").read_text()

    assert [started(each) == began for each, began in left.items()] == [False, False]
    assert started(first) != known["processes"][str(first)]
    assert project.marker("done") == "done"
    assert newest_run(project.root, "TASK-1") == record.parent.parent.name
    assert not list(project.world.cache.glob("*/runs/*/*/*.processes.json"))


def test_a_number_that_is_another_s_by_now_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "agent").mkdir()
    (tmp_path / "agent/tree").mkdir()
    record = tmp_path / "agent/tree.abcd.processes.json"
    with subprocess.Popen(["sleep", "600"]) as other:
        known = {str(other.pid): "another boot 1"}
        record.write_text(json.dumps({"agentflow": known, "processes": known}))
        end_all_leftovers(tmp_path)
        assert (record.exists(), other.poll()) == (False, None)
        other.kill()
    record.write_text("torn")
    end_all_leftovers(tmp_path)
    assert not record.exists()
