"""`agentflow run` with several tasks, as a user meets it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.cli.shell import Shell
from tests.many.fleet import writes
from tests.run.project import bash, turn

GATE = ("--gate", "test=true", "--prompt", "plain")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    made = Shell(tmp_path)
    for name in "ABC":
        text = f"---\nallow: [{name.lower()}/]\n---\n\n# Do {name}\n"
        made.project.write(f".orchestrator/tasks/{name}.md", text)
    (made.project.root / ".orchestrator/tasks/TASK-1.md").unlink()
    made.project.commit()
    return made


@pytest.fixture
def url(tmp_path: Path) -> Generator[str]:
    talks = {f"# Task {name}:": writes(f"{name.lower()}/x.txt") for name in "AB"}
    slow = [turn(bash("echo x >> c/x.txt"), latency=0.5)] * 20
    script = {"turns": [turn()], "conversations": {**talks, "# Task C:": slow}}
    (tmp_path / "script.json").write_text(json.dumps(script))
    command = [sys.executable, "-m", "agentflow.models.scripted", str(tmp_path / "script.json")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().split()[-1]
        server.terminate()


def test_a_dry_run_draws_the_plan_and_starts_nothing(shell: Shell) -> None:
    ended = shell.run("run", "A", "B", "--dry-run", *GATE)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == (
        "2 tasks in 1 wave, at most 4 at once; each lands on its own branch\n\nwave 1\n"
        "  A  Do A  [a/]\n  B  Do B  [b/]\n"
    )
    plan = json.loads(shell.run("run", "--all", "--dry-run", "--output-format=json", *GATE).stdout)
    assert [(task["task"], task["wave"]) for task in plan["tasks"]] == [
        ("A", 1),
        ("B", 1),
        ("C", 1),
    ]


def test_what_is_wrong_with_one_of_them_is_said_before_any_starts(shell: Shell) -> None:
    shell.project.write(".orchestrator/tasks/D.md", "---\ndepends_on: E\n---\n\n# D\n")
    shell.project.write(".orchestrator/tasks/E.md", "---\ndepends_on: D\n---\n\n# E\n")
    cycle = shell.run("run", "A", "D", "E", *GATE)
    assert (cycle.returncode, cycle.stdout) == (2, "")
    assert (
        "these tasks wait for each other: D → E → D" in cycle.stderr or "E → D → E" in cycle.stderr
    )
    unknown = shell.run("run", "A", "NOPE", *GATE)
    assert unknown.returncode == 2
    assert "there is no task 'NOPE'" in unknown.stderr
    for wrong in (("--all", "A"), ("A", "B", "--text", "x"), ("A", "-")):
        assert shell.run("run", *wrong, *GATE).returncode == 2


@pytest.mark.sandbox
def test_the_table_the_lines_and_the_json(shell: Shell, url: str, bwrap: str) -> None:
    ended = shell.run("run", "A", "B", "--base-url", url, *GATE)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[0].split() == ["task", "outcome", "commits", "cost", "time", "where"]
    assert lines[1].split()[:3] == ["A", "done", "1"]
    assert "agentflow/A" in lines[1]
    assert lines[3].startswith("2 of 2 done · 4 turns")
    told = [line.split(None, 3) for line in ended.stderr.splitlines()]
    assert {line[1] for line in told} == {"A", "B"}
    assert ["A", "tool", "Write a/x.txt"] in [
        [*line[1:3], " ".join(line[3].split()[:2])] for line in told
    ]
    assert [line[1:] for line in told if line[2] == "task"].count(["A", "task", "done"]) == 1

    again = shell.run(
        "run", "A", "B", "--base-url", url, *GATE, "--output-format=stream-json", "--fresh"
    )
    streamed = [json.loads(line) for line in again.stdout.splitlines()]
    assert streamed[-1]["type"] == "tasks"
    assert [task["outcome"] for task in streamed[-1]["tasks"]] == ["done", "done"]
    assert [line["type"] for line in streamed].count("result") == 2
    sessions = {line["session_id"] for line in streamed[:-1]}
    assert sessions == {task["run"] for task in streamed[-1]["tasks"]}


@pytest.mark.sandbox
def test_ctrl_c_once_stops_soon_and_a_second_time_now(shell: Shell, url: str, bwrap: str) -> None:
    process = shell.start("run", "A", "C", "--base-url", url, *GATE, "--output-format=json")
    assert process.stderr is not None
    seen: list[str] = []
    for line in process.stderr:
        seen.append(line)
        if "Bash" in line:
            os.kill(process.pid, signal.SIGINT)
            break
    output, talk = process.communicate(timeout=60)
    report = json.loads(output)
    assert process.returncode == 130, talk
    assert "stopping: no task is begun" in talk
    by = {task["task"]: task for task in report["tasks"]}
    assert by["C"]["outcome"] == "interrupted"
    assert by["C"]["num_turns"] < 20
