"""`agentflow wait` beside a run."""

import json
import signal
from pathlib import Path

import pytest

from agentflow.runs import FOLDER, task_lock
from agentflow.workspace.repository import open_repository
from tests.cli.shell import EVIL, Shell
from tests.run.project import HELLO, turn

RUN = "TASK-1-20250101T000000-ffff"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def report(shell: Shell, outcome: str, **fields: object) -> None:
    text = json.dumps({"task": "TASK-1", "run": RUN, "outcome": outcome, **fields})
    shell.project.write(f"{FOLDER}/{RUN}/report.json", text)


def test_the_run_s_end_is_one_line_and_its_code(shell: Shell) -> None:
    report(shell, "blocked", reason=f"Which table?{EVIL}\nSay it.")
    ended = shell.run("wait", "TASK-1")
    assert (ended.returncode, ended.stderr) == (3, "")
    assert ended.stdout == f"blocked  {RUN}  Which table?\ufffd Say it.\n"


def test_json_is_the_report(shell: Shell) -> None:
    report(shell, "budget", exit_code=4, num_turns=3)
    ended = shell.run("wait", "TASK-1", "--json")
    assert ended.returncode == 4
    assert json.loads(ended.stdout) == {
        "task": "TASK-1", "run": RUN, "outcome": "budget", "exit_code": 4, "num_turns": 3,
    }  # fmt: skip


def test_time_that_is_over_is_no_outcome_of_a_run(shell: Shell) -> None:
    ended = shell.run("wait", "TASK-1", "--timeout", "0.1s", "--json")
    assert ended.returncode == 124
    assert ended.stderr == ("waiting for a run of TASK-1\nno run of TASK-1 has ended within 0.1s\n")
    assert json.loads(ended.stdout) == {
        "type": "timeout", "task": "TASK-1", "outcome": "timeout", "exit_code": 124,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["TASK-2"], "there is no task and no run of 'TASK-2' here; did you mean 'TASK-1'?"),
        (["TASK-1", "--timeout", "soon"], "--timeout: 'soon' is not a duration"),
    ],
)
def test_bad_words_are_named(shell: Shell, arguments: list[str], words: str) -> None:
    ended = shell.run("wait", *arguments)
    assert ended.returncode == 2
    assert words in ended.stderr


def test_ctrl_c_ends_the_waiting_alone(shell: Shell) -> None:
    project = shell.project
    repository = open_repository(project.root, project.world.environment)
    with task_lock(repository.locks(project.world.cache), "TASK-1"):
        project.write(f"{FOLDER}/{RUN}/journal.jsonl", "")
        waiting = shell.start("wait", "TASK-1")
        assert waiting.stderr is not None
        told = f"waiting for {RUN}\n"
        assert waiting.stderr.readline() == told
        waiting.send_signal(signal.SIGINT)
        output, talk = waiting.communicate(timeout=30)
    assert (waiting.returncode, output, talk) == (130, "", "interrupted\n")


@pytest.mark.usefixtures("bwrap")
async def test_a_real_run_is_seen_to_its_end(shell: Shell) -> None:
    waiting = shell.start("wait", "TASK-1", "--json")
    report = await shell.project.run([turn(HELLO), turn()])
    output, _ = waiting.communicate(timeout=30)
    assert waiting.returncode == 0
    seen = json.loads(output)
    assert (seen["run"], seen["outcome"]) == (report["run"], "done")
