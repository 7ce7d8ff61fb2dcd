"""Stopping several tasks as a terminal or a service does, and going on with them."""

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agentflow.markers import read_marker
from agentflow.models.scripted import ScriptedServer, read_script
from agentflow.records import Json
from tests.cli.shell import Shell
from tests.forks.programs import agentflow
from tests.many.fleet import outcomes, writes
from tests.patience import PATIENCE
from tests.run.project import bash, turn

pytestmark = pytest.mark.sandbox
STOPPING = "stopping: no task is begun"


@dataclass
class Command:
    """`agentflow run A B C`, two agents at once; A and B sleep in their second turn."""

    shell: Shell
    url: str
    seconds: str
    """How long they sleep: like no other process of this machine."""
    started: list[subprocess.Popen[str]] = field(default_factory=list[subprocess.Popen[str]])

    def start(self) -> subprocess.Popen[str]:
        """Start it in a process group of its own, as a shell does."""
        options = ("--base-url", self.url, "--prompt", "plain", "--gate", "test=true")
        process = subprocess.Popen(
            agentflow("run", *"ABC", "--jobs=2", "--keep-going", *options, "--output-format=json"),
            cwd=self.shell.project.root,
            env=self.shell.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            process_group=0,
        )
        self.started.append(process)
        return process

    def sleeping(self) -> list[int]:
        """The processes in which agents of this test sleep."""
        wanted, found = f"sleep\0{self.seconds}\0".encode(), list[int]()
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if entry.read_bytes() == wanted:
                    found.append(int(entry.parent.name))
            except OSError:
                continue  # it has ended
        return found

    def until_asleep(self) -> list[int]:
        """Wait until both sleep; return their processes."""
        end = time.monotonic() + PATIENCE
        while len(found := self.sleeping()) != len("AB"):
            assert time.monotonic() < end, f"asleep: {found}"
            time.sleep(0.02)
        return found

    def wake(self) -> None:
        """Let both agents go on."""
        for process in self.until_asleep():
            os.kill(process, signal.SIGKILL)


@asynccontextmanager
async def command(tmp_path: Path) -> AsyncGenerator[tuple[Command, ScriptedServer]]:
    seconds = f"615.{os.getpid()}"
    shell = Shell(tmp_path)
    talks: dict[str, list[Json]] = {"# Task C:": writes("c/x.txt")}
    for name in "ABC":
        low = name.lower()
        text = f"---\nallow: [{low}/]\n---\n\n# Do {name}\n"
        shell.project.write(f".orchestrator/tasks/{name}.md", text)
        one = turn(bash(f"echo one >> {low}/x.txt"))
        two = turn(bash(f"sleep {seconds}; echo two >> {low}/x.txt"))
        talks.setdefault(f"# Task {name}:", [one, two, turn()])
    (shell.project.root / ".orchestrator/tasks/TASK-1.md").unlink()
    shell.project.commit()
    async with ScriptedServer(read_script({"turns": [turn()], "conversations": talks})) as server:
        made = Command(shell, server.url, seconds)
        try:
            yield made, server
        finally:
            for process in made.started:
                process.kill()
                process.communicate()


async def ended(process: subprocess.Popen[str]) -> tuple[Json, str]:
    """The report of a process that is about to end, and what it said."""
    output, talk = await asyncio.to_thread(process.communicate, timeout=PATIENCE)
    return json.loads(output), talk


@pytest.mark.parametrize("how", ["once", "twice", "SIGTERM"])
async def test_stopped_tasks_are_gone_on_with_and_land_once(
    how: str, tmp_path: Path, bwrap: str
) -> None:
    async with command(tmp_path) as (made, server):
        process = made.start()
        await asyncio.to_thread(made.until_asleep)
        asked = len(server.requests)
        if how == "SIGTERM":
            process.terminate()
        else:
            os.killpg(process.pid, signal.SIGINT)
            assert process.stderr is not None
            told = await asyncio.to_thread(_line_with, process, STOPPING)
            assert told
            if how == "once":
                assert len(made.sleeping()) == len("AB")
                await asyncio.to_thread(made.wake)
            else:
                os.killpg(process.pid, signal.SIGINT)
        report, talk = await ended(process)

        code = 143 if how == "SIGTERM" else 130
        assert (process.returncode, report["exit_code"]) == (code, code), talk
        assert outcomes(report) == {"A": "interrupted", "B": "interrupted", "C": "skipped"}
        assert made.sleeping() == []
        assert len(server.requests) == asked == 4, "something was asked for after the stop"

        process = made.start()
        if how != "once":
            await asyncio.to_thread(made.wake)  # a call that was cut off runs again
        again, talk = await ended(process)

        assert process.returncode == 0, talk
        assert len(server.requests) == asked + 4, "a reply was paid again"
        project = made.shell.project
        runs = [task["run"] for task in report["tasks"][:2]]
        assert [task["run"] for task in again["tasks"][:2]] == runs
        for name in "ABC":
            branch = f"agentflow/{name}"
            assert len(project.git("reflog", "show", branch).splitlines()) == 1
            assert read_marker(project.root, name) == "done"
        for name in "ab":
            assert project.git("show", f"agentflow/{name.upper()}:{name}/x.txt") == "one\ntwo"


def _line_with(process: subprocess.Popen[str], words: str) -> bool:
    """Whether a process says so, sooner or later."""
    assert process.stderr is not None
    return any(words in line for line in process.stderr)
