"""What the loop does when a tool call ends in a way that no model can mend."""

import asyncio

import pytest

from agentflow.agent import Agent
from agentflow.budget import Budget
from agentflow.conversation import Word
from agentflow.errors import BudgetExceeded, EnvironmentFailure
from agentflow.messages import ToolCall, ToolResult
from agentflow.metered import MeteredModel
from agentflow.models.anthropic import open_model
from agentflow.models.scripted import ScriptedServer, read_script
from agentflow.records import Limits
from tests.models.tools import Tools, Unkept


class Reads:
    """Read-only tools: the call for `broken` raises, every other takes until it is told to end."""

    def __init__(self, error: BaseException, told: BaseException | None = None) -> None:
        """`told` is raised by a call that is told to end."""
        self.schemas = Tools().schemas
        self.error = error
        self.told = told
        self.all_started = asyncio.Event()
        self.started = 0
        self.cancelled = 0

    def is_read_only(self, call: ToolCall) -> bool:
        return True

    def target(self, call: ToolCall) -> str:
        return call.name

    async def keep(self, name: str, text: str) -> str:
        return ""

    async def run(self, call: ToolCall) -> ToolResult:
        self.started += 1
        if self.started == 2:
            self.all_started.set()
        if (call.arguments or {}).get("file_path") == "broken":
            await asyncio.sleep(0)
            raise self.error
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise self.told or asyncio.CancelledError from None
        raise AssertionError("nobody told it to end")


async def work(tools: Reads, *paths: str, limits: Limits | None = None) -> Agent:
    calls = [{"tool": "Write", "input": {"file_path": path}} for path in paths]
    budget = Budget(limits or Limits(), lambda _model, _usage: None, lambda: 0.0)
    turns = [{"text": "", "calls": calls}, {"text": "Done."}]
    async with ScriptedServer(read_script({"turns": turns})) as server:
        model = open_model(base_url=server.url, api_key=None)
        metered = MeteredModel(model, budget)
        agent = Agent(metered, "claude-sonnet-5-5", "Mend.", "message", budget, lambda _: None)
        try:
            await agent.work(Word("task", "Mend what is broken."), tools, Unkept())
        finally:
            await model.close()
    return agent


class Kept:
    """A `Keeper` and tools that see whether anything is run before the turn before is kept."""

    def __init__(self, server: ScriptedServer) -> None:
        self.server = server
        self.schemas = Tools().schemas
        self.is_kept = True
        self.asked: list[int] = []
        """Requests that had been made each time something was waited for."""
        self.ran: list[bool] = []
        """Whether all was kept, for each call."""

    def begin(self, *, changed: bool) -> None:
        self.is_kept = False

    async def settled(self) -> None:
        self.asked.append(len(self.server.requests))
        await asyncio.sleep(0)
        self.is_kept = True

    def is_read_only(self, call: ToolCall) -> bool:
        return False

    def target(self, call: ToolCall) -> str:
        return call.name

    async def keep(self, name: str, text: str) -> str:
        return ""

    async def run(self, call: ToolCall) -> ToolResult:
        self.ran.append(self.is_kept)
        return ToolResult(call.id, "written")


async def test_nothing_is_run_before_the_turn_before_is_kept_and_the_model_is_asked_meanwhile() -> (
    None
):
    calls = [{"tool": "Write", "input": {"file_path": path}} for path in ("a", "b")]
    budget = Budget(Limits(), lambda _model, _usage: None, lambda: 0.0)
    turns = [{"calls": calls}, {"calls": calls[:1]}, {"text": "Done."}]
    async with ScriptedServer(read_script({"turns": turns})) as server:
        kept = Kept(server)
        model = open_model(base_url=server.url, api_key=None)
        metered = MeteredModel(model, budget)
        agent = Agent(metered, "claude-sonnet-5-5", "Mend.", "message", budget, lambda _: None)
        try:
            await agent.work(Word("task", "Mend what is broken."), kept, kept)
        finally:
            await model.close()
    assert kept.ran == [True, True, True]
    assert kept.asked == [1, 2, 3]


async def test_reads_beside_one_that_raises_are_ended_with_it() -> None:
    tools = Reads(EnvironmentFailure("the sandbox is gone"))
    with pytest.raises(EnvironmentFailure, match="the sandbox is gone"):
        await work(tools, "a", "broken", "b")
    assert (tools.started, tools.cancelled) == (3, 2)


async def test_a_disk_that_times_out_is_not_a_task_that_is_out_of_time() -> None:
    """The operating system's ETIMEDOUT is Python's `TimeoutError` too."""
    with pytest.raises(TimeoutError, match="network disk"):
        await work(Reads(TimeoutError("the network disk")), "broken")


async def test_a_call_that_takes_longer_than_the_task_may_is_out_of_time() -> None:
    tools = Reads(AssertionError())
    with pytest.raises(BudgetExceeded, match="limit of 1 second "):
        await work(tools, "a", "b", limits=Limits(timeout=1))
    assert tools.cancelled == 2


async def test_who_is_told_to_stop_stops_whatever_its_calls_say() -> None:
    tools = Reads(AssertionError(), EnvironmentFailure("the sandbox is gone"))
    working = asyncio.ensure_future(work(tools, "a", "b"))
    await tools.all_started.wait()
    working.cancel(15)
    with pytest.raises(asyncio.CancelledError) as stopped:
        await working
    assert stopped.value.args == (15,)


async def test_time_that_is_over_is_that_whatever_its_calls_say() -> None:
    with pytest.raises(BudgetExceeded, match="limit of 1 second "):
        await work(
            Reads(AssertionError(), EnvironmentFailure("the sandbox is gone")),
            "a",
            limits=Limits(timeout=1),
        )
