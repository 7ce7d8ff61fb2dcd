"""`agentflow runs fork` of a run that is done: another solution of a task that has one."""

import asyncio
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentflow.models.scripted import ScriptedServer, read_script
from agentflow.order import Order
from agentflow.run_states import run_state
from agentflow.verified_runs import verified_run
from agentflow.workspace.repository import open_repository
from tests.cli.shell import Shell
from tests.run.project import HELLO, bash, call, turn

pytestmark = pytest.mark.sandbox

FIRST = [turn(bash("echo first > app/log.txt")), turn(HELLO), turn(text="I wrote it.")]


@pytest.fixture
def done(bwrap: str, tmp_path: Path) -> tuple[Shell, dict[str, Any]]:
    """A repository with a run that is done, and its report."""
    shell = Shell(tmp_path)
    report = asyncio.run(shell.project.run(FIRST))
    assert report["outcome"] == "done"
    return shell, report


def fork(shell: Shell, run: str, turn: int = 0) -> str:
    made = shell.run("runs", "fork", run, "--at", str(turn))
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def done_before(shell: Shell) -> str:
    """The run that did the task, as another call of it says."""
    flags = ("--gate", "test=true", "--output-format", "json")
    ended = shell.run("run", "TASK-1", *flags)
    report = json.loads(ended.stdout)
    assert (ended.returncode, report["already_done"]) == (0, True)
    return str(report["run"])


async def test_it_goes_on_and_replaces_what_the_first_landed(
    done: tuple[Shell, dict[str, Any]],
) -> None:
    shell, report = done
    name = await asyncio.to_thread(fork, shell, report["run"])

    async with ScriptedServer(read_script({"turns": [turn(HELLO), turn()]})) as server:
        flags = ("--base-url", server.url, "--output-format", "json")
        ended = await asyncio.to_thread(shell.run, "resume", name, *flags)

    assert ended.returncode == 0, ended.stderr
    other = json.loads(ended.stdout)
    assert (other["run"], other["outcome"], other["num_turns"]) == (name, "done", 2)
    git = shell.project.git
    assert git("rev-parse", other["landed"]["replaced"]) == report["landed"]["tip"]
    assert git("ls-tree", "--name-only", "agentflow/TASK-1", "app/log.txt") == ""
    assert await asyncio.to_thread(done_before, shell) == name


def test_until_it_begins_the_first_is_the_result(done: tuple[Shell, dict[str, Any]]) -> None:
    shell, report = done
    name = fork(shell, report["run"])

    waited = shell.run("wait", "TASK-1", "--json")
    assert (waited.returncode, json.loads(waited.stdout)["run"]) == (0, report["run"])
    assert done_before(shell) == report["run"]
    attested = shell.run("attest", "TASK-1")
    assert attested.returncode == 0, attested.stderr
    assert report["run"] in attested.stdout
    bundled = shell.run("bundle", "TASK-1", "-o", "work.zip")
    assert bundled.returncode == 0, bundled.stderr
    newest = shell.run("runs", "show", "TASK-1", "--json")
    assert json.loads(newest.stdout)["run"] == name
    assert name in shell.run("report", "TASK-1").stdout
    assert f"both ends are turn 0 of {name}" in shell.run("runs", "diff", "TASK-1").stderr
    assert shell.run("runs", "export", "TASK-1").stdout == f"{name}.tar.gz\n"
    listed = map(json.loads, shell.run("runs", "list", "--json").stdout.splitlines())
    assert {each["run"]: each["outcome"] for each in listed} == {
        report["run"]: "done",
        name: "unfinished",
    }


