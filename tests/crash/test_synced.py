"""A power cut takes what the disk was not waited for: nothing may follow from that."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agentflow.events import AssistantMessage, CheckpointMade, Event, UserMessage
from agentflow.models.scripted import ScriptedServer, read_script
from tests.run.project import HELLO, Project, bash, turn

pytestmark = pytest.mark.sandbox

HERE = Path(__file__).parents[2]
TURNS = [turn(bash("echo once >> app/log.txt")), turn(HELLO), turn(text="I wrote it.")]


def ran(project: Project, url: str) -> list[list[Any]]:
    """What a run in a process of its own synced and asked, in order."""
    arguments = (str(project.root), str(project.world.cache), url)
    ended = subprocess.run(
        [sys.executable, "-m", "tests.crash.synced", *arguments],
        cwd=HERE, env=dict(project.world.environment), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    found: list[list[Any]] = json.loads(ended.stdout)
    return found


async def test_the_disk_has_each_step_before_the_next_one(project: Project) -> None:
    async with ScriptedServer(read_script({"turns": TURNS})) as server:
        seen = await asyncio.to_thread(ran, project, server.url)

    [path] = project.root.glob(".orchestrator/runs/*/journal.jsonl")
    journal = path.read_bytes()
    kinds, asked, steps = list[str](), list[int](), list[str]()
    for what, *facts in seen:
        if what == "asked":
            # All that is sent is in the lines that the disk has by now.
            assert sum(kind in {"user", "assistant"} for kind in kinds) == facts[0]
            asked.append(facts[0])
        elif facts[0] == str(path):
            kinds = [json.loads(line)["type"] for line in journal[: facts[1]].splitlines()]
            steps.append(kinds[-1])
        else:
            steps.append(Path(facts[0]).name)
    assert asked == [1, 3, 5]
    assert len(kinds) == len(journal.splitlines()), "the last line, too"

    landed, finished = (steps.index(f"agentflow.{name}") for name in ("landed", "run_finished"))
    assert {"hello.txt", "log.txt", "index"} <= set(steps[:landed]), "what landed in the work tree"
    report = next(n for n, name in enumerate(steps) if name.startswith(".report.json."))
    marker = next(n for n, name in enumerate(steps) if name.startswith(".TASK-1.done."))
    assert landed < finished < report < marker
    assert steps[marker + 1] == "complete", "and the marker's folder"


async def test_a_reply_is_written_down_when_all_before_it_is_in_a_checkpoint(
    project: Project,
) -> None:
    """The model answers at once: it does not take the time that a checkpoint takes."""
    turns = [turn(bash(f"echo {number} >> app/log.txt")) for number in range(5)]
    order = list[str]()

    def watch(event: Event) -> None:
        if isinstance(event, AssistantMessage | CheckpointMade | UserMessage):
            order.append(event.type)

    report = await project.run([*turns, turn(HELLO), turn()], watch=watch)

    assert report["outcome"] == "done"
    said = [n for n, kind in enumerate(order) if kind == AssistantMessage.type]
    assert [order[n - 1] for n in said] == [CheckpointMade.type] * len(said)
