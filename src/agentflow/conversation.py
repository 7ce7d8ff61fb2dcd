"""The conversation with a model: its messages, and what follows from them. No I/O.

The same methods are called while it happens and when a journal is read, so a run that goes on
knows what the dead one knew.
"""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Literal

from agentflow.context import Context, sent
from agentflow.events import ContextReduced, ContextSummarized
from agentflow.frozen import record
from agentflow.messages import Reply, Signal, ToolCall, Usage
from agentflow.records import Json

Kind = Literal["task", "results", "nudge", "cut", "repair", "answer"]
"""What a message for the model is: its task, results of calls, a reminder to end properly, a reply
that was too long, a failed verdict, a person's answer."""


@record
class Word:
    """What an agent is told by somebody outside the conversation."""

    kind: Kind
    text: str


HINT_AFTER, STOP_AFTER = 3, 6
"""Identical failing calls without a successful change in between."""
FULL = "model_context_window_exceeded"
"""The stop reason of a reply that was cut because the window was full."""
RUNNABLE = frozenset({"tool_use", "end_turn", "stop_sequence"})
"""Stop reasons after which a reply's calls may be run; some local servers never say `tool_use`."""


class Conversation:
    """Messages as on the wire, and the state of the loop that they led to."""

    def __init__(self) -> None:
        self.messages: list[Json] = []
        """All of them."""
        self.context = Context()
        """What of them is sent."""
        self.turns = 0
        """Replies of the model that count."""
        self.last_words = ""
        self.nudged = False
        """Whether the model was reminded since it was last given work."""
        self.cut = 0
        """Replies in a row that hit their length limit."""
        self.full = 0
        """Replies in a row that filled the context window."""
        self.signals: tuple[Signal, ...] = ()
        """Marker files that the last batch of calls wrote."""
        self.pending: Reply | None = None
        """A complete reply that nothing has followed on yet."""
        self._failures: Counter[tuple[str, str]] = Counter()

    def tell(self, message: Json, kind: Kind) -> None:
        """Add a message for the model."""
        last = self.messages[-1] if self.messages else None
        if last is not None and last["role"] == "user":
            # Servers other than Anthropic's refuse two in a row.
            last = {**last, "content": [*_blocks(last), *_blocks(message)]}
            self.messages[-1] = last
        else:
            self.messages.append(message)
        self.pending = None
        if kind == "nudge":
            self.nudged = True
        elif kind in {"task", "repair", "answer"}:
            self.nudged, self.cut, self.signals = False, 0, ()

    def hear(self, reply: Reply) -> Json:
        """Add a reply of the model; return it as a message."""
        message: Json = {"role": "assistant", "content": list(reply.content)}
        # The API refuses an empty message; a reply cut inside its only tool call leaves one.
        if reply.content:
            self.messages.append(message)
        self.turns += 1
        self.last_words = reply.text.strip() or self.last_words
        self.cut = self.cut + 1 if reply.stop_reason == "max_tokens" else 0
        self.full = self.full + 1 if reply.stop_reason == FULL else 0
        self.context = self.context.replied(reply.usage, len(self.messages))
        self.signals = ()
        self.pending = reply
        return message

    @property
    def sent(self) -> list[Json]:
        """The messages that are sent next."""
        return sent(self.messages, self.context)

    def shorten(self, event: ContextReduced | ContextSummarized) -> None:
        """Take out of what is sent what the event says."""
        self.context = self.context.shortened(event, len(self.messages))

    def count(self, call: ToolCall, *, is_error: bool, read_only: bool) -> int:
        """Count a call that ended; return how often it has failed as it is. A change that succeeds
        clears all counts."""
        key = (call.name, json.dumps(call.arguments, sort_keys=True))
        if is_error:
            self._failures[key] += 1
        elif not read_only:
            self._failures.clear()
        return self._failures[key] if is_error else 0

    @property
    def looping(self) -> tuple[str, int] | None:
        """The tool whose same call failed too often, and how often."""
        return next(((name, n) for (name, _), n in self._failures.items() if n >= STOP_AFTER), None)


def reply_of(
    message: Json, stop_reason: str, usage: Usage, discarded: Usage, problems: Mapping[str, str]
) -> Reply:
    """A journaled reply as it was when it came; `problems` by the id of each malformed call."""
    content: list[Json] = message["content"]
    calls = tuple(
        ToolCall(
            block["id"],
            block["name"],
            None if block["id"] in problems else block["input"],
            problems.get(block["id"], ""),
        )
        for block in content
        if block["type"] == "tool_use"
    )
    return Reply(tuple(content), stop_reason, usage, calls, discarded)


def _blocks(message: Json) -> list[Json]:
    content: str | list[Json] = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content
