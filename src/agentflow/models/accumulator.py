"""From the raw events of one stream to a finished reply.

Our own, because the SDK's takes a clean end of file for success, parses half a tool input
leniently and needs a `message_start`, which llama.cpp sometimes leaves out.
"""

import json
from dataclasses import dataclass, field, replace
from typing import Any, Never

from agentflow.events import TextDelta
from agentflow.interfaces import Emit
from agentflow.messages import Reply, ToolCall, Usage
from agentflow.models.event_stream import Oversized
from agentflow.models.strict import block_start, encodable, label, place
from agentflow.records import Json
from agentflow.strict_json import parse_object

_DELTA_FIELDS = {
    "text_delta": "text",
    "input_json_delta": "partial_json",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
}
_CUT_OFF = frozenset({"max_tokens", "model_context_window_exceeded", "refusal"})
"""Stop reasons after which the last block may be incomplete."""
_COUNTERS = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
)
_LIFETIMES = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
_MOST_TOKENS = 10**12
_MOST_STARTED = 4_000_000
"""Bytes of all block starts: what is kept of them takes many times that."""
_CHARACTERS_PER_TOKEN = 4
"""Of what had arrived of a reply whose output nobody counted."""


class BrokenStream(Exception):
    """The stream ended early or was not what the API sends; the message says how."""


