"""The real SDK over HTTP against the scripted server, and against raw bytes."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from agentflow.errors import ProviderFailure, UsageError
from agentflow.events import Event, RetryScheduled, TextDelta
from agentflow.messages import CallFailed, Reply, Request, ToolCall, Usage
from agentflow.models.anthropic import AnthropicModel, Patience, open_model
from agentflow.models.body import request_body
from agentflow.models.scripted import Script, ScriptedServer, read_script
from agentflow.models.scripted.wire import sign
from agentflow.records import Json

TURN: Json = {
    "thinking": "which file is it",
    "text": "Reading the file: wörld 世界 😀",
    "calls": [{"tool": "Read", "input": {"file_path": "ä.py"}}],
    "usage": {"input_tokens": 100, "output_tokens": 20, "cache_read_input_tokens": 7},
}
PAID = Usage(input_tokens=100, output_tokens=20, cache_read_tokens=7)
STARTED = Usage(input_tokens=100, output_tokens=1, cache_read_tokens=7)
HALF = Usage(input_tokens=100, output_tokens=16, cache_read_tokens=7)
"""Cut inside the call: 64 characters had arrived, besides a signature."""
NOTHING = Usage()
READ: Json = {"name": "Read", "description": "", "input_schema": {"type": "object"}}


@dataclass
class Recorder:
    """Keeps events and pauses instead of showing and waiting."""

    events: list[Event] = field(default_factory=list[Event])
    pauses: list[float] = field(default_factory=list[float])
    shown: asyncio.Event = field(default_factory=asyncio.Event)

    def emit(self, event: Event) -> None:
        self.events.append(event)
        self.shown.set()

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    @property
    def retries(self) -> list[str]:
        return [event.reason for event in self.events if isinstance(event, RetryScheduled)]


def script(*turns: Json) -> Script:
    return read_script({"turns": list(turns)})


def request(messages: list[Json] | None = None) -> Request:
    given = messages or [{"role": "user", "content": "go"}]
    return Request("claude-sonnet-5-5", "be brief", given, [READ], 1000)


@asynccontextmanager
async def opened(
    url: str, recorder: Recorder, key: str | None = None, patience: Patience | None = None
) -> AsyncGenerator[AnthropicModel]:
    model = open_model(
        base_url=url,
        api_key=key,
        sleep=recorder.sleep,
        fraction=lambda: 1.0,
        patience=patience or Patience(),
    )
    try:
        yield model
    finally:
        await model.close()


async def ask(url: str, recorder: Recorder, **seconds: float) -> Reply:
    async with opened(url, recorder, None, Patience(**seconds)) as model:
        return await model.reply(request(), recorder.emit)


@asynccontextmanager
async def raw_server(
    answer: Callable[[bytes], Awaitable[bytes]],
) -> AsyncGenerator[tuple[str, list[bytes]]]:
    """A server that keeps the bytes of each request and answers with given bytes."""
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        received.append(head + await reader.readexactly(size))
        writer.write(await answer(received[-1]))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", received


def refusal(status: int, kind: str, message: str, headers: str = "") -> bytes:
    body = json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()
    head = (
        f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{headers}"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def fixed(answer: bytes) -> Callable[[bytes], Awaitable[bytes]]:
    async def give(_: bytes) -> bytes:
        return answer

    return give


ODD = ("no_message_start", "pings", "unknown_events", "bytewise", "crlf")
"""Faults that cost nothing; test_faults.py has all."""

WHOLE = Reply(
    content=(
        {
            "type": "thinking",
            "thinking": "which file is it",
            "signature": sign("which file is it"),
        },
        {"type": "text", "text": "Reading the file: wörld 世界 😀"},
        {"type": "tool_use", "id": "toolu_0000_00", "name": "Read", "input": {"file_path": "ä.py"}},
    ),
    stop_reason="tool_use",
    usage=PAID,
    calls=(ToolCall("toolu_0000_00", "Read", {"file_path": "ä.py"}),),
)


@pytest.mark.parametrize("fault", [None, *ODD])
async def test_an_odd_stream_is_read_as_if_nothing_happened(fault: str | None) -> None:
    recorder = Recorder()
    faults = [f"{fault}:0.2" if fault == "pings" else fault] if fault else []
    async with ScriptedServer(script({**TURN, "faults": faults})) as server:
        reply = await ask(server.url, recorder)
    assert reply == WHOLE
    shown = "".join(event.text for event in recorder.events if isinstance(event, TextDelta))
    assert (shown, recorder.retries, len(server.requests)) == (TURN["text"], [], 1)


async def test_pings_do_not_stop_the_clock_of_an_attempt() -> None:
    recorder = Recorder()
    async with ScriptedServer(script({**TURN, "faults": ["pings:20"]})) as server:
        reply = await ask(server.url, recorder, attempt=0.3)
    assert (reply.content, reply.discarded) == (WHOLE.content, STARTED)
    assert recorder.retries == ["no complete reply within 0.3 seconds"]


async def test_the_call_fails_after_five_attempts() -> None:
    recorder = Recorder()
    async with ScriptedServer(script({**TURN, "faults": ["overloaded"] * 5})) as server:
        with pytest.raises(ProviderFailure, match=r"529 overloaded_error.*, 5 attempts$") as caught:
            await ask(server.url, recorder)
    assert caught.value.hint == "Try again later."
    assert (recorder.pauses, len(server.requests)) == ([1.0, 2.0, 4.0, 8.0], 5)


async def test_the_usage_of_all_failed_attempts_is_summed() -> None:
    recorder = Recorder()
    async with ScriptedServer(script({**TURN, "faults": ["cut", "eof", "overloaded"]})) as server:
        reply = await ask(server.url, recorder)
    assert reply.discarded == HALF + HALF


async def test_a_failed_call_says_what_it_used_and_whether_another_model_might_answer() -> None:
    recorder = Recorder()
    async with ScriptedServer(script({**TURN, "faults": ["cut"] * 5})) as server:
        with pytest.raises(CallFailed) as caught:
            await ask(server.url, recorder)
    assert caught.value.used == sum([HALF] * 5, Usage())
    assert (caught.value.temporary, caught.value.exit_code) == (True, 6)


async def test_a_paid_attempt_is_not_repeated_where_the_budget_bears_no_more() -> None:
    recorder = Recorder()
    faults = ["overloaded", "cut", "overloaded", "cut"]
    async with (
        ScriptedServer(script({**TURN, "faults": faults})) as server,
        opened(server.url, recorder) as model,
    ):
        with pytest.raises(CallFailed, match="the connection broke"):
            await model.reply(replace(request(), affordable=2), recorder.emit)
    assert len(server.requests) == 4


async def test_the_clock_of_a_reply_counts_all_attempts() -> None:
    recorder = Recorder()
    async with ScriptedServer(script({**TURN, "faults": ["pings:20"] * 5})) as server:
        with pytest.raises(CallFailed, match="no complete reply within"):
            await ask(server.url, recorder, reply=0.5, attempt=0.3)
    assert len(server.requests) == 1
    assert recorder.pauses == []


async def test_a_wait_that_is_too_long_is_named_and_not_waited_for() -> None:
    recorder = Recorder()
    async with ScriptedServer(script({**TURN, "faults": ["rate_limited:3600"]})) as server:
        with pytest.raises(ProviderFailure, match="it asks to wait 3600 seconds"):
            await ask(server.url, recorder)
    assert recorder.pauses == []


async def test_nobody_listens() -> None:
    recorder = Recorder()
    async with ScriptedServer(script(TURN)) as server:
        url = server.url
    with pytest.raises(ProviderFailure, match=rf"no connection to {url}.*2 attempts") as caught:
        await ask(url, recorder)
    assert caught.value.hint == "Is its server running? Start it, or correct the base URL."


async def test_cancellation_passes_through_at_once() -> None:
    recorder = Recorder()
    async with ScriptedServer(script({**TURN, "faults": ["stall:60"]})) as server:
        async with asyncio.timeout(5):
            asking = asyncio.create_task(ask(server.url, recorder))
            await recorder.shown.wait()
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
    assert recorder.retries == []


async def test_a_conversation_goes_back_as_it_came_over_one_connection() -> None:
    recorder = Recorder()
    calls = [{"tool": "Read", "input": {"n": 1}}, {"tool": "Read", "raw": '{"broken'}]
    turns = script({"thinking": "hm", "calls": calls}, {"text": "done"})
    messages: list[Json] = [{"role": "user", "content": "go"}]
    async with ScriptedServer(turns) as server, opened(f"{server.url}/v1/", recorder) as model:
        first = await model.reply(request(messages), recorder.emit)
        messages.append({"role": "assistant", "content": list(first.content)})
        results = [{"type": "tool_result", "tool_use_id": call.id} for call in first.calls]
        messages.append({"role": "user", "content": results})
        second = await model.reply(request(messages), recorder.emit)
    assert [call.arguments for call in first.calls] == [{"n": 1}, None]
    assert "not one valid JSON object" in first.calls[1].problem
    assert (second.text, second.stop_reason) == ("done", "end_turn")
    assert second.usage.cache_read_tokens == first.usage.prompt_tokens
    assert [received.body["messages"] for received in server.requests] == [messages[:1], messages]
    assert server.connections == 1


async def test_many_calls_in_one_turn_still_read_the_cache() -> None:
    recorder = Recorder()
    calls = [{"tool": "Read", "input": {"n": n}} for n in range(15)]
    messages: list[Json] = [{"role": "user", "content": "go"}]
    turns = script({"calls": calls}, {"text": "done"})
    async with ScriptedServer(turns) as server, opened(server.url, recorder) as model:
        first = await model.reply(request(messages), recorder.emit)
        results = [{"type": "tool_result", "tool_use_id": call.id} for call in first.calls]
        messages += [
            {"role": "assistant", "content": list(first.content)},
            {"role": "user", "content": results},
        ]
        second = await model.reply(request(messages), recorder.emit)
    assert second.usage.cache_read_tokens == first.usage.prompt_tokens
    assert messages[0] == {"role": "user", "content": "go"}


def test_the_request_marks_the_system_prompt_and_the_moving_end() -> None:
    short = {"type": "ephemeral"}
    assert request_body(request()) == {
        "model": "claude-sonnet-5-5",
        "max_tokens": 1000,
        "system": [{"type": "text", "text": "be brief", "cache_control": {**short, "ttl": "1h"}}],
        "tools": [READ],
        "messages": [{"role": "user", "content": "go"}],
        "cache_control": short,
    }


def test_an_empty_system_prompt_and_no_tools_are_left_out() -> None:
    body = request_body(Request("m", " ", [{"role": "user", "content": "go"}], [], 1))
    assert body.keys() == {"model", "max_tokens", "messages", "cache_control"}


@pytest.mark.parametrize(("pairs", "marked"), [(7, False), (8, True)])
def test_the_previous_end_is_marked_only_when_it_is_far(pairs: int, marked: bool) -> None:
    messages: list[Json] = [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": [{"type": "tool_use"}] * pairs},
        {"role": "user", "content": [{"type": "tool_result"}] * pairs},
    ]
    before = json.dumps(messages)
    first = request_body(request(messages))["messages"][0]["content"]
    mark = {"cache_control": {"type": "ephemeral"}} if marked else {}
    assert first == [{"type": "text", "text": "a"}, {"type": "text", "text": "b", **mark}]
    assert json.dumps(messages) == before


SECRET = "sk-secret-of-the-environment"
ENVIRONMENT = {
    "ANTHROPIC_API_KEY": SECRET,
    "ANTHROPIC_AUTH_TOKEN": SECRET,
    "ANTHROPIC_CUSTOM_HEADERS": f"x-gateway: {SECRET}\nauthorization: Bearer {SECRET}",
    "ANTHROPIC_PROFILE": "default",
    "ANTHROPIC_IDENTITY_TOKEN": SECRET,
    "ANTHROPIC_FEDERATION_RULE_ID": "fdrl_1",
    "ANTHROPIC_ORGANIZATION_ID": "org_1",
    "ANTHROPIC_BASE_URL": "http://127.0.0.1:9",
    "http_proxy": "http://127.0.0.1:9",
    "all_proxy": "http://127.0.0.1:9",
}


@pytest.mark.parametrize(("key", "sent"), [(None, "no-key-needed"), ("local-key", "local-key")])
async def test_no_credential_of_the_environment_reaches_another_server(
    key: str | None, sent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    answer = fixed(refusal(400, "invalid_request_error", "no"))
    async with raw_server(answer) as (url, received), opened(url, Recorder(), key) as model:
        with pytest.raises(ProviderFailure, match="answered 400"):
            await model.reply(request(), list[Event]().append)
    (seen,) = received
    assert SECRET.encode() not in seen
    assert f"authorization: bearer {sent}".encode() in seen.lower()
    assert b"x-api-key" not in seen.lower()


async def test_a_redirect_is_not_followed() -> None:
    async with raw_server(fixed(b"")) as (elsewhere, leaked):
        moved = fixed(refusal(307, "", "", f"location: {elsewhere}/v1/messages\r\n"))
        async with raw_server(moved) as (url, received), opened(url, Recorder()) as model:
            with pytest.raises(ProviderFailure, match="answered 307"):
                await model.reply(request(), list[Event]().append)
    assert (len(received), leaked) == (1, [])


async def test_a_key_that_a_gateway_repeats_is_not_shown() -> None:
    answer = fixed(refusal(401, "authentication_error", "bad key secret-key-1 for you"))
    async with raw_server(answer) as (url, _), opened(url, Recorder(), "secret-key-1") as model:
        with pytest.raises(ProviderFailure, match=r"bad key \[key\] for you"):
            await model.reply(request(), list[Event]().append)


KEY = "secret-key-1-" + "x" * 60
STOP: Json = {"type": "message_stop"}


def streamed(*events: Json, kind: str = "text/event-stream") -> bytes:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n"
    return head.encode() + b"".join(f"data: {json.dumps(e)}\n\n".encode() for e in events)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(refusal(401, KEY, "no"), id="error type"),
        pytest.param(refusal(401, "x", "no", f"request-id: {KEY}\r\n"), id="request id"),
        pytest.param(streamed({"type": "error", "error": {"type": KEY}}), id="error event"),
        pytest.param(streamed(kind=KEY), id="content type"),
    ],
)
async def test_a_key_is_shown_in_no_field(answer: bytes) -> None:
    recorder = Recorder()
    async with raw_server(fixed(answer)) as (url, _), opened(url, recorder, KEY) as model:
        with pytest.raises(ProviderFailure) as caught:
            await model.reply(request(), recorder.emit)
    said = [str(caught.value), *recorder.retries]
    assert all("[key]" in text and "secret-key" not in text for text in said)


async def test_a_key_in_the_stop_reason_is_not_shown() -> None:
    delta = {"type": "message_delta", "delta": {"stop_reason": KEY}}
    answer = fixed(streamed(delta, STOP))
    async with raw_server(answer) as (url, _), opened(url, Recorder(), KEY) as model:
        reply = await model.reply(request(), list[Event]().append)
    assert reply.stop_reason == "[key]"


async def test_a_refusal_is_read_in_part_only_and_never_unpacked() -> None:
    head = (
        b"HTTP/1.1 400 X\r\ncontent-type: text/plain\r\ncontent-encoding: gzip\r\n"
        b"content-length: 900000000\r\n\r\n"
    )
    answer = fixed(head + b"x" * 1_100_000)
    async with raw_server(answer) as (url, received), opened(url, Recorder()) as model:
        with pytest.raises(ProviderFailure, match="answered 400"):
            await model.reply(request(), list[Event]().append)
    (seen,) = received
    assert b"accept-encoding: identity" in seen.lower()


async def test_the_server_checks_the_key_that_was_given() -> None:
    recorder = Recorder()
    async with ScriptedServer(script({"text": "hi"}), key="right") as server:
        async with opened(server.url, recorder, "right") as model:
            assert (await model.reply(request(), recorder.emit)).text == "hi"
        async with opened(server.url, recorder, "wrong") as model:
            with pytest.raises(ProviderFailure, match="401"):
                await model.reply(request(), recorder.emit)
    assert not any("authorization" in received.headers for received in server.requests)


def test_a_bad_base_url_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(UsageError):
        open_model(base_url="http://api.anthropic.com", api_key="k")


def test_the_sdk_can_be_imported_from_several_threads() -> None:
    program = (
        "import gc, sys\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from agentflow.models.anthropic import import_sdk\n"
        "with ThreadPoolExecutor(4) as pool:\n"
        "    list(pool.map(lambda _: import_sdk(), range(8)))\n"
        "print('anthropic' in sys.modules, gc.isenabled(), gc.get_freeze_count() > 100_000)"
    )
    done = run([sys.executable, "-c", program])
    assert done == "True True True\n"


def run(command: Sequence[str], **options: Any) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, **options).stdout
