"""Runs on a real terminal: the rows that are kept up to date, and the questions that are asked there."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentflow.models.scripted import ScriptedServer, read_script
from agentflow.records import Json
from agentflow.runs import list_runs
from tests.cli.person import person
from tests.cli.shell import Shell
from tests.many.fleet import writes
from tests.run.project import HELLO, call, turn

pytestmark = [pytest.mark.sandbox, pytest.mark.usefixtures("bwrap")]

ASK = call("Write", file_path=".orchestrator/complete/TASK-1.blocked", content="Which words?")
FLAGS = ("--prompt", "plain", "--gate", "test=true")


def holding(shell: Shell) -> Path:
    """Let every Write of an agent wait for the file that is returned."""
    folder = Path(shell.environment["XDG_CONFIG_HOME"]) / "agentflow"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(
        "[[hooks]]\non = ['tool.before']\ntools = ['Write']\ntimeout = '10m'\n"
        "command = 'until test -e go; do sleep 0.1; done'\n"
    )
    return folder / "go"


def rows(lines: list[str]) -> list[str]:
    """What is left on a screen of rows that were kept up to date."""
    return [line for line in lines if re.search(r"^(\w )? ?agent  |^task +phase ", line)]


async def beside(model: Json, story: Callable[[str], None]) -> list[Any]:
    """Let somebody work while a scripted model is there, whose address they get; its requests."""
    async with ScriptedServer(read_script(model)) as server:
        await asyncio.to_thread(story, server.url)
        return list(server.requests)


async def test_a_row_is_kept_up_to_date_and_a_question_is_answered_there(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    go = holding(shell)

    def story(url: str) -> None:
        with person(shell, "run", "TASK-1", *FLAGS, "--base-url", url) as ada:
            row = ada.sees("agent", "turn 1/", "Write")
            assert row == ada.lines[-1]
            assert "tokens" in row
            go.touch()
            ada.sees("Answer (nothing leaves it for later)")
            assert rows(ada.lines) == []
            ada.types("Say hello.\n")
            assert ada.waits() == 0
            assert any(line.startswith("done  TASK-1") for line in ada.lines)
            assert rows(ada.lines) == []
            assert ada.raw.count(b"\x1b[?25l") == ada.raw.count(b"\x1b[?25h") > 0

    requests = await beside({"turns": [turn(ASK), turn(HELLO), turn(text="Done.")]}, story)

    assert "Say hello." in str(requests[-1].body["messages"])
    (report,) = list_runs(shell.project.root)
    assert report["outcome"] == "done"


def add_tasks(shell: Shell, names: str) -> None:
    """A task for each letter, which may change the folder of that name."""
    for name in names:
        text = f"---\nallow: [{name.lower()}/]\n---\n\n# Do {name}\n"
        shell.project.write(f".orchestrator/tasks/{name}.md", text)
    shell.project.commit()


async def test_several_runs_are_a_table_and_ask_nothing(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    go = holding(shell)
    add_tasks(shell, "ABC")
    asks = call("Write", file_path=".orchestrator/complete/C.blocked", content="Which words?")
    talks = {f"# Task {name}:": writes(f"{name.lower()}/x.txt") for name in "AB"}

    def story(url: str) -> None:
        arguments = ("run", "A", "B", "C", *FLAGS, "--base-url", url)
        with person(shell, *arguments, size=(80, 30)) as ada:
            for name in "ABC":
                assert ada.sees(f"{name}  ", "agent  t1", "Write").startswith(f"{name} ")
            assert ada.sees("task", "phase", "now", "cost").startswith("task")
            go.touch()
            assert ada.waits() == 3
            told = {
                line.split()[0]: line.split()[1]
                for line in ada.lines[-12:]
                if line[:2].strip() and len(line.split()) > 1
            }
            assert {name: told[name] for name in "ABC"} == {
                "A": "done",
                "B": "done",
                "C": "blocked",
            }
            assert rows(ada.lines) == []

    await beside({"turns": [turn()], "conversations": {**talks, "# Task C:": [turn(asks)]}}, story)


async def test_the_first_ctrl_c_is_answered_above_the_rows(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    go = holding(shell)
    add_tasks(shell, "AB")
    talks = {f"# Task {name}:": writes(f"{name.lower()}/x.txt") for name in "AB"}

    def story(url: str) -> None:
        with person(shell, "run", "A", "B", *FLAGS, "--base-url", url) as ada:
            for name in "AB":
                ada.sees(f"{name}  ", "agent", "Write")
            ada.interrupts()
            ada.sees("stopping: no task is begun", "each agent stops after its turn")
            go.touch()
            assert ada.waits() == 130
            [told] = [line for line in ada.lines if "stopping" in line]
            assert told.startswith("stopping: no task is begun")
            assert told.endswith("a second Ctrl-C stops now")
            assert rows(ada.lines) == []

    await beside({"turns": [turn()], "conversations": talks}, story)


async def test_what_was_left_unfinished_is_asked_about(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    root = shell.project.root

    def story(url: str) -> None:
        words = ("run", "TASK-1", *FLAGS, "--base-url", url, "--max-turns")
        assert shell.run(*words, "1").returncode == 4
        (first,) = list_runs(root)
        for answer, turns, code in (("\n", "9", 2), ("n\n", "1", 4), ("g\n", "9", 0)):
            with person(shell, *words, turns) as ada:
                assert "stop" in ada.sees("[g]o on with it, start a[n]ew, or stop")
                ada.types(answer)
                assert ada.waits() == code, ada.lines
        again, second = list_runs(root)
        assert again == first
        assert (second["outcome"], second["num_turns"]) == ("done", 2)

    await beside({"turns": [turn(HELLO), turn(text="Done.")]}, story)
