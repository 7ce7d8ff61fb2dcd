"""Without a sandbox nothing ends what a dead run leaves but its record: going on ends it first."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from agentflow.models.scripted import ScriptedServer, read_script
from agentflow.runs import newest_run
from agentflow.sandbox.leftovers import end_all_leftovers
from agentflow.toolbox.record import started
from tests.crash.test_kills import life_of, lives
from tests.crash.victim import Life, start
from tests.run.project import GATE, HELLO, bash, make_project, turn

ONCE = "test -e {0} || {{ setsid sleep 600 & echo $! > {0}.1; echo $$ > {0}.2; mv {0}.2 {0}; sleep 600; }}"
"""Starts two processes, one in a session of its own, and waits; the second time it does nothing."""


def wait_for(path: Path) -> None:
    until(path.exists)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def number(path: Path) -> int:
    return int(path.read_text("ascii"))


@contextmanager
def dying(life: Life, told: Path) -> Generator[BaseProcess]:
    """A process that is dead in the end, whatever the test finds."""
    victim = start(life, told)
    try:
        yield victim
    finally:
        victim.kill()
        victim.join()


def end(left: dict[int, str | None]) -> None:
    """Kill what is still the process that it was."""
    for process, began in left.items():
        if began and started(process) == began:
            os.kill(process, signal.SIGKILL)


@pytest.mark.parametrize("toolbox", ["dies too", "is stopped"])
async def test_what_a_dead_run_left_is_ended_before_it_goes_on(
    toolbox: str, tmp_path: Path
) -> None:
    project, mark = make_project(tmp_path / "place"), tmp_path / "mark"
    turns = [turn(bash(ONCE.format(mark))), turn(HELLO), turn(text="Done.")]
    left = dict[int, str | None]()

    def now() -> dict[int, str | None]:
        return {each: started(each) for each in left}

    async with ScriptedServer(read_script({"turns": turns})) as server:
        life, told = life_of(project, server.url), tmp_path / "told.txt"
        life = replace(life, flags={**life.flags, "gates": [GATE], "sandbox": "none"})
        try:
            with dying(life, told) as victim:
                await asyncio.to_thread(wait_for, mark)
                left |= {
                    each: started(each) for each in (number(mark), number(mark.with_suffix(".1")))
                }
                [record] = project.world.cache.glob("*/runs/*/agent/tree.*.processes.json")
                known = json.loads(record.read_text())
                toolbox_process = int(next(iter(known["processes"])))
                assert list(known["agentflow"]) == [str(victim.pid)]
                assert str(number(mark)) in known["processes"]
                end_all_leftovers(record.parent.parent)
                assert now() == left, "its agentflow is alive"
                os.kill(
                    toolbox_process, signal.SIGKILL if toolbox == "dies too" else signal.SIGSTOP
                )
            assert now() == left, "nobody else ends them"

            assert await lives(life, told) == 0, told.read_text()

            # A process that was killed is there until the kernel has taken it apart.
            await asyncio.to_thread(until, lambda: not left.items() & now().items())
        finally:
            end(left)
    assert started(toolbox_process) != known["processes"][str(toolbox_process)]
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


@pytest.mark.parametrize(
    "text",
    ["[]", '{"processes": []}', '{"agentflow": {"x": "y"}, "processes": {"y": 1}}', "[" * 100_000,
     '{"agentflow": {}, "processes": {"-1": "a", "0": "b", "01": "c"}}'],
    ids=["list", "no numbers", "words", "deep", "odd numbers"],
)  # fmt: skip
def test_what_no_toolbox_wrote_is_not_obeyed(text: str, tmp_path: Path) -> None:
    (tmp_path / "agent/tree").mkdir(parents=True)
    record = tmp_path / "agent/tree.abcd.processes.json"
    record.write_text(text)
    end_all_leftovers(tmp_path)
    assert not record.exists()


def test_a_pipe_in_the_place_of_a_record_does_not_hold_anybody_up(tmp_path: Path) -> None:
    (tmp_path / "agent/tree").mkdir(parents=True)
    os.mkfifo(tmp_path / "agent/tree.abcd.processes.json")
    end_all_leftovers(tmp_path)


def test_a_record_kills_neither_us_nor_who_started_us_nor_the_first_process(tmp_path: Path) -> None:
    (tmp_path / "agent/tree").mkdir(parents=True)
    own = {str(each): started(each) for each in (1, os.getpid(), os.getppid())}
    record = tmp_path / "agent/tree.abcd.processes.json"
    record.write_text(json.dumps({"agentflow": {}, "processes": own}))
    script = (
        "import sys; from pathlib import Path;"
        "from agentflow.sandbox.leftovers import end_all_leftovers;"
        "end_all_leftovers(Path(sys.argv[1]))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False, timeout=60)
    assert (done.returncode, record.exists()) == (0, False)


def test_a_record_beside_no_tree_of_ours_is_not_looked_at(tmp_path: Path) -> None:
    """A sandbox can write where its objects are packed: `exports/1`."""
    (tmp_path / "exports/1/tree").mkdir(parents=True)
    with subprocess.Popen(["sleep", "600"]) as other:
        forged = {"agentflow": {}, "processes": {str(other.pid): started(other.pid)}}
        (tmp_path / "exports/1/tree.abcd.processes.json").write_text(json.dumps(forged))
        end_all_leftovers(tmp_path)
        assert other.poll() is None
        other.kill()
