"""The scripted model over HTTP, and from the command line."""

import asyncio
import json
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from agentflow.models.scripted import Received, Script, ScriptedServer, read_script
from agentflow.models.scripted.cache import Cache
from agentflow.records import Json


def script(*turns: Json) -> Script:
    return read_script({"turns": list(turns)})


def request(*messages: Json, **more: Any) -> Json:
    given = list(messages) or [{"role": "user", "content": "hi"}]
    return {"model": "m", "max_tokens": 9, "messages": given, **more}


def client(server: ScriptedServer) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=server.url, trust_env=False)


def parse(stream: str) -> list[Json]:
    """The data of each event; the event's name must be its type."""
    found: list[Json] = []
    for block in stream.split("\n\n")[:-1]:
        name, data = block.split("\n")
        found.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {found[-1]['type']}"
    return found


USAGE = {
    "input_tokens": 4,
    "output_tokens": 5,
    "cache_read_input_tokens": 0,
    "cache_creation_input_tokens": 6,
}
SPLIT = {"ephemeral_5m_input_tokens": 6, "ephemeral_1h_input_tokens": 0}
TURN: Json = {"text": "hello", "calls": [{"tool": "Read", "input": {"n": 1}}], "usage": USAGE}


async def test_a_reply_is_streamed_as_the_api_does() -> None:
    async with ScriptedServer(script(TURN)) as server, client(server) as http:
        answer = await http.post("/v1/messages", json=request(stream=True))
    tool: Json = {"type": "tool_use", "id": "toolu_0000_00", "name": "Read", "input": {}}
    deltas = [("text_delta", "text", 0, "he"), ("text_delta", "text", 0, "ll")]
    deltas += [("text_delta", "text", 0, "o")]
    deltas += [("input_json_delta", "partial_json", 1, piece) for piece in ("", '{"n"', ": 1}")]
    grown = [
        {"type": "content_block_delta", "index": index, "delta": {"type": kind, name: piece}}
        for kind, name, index, piece in deltas
    ]
    head: Json = {
        "id": "msg_0000",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**USAGE, "cache_creation": SPLIT, "output_tokens": 1},
    }
    text = {"type": "text", "text": ""}
    assert parse(answer.text) == [
        {"type": "message_start", "message": head},
        {"type": "content_block_start", "index": 0, "content_block": text},
        {"type": "ping"},
        *grown[:3],
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": tool},
        *grown[3:],
        {"type": "content_block_stop", "index": 1},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use", "stop_sequence": None},
            "usage": USAGE,
        },
        {"type": "message_stop"},
    ]
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["request-id"] == "req_000001"
    assert answer.headers["anthropic-ratelimit-requests-remaining"] == "3999"


async def test_without_stream_the_reply_is_one_message() -> None:
    async with ScriptedServer(script(TURN)) as server, client(server) as http:
        answer = await http.post("/v1/messages", json=request())
    body = answer.json()
    assert [block["type"] for block in body["content"]] == ["text", "tool_use"]
    assert (body["stop_reason"], body["usage"]["output_tokens"]) == ("tool_use", 5)


async def test_the_number_of_assistant_messages_chooses_the_turn() -> None:
    first: Json = {"role": "user", "content": "hi"}
    said: Json = {"role": "assistant", "content": "x"}
    turns = script({"text": "one"}, {"text": "two"})
    async with ScriptedServer(turns) as server, client(server) as http:
        answers = [
            (await http.post("/v1/messages", json=request(*messages))).json()
            for messages in ([first, said, first], [first], [first, said, first, said, first])
        ]
    assert [answer["content"][0]["text"] for answer in answers[:2]] == ["two", "one"]
    assert answers[2]["error"] == {
        "type": "invalid_request_error",
        "message": "script ended: it has 2 turns",
    }


async def test_faults_count_the_attempts_at_the_same_messages() -> None:
    turns = script({"text": "ok", "faults": ["overloaded", "html"]})
    other = request({"role": "user", "content": "another conversation"})
    async with ScriptedServer(turns) as server, client(server) as http:
        codes = [
            (await http.post("/v1/messages", json=body)).status_code
            for body in (request(), request(), other, request(), other)
        ]
    assert codes == [529, 502, 529, 200, 502]


async def test_a_refused_request_says_why() -> None:
    async with ScriptedServer(script(TURN)) as server, client(server) as http:
        answer = await http.post("/v1/messages", json=request(top_k=1))
        broken = await http.post("/v1/messages", content=b"{")
    assert answer.status_code == broken.status_code == 400
    assert answer.json() == {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "message": "top_k: not supported on API version 2026-10-21",
        },
        "request_id": "req_000001",
    }


async def test_a_spend_limit_has_its_error_code() -> None:
    turns = script({"text": "x", "faults": ["spend_limit", "rate_limited:3"]})
    async with ScriptedServer(turns) as server, client(server) as http:
        spent = await http.post("/v1/messages", json=request())
        limited = await http.post("/v1/messages", json=request())
    assert spent.json()["error"]["details"] == {"error_code": "contract_spend_limit_reached"}
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "3")


async def test_other_paths_and_methods_are_not_found() -> None:
    async with ScriptedServer(script(TURN)) as server, client(server) as http:
        answers = [
            await http.get("/v1/models"),
            await http.head("/"),
            await http.post("/v1/complete", json={}),
            await http.post("/v1/messages/batches", json={}),
        ]
    assert [answer.status_code for answer in answers] == [404] * 4


