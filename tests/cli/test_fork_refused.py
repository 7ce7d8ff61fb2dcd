"""What `agentflow runs fork|rewind` and `resume` of a fork refuse, and what they say leads on."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from agentflow.done_runs import left_to_do
from agentflow.order import Order
from agentflow.workspace.repository import open_repository
from tests.cli.shell import Shell
from tests.cli.test_fork_done import FIRST, fork
from tests.run.project import HELLO, turn
from tests.run.test_resume import resumed

pytestmark = pytest.mark.sandbox


@pytest.fixture
def shell(bwrap: str, tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def ran(shell: Shell, *, order: Order | None = None, **flags: Any) -> dict[str, Any]:
    return asyncio.run(shell.project.run(FIRST, order=order, **flags))


def test_a_fork_that_has_not_begun_is_rewound_to_nowhere_else(shell: Shell) -> None:
    source = ran(shell)["run"]
    name = fork(shell, source, 1)
    folder = shell.project.root / ".orchestrator/runs" / name
    before = (folder / "journal.jsonl").read_bytes()

    refused = shell.run("runs", "rewind", name, "--to", "0")
    assert refused.returncode == 2
    assert f"the run {name} is a fork that begins after turn 1" in refused.stderr
    assert "TASK-1 is done" not in refused.stderr
    hint = f"runs fork {name} --at 0"
    assert f"agentflow {hint}" in refused.stderr
    assert shell.run(*hint.split()).returncode == 0

    there = shell.run("runs", "rewind", name, "--to", "1")
    assert (there.returncode, f"Go on: agentflow resume {name}" in there.stderr) == (0, True)
    assert (folder / "journal.jsonl").read_bytes() == before, "it is no begun run by that"
    assert shell.project.marker("done") == "done"


def test_a_fork_is_not_rewound_to_before_it_began(shell: Shell) -> None:
    """There it would take itself for the run that it was forked of."""
    source = ran(shell, max_turns=2)
    name = fork(shell, source["run"], 1)
    begun = asyncio.run(resumed(shell.project, name, FIRST, max_turns=1))
    assert begun["outcome"] == "budget"

    refused = shell.run("runs", "rewind", name, "--to", "0")

    assert refused.returncode == 2
    assert f"agentflow runs fork {name} --at 0" in refused.stderr
    assert shell.run("runs", "rewind", name, "--to", "1").returncode == 0
    assert shell.project.journal(name)[-1]["type"] == "agentflow.run_resumed"


def test_a_fork_whose_task_another_one_did_says_so(shell: Shell) -> None:
    source = ran(shell)["run"]
    first, second = fork(shell, source), fork(shell, source)
    done = asyncio.run(resumed(shell.project, first, [turn(HELLO), turn()]))
    assert (done["outcome"], done["run"]) == ("done", first)

    refused = shell.run("resume", second, "--output-format", "json")

    told = json.loads(refused.stdout)
    assert (refused.returncode, told["outcome"]) == (2, "usage")
    assert told["reason"] == f"TASK-1 was done by {first}, and the run {second} has not begun"
    assert f"agentflow runs show {first}" in told["hint"]
    another = f"runs fork {second} --at 0"
    assert f"agentflow {another}" in told["hint"]
    third = shell.run(*another.split()).stdout.strip()
    last = asyncio.run(resumed(shell.project, third, [turn(HELLO), turn()]))
    assert (last["outcome"], last["run"]) == ("done", third)


@pytest.mark.parametrize("flags", [{}, {"land": "none"}, {"target": "release"}])
def test_a_fork_of_a_run_that_went_on_to_do_the_task_does_not_begin(
    shell: Shell, flags: dict[str, Any]
) -> None:
    source = ran(shell, max_turns=2, **flags)["run"]
    name = fork(shell, source, 1)
    done = asyncio.run(resumed(shell.project, source, FIRST, max_turns=9))
    assert (done["outcome"], done["run"], name > source) == ("done", source, True)

    refused = shell.run("resume", name)
    assert refused.returncode == 2
    assert f"TASK-1 was done by {source}, and the run {name} has not begun" in refused.stderr
    assert ("agentflow runs fork" in refused.stderr) == ("target" not in flags)
    alone = shell.run("resume")
    assert (alone.returncode, "no run here can go on" in alone.stderr) == (2, True)
    again = shell.run("run", "TASK-1", "--resume", "--gate", "test=true", "--output-format", "json")
    assert (again.returncode, json.loads(again.stdout)["run"]) == (0, source)
    repository = open_repository(shell.project.root, shell.project.world.environment)
    assert left_to_do(repository.root, "TASK-1") is None, "beside other tasks"


def test_a_run_that_was_left_does_not_go_on_when_another_did_its_task(shell: Shell) -> None:
    left = ran(shell, max_turns=1)["run"]
    done = ran(shell, order=Order("TASK-1", fresh=True))["run"]

    refused = shell.run("resume", left)

    assert refused.returncode == 2
    assert f"TASK-1 was done by {done}, and the run {left} does not go on" in refused.stderr


@pytest.mark.parametrize(
    ("flags", "place"),
    [
        ({"target": "release"}, "release"),
        ({"land": "current"}, "main"),
        ({"land": "current"}, "agentflow/TASK-1"),
    ],
)
def test_a_fork_may_not_replace_what_landed_where_others_land(
    shell: Shell, flags: dict[str, Any], place: str
) -> None:
    if "/" in place:
        shell.project.git("switch", "-qc", place)
    report = ran(shell, **flags)
    assert report["outcome"] == "done"

    refused = shell.run("runs", "fork", report["run"], "--at", "0")

    assert (refused.returncode, refused.stdout) == (7, "")
    assert f"{report['run']} landed on {place}, where others may have built on it" in refused.stderr
    assert " --land branch --target agentflow/TASK-1 " in refused.stderr
    assert refused.stderr.endswith(" --fresh\n")
    assert len(shell.run("runs", "list", "--json").stdout.splitlines()) == 1
    if place == "release":
        shell.project.git("branch", "-D", place)
        fork(shell, report["run"])  # nothing of it is there any more


def test_a_fork_that_lands_elsewhere_than_the_result_replaces_nothing(shell: Shell) -> None:
    left = ran(shell, max_turns=2, land="current")["run"]
    done = ran(shell, order=Order("TASK-1", fresh=True))
    assert done["landed"]["ref"] == "refs/heads/agentflow/TASK-1"

    name = fork(shell, left, 1)
    report = asyncio.run(resumed(shell.project, name, FIRST, max_turns=9))

    assert (report["outcome"], report["landed"]["ref"]) == ("done", "refs/heads/main")
