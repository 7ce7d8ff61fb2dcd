"""The same tasks in one process and through PostgreSQL: the same outcomes, commits and branches."""

import asyncio
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agentflow.backlog import find_start, named_tasks
from agentflow.cli.execution import connector
from agentflow.commands import TasksCommand
from agentflow.many import Wanted, run_many
from agentflow.prompts.context import refuse_commands
from agentflow.records import Json
from agentflow.stopping import Stop
from tests.conformance.machines import GATE, Machines, machines
from tests.conformance.postgresql import Server
from tests.many.fleet import writes
from tests.run.project import bash, call, turn

pytestmark = pytest.mark.sandbox

TALKS: Mapping[str, list[Json]] = {
    "DONE": writes("done/x.txt", "written\n"),
    "COMMITS": [turn(bash("echo a > commits/a && git add -A && git commit -qm 'feat: a'")), turn()],
    "FAILS": [*writes("fails/x.txt", "BROKEN\n"), turn(), turn()],
    "ASKS": [
        turn(call("Write", file_path=".orchestrator/complete/ASKS.blocked", content="Which one?")),
        turn(),
    ],
    "LONG": [turn(bash("echo x >> long/x.txt"))] * 5,
    "BUILDS": writes("builds/x.txt", "on a document\n"),
}
HEADERS = {
    "LONG": "allow: [long/]\nmax_turns: 2",
    "BUILDS": "allow: [builds/]\ndepends_on: [DOCUMENT]",
}
DOCUMENT = "## Batch 1: a COMPLETE\n\n## Batch 2: b COMPLETE\n\n## Batch 3: c PENDING\n\n"
"""Of three batches, the last for the frontend."""


@dataclass
class Engine:
    """What runs tasks: one process, or workers."""

    reports: Mapping[str, Json]
    machines: Machines
    lands_in: Path

    def git(self, *arguments: str) -> str:
        """git where the results land."""
        return self.machines.at(self.lands_in, *arguments)


@pytest.fixture(params=["process", "postgresql"], scope="module")
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, bwrap: str
) -> Generator[Engine]:
    server: Server = request.getfixturevalue("server")
    talks = {f"# Task {name}:": turns for name, turns in TALKS.items()}
    with machines(tmp_path_factory.mktemp("same"), server, [turn()], talks) as all_:
        for name in TALKS:
            all_.task(name, HEADERS.get(name, f"allow: [{name.lower()}/]"))
        all_.project.write(
            "task-tracking/DOCUMENT/tasks.md", f"{DOCUMENT}**Developer**: frontend-developer\n"
        )
        all_.push()
        given: dict[str, Any] = {"base_url": all_.model, "gates": [GATE], "prompt": "plain"}
        if request.param == "process":
            yield Engine(_in_process(all_, given), all_, all_.project.root / ".git")
        else:
            runs = all_.submit(*TALKS)
            all_.start_worker()
            entries = {entry.run: entry for entry in all_.wait(len(runs))}
            reports = {entries[run].task: entries[run].report for run in runs}
            yield Engine(reports, all_, all_.origin)


def _in_process(all_: Machines, given: dict[str, Any]) -> Mapping[str, Json]:
    world, reports = all_.project.world, dict[str, Json]()

    def told(report: Json) -> None:
        reports[report["task"]] = report

    start = find_start(None, given, world)
    command = TasksCommand([*TALKS], given)
    wanted = Wanted(start, named_tasks(command.names, start, world), command, keep_going=True)
    connect = connector(world, shared=True)
    asyncio.run(run_many(wanted, world, connect, lambda _: [], refuse_commands, told, Stop()))
    return reports


def test_outcomes_and_exit_codes(engine: Engine) -> None:
    assert {
        task: (each["outcome"], each["exit_code"]) for task, each in engine.reports.items()
    } == {
        "DONE": ("done", 0),
        "COMMITS": ("done", 0),
        "FAILS": ("failed", 1),
        "ASKS": ("blocked", 3),
        "LONG": ("budget", 4),
        "BUILDS": ("done", 0),
    }
    assert engine.reports["ASKS"]["reason"] == "Which one?"


def test_what_landed_and_only_that(engine: Engine) -> None:
    refs = engine.git("for-each-ref", "--format=%(refname)", "refs/heads/agentflow")
    assert refs.split() == [
        f"refs/heads/agentflow/{task}" for task in ("BUILDS", "COMMITS", "DONE")
    ]
    assert engine.git("show", "agentflow/DONE:done/x.txt") == "written"
    for task in ("DONE", "COMMITS"):
        report, tip = engine.reports[task], engine.git("rev-parse", f"agentflow/{task}")
        assert report["landed"]["tip"] == tip
        message = engine.git("log", "-1", "--format=%B", tip)
        assert f"Agentflow-Run: {report['run']}" in message
        assert f"Agentflow-Task: {task}" in message
    assert engine.git("log", "-1", "--format=%s", "agentflow/COMMITS") == "feat: a"


def test_what_was_measured_and_spent(engine: Engine) -> None:
    def told(report: Json) -> tuple[int, list[str], int]:
        gates = [f"{each['gate']} {each['status']}" for each in report["verification"]["gates"]]
        return report["num_turns"], sorted(gates), len(report["commits"])

    done = told(engine.reports["DONE"])
    assert done == (
        2,
        sorted([
            *("commit passed", "boundaries passed", "files skipped", "tamper passed"),
            *("secrets passed", "build:test passed"),
        ]),
        1,
    )
    assert told(engine.reports["LONG"])[0] == 2
    assert "build:test failed" in told(engine.reports["FAILS"])[1]
