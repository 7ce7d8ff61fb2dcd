"""The tools that clients of the Model Context Protocol get.

They run nothing themselves. Each starts a command of agentflow as a process of its own, or reads what
runs have left; so a client that goes away stops no run, and another one finds it again.
"""

import asyncio
import json
import tempfile
from typing import Annotated, Any, Literal

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel, Field

from agentflow.errors import AgentflowError
from agentflow.records import Json
from agentflow.run_processes import RunProcesses
from agentflow.run_states import run_state, task_states
from agentflow.tasks.task import check_id
from agentflow.world import World

INTERVAL = 0.5
"""Seconds between two looks at a run that is waited for."""

State = Literal["running", "done", "failed", "blocked", "stopped"]
Wait = Annotated[
    float, Field(ge=0, le=300, description="Seconds to wait for its end; 0 returns at once.")
]
RunName = Annotated[str, Field(description="The run, or a task's id for its newest run.")]


class Commit(BaseModel):
    """One verified commit."""

    sha: str
    subject: str


class GateResult(BaseModel):
    """What one gate measured."""

    gate: str
    status: str
    summary: str


class RunState(BaseModel):
    """Where a run stands. The fields after `progress` are there when it has ended."""

    run: str
    task: str
    state: State
    turns: int = 0
    progress: str = ""
    outcome: str | None = None
    exit_code: int | None = None
    reason: str = ""
    hint: str = ""
    question: str | None = None
    cost_usd: float | None = None
    branch: str | None = None
    landed: str | None = None
    commits: list[Commit] = []
    gates: list[GateResult] = []
    reply: dict[str, Any] | None = None
    reply_block: str | None = None
    report: str | None = None


class Question(BaseModel):
    """What a handoff leaves open."""

    id: str
    line: int
    question: str
    why: str


class Handed(BaseModel):
    """What became of a handoff: a run, or one that is blocked by questions."""

    run: RunState | None = None
    questions: list[Question] = []


class TaskState(BaseModel):
    """One task."""

    id: str
    title: str = ""
    source: Literal["file", "queue"]
    state: Literal["new", "running", "done", "failed", "blocked", "stopped"]
    run: str | None = None
    problem: str | None = None


class Desk:
    """The tools."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._processes = RunProcesses(world.directory, world.environment)

    async def handoff(
        self,
        context: Context,
        block: Annotated[str, Field(description="The handoff block, as Markdown.")],
        answers: Annotated[
            dict[str, str] | None, Field(description="A question's id, and its answer.")
        ] = None,
        wait_seconds: Wait = 0,
    ) -> Handed:
        """Hand backend work over: run what a block asks for, in the services that it names.

        Returns `questions`, and a run that waits for their answers, if the block leaves something
        open: call again with `answers`, and the run goes on.
        """
        with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
            json.dump(answers or {}, file)  # which is YAML too
            file.flush()
            command = ["handoff", "--answers", file.name, "--output-format", "stream-json"]
            said = await self._started(command, block)
        if said.get("type") == "questions":
            asked = [Question.model_validate(each) for each in said["questions"]]
            blocked = await self._followed(said, 0, context) if said.get("run") else None
            return Handed(run=blocked, questions=asked)
        return Handed(run=await self._followed(said, wait_seconds, context))

    async def run_task(
        self,
        context: Context,
        task: Annotated[str, Field(description="An id, as `list_tasks` tells them.")],
        fresh: Annotated[bool, Field(description="Run it again, whatever was before.")] = False,
        resume: Annotated[bool, Field(description="Go on with a run that stopped.")] = False,
        wait_seconds: Wait = 0,
    ) -> RunState:
        """Run a task of this repository. A task that is done already is not run again."""
        with told():
            check_id(task)
        flags = [*(["--fresh"] if fresh else []), *(["--resume"] if resume else [])]
        command = ["run", "--output-format", "stream-json", *flags, "--", task]
        return await self._followed(await self._started(command), wait_seconds, context)

    async def get_run(self, context: Context, run: RunName, wait_seconds: Wait = 0) -> RunState:
        """Tell where a run stands: at work, done with its contract, failed, or blocked."""
        return await self._state(run, wait_seconds, context)

    async def answer(
        self,
        context: Context,
        run: RunName,
        text: Annotated[str, Field(description="A person's answer, never one that you made up.")],
        wait_seconds: Wait = 0,
    ) -> RunState:
        """Answer the question of a run that is blocked; it goes on in the same conversation."""
        if not text.strip():
            raise ToolError("the answer is empty. Give the words of the person who was asked.")
        command = ["answer", "--output-format", "stream-json", "--", run, "-"]
        return await self._followed(await self._started(command, text), wait_seconds, context)

    async def list_tasks(self) -> list[TaskState]:
        """List the tasks of this repository that `run_task` takes, and where they stand."""
        with told():
            found = await asyncio.to_thread(task_states, self._world)
        return [TaskState.model_validate(each) for each in found]

    async def _started(self, command: list[str], given: str = "") -> Json:
        with told():
            return await self._processes.start(command, given)

    async def _followed(self, said: Json, wait: float, context: Context) -> RunState:
        """The run that a command began with. Raises `ToolError` if it was refused."""
        if not said.get("run"):
            hint = f" {said['hint']}" if said.get("hint") else ""
            raise ToolError(f"{said.get('reason', 'no run was begun')}.{hint}")
        return await self._state(str(said["run"]), wait, context)

    async def _state(self, run: str, wait: float, context: Context) -> RunState:
        """Where a run stands, at the latest after `wait` seconds; each new turn is progress."""
        loop = asyncio.get_running_loop()
        deadline, turns = loop.time() + wait, -1
        while True:
            with told():
                found = await asyncio.to_thread(run_state, self._world, run)
            left = deadline - loop.time()
            if found["state"] != "running" or left <= 0:
                return RunState.model_validate(found)
            if found["turns"] != turns:
                turns = found["turns"]
                await context.report_progress(turns, message=f"turn {turns}: {found['progress']}")
            await asyncio.sleep(min(INTERVAL, left))


class told:  # noqa: N801  # read as a word: `with told():`
    """Every expected failure as a tool's error, which the client's model reads."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, AgentflowError):
            raise ToolError(f"{error.message}. {error.hint}".strip()) from error
