"""What of a conversation is sent to the model. Pure: from messages and events to messages.

The whole conversation stays in the journal. Before it fills the model's window, results of old tool
calls are replaced, in what is sent, by one line that names a file with the whole result; if that is
not enough, everything but the task and the newest messages is replaced by a summary that the model
is asked for. Both decisions are events, so `history.messages_to_send` makes from a journal exactly
the messages that would be sent next.

A changed message makes what follows it dear: it was read from the cache, and is written anew. So
it is done rarely and in big steps: see `reduction`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field, replace

from agentflow.events import ContextReduced, ContextSummarized, Reference
from agentflow.frozen import record
from agentflow.messages import Usage
from agentflow.records import Json

REPLY_TOKENS = 32_000
"""Of one reply, thinking included; of a small window a quarter."""
IMAGE_TOKENS = 1600
"""Of an image of the largest size that the API does not scale down (1568 pixels)."""

SUMMARY = "[Earlier messages were replaced by your summary of them:]\n\n"


@record
class Context:
    """What was taken out so far, and how large the conversation is."""

    references: Mapping[tuple[int, int], Reference] = field(
        default_factory=dict[tuple[int, int], Reference]
    )
    """By message and block."""
    kept_from: int = 0
    """The first message that the summary does not stand for; 0 without one."""
    summary: str = ""
    tokens: int = 0
    """Of the first `counted` messages, as they are sent; with system prompt and tools."""
    counted: int = 0
    before: int = 0
    """Tokens before results were taken out, if nothing was said since: a summary may still be due."""

    def replied(self, usage: Usage, messages: int) -> "Context":
        """After a reply: the server counted. `messages`: how many there are, the reply included."""
        known = usage.prompt_tokens > 0
        counted = replace(self, tokens=usage.total_tokens, counted=messages) if known else self
        return replace(counted, before=0)

    def shortened(self, event: ContextReduced | ContextSummarized, messages: int) -> "Context":
        """After something was taken out."""
        counted = replace(self, tokens=event.after, counted=messages)
        if isinstance(event, ContextSummarized):
            return replace(counted, kept_from=event.kept_from, summary=event.summary, before=0)
        moved = {(each.message, each.block): each for each in event.references}
        before = max(event.before, self.before)
        return replace(counted, references={**self.references, **moved}, before=before)


def sent(messages: Sequence[Json], context: Context) -> list[Json]:
    """The messages as they are sent."""
    shown = [*messages]
    for (place, number), reference in context.references.items():
        blocks = [*shown[place]["content"]]
        blocks[number] = {**blocks[number], "content": reference.text}
        shown[place] = {**shown[place], "content": blocks}
    if not context.kept_from:
        return shown
    first = with_text(messages[0], SUMMARY + context.summary)
    return [first, *shown[context.kept_from :]]


def with_text(message: Json, text: str) -> Json:
    """A message of the user with one more text."""
    content = message["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return {**message, "content": [*blocks, {"type": "text", "text": text}]}


def size(messages: Sequence[Json], context: Context) -> int:
    """Tokens of the next request: as the server counted, and what came since, rather too much."""
    since = messages[context.counted :]
    return context.tokens + sum(tokens(each["content"], characters=3) for each in since)


def tokens(content: str | Sequence[Json], characters: int = 4) -> int:
    """About how many tokens a content has, at so many characters each."""
    if isinstance(content, str):
        return len(content) // characters
    return sum(_tokens(block, characters) for block in content)


def _tokens(block: Json, characters: int) -> int:
    match block["type"]:
        case "image":
            return IMAGE_TOKENS
        case "document":
            return len(block["source"].get("data", "")) // 40  # pages of scans and of text differ
        case "tool_result":
            return tokens(block["content"], characters)
        case "text":
            return len(block["text"]) // characters
        case _:
            return len(str(block)) // characters


def reply_tokens(window: int | None) -> int:
    """How long a reply may be."""
    return REPLY_TOKENS if window is None else min(REPLY_TOKENS, window // 4)


def room(window: int | None) -> int | None:
    """Tokens that a request may have; None if the window is not known."""
    return None if window is None else window - reply_tokens(window)


def media(content: str | Sequence[Json]) -> int:
    """Characters of images and documents in a content, in Base64."""
    if isinstance(content, str):
        return 0
    total = 0
    for block in content:
        total += len(block.get("source", {}).get("data", ""))
        if block["type"] == "tool_result":
            total += media(block["content"])
    return total
