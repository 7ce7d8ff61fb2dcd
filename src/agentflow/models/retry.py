"""When a failed call of the model is repeated, and after how long. Pure: no clock, no SDK.

Needed because the SDK retries nothing once a stream has started and sleeps for whatever
Retry-After says.
"""

import email.utils
import math
from collections.abc import Mapping

from agentflow.frozen import record

ATTEMPTS = 5
"""At most, the first one included."""
CLOSED_ATTEMPTS = 2
"""The same where a server was not started: it may be about to start, or wait for its user."""
LONGEST_WAIT = 60.0
"""Seconds. A server that asks for more ends the call; the run can be continued later."""
FIRST_DELAY = 1.0
"""Seconds before the second attempt; doubled for each further one."""

RETRYABLE_TYPES = frozenset({"overloaded_error", "api_error", "rate_limit_error", "timeout_error"})
"""Types of error events in a stream, which come with status 200."""
SPEND_LIMITS = frozenset({
    "contract_spend_limit_reached",
    "enforced_spend_limit_reached",
    "linked_organization_spend_limit_reached",
})
"""Error codes of a 429 that no waiting mends (error types of `anthropic` 2.11.0)."""

TOO_LONG_NAMES = frozenset({"exceed_context_size_error", "context_length_exceeded"})
"""Types and codes of llama.cpp, and of servers with OpenAI's words."""
TOO_LONG_WORDS = (
    "prompt is too long",
    "exceed context limit",
    "maximum context length",
    "exceeds the available context size",
)
"""Of the API (the prompt alone; with `max_tokens`), of vLLM, of llama.cpp."""

_LONGEST_QUOTE = 300
_LATER = "Try again later."
_HINTS = {
    400: "The request does not suit this model or server; see what it said.",
    401: "Check the key, and that it belongs to this server.",
    403: "The key may not use this model; check its permissions.",
    404: "Check the model's name and the base URL.",
    413: "The conversation is too large; split the task.",
}


@record
class Failed:
    """One failed attempt."""

    reason: str
    """What happened, in words for the user."""
    retryable: bool = True
    wait: float | None = None
    """Seconds that the server asked for."""
    hint: str = _LATER
    reached: bool = True
    """Whether there was a server at all."""
    too_long: bool = False
    """Whether the conversation does not fit the model's context window."""
    limited: bool = False
    """Whether the account asked too much, so that waiting mends it for all who use it."""
    closed: bool = False
    """Whether nothing listens at an address of this machine, and nothing has answered there."""


@record
class Refusal:
    """What a server said when it refused, in a response or in an event of the stream."""

    status: int
    kind: str = ""
    """The error's `type`."""
    code: str = ""
    """The error's `details.error_code`."""
    message: str = ""
    headers: Mapping[str, str] | None = None
    """Names in lower case."""


def judge(refusal: Refusal, now: float) -> Failed:
    """Decide about a refusal. `now`: seconds since the epoch, for a Retry-After with a date."""
    headers = refusal.headers or {}
    name = f"{refusal.status} {quote(refusal.kind, 60)}".strip()
    if refusal.status == 200:
        name = f"the error event {quote(refusal.kind, 60)}".strip()
    said = quote(refusal.message)
    request_id = quote(headers.get("request-id", ""), 80)
    reason = f"the model API answered {name}"
    reason += f": {said}" if said else ""
    reason += f" (request {request_id})" if request_id else ""
    if refusal.code in SPEND_LIMITS:
        return Failed(reason, retryable=False, hint="Raise the spend limit of the account.")
    if is_too_long(refusal):
        hint = "Split the task, or use a model with a larger window."
        return Failed(reason, retryable=False, hint=hint, too_long=True)
    retryable = _is_retryable(refusal) and headers.get("x-should-retry") != "false"
    limited = retryable and (refusal.status == 429 or refusal.kind == "rate_limit_error")
    hint = _HINTS.get(refusal.status, _LATER)
    return Failed(reason, retryable, wanted_wait(headers, now), hint, limited=limited)


def is_too_long(refusal: Refusal) -> bool:
    """Whether a refusal says that the conversation does not fit the model's window."""
    said = refusal.message.lower()
    names = {refusal.kind, refusal.code}
    return bool(names & TOO_LONG_NAMES) or any(words in said for words in TOO_LONG_WORDS)


def next_delay(failed: Failed, attempt: int, fraction: float) -> float | None:
    """Seconds until the next attempt; None if there is none.

    `attempt`: the one that failed, from 1. `fraction`: random, from 0 to 1, so that many runs do
    not come back at the same moment.
    """
    most = CLOSED_ATTEMPTS if failed.closed else ATTEMPTS
    if not failed.retryable or attempt >= most:
        return None
    if failed.wait is not None:
        return failed.wait if failed.wait <= LONGEST_WAIT else None
    return min(LONGEST_WAIT, FIRST_DELAY * 2 ** (attempt - 1)) * (0.75 + 0.25 * fraction)


def wanted_wait(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that `retry-after-ms` or `retry-after` (seconds or a date) asks for."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name, "")
        try:
            seconds = float(text) * unit
        except ValueError:
            continue
        return max(0.0, seconds) if math.isfinite(seconds) else None
    try:
        date = email.utils.parsedate_tz(headers.get("retry-after", ""))
        return max(0.0, email.utils.mktime_tz(date) - now) if date else None
    except (ValueError, OverflowError):  # a date that no clock shows
        return None


def is_refused(error: BaseException | None) -> bool:
    """Whether an error, or what led to it, says that nothing listens at an address."""
    while error is not None:
        if isinstance(error, BaseExceptionGroup):  # several addresses were tried
            return all(map(is_refused, error.exceptions))
        if isinstance(error, ConnectionRefusedError):
            return True
        error = error.__cause__ or error.__context__  # transports give no cause
    return False


def quote(text: str, limit: int = _LONGEST_QUOTE) -> str:
    """Foreign text made safe for one line of a terminal: escaped, and bounded in characters."""
    line = " ".join(text.split())
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def _is_retryable(refusal: Refusal) -> bool:
    if refusal.status == 200:
        return refusal.kind in RETRYABLE_TYPES
    return refusal.status in {408, 409, 429} or refusal.status >= 500
