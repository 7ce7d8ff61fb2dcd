"""A small repository with a task, and a scripted model to run it."""

import asyncio
import json
import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from agentflow.events import Event
from agentflow.models.anthropic import open_model
from agentflow.models.scripted import ScriptedServer, read_script
from agentflow.order import Order
from agentflow.plan import Plan, make_plan
from agentflow.records import Json
from agentflow.results import Ledger
from agentflow.run import OpenModel, run_task
from agentflow.world import World

GATE = {"name": "test", "command": "test -s app/hello.txt", "must_fail_on_base": True}
"""Passes when the task is done."""


def call(tool: str, **arguments: Any) -> Json:
    """A tool call for a script."""
    return {"tool": tool, "input": arguments}


def bash(command: str, **arguments: Any) -> Json:
    """A Bash call for a script."""
    return call("Bash", command=command, **arguments)


def turn(*calls: Json, text: str = "", **more: Any) -> Json:
    """One reply for a script."""
    found: Json = {"text": text or ("Working." if calls else "Done."), **more}
    return {**found, "calls": list(calls)} if calls else found


HELLO = call("Write", file_path="app/hello.txt", content="hello\n")
"""The change that the task asks for."""
MARKER = call("Write", file_path=".orchestrator/complete/TASK-1.done", content="done")


@dataclass
class Project:
    """A repository on `main` with one commit, and everything that a run needs."""

    root: Path
    world: World
    events: list[Event] = field(default_factory=list[Event])
    requests: list[Json] = field(default_factory=list[Json])
    """Bodies of all requests that the model got."""

    def git(self, *arguments: str) -> str:
        """Run git in the repository."""
        ended = subprocess.run(
            ["git", *arguments], cwd=self.root, capture_output=True, text=True, check=True
        )
        return ended.stdout.strip()

    def write(self, path: str, text: str) -> Path:
        """Write a file of the work tree."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def commit(self, message: str = "more") -> str:
        """Commit everything; return the commit's name."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    def task(self, header: str = "allow: [app/**]", text: str = "# Say hello\n\nWrite it.") -> None:
        """Write TASK-1."""
        self.write(".orchestrator/tasks/TASK-1.md", f"---\n{header}\n---\n\n{text}\n")

    def marker(self, kind: str) -> str | None:
        """A marker's text, or None."""
        path = self.root / f".orchestrator/complete/TASK-1.{kind}"
        return path.read_text() if path.exists() else None

    def journal(self, run: str) -> list[Json]:
        """A run's journal."""
        path = self.root / ".orchestrator/runs" / run / "journal.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]

    async def run(
        self,
        turns: Sequence[Json],
        *,
        order: Order | None = None,
        watch: Callable[[Event], None] | None = None,
        ledger: Ledger | None = None,
        by: str = "replies",
        **flags: Any,
    ) -> Json:
        """Run TASK-1 with a scripted model; return the report. `by`: see the script."""
        async with ScriptedServer(read_script({"turns": list(turns), "by": by})) as server:
            given = {"base_url": server.url, "gates": [GATE], "prompt": "plain", **flags}
            wanted = order or Order("TASK-1")
            complete = replace(wanted, flags={**given, **wanted.flags})
            plan = replace(await make_plan(complete, self.world), ledger=ledger)
            sinks = [self.events.append, *([watch] if watch else [])]
            try:
                return await run_task(plan, self.world, _connect, sinks)
            finally:
                self.requests += [received.body for received in server.requests]


def _connect(plan: Plan) -> OpenModel:
    return lambda: open_model(
        base_url=plan.base_url, api_key=None, sleep=lambda _: asyncio.sleep(0)
    )


def make_project(folder: Path) -> Project:
    """Make the repository."""
    root = folder / "repository"
    root.mkdir(parents=True)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder / "home"),
        "XDG_CONFIG_HOME": str(folder / "config"),
    }
    (folder / "home").mkdir()
    project = Project(root, World(root, environment, folder / "cache"))
    project.git("init", "--quiet", "--initial-branch=main")
    project.git("config", "user.name", "Ada")
    project.git("config", "user.email", "ada@example.com")
    project.write("app/main.py", "print('hello')\n")
    project.write("tests/test_main.py", "def test_main():\n    assert True\n")
    project.write("README.md", "# Example\n")
    project.write(".orchestrator/prompts/plain.md", "Do what the task says.\n")
    project.task()
    project.commit("feat: start")
    return project
