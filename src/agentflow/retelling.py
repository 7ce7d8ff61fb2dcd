"""A conversation told again: its state after each event of a journal."""

from collections.abc import Mapping
from typing import cast

from agentflow.conversation import Conversation, Kind, reply_of
from agentflow.events import (
    AssistantMessage,
    ContextReduced,
    ContextSummarized,
    Event,
    ToolFinished,
    UserMessage,
)
from agentflow.messages import Reply, Signal, ToolCall


class Retelling:
    """Brings a conversation up to date, event by event."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._calls: dict[str, ToolCall] = {}
        self._signals: list[Signal] = []

    def take(self, event: Event) -> None:
        """Tell the next event; one that is no part of a conversation changes nothing."""
        match event:
            case UserMessage():
                self._conversation.tell(event.message, cast("Kind", event.kind))
                self._conversation.signals = tuple(self._signals)
                self._signals.clear()
            case AssistantMessage():
                reply = _reply(event)
                self._conversation.hear(reply)
                self._calls = {call.id: call for call in reply.calls}
            case ContextReduced() | ContextSummarized():
                self._conversation.shorten(event)
            case ToolFinished():
                call = self._calls.get(event.id)
                if call:
                    self._conversation.count(
                        call, is_error=event.is_error, read_only=event.read_only
                    )
                self._signals += (Signal(name, text) for name, text in event.signals)
            case _:
                pass


def _reply(event: AssistantMessage) -> Reply:
    problems: Mapping[str, str] = event.problems
    return reply_of(event.message, event.stop_reason, event.usage, event.discarded, problems)
