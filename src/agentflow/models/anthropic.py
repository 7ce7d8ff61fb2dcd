"""The model behind the Messages API, through the SDK.

Of the SDK we use authentication, transport and error classes; the stream is read raw, and
retries, accumulation and cache breakpoints are ours.
"""

import asyncio
import random
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from agentflow.events import ReplyFailed, RetryScheduled
from agentflow.frozen import record
from agentflow.interfaces import Emit
from agentflow.loading import without_collector
from agentflow.messages import CallFailed, Reply, Request, Usage
from agentflow.models.accumulator import Accumulator, BrokenStream, ErrorEvent
from agentflow.models.body import request_body
from agentflow.models.clients import make_client
from agentflow.models.endpoint import endpoint
from agentflow.models.event_stream import EventReader, Oversized
from agentflow.models.kinds import Kind, find_kind
from agentflow.models.pace import Pacing, Unpaced, new_input
from agentflow.models.retry import (
    Failed,
    Refusal,
    is_refused,
    judge,
    next_delay,
    quote,
)
from agentflow.records import Json

if TYPE_CHECKING:
    from anthropic import APIStatusError, AsyncAnthropic, AsyncStream
    from anthropic.types import RawMessageStreamEvent

UNREACHED = "Check the network, the base URL, and that its server runs."
CLOSED = "Is its server running? Start it, or correct the base URL."

_LINGER = 0.5
"""Seconds to read on after the last event: a response read to its end keeps the connection."""
UNPACED = Unpaced()
_IMPORT = threading.Lock()


@record
class Patience:
    """How long is waited, in seconds of wall clock."""

    reply: float = 1500.0
    """For one reply: all attempts and the pauses between them."""
    attempt: float = 600.0
    """For one attempt. Pings reset a read timeout, so that does not bound it."""
    silence: float = 300.0
    """Between two reads."""


PATIENCE = Patience()


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
    base_url: str | None,
    api_key: str | None,
    kind: Kind | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    fraction: Callable[[], float] = random.random,  # noqa: S311  # spreads retries, hides nothing
    patience: Patience = PATIENCE,
    pace: Pacing = UNPACED,
) -> "AnthropicModel":
    """Connect to a server of the Messages API; nothing is sent yet.

    `api_key`: see `find_key`. `kind`: what the address says if None. `base_url` may be None for a
    cloud. `sleep` (seconds) and `fraction` (random, 0 to 1) serve the pauses between attempts.
    `pace` is shared with others who use the same account; with one, a refusal for asking too much
    uses up no attempt. Raises `UsageError` for a bad base URL, or if a cloud's client cannot be made.
    """
    kind = kind or find_kind(base_url or "")
    import_sdk()
    client = make_client(kind, base_url, api_key, patience.silence)
    return AnthropicModel(client, kind, sleep, fraction, patience, secret=api_key or "", pace=pace)


class NoCredentials(Exception):
    """A cloud's client found no credentials, or cannot use them."""


