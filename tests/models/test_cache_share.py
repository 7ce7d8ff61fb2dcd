"""What a long conversation reads from the cache, as the scripted server counts it."""

import json
from itertools import pairwise

import pytest

from agentflow.agent import Agent
from agentflow.budget import Budget
from agentflow.conversation import Word
from agentflow.metered import MeteredModel
from agentflow.models.anthropic import open_model
from agentflow.models.scripted import ScriptedServer, read_script
from agentflow.models.scripted.rules import MAX_BREAKPOINTS
from agentflow.records import Json, Limits
from agentflow.tools import TOOLS
from tests.models.tools import Tools, Unkept

PAGE = "    return [value for value in values if value is not None]\n" * 30
SYSTEM = "Work in small steps, and read before you write. " * 60
"""About 700 tokens: a small prompt."""


@pytest.mark.parametrize(
    ("calls", "thinking"), [(1, ""), (3, "Which file is it? " * 20), (12, "")], ids=str
)
async def test_fifty_turns_read_95_percent_from_the_cache(calls: int, thinking: str) -> None:
    wanted: list[Json] = [
        {"tool": "Read", "input": {"file_path": f"src/{n}.py"}} for n in range(calls)
    ]
    turns = [{"text": f"Step {n}.", "thinking": thinking, "calls": wanted} for n in range(49)]
    budget = Budget(Limits(), lambda _model, _usage: None, lambda: 0.0)
    async with ScriptedServer(read_script({"turns": [*turns, {"text": "Done."}]})) as server:
        model = open_model(base_url=server.url, api_key=None)
        agent = Agent(
            MeteredModel(model, budget),
            "claude-sonnet-5-5",
            SYSTEM,
            "message",
            budget,
            lambda _: None,
        )
        tools = Tools(PAGE, *(tool.schema for tool in TOOLS.values()))
        await agent.work(Word("task", "Mend what is broken."), tools, Unkept())
        await model.close()
    usage = budget.spent.usage
    assert (budget.spent.turns, len(tools.ran)) == (50, 49 * calls)
    assert usage.cache_read_tokens >= 0.95 * usage.prompt_tokens
    assert usage.input_tokens == 0
    assert usage.cache_write_1h_tokens > 0
    bodies = [received.body for received in server.requests]
    assert all(marks(body) <= MAX_BREAKPOINTS - 1 for body in bodies)
    plain = [[without_marks(message) for message in body["messages"]] for body in bodies]
    assert all(later[: len(earlier)] == earlier for earlier, later in pairwise(plain))


def marks(body: Json) -> int:
    return json.dumps(body).count('"cache_control"')


def without_marks(message: Json) -> Json:
    content = message["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    plain = [{k: v for k, v in block.items() if k != "cache_control"} for block in blocks]
    return {**message, "content": plain}
