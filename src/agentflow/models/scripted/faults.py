"""The ways in which the scripted model can break.

A fault is either an error response or a change of the plan by which the answer is streamed. A
plan is a list of steps: bytes to send, pauses, and an abrupt end. Nothing is sent before the
first bytes, the response's head included.
"""

from collections.abc import Callable
from itertools import chain

from agentflow.errors import UsageError
from agentflow.frozen import record
from agentflow.models.scripted.wire import event
from agentflow.nearest import nearest


@record
class Pause:
    """Wait, in seconds."""

    seconds: float


@record
class Abort:
    """Reset the connection."""


Step = bytes | Pause | Abort
Change = Callable[[list[bytes], float], list[Step]]
"""From the events of the answer and the fault's seconds to a plan."""

UNKNOWN_BLOCK = "hologram"
"""A type of block that nobody knows; the server takes back what it sent."""
_BEFORE_RESET = Pause(0.05)
"""A reset overtakes bytes that the receiver has not read yet."""


@record
class ErrorResponse:
    """An HTTP error. `type` and `message` fill the usual error body, unless `body` is given."""

    status: int
    type: str = ""
    message: str = ""
    error_code: str | None = None
    body: bytes | None = None
    retry_after: bool | str = False
    """Whether the fault's seconds go out as `retry-after`, or what goes out instead."""


@record
class Fault:
    """One way to break. Exactly one of `response`, `change` and `plain` is set."""

    says: str
    response: ErrorResponse | None = None
    change: Change | None = None
    plain: bool = False
    """Answer with one JSON message, as if streaming had not been asked for."""
    seconds: float = 0.0


def find_fault(text: str) -> Fault:
    """The fault called `name` or `name:SECONDS`. Raises `UsageError` for any other text."""
    name, _, seconds = text.partition(":")
    fault = FAULTS.get(name)
    if fault is None:
        raise UsageError(
            f"there is no fault {name!r}{nearest(name, FAULTS)}",
            hint=f"Known faults: {', '.join(FAULTS)}.",
        )
    if not seconds:
        return fault
    try:
        value = float(seconds)
    except ValueError as error:
        raise UsageError(f"{text!r}: the seconds after the colon are not a number") from error
    if not 0 <= value <= 86400:
        raise UsageError(f"{text!r}: the seconds must lie between 0 and 86400")
    return Fault(fault.says, fault.response, fault.change, fault.plain, value)


def _half(events: list[bytes]) -> list[bytes]:
    """The events up to, not including, the last piece of the last content block."""
    pieces = [i for i, sent in enumerate(events) if sent.startswith(b"event: content_block_delta")]
    return events[: pieces[-1]] if pieces else events[:1]


def _without(events: list[bytes], kind: str) -> list[Step]:
    return [sent for sent in events if not sent.startswith(f"event: {kind}\n".encode())]


def _error_event(kind: str, message: str) -> bytes:
    return event({"type": "error", "error": {"type": kind, "message": message}})


def _pings(events: list[bytes], seconds: float) -> list[Step]:
    ping = event({"type": "ping"})
    count = max(2, min(20, round(seconds / 0.05)))
    waiting: list[Step] = [ping, Pause(seconds / count)] * count
    return [events[0], *waiting, *events[1:]]


def _unknown_events(events: list[bytes], _: float) -> list[Step]:
    odd = (event({"type": "weather_report", "sky": "clear"}), b": a comment\n\n")
    return list(chain.from_iterable((sent, *odd) for sent in events))


def _unknown_block(events: list[bytes], _: float) -> list[Step]:
    block = {"type": UNKNOWN_BLOCK, "scene": "a valley"}
    odd = (
        event({"type": "content_block_start", "index": 99, "content_block": block}),
        event({
            "type": "content_block_delta",
            "index": 99,
            "delta": {"type": "light_delta", "light": 1},
        }),
        event({"type": "content_block_stop", "index": 99}),
    )
    return [*events[:-2], *odd, *events[-2:]]


def _start(number: int) -> bytes:
    block = {"type": UNKNOWN_BLOCK, "scene": "x" * 100_000}
    return event({"type": "content_block_start", "index": number, "content_block": block})


def _bytewise(events: list[bytes], _: float) -> list[Step]:
    everything = b"".join(events)
    return [everything[i : i + 1] for i in range(len(everything))]


def _status(says: str, status: int, kind: str, message: str, code: str | None = None) -> Fault:
    return Fault(says, ErrorResponse(status, kind, message, code))


