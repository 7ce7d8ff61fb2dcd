"""Several tasks in one repository, each with a conversation of its own."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from agentflow.backlog import find_start, named_tasks
from agentflow.commands import TasksCommand
from agentflow.events import Event
from agentflow.many import Wanted, run_many
from agentflow.models.anthropic import open_model
from agentflow.models.scripted import ScriptedServer, read_script
from agentflow.plan import Plan
from agentflow.prompts.context import refuse_commands
from agentflow.ready_tasks import ready_tasks
from agentflow.records import Json
from agentflow.run import OpenModel
from agentflow.stopping import Stop
from tests.run.project import Project, call, turn

GATE = {"name": "test", "command": "! grep -rs BROKEN . --include=*.txt"}


ALL = TasksCommand((), {})
"""The command, as far as it is given again."""


def writes(path: str, content: str = "new\n") -> list[Json]:
    """The turns of an agent that writes one file."""
    return [turn(call("Write", file_path=path, content=content)), turn()]


@dataclass
class Fleet:
    """Tasks, and what their agents do."""

    project: Project
    talks: dict[str, list[Json]] = field(default_factory=dict[str, list[Json]])
    events: list[tuple[str, Event]] = field(default_factory=list[tuple[str, Event]])
    requests: list[Json] = field(default_factory=list[Json])
    """Bodies of all requests that the model got."""

    def task(
        self, name: str, turns: Sequence[Json], *, header: str = "", again: Sequence[Json] = ()
    ) -> None:
        """Add a task that may write below a folder of its name; `again` is said when it is given
        the task a second time."""
        given = header or f"allow: [{name.lower()}/]"
        text = f"---\n{given}\n---\n\n# Do {name}\n\nIt is {name}.\n"
        self.project.write(f".orchestrator/tasks/{name}.md", text)
        if again:
            self.talks[f"It is {name}.\\n\\n---\\n\\n# This task was done before"] = list(again)
        self.talks[f"# Task {name}:"] = list(turns)

    async def run(
        self,
        *names: str,
        stop: Stop | None = None,
        watch: Callable[[str, Event], None] | None = None,
        at_once: int = 4,
        keep_going: bool = False,
        fresh: bool = False,
        accept: bool = False,
        base: str | None = None,
        limits: Mapping[str, int] | None = None,
        **flags: Any,
    ) -> Json:
        """Run tasks, or all that are ready; return the summary."""
        script = {"turns": [turn()], "conversations": self.talks, "limits": dict(limits or {})}
        async with ScriptedServer(read_script(script)) as server:
            given = {"base_url": server.url, "gates": [GATE], "prompt": "plain", **flags}
            given = {name: value for name, value in given.items() if value is not None}
            world = self.project.world
            start = find_start(base, given, world)
            backlog = named_tasks(names, start, world) if names else ready_tasks(start, world)
            wanted = Wanted(start, backlog, ALL, at_once, keep_going, fresh, accept)

            def sinks(task: str) -> list[Callable[[Event], None]]:
                def listen(event: Event, /) -> None:
                    self.events.append((task, event))
                    if watch:
                        watch(task, event)

                return [listen]

            try:
                return await run_many(
                    wanted, world, _connect, sinks, refuse_commands, lambda _: None, stop or Stop()
                )
            finally:
                self.requests += [received.body for received in server.requests]

    def first_messages(self, task: str) -> list[str]:
        """The first message of each conversation about a task."""
        found: dict[str, None] = {}
        for body in self.requests:
            text = str(body["messages"][0]["content"])
            if f"# Task {task}:" in text:
                found[text] = None
        return list(found)


def _connect(plan: Plan) -> OpenModel:
    return lambda: open_model(
        base_url=plan.base_url, api_key=None, sleep=lambda _: asyncio.sleep(0)
    )


def outcomes(report: Json) -> dict[str, str]:
    """What became of each task."""
    return {task["task"]: task["outcome"] for task in report["tasks"]}


def commit_beside(fleet: Fleet, branch: str, path: str, text: str) -> str:
    """Commit a file on a branch that is not checked out; return the commit."""
    git = fleet.project.git
    kept = fleet.project.root.parent / f"beside-{branch}"
    if not kept.exists():
        git("worktree", "add", "--quiet", "--detach", str(kept), branch)
    beside = replace(fleet.project, root=kept)
    beside.git("checkout", "--quiet", "--detach", branch)
    beside.write(path, text)
    made = beside.commit("somebody else")
    git("update-ref", f"refs/heads/{branch}", made)
    return made
