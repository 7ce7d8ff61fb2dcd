"""Killed at any moment and continued, a run ends as one that nobody touched."""

import asyncio
import json
import os
import random
import re
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from agentflow.events import AssistantMessage, LandingDone, UserMessage
from agentflow.history import counting, decode
from agentflow.journal import load
from agentflow.models.scripted import ScriptedServer, read_script
from agentflow.records import Json
from agentflow.runs import newest_run
from tests.crash.story import GATE, TURNS, story
from tests.crash.victim import Life, start
from tests.run.project import Project, make_project

pytestmark = pytest.mark.sandbox

KILLS = int(os.environ.get("AGENTFLOW_KILLS", "10"))
"""In all. In `.ci/run` 40, in the long form 200: see CONTRIBUTING."""
PER_RUN = 10
"""How often one run is killed at most: more often, and none would get beyond its beginning."""
SEED = os.environ.get("AGENTFLOW_KILL_SEED", "1")


async def lives(life: Life, told: Path) -> int | None:
    """Let a process live; return its exit code."""
    process = start(life, told)
    await asyncio.to_thread(process.join)
    return process.exitcode


def result(project: Project) -> Json:
    """What must be the same: files, commits, transcript, refs, markers."""
    run = newest_run(project.root, "TASK-1") or ""

    def plain(text: str) -> str:
        return re.sub(r"[0-9a-f]{40}|[0-9a-f]{7}\b", "SHA", text.replace(run, "RUN"))

    lines = counting(decode(load(project.root / ".orchestrator/runs" / run / "journal.jsonl")))
    messages = [
        plain(json.dumps(line.event.message))
        for line in lines
        if isinstance(line.event, UserMessage | AssistantMessage)
    ]
    # A process that dies before its first checkpoint has paid nothing: the next one begins anew.
    begun = [
        ref
        for ref in project.git("for-each-ref", "--format=%(refname)").splitlines()
        if not ref.startswith("refs/agentflow/base/") or ref.endswith(run)
    ]
    report = json.loads((project.root / ".orchestrator/runs" / run / "report.json").read_text())
    return {
        "files": project.git("rev-parse", "agentflow/TASK-1^{tree}"),
        "commits": plain(project.git("log", "--format=%T %an %B", "main..agentflow/TASK-1")),
        "messages": messages,
        "landings": sum(isinstance(line.event, LandingDone) for line in lines),
        "moves": len(project.git("reflog", "show", "agentflow/TASK-1").splitlines()),
        "marker": project.marker("done"),
        "refs": plain("\n".join(begun)),
        "outcome": report["outcome"],
        "gates": [(gate["gate"], gate["status"]) for gate in report["verification"]["gates"]],
        "repairs": report["verification"]["repairs"],
        "status": project.git("status", "--porcelain"),
    }


def life_of(project: Project, url: str) -> Life:
    flags = {"base_url": url, "gates": [GATE], "prompt": "plain"}
    return Life(project.root, project.world.cache, project.world.environment, flags)


async def killed(
    life: Life,
    chance: random.Random,
    moments: int,
    kills: int,
    folder: Path,
    survived: Callable[[], None] = lambda: None,
) -> int:
    """Let a run be killed and go on until it is done; return how often it was killed. `survived` is
    called after each life."""
    done = 0
    while True:
        at = chance.randint(1, 3 * moments // PER_RUN)
        told = folder / f"told-{done}.txt"
        code = await lives(replace(life, dies_at=at if done < kills else None), told)
        survived()
        if code == 0:
            return done
        assert code == -signal.SIGKILL, told.read_text()
        done += 1


class Paid:
    """Which replies were asked for, in each life of a run: the first one is 0."""

    def __init__(self, server: ScriptedServer) -> None:
        self._server = server
        self._lives: list[list[int]] = []

    def end_of_life(self) -> None:
        """What was asked for since the last one is what this life did."""
        self._lives.append([
            sum(message["role"] == "assistant" for message in request.body["messages"])
            for request in self._server.requests
        ])
        self._server.requests.clear()

    def problems(self, replies: int) -> list[str]:
        """What was paid more than once more than was needed: a life asks for each reply once, in
        order, and goes on at most one reply before where the one before it had come."""
        found: list[str] = []
        next_one = 0
        for number, asked in enumerate(self._lives):
            first = asked[0] if asked else next_one
            if asked != [*range(first, first + len(asked))]:
                found.append(f"life {number} asked for {asked}")
            if not next_one - 1 <= first <= next_one:
                found.append(f"life {number} began with {first}, and {next_one} was the next")
            next_one = first + len(asked)
        return found if next_one == replies else [*found, f"{next_one} replies in all"]


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory, bwrap: str) -> tuple[Json, int]:
    """What is left of a run that nobody kills, and how many moments it has."""
    folder = tmp_path_factory.mktemp("untouched")
    project, told = make_project(folder), folder / "told.txt"

    async def run() -> None:
        async with ScriptedServer(read_script({"turns": story()})) as server:
            assert await lives(life_of(project, server.url), told) == 0
            assert len(server.requests) == TURNS

    asyncio.run(run())
    left = result(project)
    assert (left["outcome"], left["landings"], left["moves"], left["repairs"]) == ("done", 1, 1, 1)
    return left, int(told.read_text().split()[0])


@pytest.mark.parametrize("first", range(0, KILLS, PER_RUN))
async def test_killed_at_random_a_run_ends_as_if_nothing_had_happened(
    first: int, tmp_path: Path, untouched: tuple[Json, int]
) -> None:
    wanted, moments = untouched
    left, run = min(PER_RUN, KILLS - first), 0
    async with ScriptedServer(read_script({"turns": story()})) as server:
        while left > 0:
            seed = f"{SEED}-{first}-{run}"
            torn = make_project(tmp_path / seed)
            server.requests.clear()
            chance, paid = random.Random(seed), Paid(server)
            life, folder = life_of(torn, server.url), torn.root.parent
            kills = await killed(life, chance, moments, left, folder, paid.end_of_life)
            assert kills > 0, f"seed {seed}: no moment was reached"
            assert result(torn) == wanted, f"seed {seed}"
            assert paid.problems(TURNS) == [], f"seed {seed}"
            left, run = left - kills, run + 1
