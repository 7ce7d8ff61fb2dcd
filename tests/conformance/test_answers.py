"""A submitted run that asks: its question travels to whoever can answer, and the answer to a worker."""

import os
import signal
from collections.abc import Generator
from pathlib import Path

import pytest

from agentflow.errors import UsageError
from agentflow.workspace.checkpoint import ref_of
from tests.cli.shell import Shell
from tests.conformance.machines import Machines, machines, processes, until
from tests.conformance.postgresql import Server
from tests.run.project import bash, call, turn

pytestmark = pytest.mark.sandbox
ASKS = call("Write", file_path=".orchestrator/complete/TASK-1.blocked", content="Which words?")
SAYS = call("Write", file_path="app/hello.txt", content="hello\n")


@pytest.fixture
def asking(server: Server, tmp_path: Path, bwrap: str) -> Generator[Machines]:
    """One worker, and a run on it that asks, works a while when it is answered, and ends."""
    turns = [turn(ASKS), turn(bash("exec sleep 613.9", timeout=4000)), turn(SAYS), turn()]
    with machines(tmp_path, server, [turn()], {"# Task TASK-1:": turns}) as all_:
        all_.task("TASK-1")
        all_.push()
        all_.submit("TASK-1")
        all_.start_worker()
        yield all_


def test_an_answer_reaches_the_agent_once_even_if_its_worker_dies(asking: Machines) -> None:
    [entry] = asking.wait(1)
    assert (entry.outcome, entry.report["reason"]) == ("blocked", "Which words?")
    shell = Shell(asking.folder, asking.project)
    database = {"AGENTFLOW_DATABASE_URL": asking.url}
    silent = shell.run("resume", "TASK-1", **database)
    assert (silent.returncode, silent.stdout) == (2, "")
    assert f"agentflow answer {entry.run} 'TEXT'" in silent.stderr
    answered = shell.run("answer", "TASK-1", "Say hello.", **database)
    assert (answered.returncode, answered.stdout) == (0, f"{entry.run}\n")
    until(lambda: bool(processes("sleep", "613.9")), asking)
    worker = asking.workers[0]
    assert worker.pid is not None
    os.killpg(worker.pid, signal.SIGKILL)
    worker.join()
    [entry] = asking.wait(1)
    assert entry.outcome == "done", asking.logs()
    log = asking.at(asking.state, "log", "--format=%B", ref_of(entry.run))
    assert log.count("Say hello.") == 1
    again = shell.run("answer", "TASK-1", "Say more.", **database)
    assert again.returncode == 2
    assert f"the run {entry.run} asks nothing: it is done" in again.stderr


def test_an_answer_with_a_key_is_not_stored(asking: Machines) -> None:
    [entry] = asking.wait(1)
    key = "ghp_" + "a1B2c3D4e5" * 3 + "a1B2c3."
    shell = Shell(asking.folder, asking.project)
    refused = shell.run("answer", entry.run, key, AGENTFLOW_DATABASE_URL=asking.url)
    assert refused.returncode == 2
    assert "the answer holds a secret" in refused.stderr
    with asking.board() as board, pytest.raises(UsageError, match="the answer is empty"):
        board.answer(entry, " \n", str)
    assert asking.entries()[0].outcome == "blocked"
