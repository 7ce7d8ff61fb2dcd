"""What one minute of the scripted model bears, in the headers and the refusals of the API.

The API refills each kind steadily (a token bucket), counts input when a request comes and output
when it is given, and answers with 429 and `retry-after` when one of them is empty. Names and values
of the headers: "Rate limits" of the API's documentation.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

LIMITS = ("requests", "input_tokens", "output_tokens")
_USUAL = {"requests": 4_000, "input_tokens": 40_000_000, "output_tokens": 8_000_000}
"""Where a script says nothing: more than any test uses."""


@dataclass(slots=True)
class _Bucket:
    limit: int
    level: float
    at: float

    def refill(self, now: float) -> None:
        self.level = min(float(self.limit), self.level + (now - self.at) * self.limit / 60)
        self.at = now


class Limits:
    """One account's buckets."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        now = time.monotonic()
        self.refused = 0
        """Requests that were answered with 429."""
        self._buckets = {
            name: _Bucket(limit, float(limit), now) for name, limit in {**_USUAL, **limits}.items()
        }

    def wait(self) -> float | None:
        """Take a request; seconds until it could be made if it cannot be now."""
        for bucket in self._buckets.values():
            bucket.refill(time.monotonic())
        empty = [
            (1 - bucket.level) * 60 / bucket.limit
            for bucket in self._buckets.values()
            if bucket.level < 1
        ]
        if empty:
            self.refused += 1
            return max(empty)
        self._buckets["requests"].level -= 1
        return None

    def drain(self, kind: str) -> None:
        """Let others have used up what a minute bears."""
        self._buckets[kind].refill(time.monotonic())
        self._buckets[kind].level = 0.0

    def use(self, usage: Mapping[str, int]) -> None:
        """Count what a reply used; what was read from the cache does not count."""
        created = usage["cache_creation_input_tokens"]
        self._buckets["input_tokens"].level -= usage["input_tokens"] + created
        self._buckets["output_tokens"].level -= usage["output_tokens"]

    @property
    def headers(self) -> dict[str, str]:
        """As every response has them."""
        found: dict[str, str] = {}
        for name, bucket in self._buckets.items():
            kind = f"anthropic-ratelimit-{name.replace('_', '-')}"
            full = (bucket.limit - bucket.level) * 60 / bucket.limit
            at = datetime.now(UTC) + timedelta(seconds=full)
            found |= {
                f"{kind}-limit": str(bucket.limit),
                f"{kind}-remaining": str(max(0, int(bucket.level))),
                f"{kind}-reset": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        return found