async def test_tokens_are_counted_without_max_tokens() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "x" * 4000}]}
    async with ScriptedServer(script(TURN)) as server, client(server) as http:
        answer = await http.post("/v1/messages/count_tokens", json=body)
    assert 1000 <= answer.json()["input_tokens"] <= 1100


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": "Bearer right"}, 200),
        ({"x-api-key": "right"}, 200),
        ({"authorization": "Bearer wrong"}, 401),
        ({"x-api-key": "wrong"}, 401),
        ({}, 401),
    ],
)
async def test_the_key_is_read_from_either_header(headers: dict[str, str], status: int) -> None:
    async with ScriptedServer(script(TURN), key="right") as server, client(server) as http:
        answer = await http.post("/v1/messages", json=request(), headers=headers)
    assert answer.status_code == status


async def test_requests_are_kept_without_secrets() -> None:
    headers = {"authorization": "Bearer s3cret", "x-api-key": "s3cret", "x-other": "kept"}
    async with ScriptedServer(script(TURN)) as server, client(server) as http:
        await http.post("/v1/messages?beta=true", json=request(), headers=headers)
    (received,) = server.requests
    assert "s3cret" not in repr(received)
    assert received == Received("POST", "/v1/messages?beta=true", received.headers, request())
    assert received.headers["x-other"] == "kept"


async def test_latency_and_pace_take_their_time() -> None:
    turns = script({"text": "x" * 24, "latency": 0.1, "pace": 0.02})
    async with ScriptedServer(turns) as server, client(server) as http:
        started = time.monotonic()
        async with http.stream("POST", "/v1/messages", json=request(stream=True)) as answer:
            first = time.monotonic() - started
            _ = await answer.aread()
    assert first >= 0.1
    assert time.monotonic() - started >= 0.1 + 8 * 0.02


async def test_leaving_ends_open_streams() -> None:
    turns = script({"text": "xx", "faults": ["stall:60"]})
    async with asyncio.timeout(5), ScriptedServer(turns) as server:
        http = client(server)
        pending = http.build_request("POST", "/v1/messages", json=request(stream=True))
        answer = await http.send(pending, stream=True)
    with pytest.raises(httpx2.TransportError):
        await answer.aread()
    await http.aclose()


async def test_garbage_on_the_wire_does_not_stop_the_server() -> None:
    async with ScriptedServer(script(TURN)) as server, client(server) as http:
        port = int(server.url.rpartition(":")[2])
        for garbage in (b"", b"\0\xff\r\n\r\n", b"POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(garbage)
            writer.write_eof()
            await reader.read()
            writer.close()
        answer = await http.post("/v1/messages", json=request())
    assert answer.status_code == 200


def mark(ttl: str) -> Json:
    return {"cache_control": {"type": "ephemeral", "ttl": ttl}}


def test_what_stood_under_a_breakpoint_is_read_from_the_cache() -> None:
    cache = Cache()
    system = [{"type": "text", "text": "s" * 400, **mark("1h")}]
    first = request({"role": "user", "content": "u" * 400}, system=system, **mark("5m"))
    second = request(
        *first["messages"],
        {"role": "assistant", "content": "a" * 400},
        {"role": "user", "content": "v" * 400},
        system=system,
        **mark("5m"),
    )
    one, two = cache.usage(first, 1), cache.usage(second, 2)
    hour, short = one["cache_creation"].values(), two["cache_creation"]
    written = [*hour]
    assert all(100 <= tokens <= 120 for tokens in written)
    assert (one["input_tokens"], one["cache_read_input_tokens"]) == (0, 0)
    assert two["cache_read_input_tokens"] == sum(written)
    assert short["ephemeral_1h_input_tokens"] == 0
    assert 200 <= short["ephemeral_5m_input_tokens"] <= 250


def test_the_lookback_is_twenty_blocks() -> None:
    def far(blocks: int) -> int:
        cache = Cache()
        first = request({"role": "user", "content": "u" * 400}, **mark("5m"))
        cache.usage(first, 1)
        content = [{"type": "text", "text": str(n)} for n in range(blocks)]
        later = request(*first["messages"], {"role": "user", "content": content}, **mark("5m"))
        return cache.usage(later, 1)["cache_read_input_tokens"]

    assert far(20) > 100
    assert far(21) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_command_serves_until_a_signal(number: signal.Signals, tmp_path: Path) -> None:
    path = tmp_path / "script.yaml"
    path.write_text("turns: [{text: hi}]", "utf-8")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agentflow.models.scripted", str(path)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    async with asyncio.timeout(10):
        url = (await process.stdout.readline()).decode().strip()
        async with httpx2.AsyncClient(base_url=url, trust_env=False) as http:
            answer = await http.post("/v1/messages", json=request())
            process.send_signal(number)
            assert await process.wait() == 0
    assert answer.json()["content"] == [{"type": "text", "text": "hi"}]


async def test_the_command_refuses_a_bad_script(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agentflow.models.scripted", str(tmp_path / "none")),
        stderr=asyncio.subprocess.PIPE,
    )
    _, talk = await process.communicate()
    assert (process.returncode, b"cannot be read" in talk) == (2, True)


async def test_the_command_says_that_a_port_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "script.yaml"
    path.write_text("turns: [{text: hi}]\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "agentflow.models.scripted", str(path), "--port", port),
            stderr=asyncio.subprocess.PIPE,
        )
        _, talk = await process.communicate()
    assert process.returncode == 5
    assert talk.decode().startswith(f"cannot listen on port {port}: ")
