"""A run that ended because something was not ready has paid its model, who is not paid again."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.cli.shell import Shell
from tests.run.project import HELLO, turn

GATE = ("--gate", "test=test -s app/main.py", "--prompt", "plain")
NOBODY = ("--base-url", "http://127.0.0.1:1")
"""No model answers there."""


@pytest.fixture
def left(bwrap: str, tmp_path: Path) -> tuple[Shell, str]:
    """A run that a hook of the user stopped when all was paid; the hook is gone."""
    shell = Shell(tmp_path)
    config = Path(shell.environment["XDG_CONFIG_HOME"], "agentflow/config.toml")
    config.parent.mkdir(parents=True)
    config.write_text('[[hooks]]\non = ["gate.finished"]\ncommand = "exit 2"\n', encoding="utf-8")
    report = asyncio.run(shell.project.run([turn(HELLO), turn()]))
    assert (report["outcome"], report["num_turns"]) == ("environment", 2)
    config.unlink()
    return shell, report["run"]


def test_the_same_command_names_the_run_and_with_resume_goes_on(left: tuple[Shell, str]) -> None:
    shell, run = left
    shown = shell.run("runs", "show", run).stdout.splitlines()
    assert shown[-1] == f"  next     agentflow resume {run}"
    again = shell.run("run", "TASK-1", *GATE, *NOBODY)
    assert (again.returncode, again.stderr.splitlines()[0]) == (
        2,
        f"error: the run {run} of TASK-1 was left unfinished",
    )
    ended = shell.run("run", "TASK-1", "--resume", *NOBODY, "--output-format", "json")
    report = json.loads(ended.stdout.splitlines()[-1])
    assert (report["outcome"], report["run"], report["num_turns"]) == ("done", run, 2)


def test_several_tasks_go_on_with_it(left: tuple[Shell, str]) -> None:
    shell, run = left
    shell.project.write(".orchestrator/tasks/TASK-2.md", "---\ndepends_on: TASK-1\n---\n# More\n")
    ended = shell.run("run", "TASK-1", "TASK-2", *GATE, *NOBODY, "--output-format", "json")
    [first, _] = json.loads(ended.stdout.splitlines()[-1])["tasks"]
    assert (first["outcome"], first["run"], first["num_turns"]) == ("done", run, 2)
