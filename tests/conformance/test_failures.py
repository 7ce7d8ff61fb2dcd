"""Workers that die, stop and lose everything around them: each run has the right result, once."""

import os
import random
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from statistics import median

import pytest

from agentflow.cluster.worker import LOST
from agentflow.strict_json import parse_object
from agentflow.workspace.checkpoint import ref_of
from tests.conformance.machines import SILENCE, Machines, machines, processes, until
from tests.conformance.postgresql import Server
from tests.run.project import bash, turn

pytestmark = pytest.mark.sandbox

LONG = os.environ.get("AGENTFLOW_CLUSTER") == "long"
"""30 runs and 20 kills instead of a few: see CONTRIBUTING."""
RUNS, KILLS, REFUSED = (30, 20, 10.0) if LONG else (4, 4, 1.0)
MEDIAN = 3.0
"""Seconds from a kill to the take-over, at most, in the long form."""
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
        all_.at_once = 4 if LONG else 2
        for _ in range(3):
            all_.start_worker()
        for number in range(KILLS):
            _until_further(all_)
            time.sleep(chance.uniform(0.0, 1.0))
            _kill_one(all_, chance)
            if number == KILLS // 4:
                _refuse(all_, REFUSED)
            if number == KILLS // 2:
                server.kill()
                server.start()
            if number == 3 * KILLS // 4:
                _stop_one(all_, chance)
        entries = all_.wait(RUNS)
        assert {entry.run: entry.outcome for entry in entries} == dict.fromkeys(runs, "done"), (
            all_.logs()
        )
        base = all_.project.git("rev-parse", "HEAD")
        for entry in entries:
            _check_result(all_, entry.task, entry.run, base)
        _check_take_overs(all_)
        assert max(len(_owners(all_, run)) for run in runs) > 1, "no run moved"


def test_a_stopped_workers_run_is_taken_and_it_ends_when_it_wakes(
    server: Server, tmp_path: Path, bwrap: str
) -> None:
    def sleeps() -> int:
        return len(processes("sleep", "613.8"))

    with machines(tmp_path, server, [turn(bash("exec sleep 613.8"))], {}) as all_:
        all_.task("T")
        all_.push()
        [run] = all_.submit("T")
        stopped = all_.start_worker()
        until(lambda: sleeps() == 1, all_)
        assert stopped.pid is not None
        os.kill(stopped.pid, signal.SIGSTOP)
        other = all_.start_worker()
        until(lambda: sleeps() == len(all_.workers), all_)
        [entry] = all_.entries()
        assert str(entry.worker).rsplit("-", 2)[1] == str(other.pid)

        os.kill(stopped.pid, signal.SIGCONT)
        until(lambda: stopped.exitcode is not None, all_)
        assert stopped.exitcode == LOST, all_.logs()
        until(lambda: sleeps() == 1, all_)
        with all_.board() as board:
            board.cancel(board.get(run), "the test is over")
        until(lambda: not sleeps(), all_)


def _check_result(all_: Machines, task: str, run: str, base: str) -> None:
    tip = all_.at(all_.origin, "rev-parse", f"agentflow/{task}")
    lines = all_.at(all_.origin, "show", f"{tip}:app/log.txt").splitlines()
    assert lines == [str(number) for number in range(TURNS)], f"{task} has {lines}"
    assert all_.at(all_.origin, "rev-list", f"{base}..{tip}").split() == [tip]
    assert f"Agentflow-Run: {run}" in all_.at(all_.origin, "log", "-1", "--format=%B", tip)
    assert all_.landings(task) == [tip]


def _owners(all_: Machines, run: str) -> list[str]:
    """The workers that had a run, in order."""
    log = all_.at(all_.state, "log", "--first-parent", "--reverse", "--format=%B", ref_of(run))
    facts = (parse_object(line.encode()) for line in log.splitlines() if line.startswith('{"turn"'))
    owners = [str(each["owner"]) for each in facts if each.get("owner")]
    return [owner for number, owner in enumerate(owners) if owner not in owners[:number]]


def _until_further(all_: Machines) -> None:
    """Wait until some run has another checkpoint, so that each death interrupts something."""
    before, end = _kept(all_), time.monotonic() + 60
    while _kept(all_) == before:
        all_.keep_alive()
        assert time.monotonic() < end, all_.logs()
        time.sleep(0.1)


def _kept(all_: Machines) -> str:
    return all_.at(all_.state, "for-each-ref", "--format=%(refname) %(objectname)")


def _victim(all_: Machines, chance: random.Random) -> BaseProcess:
    """A worker that is at work, if that can be told."""
    all_.keep_alive()
    busy = {str(entry.worker).rsplit("-", 2)[-2] for entry in all_.entries() if entry.worker}
    return chance.choice([each for each in all_.workers if str(each.pid) in busy] or all_.workers)


def _kill_one(all_: Machines, chance: random.Random) -> None:
    victim = _victim(all_, chance)
    assert victim.pid is not None
    os.kill(victim.pid, signal.SIGKILL)
    all_.killed[str(victim.pid)] = time.monotonic()
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
    victim = _victim(all_, chance)
    assert victim.pid is not None
    os.kill(victim.pid, signal.SIGSTOP)
    time.sleep(SILENCE + 4.0)
    os.kill(victim.pid, signal.SIGCONT)


def _check_take_overs(all_: Machines) -> None:
    """Say how long they took; in the long form, which is run where nothing else is, bound it."""
    times = sorted(_take_overs(all_))
    print(f"take-over: {times}, of {len(all_.killed)} kills")  # noqa: T201  # for who measures
    if LONG:
        assert len(times) >= KILLS // 2
        assert median(times) < MEDIAN


def _take_overs(all_: Machines) -> list[float]:
    """How many seconds after each kill the dead worker's runs were taken."""
    lines = {line for line in all_.logs().splitlines() if " over from " in line}
    found: dict[str, float] = {}
    for line in sorted(lines):
        at, pid = float(line.split()[0]), line.rsplit("-", 2)[1]
        if pid in all_.killed:
            found.setdefault(pid, at - all_.killed[pid])
    return list(found.values())