FAULTS: dict[str, Fault] = {
    # An error response instead of an answer.
    "rate_limited": Fault(
        "429 with retry-after: SECONDS",
        ErrorResponse(
            429, "rate_limit_error", "This request would exceed your rate limit", retry_after=True
        ),
        seconds=0.05,
    ),
    "rate_limited_absurd": Fault(
        "429 that asks to wait for ages",
        ErrorResponse(429, "rate_limit_error", "Slow down", retry_after="1e300"),
    ),
    "rate_limited_garbled": Fault(
        "429 whose retry-after is a word",
        ErrorResponse(429, "rate_limit_error", "Slow down", retry_after="soon"),
    ),
    "overloaded": _status("529", 529, "overloaded_error", "Overloaded"),
    "server_error": _status("500", 500, "api_error", "Internal server error"),
    "html": Fault(
        "502 with the HTML page of a proxy",
        ErrorResponse(502, body=b"<html><body><h1>502 Bad Gateway</h1></body></html>"),
    ),
    "page": Fault(
        "200 with an HTML page", ErrorResponse(200, body=b"<html><body>Sign in</body></html>")
    ),
    "unauthorized": _status("401", 401, "authentication_error", "invalid bearer token"),
    "too_large": _status("413", 413, "request_too_large", "Request exceeds the maximum size"),
    "context_overflow": _status(
        "400, the prompt does not fit",
        400,
        "invalid_request_error",
        "prompt is too long: 1000001 tokens > 1000000 maximum",
    ),
    "spend_limit": _status(
        "429 that no waiting mends",
        429,
        "rate_limit_error",
        "You have reached your organization's spend limit",
        "contract_spend_limit_reached",
    ),
    # A connection that dies.
    "reset": Fault("reset before the response's head", change=lambda _e, _s: [Abort()]),
    "cut": Fault(
        "reset inside the last content block",
        change=lambda events, _: [*_half(events), _BEFORE_RESET, Abort()],
    ),
    "eof": Fault(
        "clean end inside the last content block", change=lambda events, _: [*_half(events)]
    ),
    "stall": Fault(
        "silence for SECONDS inside the last content block, then a reset",
        change=lambda events, seconds: [*_half(events), Pause(seconds), Abort()],
        seconds=30.0,
    ),
    # A stream that ends in order and is wrong.
    "malformed": Fault(
        "an event whose data is not JSON",
        change=lambda events, _: [*_half(events), b'event: content_block_delta\ndata: {"ty\n\n'],
    ),
    "error_event": Fault(
        "overloaded_error inside the stream",
        change=lambda events, _: [*_half(events), _error_event("overloaded_error", "Overloaded")],
    ),
    "error_event_api": Fault(
        "api_error inside the stream",
        change=lambda events, _: [*_half(events), _error_event("api_error", "Internal error")],
    ),
    "error_event_refusal": Fault(
        "invalid_request_error inside the stream",
        change=lambda events, _: [*_half(events), _error_event("invalid_request_error", "No")],
    ),
    "no_message_stop": Fault(
        "everything but message_stop", change=lambda events, _: _without(events, "message_stop")
    ),
    "empty": Fault("200 without a single event", change=lambda _e, _s: []),
    "json": Fault("200 with a JSON message instead of a stream", plain=True),
    # A stream that would fill the memory or take all time.
    "huge_event": Fault(
        "one event of 5 MB in one line",
        change=lambda events, _: [events[0], b"data: ", *[b"x" * 100_000] * 50],
    ),
    "many_lines": Fault(
        "one event of a million lines",
        change=lambda events, _: [events[0], *[b"data:\n" * 20_000] * 50],
    ),
    "endless": Fault(
        "comments without end",
        change=lambda events, _: [events[0], *[b": " + b"x" * 99_996 + b"\n\n"] * 400],
    ),
    "many_starts": Fault(
        "5 MB of blocks that only start",
        change=lambda events, _: [events[0], *map(_start, range(50))],
    ),
    # A stream that is odd and right.
    "unknown_blocks": Fault("a block of an unknown type at the end", change=_unknown_block),
    "no_message_start": Fault(
        "everything but message_start, as some local servers do",
        change=lambda events, _: _without(events, "message_start"),
    ),
    "pings": Fault("nothing but pings for SECONDS, then the rest", change=_pings, seconds=1.0),
    "unknown_events": Fault("unknown events and comments in between", change=_unknown_events),
    "bytewise": Fault("one byte in each chunk", change=_bytewise),
    "crlf": Fault(
        "lines that end with CR LF",
        change=lambda events, _: [sent.replace(b"\n", b"\r\n") for sent in events],
    ),
}
"""Every fault by name, with what it does."""
