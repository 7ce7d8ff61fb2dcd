"""Kinds of servers: how they are told apart, and what each is sent."""

from collections.abc import Sequence
from typing import get_args

import pytest

from agentflow.errors import UsageError
from agentflow.events import Event
from agentflow.messages import CallFailed, Request
from agentflow.models.anthropic import open_model
from agentflow.models.body import request_body
from agentflow.models.kinds import KINDS, find_kind
from agentflow.models.scripted import Received, ScriptedServer, read_script
from agentflow.records import Json, ServerKind

READ: Json = {"name": "Read", "description": "", "input_schema": {"type": "object"}}
SECRET = "sk-secret-of-the-environment"
NEVER = {"thinking", "temperature", "top_p", "top_k", "tool_choice", "betas", "context_management"}


def request(model: str = "claude-sonnet-5-5") -> Request:
    messages: list[Json] = [{"role": "user", "content": "go"}]
    return Request(model, "be brief", messages, [READ], 1000, "low")


async def sent(kind: ServerKind, key: str | None = None, model: str = "m") -> Received:
    """What a server of this kind receives; it answers in the dialect of the API."""
    script = read_script({"turns": [{"text": "hi"}]})
    async with ScriptedServer(script) as server:
        client = open_model(base_url=server.url, api_key=key, kind=KINDS[kind])
        reply = await client.reply(request(model), list[Event]().append)
        await client.close()
    assert reply.text == "hi"
    (received,) = server.requests
    assert received.path == "/v1/messages"
    return received


def breakpoints(body: Json) -> list[str]:
    """Where the body has breakpoints, with their lifetime."""
    blocks = {
        "end": [body],
        "tools": body["tools"],
        "system": body["system"],
        "messages": [
            block
            for message in body["messages"]
            for block in message["content"]
            if not isinstance(block, str)
        ],
    }
    return [
        f"{place} {block['cache_control'].get('ttl', '5m')}"
        for place, found in blocks.items()
        for block in found
        if "cache_control" in block
    ]


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://api.anthropic.com", "anthropic"),
        ("https://openrouter.ai/api", "openrouter"),
        ("https://notopenrouter.ai/api", "compatible"),
        ("https://ollama.com", "ollama"),
        ("http://127.0.0.1:11434", "ollama"),
        ("http://localhost:1234/v1", "lm-studio"),
        ("http://127.0.0.1:8080", "compatible"),
        ("https://gateway.example.com:11434", "compatible"),
    ],
)
def test_a_kind_is_told_by_the_address(url: str, kind: str) -> None:
    assert find_kind(url).name == kind
    assert find_kind(url, "vllm").name == "vllm"


def test_every_kind_is_there() -> None:
    assert set(KINDS) == set(get_args(ServerKind))
    with pytest.raises(UsageError):
        find_kind("ftp://example.com")


@pytest.mark.parametrize(
    ("kind", "model", "where"),
    [
        ("compatible", "claude-sonnet-5-5", ["end 5m", "system 1h"]),
        ("litellm", "claude-sonnet-5-5", ["end 5m", "system 1h"]),
        ("openrouter", "anthropic/claude-sonnet-5.5", ["end 5m", "system 5m"]),
        ("openrouter", "qwen/qwen3-coder", []),
        ("ollama", "qwen3-coder", []),
        ("llama.cpp", "local", []),
        ("vllm", "local", []),
        ("lm-studio", "local", []),
    ],
)
async def test_what_each_kind_is_sent(kind: ServerKind, model: str, where: Sequence[str]) -> None:
    body = (await sent(kind, "local-key", model)).body
    assert sorted(breakpoints(body)) == list(where)
    assert ("output_config" in body) == (kind == "compatible")
    assert not NEVER & body.keys()
    assert not any("cache_control" in tool or "type" in tool for tool in body["tools"])


def test_the_request_for_anthropic_itself() -> None:
    body = request_body(request(), KINDS["anthropic"])
    assert sorted(breakpoints(body)) == ["end 5m", "system 1h"]
    assert body["output_config"] == {"effort": "low"}


@pytest.mark.parametrize(
    ("kind", "where", "header"),
    [
        ("foundry", ["messages 5m", "system 5m"], "api-key"),
        ("bedrock", ["messages 5m", "system 5m"], None),
        ("google-cloud", ["end 5m", "system 1h"], None),
    ],
)
async def test_clients_of_clouds_speak_to_a_server(
    kind: ServerKind, where: Sequence[str], header: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.setenv(name, SECRET)
    received = await sent(kind, "cloud-key", "claude-sonnet-5-5")
    assert sorted(breakpoints(received.body)) == list(where)
    assert SECRET not in str(received)
    assert header is None or received.headers[header] == "cloud-key"


@pytest.mark.parametrize("kind", ["foundry", "bedrock"])
def test_a_cloud_without_address_is_a_matter_of_configuration(
    kind: ServerKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "ANTHROPIC_FOUNDRY_RESOURCE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match=f"{kind} cannot be used"):
        open_model(base_url=None, api_key="cloud-key", kind=KINDS[kind])


async def test_a_cloud_whose_credentials_are_missing_ends_the_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    client = open_model(base_url="http://127.0.0.1:9", api_key=None, kind=KINDS["google-cloud"])
    with pytest.raises(CallFailed, match="credentials cannot be used") as caught:
        await client.reply(request(), list[Event]().append)
    await client.close()
    assert not caught.value.temporary
