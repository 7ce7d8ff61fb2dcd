"""The model behind the Messages API, through the SDK. The only importer of `anthropic`.

Of the SDK we use authentication, transport and error classes; the stream is read raw, and
retries, accumulation and cache breakpoints are ours.
"""

import asyncio
import random
import ssl
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agentflow.errors import ProviderFailure
from agentflow.events import RetryScheduled
from agentflow.interfaces import Emit
from agentflow.loading import without_collector
from agentflow.messages import Reply, Request, Usage
from agentflow.models.accumulator import Accumulator, BrokenStream, ErrorEvent
from agentflow.models.endpoint import endpoint
from agentflow.models.retry import Failed, Refusal, judge, next_delay, quote
from agentflow.records import Json

if TYPE_CHECKING:
    import httpx2
    from anthropic import APIStatusError, AsyncAnthropic

ATTEMPT_TIMEOUT = 600.0
"""Seconds of wall clock for one attempt. Pings reset a read timeout, so that does not bound it."""
READ_TIMEOUT = 300.0
"""Seconds of silence."""
UNREACHED = "Check the network, the base URL, and that its server runs."
NO_KEY = "no-key-needed"
"""Sent where no key is needed: without an explicit one the SDK takes one from the environment."""

_LINGER = 0.5
"""Seconds to read on after the last event: a response read to its end keeps the connection."""
_FAR = 15
"""New blocks from which the cache's lookback of 20 blocks may miss the previous request's end."""
_SAFE_HEADERS = (
    "accept",
    "anthropic-",
    "authorization",
    "connection",
    "content-",
    "host",
    "user-agent",
    "x-stainless-",
)
_IMPORT = threading.Lock()


def import_sdk() -> None:
    """Import the SDK, which takes 0.5 to 2 s.

    Meant for a thread, while clone and sandbox are prepared. Safe to call again and at once.
    """
    with _IMPORT:
        if "anthropic" in sys.modules:
            return
        with without_collector():
            import anthropic  # noqa: F401  # pyright: ignore[reportUnusedImport]


def open_model(
    *,
    base_url: str,
    api_key: str | None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    fraction: Callable[[], float] = random.random,  # noqa: S311  # spreads retries, hides nothing
    attempt_timeout: float = ATTEMPT_TIMEOUT,
    read_timeout: float = READ_TIMEOUT,
) -> "AnthropicModel":
    """Connect to a server of the Messages API; nothing is sent yet.

    `api_key`: see `find_key`. `sleep` (seconds) and `fraction` (random, 0 to 1) serve the pauses
    between attempts; the timeouts are seconds. Raises `UsageError` for a bad base URL.
    """
    owner = endpoint(base_url)
    import_sdk()
    import anthropic
    import httpx2

    from agentflow.models.bounded import bounding

    key = api_key or NO_KEY
    timeout = httpx2.Timeout(read_timeout, connect=10.0)
    # The SDK's own transport takes proxies from the environment whatever trust_env says; those
    # have no part in loopback.
    make = httpx2.AsyncClient if owner == "loopback" else anthropic.DefaultAsyncHttpxClient
    transport = make(
        timeout=timeout,
        follow_redirects=False,  # the conversation goes to the host that was named, or nowhere
        trust_env=owner != "loopback",
        # Loading certificates takes 30 ms; without TLS an empty store serves, and trusts nobody.
        verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if base_url.startswith("http:") else True,
        headers={"accept-encoding": "identity"},
        event_hooks={
            "request": [] if owner == "anthropic" else [_strip_headers(key)],
            "response": [bounding()],
        },
    )
    client = anthropic.AsyncAnthropic(
        api_key=key,
        base_url=base_url.rstrip("/").removesuffix("/v1"),
        http_client=transport,
        timeout=timeout,
        max_retries=0,
        open_telemetry=False,
    )
    return AnthropicModel(client, sleep, fraction, attempt_timeout, secret=api_key or "")


