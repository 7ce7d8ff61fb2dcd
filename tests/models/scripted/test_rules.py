"""Every request that the scripted model refuses, because the API does."""

from typing import Any

import pytest

from agentflow.models.scripted.rules import Refused, check
from agentflow.models.scripted.wire import sign
from agentflow.records import Json

MARK: Json = {"cache_control": {"type": "ephemeral"}}
HOUR: Json = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
USER: Json = {"role": "user", "content": "go"}
TOOL: Json = {"name": "Read", "input_schema": {"type": "object"}}


def call(*names: str) -> Json:
    """An assistant message with tool calls."""
    blocks: list[Json] = [
        {"type": "tool_use", "id": name, "name": "Gone", "input": {}} for name in names
    ]
    return {"role": "assistant", "content": blocks}


def result(*names: str, after: list[Json] | None = None) -> Json:
    """A user message with tool results."""
    blocks: list[Json] = [{"type": "tool_result", "tool_use_id": name} for name in names]
    return {"role": "user", "content": [*blocks, *(after or [])]}


def text(words: str = "x", **more: Any) -> Json:
    """A text block."""
    return {"type": "text", "text": words, **more}


def request(*messages: Json, **more: Any) -> Json:
    """A request with these messages."""
    return {"model": "m", "max_tokens": 1, "messages": list(messages or [USER]), **more}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(request(), id="the least"),
        pytest.param(request(tools=[TOOL], system="s"), id="with tools and system"),
        pytest.param(request(USER, USER), id="two user messages in a row"),
        pytest.param(request(USER, call("a"), result("a")), id="an answered call"),
        pytest.param(
            request(USER, call("a", "b"), result("a"), result("b")), id="answers in two messages"
        ),
        pytest.param(
            request(USER, call("a"), result("a", after=[text("go on")])), id="text after results"
        ),
        pytest.param(
            request(USER, {"role": "assistant", "content": [text()]}), id="an assistant at the end"
        ),
        pytest.param(
            request(
                USER,
                {
                    "role": "assistant",
                    "content": [{"type": "thinking", "thinking": "t", "signature": sign("t")}],
                },
            ),
            id="signed thinking",
        ),
        pytest.param(
            request(
                {"role": "user", "content": [text(**MARK), text(**MARK)]},
                system=[text(**HOUR)],
                **MARK,
            ),
            id="four breakpoints",
        ),
    ],
)
def test_accepted(body: Json) -> None:
    assert check(body) == body


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param([], "not a JSON object", id="a list"),
        pytest.param({**request(), "model": None}, "model: Field required", id="no model"),
        pytest.param({**request(), "model": ""}, "model: Field required", id="an empty model"),
        pytest.param({"model": "m", "messages": [USER]}, "max_tokens: Field", id="no max_tokens"),
        pytest.param(request(max_tokens=0), "greater than 0", id="max_tokens is zero"),
        pytest.param({**request(), "max_tokens": "9"}, "valid integer", id="max_tokens is text"),
        pytest.param({**request(), "max_tokens": True}, "valid integer", id="max_tokens is true"),
        pytest.param({"model": "m", "max_tokens": 1}, "messages: Field required", id="no messages"),
        pytest.param({**request(), "messages": []}, "at least one message", id="no message"),
        pytest.param({**request(), "messages": [1]}, "wrong type", id="a message is a number"),
        pytest.param(request(temperature=1), "temperature: not supported", id="temperature"),
        pytest.param(
            request(output_config={"effort": "most"}), "output_config.effort", id="effort"
        ),
        pytest.param(request(top_p=1), "top_p: not supported", id="top_p"),
        pytest.param(request(top_k=1), "top_k: not supported", id="top_k"),
        pytest.param(
            request({"role": "assistant", "content": "x"}), "first message", id="assistant first"
        ),
        pytest.param(request({"role": "system", "content": "x"}), "not 'system'", id="a role"),
        pytest.param(request({"role": "user", "content": ""}), "non-empty content", id="no text"),
        pytest.param(request({"role": "user", "content": []}), "non-empty content", id="no block"),
        pytest.param(request({"role": "user"}), "non-empty content", id="no content"),
        pytest.param(
            request({"role": "user", "content": [text(" ")]}), "non-whitespace", id="blank text"
        ),
        pytest.param(request(system=[text("")]), "system.0: text", id="a blank system prompt"),
        pytest.param(
            request({"role": "user", "content": [{"type": "tool_use"}]}),
            "'tool_use' is not expected in a message of role 'user'",
            id="a call by the user",
        ),
        pytest.param(
            request(USER, {"role": "assistant", "content": [{"type": "document"}]}),
            "'document' is not expected",
            id="a document by the assistant",
        ),
        pytest.param(
            request(
                USER, {"role": "assistant", "content": [{**call("a")["content"][0], "input": 1}]}
            ),
            "input: Input should be a valid dictionary",
            id="an input that is no object",
        ),
        pytest.param(
            request(
                USER,
                {
                    "role": "assistant",
                    "content": [{"type": "thinking", "thinking": "T", "signature": sign("t")}],
                },
            ),
            "Invalid `signature`",
            id="changed thinking",
        ),
        pytest.param(request(USER, call("a")), "without `tool_result`.*: a", id="no answer"),
        pytest.param(
            request(USER, call("a", "b"), result("a")), "without `tool_result`.*: b", id="half"
        ),
        pytest.param(
            request(USER, call("a"), USER, result("a")), "must come first", id="an answer too late"
        ),
        pytest.param(
            request(USER, call("a"), {"role": "assistant", "content": "x"}, USER, tools=[TOOL]),
            "without `tool_result`",
            id="a call with text after it and no answer",
        ),
        pytest.param(request(result("a")), "unexpected `tool_use_id`.*: a", id="an orphan"),
        pytest.param(
            request(USER, call("a"), result("a"), USER, call("b"), result("b", "a")),
            "unexpected `tool_use_id`.*: a",
            id="an answer to an older call",
        ),
        pytest.param(
            request(USER, call("a"), result("a", "a")), "single result.*: a", id="answered twice"
        ),
        pytest.param(
            request(USER, call("a", "a"), result("a")), "ids must be unique", id="one id twice"
        ),
        pytest.param(
            request(
                USER,
                call("a"),
                {"role": "user", "content": [text(), *result("a")["content"]]},
            ),
            "must come first",
            id="text before results",
        ),
        pytest.param(
            request({"role": "user", "content": [text(**MARK)] * 3}, system=[text(**MARK)], **MARK),
            "maximum of 4 blocks with cache_control may be provided. Found 5",
            id="five breakpoints",
        ),
        pytest.param(
            request({"role": "user", "content": [text(**HOUR)]}, system=[text(**MARK)]),
            "must not come after",
            id="an hour after five minutes",
        ),
        pytest.param(
            request(cache_control={"type": "ephemeral", "ttl": "2h"}), "ttl '5m' or '1h'", id="ttl"
        ),
        pytest.param(request(tools=[{**TOOL, "name": ""}]), "tools.0.name", id="no tool name"),
        pytest.param(request(tools=[{**TOOL, "name": "a b"}]), "tools.0.name", id="a bad name"),
        pytest.param(request(tools=[{"name": "A"}]), "input_schema: Field", id="no schema"),
        pytest.param(
            request(tools=[{"name": "A", "input_schema": {}}]), "should be 'object'", id="no type"
        ),
        pytest.param(request(tools=[TOOL, TOOL]), "must be unique", id="a tool twice"),
    ],
)
def test_refused(body: Any, message: str) -> None:
    with pytest.raises(Refused, match=message):
        check(body)