class ErrorEvent(Exception):
    """The server reported an error inside the stream."""

    def __init__(self, kind: str, message: str, code: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.code = code


@dataclass(slots=True)
class _Block:
    start: Json
    parts: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    citations: list[Json] = field(default_factory=list[Json])
    stopped: bool = False


class Accumulator:
    """Collects the events of one attempt."""

    def __init__(self, emit: Emit) -> None:
        self.finished = False
        """Whether `message_stop` was read."""
        self._emit = emit
        self._blocks: dict[int, _Block] = {}
        self._stop_reason = ""
        self._counters: dict[str, int] = {}
        self._seen = False
        self._started = 0
        self._received = 0

    def feed(self, data: str) -> None:
        """Take the data of one server-sent event; unknown events are skipped.

        Raises `BrokenStream` for data that is not an event of the API, `ErrorEvent` for an error,
        `Oversized` for more than any reply has.
        """
        if not data:
            return
        try:
            event = parse_object(data)
            self._seen = True
            if event["type"] == "content_block_start":
                self._started += len(data)
            if self._started > _MOST_STARTED:
                raise Oversized(f"block starts of more than {_MOST_STARTED} bytes")
            self._apply(event)
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
            raise BrokenStream(f"an event of the stream is malformed ({error})") from error

    @property
    def seen(self) -> bool:
        """Whether there was any event at all."""
        return self._seen

    @property
    def usage(self) -> Usage:
        """What the server has counted so far."""
        counted = self._counters
        written = counted.get("cache_creation_input_tokens", 0)
        hour = counted.get("ephemeral_1h_input_tokens", 0)
        return Usage(
            counted.get("input_tokens", 0),
            counted.get("output_tokens", 0),
            counted.get("cache_read_input_tokens", 0),
            max(counted.get("ephemeral_5m_input_tokens", 0), written - hour),
            hour,
        )

    @property
    def used(self) -> Usage:
        """What an attempt that failed here used: it is paid as far as it got. The server counts
        output at the end only, so what has arrived is estimated."""
        usage = self.usage
        received = self._received // _CHARACTERS_PER_TOKEN
        return replace(usage, output_tokens=max(usage.output_tokens, received))

    def reply(self) -> Reply:
        """The reply. Raises `BrokenStream` if it is not complete."""
        if not self.finished:
            raise BrokenStream("the stream ended before the reply was complete")
        if not self._stop_reason:
            raise BrokenStream("the reply has no stop_reason")
        cut = self._stop_reason in _CUT_OFF
        content: list[Json] = []
        calls: list[ToolCall] = []
        for index, block in sorted(self._blocks.items()):
            if not block.stopped and not cut:
                raise BrokenStream(f"content block {index} never ended")
            whole, call = _finish(block)
            if _is_sendable(whole, call, block, cut):
                content.append(whole)
                calls.extend([call] if call else [])
        return Reply(tuple(content), self._stop_reason, self.usage, tuple(calls))

    def _apply(self, event: Json) -> None:
        match event["type"]:
            case "message_start":
                self._count(event["message"].get("usage"))
            case "content_block_start":
                self._blocks[place(event["index"])] = _Block(block_start(event["content_block"]))
            case "content_block_delta":
                self._grow(self._blocks[event["index"]], event["delta"])
            case "content_block_stop":
                self._blocks[event["index"]].stopped = True
            case "message_delta":
                reason = event["delta"].get("stop_reason")
                self._stop_reason = self._stop_reason if reason is None else label(reason)
                self._count(event.get("usage"))
            case "message_stop":
                self.finished = True
            case "error":
                _raise_error(event["error"])
            case _:
                pass

    def _grow(self, block: _Block, delta: Json) -> None:
        if delta["type"] == "citations_delta":
            block.citations.append(encodable(delta["citation"]))
        name = _DELTA_FIELDS.get(delta["type"])
        if name is None:
            return
        piece = delta[name]
        if not isinstance(piece, str):
            raise TypeError(f"{name} is not text")
        self._received += len(piece) if name != "signature" else 0
        block.parts.setdefault(name, []).append(piece)
        if name == "text" and piece:
            self._emit(TextDelta(mend(piece)))

    def _count(self, usage: Json | None) -> None:
        """Counts are cumulative: a later one replaces an earlier one."""
        counted = usage or {}
        created: Json = counted.get("cache_creation") or {}
        found = {name: counted.get(name) for name in _COUNTERS}
        found |= {name: created.get(name) for name in _LIFETIMES}
        for name, value in found.items():
            if value is None:
                continue
            if type(value) is not int or not 0 <= value <= _MOST_TOKENS:
                raise ValueError(f"{name} is not a number of tokens")
            self._counters[name] = value


def mend(text: str) -> str:
    """Join surrogate pairs that were split over two pieces; half a pair becomes U+FFFD.

    A half cannot be encoded: it would break the next request, the journal and the terminal.
    """
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _raise_error(error: Json) -> Never:
    details: Json = error.get("details") or {}
    raise ErrorEvent(
        str(error.get("type", "")),
        str(error.get("message", "")),
        str(details.get("error_code", "")),
    )


def _finish(block: _Block) -> tuple[Json, ToolCall | None]:
    """The block as it is sent back, and the call in it."""
    whole = dict(block.start)
    for name, parts in block.parts.items():
        if name != "partial_json":
            whole[name] = mend(str(whole.get(name) or "") + "".join(parts))
    if block.citations:
        whole["citations"] = [*(whole.get("citations") or ()), *block.citations]
    if "input" not in whole:
        return whole, None
    arguments, problem = _arguments(block)
    whole["input"] = arguments or {}  # the API takes nothing but an object
    if whole["type"] != "tool_use":
        return whole, None
    return whole, ToolCall(whole["id"], whole["name"], arguments, problem)


def _arguments(block: _Block) -> tuple[Json | None, str]:
    text = mend("".join(block.parts.get("partial_json", ())))
    try:
        arguments: Any = parse_object(text) if text.strip() else block.start["input"] or {}
        json.dumps(arguments, ensure_ascii=False).encode()
    except ValueError as error:
        reason = "half a surrogate pair" if isinstance(error, UnicodeError) else str(error)
        return None, f"The input of this call is not one valid JSON object ({reason}). Repeat it."
    return arguments, ""


def _is_sendable(whole: Json, call: ToolCall | None, block: _Block, cut: bool) -> bool:
    """Whether the API takes the block back, and nothing of it is missing."""
    if whole["type"] == "text":
        return bool(whole["text"].strip())
    if not cut:
        return True
    if whole["type"] == "thinking":
        return block.stopped and bool(whole.get("signature"))
    if call:
        given = "".join(block.parts.get("partial_json", ())).strip() or block.start["input"]
        return block.stopped and call.arguments is not None and bool(given)
    return block.stopped