class AnthropicModel:
    """A `Model`: one reply at a time, with bounded retries."""

    def __init__(
        self,
        client: "AsyncAnthropic",
        sleep: Callable[[float], Awaitable[None]],
        fraction: Callable[[], float],
        attempt_timeout: float,
        *,
        secret: str,
    ) -> None:
        self._client = client
        self._sleep = sleep
        self._fraction = fraction
        self._attempt_timeout = attempt_timeout
        self._secret = secret

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def reply(self, request: Request, emit: Emit) -> Reply:
        """Return one finished reply.

        Emits `TextDelta` while streaming and `RetryScheduled` before each further attempt.
        Raises `ProviderFailure` when the API refused or failed for good.
        """
        body = request_body(request)
        discarded = Usage()
        attempt = 1
        while True:
            accumulator = Accumulator(emit)
            outcome = await self._attempt(body, accumulator)
            if isinstance(outcome, Reply):
                stop_reason = self._redact(outcome.stop_reason)
                return replace(outcome, stop_reason=stop_reason, discarded=discarded)
            discarded += accumulator.usage
            delay = next_delay(outcome, attempt, self._fraction())
            if delay is None:
                raise _give_up(outcome, attempt)
            emit(RetryScheduled(attempt, outcome.reason, delay))
            await self._sleep(delay)
            attempt += 1

    async def _attempt(self, body: Json, accumulator: Accumulator) -> Reply | Failed:
        import anthropic

        phrases = _phrases(self._attempt_timeout, str(self._client.base_url).rstrip("/"))
        try:
            async with asyncio.timeout(self._attempt_timeout):
                await self._stream(body, accumulator)
            return accumulator.reply()
        except anthropic.APIStatusError as error:
            return judge(self._refusal(error), time.time())
        except ErrorEvent as error:
            kind, code = self._redact(error.kind), self._redact(error.code)
            return judge(Refusal(200, kind, code, self._redact(error.message)), time.time())
        except tuple(phrases) as error:
            phrase = next(words for kind, words in phrases.items() if isinstance(error, kind))
            cause = (isinstance(error, anthropic.APIError) and error.__cause__) or error
            reason = ": ".join(filter(None, (phrase, quote(self._redact(str(cause))))))
            unreached = phrase == phrases[anthropic.APIConnectionError]
            return Failed(reason, hint=UNREACHED) if unreached else Failed(reason)

    async def _stream(self, body: Json, accumulator: Accumulator) -> None:
        stream = await self._client.messages.create(**body, stream=True)
        async with stream:
            events = stream.raw_events(stream.response)
            async for event in events:
                accumulator.feed(event.data)
                if accumulator.finished:
                    break
            if not accumulator.seen:
                kind = self._redact(stream.response.headers.get("content-type", "nothing"))
                kind = quote(kind, 60)
                raise BrokenStream(f"{kind} without a single event")
            await _read_on(events)

    def _refusal(self, error: "APIStatusError") -> Refusal:
        return Refusal(
            error.status_code,
            self._redact(str(error.type or "")),
            self._redact(str(error.error_code or "")),
            self._redact(str(error.api_message or "")),
            {n.lower(): self._redact(value) for n, value in error.response.headers.items()},
        )

    def _redact(self, text: str) -> str:
        """Some gateways repeat the key in what they answer."""
        return text.replace(self._secret, "[key]") if self._secret else text


def request_body(request: Request) -> Json:
    """The arguments of `messages.create`, with cache breakpoints.

    At most three of the four that the API allows: the system prompt (tools included) for an hour,
    the moving end of the conversation, and the previous end if it is far away.
    """
    body: Json = {
        "model": request.model,
        "max_tokens": request.max_tokens,
        "messages": _mark_previous_end(request.messages),
        "cache_control": {"type": "ephemeral"},
    }
    if request.effort:
        body["output_config"] = {"effort": request.effort}
    if request.tools:
        body["tools"] = request.tools
    if request.system.strip():
        mark = {"type": "ephemeral", "ttl": "1h"}
        body["system"] = [{"type": "text", "text": request.system, "cache_control": mark}]
    return body


def _mark_previous_end(messages: list[Json]) -> list[Json]:
    """Add a breakpoint where the previous request ended, if more than 15 blocks came since."""
    replies = [place for place, message in enumerate(messages) if message["role"] == "assistant"]
    if not replies or not replies[-1]:
        return messages
    place = replies[-1] - 1
    new = sum(len(_blocks(message)) for message in messages[place + 1 :])
    previous = messages[place]
    if new <= _FAR or previous["role"] != "user":
        return messages
    *rest, last = _blocks(previous)
    marked = {**previous, "content": [*rest, {**last, "cache_control": {"type": "ephemeral"}}]}
    return [*messages[:place], marked, *messages[place + 1 :]]


def _blocks(message: Json) -> list[Json]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _strip_headers(key: str) -> "Callable[[httpx2.Request], Awaitable[None]]":
    """A hook that lets only our own headers leave.

    `ANTHROPIC_CUSTOM_HEADERS` of the environment, which may hold credentials, would otherwise go
    to any server.
    """

    async def strip(request: "httpx2.Request") -> None:
        for name in [*request.headers]:
            if not name.lower().startswith(_SAFE_HEADERS):
                del request.headers[name]
        request.headers["authorization"] = f"Bearer {key}"

    return strip


async def _read_on(events: Any) -> None:
    with suppress(Exception):
        async with asyncio.timeout(_LINGER):
            async for _ in events:
                pass


def _give_up(failed: Failed, attempt: int) -> ProviderFailure:
    asked = f"; it asks to wait {failed.wait:.0f} seconds" if failed.wait is not None else ""
    tries = f", {attempt} attempts" if attempt > 1 else ""
    return ProviderFailure(f"{failed.reason}{asked}{tries}", failed.hint)


def _phrases(attempt_timeout: float, base_url: str) -> dict[type[Exception], str]:
    """What each kind of failure means; the first that fits. All of them are worth a retry."""
    import anthropic
    import httpx2

    return {
        anthropic.APITimeoutError: "the model API did not answer in time",
        anthropic.APIConnectionError: f"no connection to {base_url}",
        anthropic.APIError: "the model API gave an answer that the SDK cannot read",
        httpx2.TimeoutException: "the model API fell silent in the middle of a reply",
        httpx2.RequestError: "the connection broke in the middle of a reply",
        TimeoutError: f"no complete reply within {attempt_timeout:g} seconds",
        BrokenStream: "the model API sent a broken reply",
        UnicodeDecodeError: "the model API sent a broken reply",
    }
