"""Workers that die, stop and lose everything around them: each run has the right result, once."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.conformance.machines import SILENCE, Machines, machines
from tests.conformance.postgresql import Server
from tests.run.project import bash, turn

pytestmark = pytest.mark.sandbox

LONG = os.environ.get("AGENTFLOW_CLUSTER") == "long"
"""30 runs and 20 kills instead of a few: see CONTRIBUTING."""
RUNS, KILLS, REFUSED = (30, 20, 10.0) if LONG else (5, 4, 1.0)
SEED = os.environ.get("AGENTFLOW_KILL_SEED", "1")
TURNS = 10 if LONG else 6
STORY = [turn(bash(f"echo {number} >> app/log.txt"), latency=0.3) for number in range(TURNS)]


def names() -> list[str]:
    return [f"T-{number}" for number in range(RUNS)]


def test_every_run_has_its_right_result_once_whatever_dies(
    server: Server, tmp_path: Path, bwrap: str
) -> None:
    chance = random.Random(SEED)
    with machines(tmp_path, server, [*STORY, turn()], {}) as all_:
        for name in names():
            all_.task(name)
        all_.push()
        runs = all_.submit(*names())
        for _ in range(3):
            all_.start_worker()
        _until_at_work(all_)
        for number in range(KILLS):
            _kill_one(all_, chance)
            if number == KILLS // 4:
                _refuse(all_, REFUSED)
            if number == KILLS // 2:
                server.kill()
                server.start()
            if number == 3 * KILLS // 4:
                _stop_one(all_, chance)
            time.sleep(chance.uniform(0.2, 2.0))
        entries = all_.wait(RUNS)
        assert {entry.run: entry.outcome for entry in entries} == dict.fromkeys(runs, "done"), (
            all_.logs()
        )
        base = all_.project.git("rev-parse", "HEAD")
        for entry in entries:
            _check_result(all_, entry.task, entry.run, base)


def _check_result(all_: Machines, task: str, run: str, base: str) -> None:
    tip = all_.at(all_.origin, "rev-parse", f"agentflow/{task}")
    lines = all_.at(all_.origin, "show", f"{tip}:app/log.txt").splitlines()
    assert lines == [str(number) for number in range(TURNS)], f"{task} has {lines}"
    assert all_.at(all_.origin, "rev-list", f"{base}..{tip}").split() == [tip]
    assert f"Agentflow-Run: {run}" in all_.at(all_.origin, "log", "-1", "--format=%B", tip)
    assert all_.landings(task) == [tip]


def _until_at_work(all_: Machines) -> None:
    end = time.monotonic() + 60
    while not any(entry.state == "running" for entry in all_.entries()):
        assert time.monotonic() < end, all_.logs()
        time.sleep(0.1)


def _kill_one(all_: Machines, chance: random.Random) -> None:
    all_.keep_alive()
    victim = chance.choice(all_.workers)
    assert victim.pid is not None
    os.kill(victim.pid, signal.SIGKILL)
    victim.join()


def _refuse(all_: Machines, seconds: float) -> None:
    """Let both remotes take nothing for a while."""
    flags = [remote / "refusing" for remote in (all_.origin, all_.state)]
    for flag in flags:
        flag.touch()
    time.sleep(seconds)
    for flag in flags:
        flag.unlink()


def _stop_one(all_: Machines, chance: random.Random) -> None:
    """Stop a worker until the others count it as dead, and let it go on."""
    all_.keep_alive()
    victim = chance.choice(all_.workers)
    assert victim.pid is not None
    os.kill(victim.pid, signal.SIGSTOP)
    time.sleep(SILENCE + 4.0)
    os.kill(victim.pid, signal.SIGCONT)
