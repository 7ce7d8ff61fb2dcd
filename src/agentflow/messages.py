"""What is said to a model and by it: requests, replies, tool calls and their results. No I/O."""

import json
from collections.abc import Iterable
from typing import Any, Literal, cast

from agentflow.errors import ProviderFailure
from agentflow.frozen import record
from agentflow.records import Effort, Json

EndReason = Literal["finished", "signalled", "silent"]


@record
class Usage:
    """Tokens of one reply or the sum of several. The four input kinds do not overlap."""

    input_tokens: int = 0
    """Neither read from the cache nor written to it."""
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    """Written with a lifetime of five minutes."""
    cache_write_1h_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cache_read_tokens + other.cache_read_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
            self.cache_write_1h_tokens + other.cache_write_1h_tokens,
        )

    @property
    def prompt_tokens(self) -> int:
        """All input tokens, cached or not."""
        return (
            self.input_tokens
            + self.cache_read_tokens
            + self.cache_write_tokens
            + self.cache_write_1h_tokens
        )

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.prompt_tokens + self.output_tokens


@record
class Request:
    """One call of the Messages API."""

    model: str
    system: str
    messages: list[Json]
    tools: list[Json]
    max_tokens: int
    effort: Effort | None = None
    """None leaves it to the model."""
    affordable: int | None = None
    """How many attempts that used tokens the budget bears; None means any number."""


@record
class ToolCall:
    """A tool call that the model asked for in a finished reply."""

    id: str
    name: str
    arguments: Json | None
    """None if the model's text was not one JSON object."""
    problem: str = ""
    """Why `arguments` is None, for the model to read."""


@record
class Reply:
    """One finished reply of the model."""

    content: tuple[Json, ...]
    """The content blocks, as on the wire."""
    stop_reason: str
    usage: Usage
    calls: tuple[ToolCall, ...] = ()
    discarded: Usage = Usage()
    """What failed attempts at this reply used: as the server said, and what had arrived."""
    model: str = ""
    """The model that answered, once that is known; a fallback may have."""
    cost: float | None = None
    """US dollars, failed attempts included, once it is charged; None if the price is unknown."""

    @property
    def text(self) -> str:
        """The text blocks, joined by a newline."""
        return "\n".join(block["text"] for block in self.content if block["type"] == "text")


class CallFailed(ProviderFailure):
    """One call of the model API failed for good."""

    def __init__(
        self, message: str, hint: str, used: Usage, *, temporary: bool, too_long: bool = False
    ) -> None:
        """`used`: by all attempts. `temporary`: another model might answer now, or this one later,
        as with overload, a rate limit or a broken reply. `too_long`: the conversation does not fit
        the model's context window."""
        super().__init__(message, hint)
        self.used = used
        self.too_long = too_long
        self.temporary = temporary


THINKING = frozenset({"thinking", "redacted_thinking"})
"""Types of blocks that only the model can read back that made them."""


def thoughts(messages: Iterable[Json]) -> frozenset[str]:
    """Every block of thinking in the messages, as JSON."""
    replies = (each["content"] for each in messages if each["role"] == "assistant")
    blocks = (block for content in replies if not isinstance(content, str) for block in content)
    return frozenset(json.dumps(block) for block in blocks if block["type"] in THINKING)


_TARGETS = ("file_path", "command", "pattern", "path")


def blocks_in(message: Json) -> list[Json]:
    """The content blocks of a journaled message, a plain text as one; what is none is left out."""
    content: Any = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    items = cast("list[Any]", content) if isinstance(content, list) else []
    return [cast("Json", each) for each in items if isinstance(each, dict)]


def calls_in(message: Json) -> list[tuple[str, str, str]]:
    """The id, the tool and the target of each call in a journaled reply; a target is what the
    call works on: a path, a command, a pattern, or nothing."""
    calls = (block for block in blocks_in(message) if block.get("type") == "tool_use")
    return [(str(c.get("id")), str(c.get("name")), target_of(c.get("input"))) for c in calls]


def target_of(arguments: object) -> str:
    """What a call with these arguments works on; empty if they do not say."""
    given = cast("Json", arguments) if isinstance(arguments, dict) else {}
    return next((str(given[name]) for name in _TARGETS if name in given), "")


@record
class Signal:
    """A marker file that the agent wrote: a claim, never a result."""

    name: str
    """The file's name, for example `TASK-123.done`."""
    text: str = ""


@record
class ToolResult:
    """What the model reads after a tool call."""

    call_id: str
    content: str | list[Json]
    """Text, or content blocks as on the wire (images, documents)."""
    is_error: bool = False
    signals: tuple[Signal, ...] = ()


@record
class Ending:
    """How the agent's work ended, if it was not stopped."""

    reason: EndReason
    text: str
    """The agent's last words."""