def test_one_that_is_older_than_the_result_does_not_go_on(
    done: tuple[Shell, dict[str, Any]],
) -> None:
    shell, report = done
    name = fork(shell, report["run"])
    later = asyncio.run(shell.project.run(FIRST, order=Order("TASK-1", fresh=True)))
    assert (later["outcome"], later["run"] > name) == ("done", True)

    ended = shell.run("resume", name, "--output-format", "json")

    told = json.loads(ended.stdout)
    assert (ended.returncode, told["outcome"]) == (2, "usage")
    assert told["reason"] == f"TASK-1 was done by {later['run']}, and the run {name} has not begun"
    assert told["hint"].startswith(f"Look at the result: agentflow runs show {later['run']}")

    for run in (report["run"], later["run"]):
        shutil.rmtree(shell.project.root / ".orchestrator/runs" / run)
    pruned = shell.run("resume", name, "--output-format", "json")
    told = json.loads(pruned.stdout)
    assert (pruned.returncode, "runs show" in told["hint"]) == (2, False)
    command, kept = re.findall(
        "Look at the result: (git .*) \\(its run was pruned; (.*)\\)", told["hint"]
    )[0]
    assert kept == "its report is kept in .orchestrator/reports/TASK-1.json"
    assert (shell.project.root / kept.split()[-1]).is_file()
    log = subprocess.run(
        command, shell=True, cwd=shell.project.root, capture_output=True, text=True, check=True
    ).stdout
    assert f"Agentflow-Run: {later['run']}" in log
    assert "+++ b/app/hello.txt" in log


def test_who_goes_back_in_it_is_shown_a_way_that_leads_on(
    done: tuple[Shell, dict[str, Any]],
) -> None:
    shell, report = done
    refused = shell.run("runs", "rewind", "TASK-1", "--to", "1")
    assert refused.returncode == 2
    hint = f"runs fork {report['run']} --at 1"
    assert f"agentflow {hint}" in refused.stderr
    assert shell.run(*hint.split()).returncode == 0

    beyond = shell.run("runs", "rewind", report["run"], "--to", "99")
    assert (beyond.returncode, "fork" in beyond.stderr) == (2, False)
    assert "there is no checkpoint of turn 99" in beyond.stderr


def test_an_answer_to_another_run_of_a_task_that_is_done_is_refused(
    bwrap: str, tmp_path: Path
) -> None:
    """Of two runs that asked, the older one was answered."""
    shell = Shell(tmp_path)
    question: dict[str, Any] = {"question": "Which word?", "header": "Word", "options": []}
    asking = [turn(call("AskUserQuestion", questions=[question])), turn(HELLO), turn()]
    shell.project.write(
        ".orchestrator/prompts/asker.md",
        "---\nname: asker\ntools: Write, AskUserQuestion\n---\nAsk, then write.\n",
    )
    shell.project.commit()
    first, second = (
        asyncio.run(shell.project.run(asking, prompt="asker"))["run"] for _ in range(2)
    )

    async def answered(run: str) -> subprocess.CompletedProcess[str]:
        async with ScriptedServer(read_script({"turns": asking})) as server:
            return await asyncio.to_thread(shell.run, "answer", run, "hi", "--base-url", server.url)

    assert asyncio.run(answered(first)).returncode == 0
    refused = asyncio.run(answered(second))
    assert refused.returncode == 2
    assert f"TASK-1 is done, and the run {second} asks nothing any more" in refused.stderr
    assert f"agentflow runs show {first}" in refused.stderr
    waited = shell.run("wait", "TASK-1", "--json")
    assert (waited.returncode, json.loads(waited.stdout)["run"]) == (0, first)
    assert json.loads(shell.run("attest", "TASK-1").stdout)["predicate"]["run"] == first
    repository = open_repository(shell.project.root, shell.project.world.environment)
    assert verified_run(repository, "TASK-1").run == first
    state = run_state(replace(shell.project.world, directory=shell.project.root), "TASK-1")
    assert (state["run"], state["state"]) == (first, "done")
    back = shell.run("runs", "rewind", second, "--to", "0")
    assert (back.returncode, "TASK-1 is done, and what was verified" in back.stderr) == (2, True)
    assert shell.project.marker("done") == "done"
