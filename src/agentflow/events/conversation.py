"""What the model and the tools said, and how the conversation is kept within its limits."""

from dataclasses import field
from typing import ClassVar

from agentflow.frozen import record
from agentflow.messages import EndReason, Usage
from agentflow.records import Json


@record
class UserMessage:
    """Emitted when a message is added for the model: the task, tool results, a nudge, a repair."""

    type: ClassVar[str] = "user"
    durable: ClassVar[bool] = True
    message: Json
    kind: str = "task"
    """A `conversation.Kind`: why it was added."""


@record
class AssistantMessage:
    """Emitted when a reply of the model is complete, before any of its calls runs."""

    type: ClassVar[str] = "assistant"
    durable: ClassVar[bool] = True
    message: Json
    stop_reason: str
    usage: Usage
    discarded: Usage
    cost: float | None
    """US dollars of this reply, discarded attempts included; None if the price is unknown."""
    problems: dict[str, str] = field(default_factory=dict[str, str])
    """For each malformed call, by its id, what is wrong with it."""
    model: str = ""
    """The model that answered; empty in journals that had only one."""


@record
class Reference:
    """A line that is sent in the place of a tool's result."""

    message: int
    """Which message of the whole conversation, from 0."""
    block: int
    """Which block of it, from 0."""
    path: str
    """The file in the sandbox that holds the result; empty for none."""
    text: str


@record
class ContextReduced:
    """Emitted before a request, when results of tools are taken out of what is sent from now on."""

    type: ClassVar[str] = "agentflow.context_reduced"
    durable: ClassVar[bool] = True
    before: int
    after: int
    """Tokens of the next request, about, without this and with it."""
    references: tuple[Reference, ...]


@record
class ContextSummarized:
    """Emitted before a request, when the model has summed up what is not sent from now on."""

    type: ClassVar[str] = "agentflow.context_summarized"
    durable: ClassVar[bool] = True
    before: int
    after: int
    """As in `ContextReduced`."""
    kept_from: int
    """Which message of the whole conversation, from 0, is the first that is sent after the task
    and the summary."""
    summary: str
    usage: Usage
    discarded: Usage
    cost: float | None
    model: str = ""
    """All four of the summary, as in `AssistantMessage`."""


@record
class TextDelta:
    """Emitted for each piece of text that the model streams."""

    type: ClassVar[str] = "agentflow.text_delta"
    durable: ClassVar[bool] = False
    text: str


@record
class RetryScheduled:
    """Emitted when a call of the model failed and will be repeated; text shown so far is void."""

    type: ClassVar[str] = "agentflow.retry_scheduled"
    durable: ClassVar[bool] = True
    attempt: int
    """The attempt that failed, from 1."""
    reason: str
    delay: float
    """Seconds until the next attempt."""


@record
class ReplyFailed:
    """Emitted when a call of the model failed for good: the run goes on with another, or ends."""

    type: ClassVar[str] = "agentflow.reply_failed"
    durable: ClassVar[bool] = True
    model: str
    reason: str
    usage: Usage
    """By all attempts, as far as it is known."""
    cost: float | None
    """US dollars; None if the price is unknown."""


@record
class FallbackStarted:
    """Emitted when another model goes on with the run, from this call to the run's end."""

    type: ClassVar[str] = "agentflow.fallback_started"
    durable: ClassVar[bool] = True
    model: str
    instead_of: str
    reason: str


@record
class LimitNear:
    """Emitted when 80 % of a limit are spent, once for each limit."""

    type: ClassVar[str] = "agentflow.limit_near"
    durable: ClassVar[bool] = True
    limit: str
    """Its name in the configuration: `max_cost`, `timeout`, …"""
    spent: float
    of: float
    text: str
    """The same in words."""


@record
class ToolStarted:
    """Emitted when a tool call begins."""

    type: ClassVar[str] = "agentflow.tool_started"
    durable: ClassVar[bool] = False
    id: str
    name: str
    target: str
    """What it works on, in a few words: a path, a pattern, a command."""


@record
class ToolFinished:
    """Emitted when a tool call ended, before its result becomes part of a message."""

    type: ClassVar[str] = "agentflow.tool_finished"
    durable: ClassVar[bool] = True
    id: str
    name: str
    is_error: bool
    seconds: float
    summary: str
    """The result's first line."""
    read_only: bool = False
    signals: tuple[tuple[str, str], ...] = ()
    """Name and text of each marker file that the call wrote."""


@record
class AgentEnded:
    """Emitted when the agent says that it is finished, signals it, or falls silent."""

    type: ClassVar[str] = "agentflow.agent_ended"
    durable: ClassVar[bool] = True
    reason: EndReason
    text: str
