"""The pace of requests: what all runs together ask of one account in a minute.

Limits come from the configuration and from the headers `anthropic-ratelimit-<kind>-limit` and
`-remaining` of every response ("Rate limits" of the API's documentation): requests, input tokens
without those read from the cache, and output tokens. Each is refilled steadily. Input is counted by
an estimate before a request and put right after it; output when it is there, so a bucket may be
overdrawn and is waited for. A refusal (429) stops everybody for as long as the server asks, and
afterwards they come one by one, ever closer.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from agentflow.frozen import record
from agentflow.messages import Request, Usage
from agentflow.models.retry import Failed
from agentflow.records import Json

LONGEST_HOLD = 600.0
"""Seconds that a server may ask everybody to wait; if it asks for more, calls end."""
FIRST_HOLD = 1.0
"""Seconds, if it asks for none; doubled for each further refusal in a row."""
MOST_HELD = 60.0
FIRST_GAP, MOST_GAP = 0.1, 5.0
"""Seconds between two requests after a refusal; doubled by each further one."""
_CLOSER = 0.8
"""What of the gap stays after a request that was not refused."""
_INSTANT = 0.001
"""Seconds that are not worth a wait, and that a clock may not show."""
_BYTES_PER_TOKEN = 4
_KINDS = ("requests", "input_tokens", "output_tokens")


@record
class Rates:
    """What one minute bears; None means what the server says, if it says anything."""

    requests: int | None = None
    input_tokens: int | None = None
    """Those read from the cache do not count."""
    output_tokens: int | None = None


UNLIMITED = Rates()


class Pacing(Protocol):
    """Says when a request may be made."""

    async def turn(self, tokens: int) -> float:
        """Wait until a request with so much new input may be made; return the seconds waited."""
        ...

    def heard(self, headers: Mapping[str, str]) -> None:
        """Take the headers of a response into account; names in lower case."""
        ...

    def used(self, tokens: int, usage: Usage) -> None:
        """Put right what a request used that was let through with an estimate of `tokens`."""
        ...

    def refused(self, failed: Failed) -> float | None:
        """Hold everybody after a refusal; the seconds, or None if this is not one to wait for."""
        ...


class Unpaced:
    """A `Pacing` that lets every request through."""

    async def turn(self, tokens: int) -> float:
        """No wait."""
        return 0.0

    def heard(self, headers: Mapping[str, str]) -> None:
        """Nothing is counted."""

    def used(self, tokens: int, usage: Usage) -> None:
        """Nothing is counted."""

    def refused(self, failed: Failed) -> float | None:
        """A refusal is the caller's to deal with."""
        return None


class _Bucket:
    """One kind of limit."""

    def __init__(self, most: int | None) -> None:
        self._most = most
        self.limit = most
        self._level = float(most or 0)
        self._told = math.inf
        """What is left by the server's word, and by what we took since."""
        self._at = 0.0

    def _refill(self, now: float) -> None:
        if self.limit is not None:
            grown = (now - self._at) * self.limit / 60
            self._level = min(float(self.limit), self._level + grown)
            self._told += grown
        self._at = now

    def wait(self, needed: float, now: float) -> float:
        """Seconds until so much is there; a need beyond what a minute bears is a full bucket."""
        self._refill(now)
        if not self.limit:
            return 0.0
        left = min(self._level, self._told)
        return max(0.0, min(needed, self.limit) - left) * 60 / self.limit

    def take(self, amount: float) -> None:
        """Count what was used, or is about to be."""
        self._level -= amount
        self._told -= amount

    def put_right(self, amount: float) -> None:
        """Count what was used beyond an estimate, or give back if it is negative. What was used
        beyond it is in the server's word already."""
        self._level -= amount
        self._told -= min(amount, 0.0)

    def learn(self, limit: int, remaining: int, now: float) -> None:
        """Take the server's word, where it allows less."""
        self._refill(now)
        before = self.limit
        self.limit = min(limit, self._most or limit)
        if before is None:
            # Beside what was taken before: of more than a minute's share we do not know when.
            self._level = self.limit + max(self._level, -float(self.limit))
        self._told = min(self._told, float(remaining))


class Pace:
    """A `Pacing` that many models share, in one event loop. Who comes first goes first."""

    def __init__(
        self,
        rates: Rates = UNLIMITED,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`clock` returns seconds that never go back."""
        self._clock = clock
        self._sleep = sleep
        self._buckets = {kind: _Bucket(getattr(rates, kind)) for kind in _KINDS}
        self._line = asyncio.Lock()
        self._held_until = 0.0
        self._gap = 0.0
        self._last = 0.0
        self._refusals = 0
        """In a row."""

    async def turn(self, tokens: int) -> float:
        """Wait until a request with so much new input may be made; return the seconds waited."""
        begun = self._clock()
        async with self._line:
            while (delay := self._delay(tokens)) > _INSTANT:
                await self._sleep(delay)
            self._last = self._clock()
            self._buckets["requests"].take(1)
            self._buckets["input_tokens"].take(tokens)
        return self._last - begun

    def _delay(self, tokens: int) -> float:
        now = self._clock()
        needed = {"requests": 1, "input_tokens": tokens, "output_tokens": 1}
        buckets = (self._buckets[kind].wait(amount, now) for kind, amount in needed.items())
        return max(self._held_until - now, self._last + self._gap - now, *buckets)

    def heard(self, headers: Mapping[str, str]) -> None:
        """Take the headers of a response into account; names in lower case."""
        for kind, bucket in self._buckets.items():
            name = f"anthropic-ratelimit-{kind.replace('_', '-')}"
            limit, left = (headers.get(f"{name}-{word}", "") for word in ("limit", "remaining"))
            if _is_count(limit) and _is_count(left) and int(limit):
                bucket.learn(int(limit), int(left), self._clock())

    def used(self, tokens: int, usage: Usage) -> None:
        """Put right what a request used that was let through with an estimate of `tokens`."""
        fresh = usage.prompt_tokens - usage.cache_read_tokens
        self._buckets["input_tokens"].put_right(fresh - tokens)
        self._buckets["output_tokens"].take(usage.output_tokens)
        if usage.output_tokens:
            self._refusals = 0
            self._gap = self._gap * _CLOSER if self._gap > FIRST_GAP / 10 else 0.0

    def refused(self, failed: Failed) -> float | None:
        """Hold everybody after a refusal; the seconds, or None if this is not one to wait for.

        Those that were on their way when the first was refused count as one with it.
        """
        if not failed.limited or (failed.wait or 0.0) > LONGEST_HOLD:
            return None
        now = self._clock()
        if now >= self._held_until:
            self._refusals += 1
            self._gap = min(MOST_GAP, max(FIRST_GAP, self._gap * 2))
        backoff = min(MOST_HELD, FIRST_HOLD * 2 ** (self._refusals - 1))
        self._held_until = max(self._held_until, now + (failed.wait or backoff))
        return self._held_until - now


def new_input(request: Request) -> int:
    """About how many tokens of a request no cache holds: what came since the last reply."""
    messages = request.messages
    replies = [place for place, each in enumerate(messages) if each["role"] == "assistant"]
    if replies:
        return _size(messages[replies[-1] :]) // _BYTES_PER_TOKEN
    fixed = len(request.system) + _size(request.tools)
    return (fixed + _size(messages)) // _BYTES_PER_TOKEN


def _size(value: list[Json]) -> int:
    return len(str(value))


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 16