class AnthropicModel:
    """A `Model`: one reply at a time, with bounded retries."""

    def __init__(
        self,
        client: "AsyncAnthropic",
        kind: Kind,
        sleep: Callable[[float], Awaitable[None]],
        fraction: Callable[[], float],
        patience: Patience,
        *,
        secret: str,
        pace: Pacing,
    ) -> None:
        self._client = client
        self._kind = kind
        self._sleep = sleep
        self._fraction = fraction
        self._patience = patience
        self._secret = secret
        self._pace = pace
        self._awaited = False
        """Whether a server that is not there can be expected to come back: it was there."""

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def reply(self, request: Request, emit: Emit) -> Reply:
        """Return one finished reply.

        Emits `TextDelta` while streaming and `RetryScheduled` before each further attempt; if it is
        cancelled, `ReplyFailed` with what was used until then. Raises `CallFailed` when the API
        refused or failed for good.
        """
        attempts: list[Accumulator] = []
        try:
            return await self._reply(request, emit, attempts)
        except asyncio.CancelledError:
            used = _sum(attempts)
            if used != Usage():
                emit(ReplyFailed(request.model, "cut short", used, None))
            raise

    async def _reply(self, request: Request, emit: Emit, attempts: list[Accumulator]) -> Reply:
        """The reply; each attempt at it is added to `attempts`."""
        body = request_body(request, self._kind)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience.reply
        attempt, tokens = 1, new_input(request)
        while True:
            deadline += await self._pace.turn(tokens)
            discarded = _sum(attempts)
            accumulator = Accumulator(emit)
            attempts.append(accumulator)
            left = deadline - loop.time()
            outcome = await self._attempt(body, accumulator, min(left, self._patience.attempt))
            self._pace.used(tokens, accumulator.used)
            self._awaited = self._awaited or isinstance(outcome, Reply) or not outcome.closed
            if isinstance(outcome, Reply):
                stop_reason = self._redact(outcome.stop_reason)
                return replace(outcome, stop_reason=stop_reason, discarded=discarded)
            paid = sum(each.used != Usage() for each in attempts)
            held = self._pace.refused(outcome)
            if held is not None:
                emit(RetryScheduled(attempt, outcome.reason, held))
                continue
            delay = next_delay(outcome, attempt, self._fraction())
            is_affordable = request.affordable is None or paid < request.affordable
            if delay is None or not is_affordable or loop.time() + delay >= deadline:
                raise _give_up(outcome, attempt, _sum(attempts))
            emit(RetryScheduled(attempt, outcome.reason, delay))
            await self._sleep(delay)
            attempt += 1

    async def _attempt(
        self, body: Json, accumulator: Accumulator, timeout: float
    ) -> Reply | Failed:
        import anthropic

        phrases = _phrases(timeout, str(self._client.base_url).rstrip("/"))
        try:
            async with asyncio.timeout(timeout):
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
            if phrase == phrases[anthropic.APIConnectionError]:
                return self._unreached(phrase, reason, error)
            return Failed(reason, retryable=not isinstance(error, Oversized | NoCredentials))

    def _unreached(self, phrase: str, reason: str, error: BaseException) -> Failed:
        here, refused = endpoint(str(self._client.base_url)) == "loopback", is_refused(error)
        closed = here and refused and not self._awaited
        reason = f"{phrase}: connection refused" if refused else reason
        return Failed(reason, hint=CLOSED if closed else UNREACHED, reached=False, closed=closed)

    async def _stream(self, body: Json, accumulator: Accumulator) -> None:
        async with await self._open(body) as stream:
            self._pace.heard(stream.response.headers)
            chunks = stream.response.aiter_bytes()
            reader = EventReader()
            async for chunk in chunks:
                if _feed(accumulator, reader.feed(chunk)):
                    break
            if not accumulator.seen:
                kind = self._redact(stream.response.headers.get("content-type", "nothing"))
                kind = quote(kind, 60)
                raise BrokenStream(f"{kind} without a single event")
            await _read_on(chunks)

    async def _open(self, body: Json) -> "AsyncStream[RawMessageStreamEvent]":
        import anthropic

        try:
            return await self._client.messages.create(**body, stream=True)
        except anthropic.APIError:
            raise
        except Exception as error:  # what looks for a cloud's credentials raises anything
            if not self._kind.cloud:
                raise
            raise NoCredentials(str(error)) from error

    def _refusal(self, error: "APIStatusError") -> Refusal:
        self._pace.heard(error.response.headers)
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


def _feed(accumulator: Accumulator, events: Iterator[str]) -> bool:
    """Take events until the reply is finished; return whether it is."""
    for data in events:
        accumulator.feed(data)
        if accumulator.finished:
            return True
    return False


async def _read_on(chunks: AsyncIterator[bytes]) -> None:
    with suppress(Exception):
        async with asyncio.timeout(_LINGER):
            async for _ in chunks:
                pass


def _sum(attempts: Iterable[Accumulator]) -> Usage:
    """What attempts at a reply used, as far as it is known."""
    return sum((each.used for each in attempts), Usage())


def _give_up(failed: Failed, attempt: int, used: Usage) -> CallFailed:
    asked = f"; it asks to wait {failed.wait:.6g} seconds" if failed.wait is not None else ""
    tries = f", {attempt} attempts" if attempt > 1 else ""
    temporary = failed.retryable and failed.reached
    return CallFailed(
        f"{failed.reason}{asked}{tries}",
        failed.hint,
        used,
        temporary=temporary,
        too_long=failed.too_long,
    )


def _phrases(timeout: float, base_url: str) -> dict[type[Exception], str]:
    """What each kind of failure means; the first that fits."""
    import anthropic
    import httpx2

    return {
        Oversized: "the model API sent more than a reply can be",
        NoCredentials: "the cloud's credentials cannot be used",
        anthropic.APITimeoutError: "the model API did not answer in time",
        anthropic.APIConnectionError: f"no connection to {base_url}",
        anthropic.APIError: "the model API gave an answer that the SDK cannot read",
        httpx2.TimeoutException: "the model API fell silent in the middle of a reply",
        httpx2.RequestError: "the connection broke in the middle of a reply",
        TimeoutError: f"no complete reply within {timeout:.3g} seconds",
        BrokenStream: "the model API sent a broken reply",
        UnicodeDecodeError: "the model API sent a broken reply",
    }
