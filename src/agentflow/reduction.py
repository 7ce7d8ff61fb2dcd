"""When a conversation fills its window: what is taken out of what is sent, and the doing of it.

Nothing happens until `FULL` of the room is used. Then old results are replaced by lines that name
files, oldest first, until `GOAL` is reached: in a conversation that grows for ever the cached
prefix breaks once in every third of a window, and not with each turn. If old results alone do not
bring it down to `ENOUGH`, a summary takes the place of all but the task and the newest messages; it
is asked for with the prefix in place. A request that the API refuses as too long is treated as one
that fills the window, whatever we counted.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from typing import cast

from agentflow.context import (
    SUMMARY,
    Context,
    media,
    room,
    sent,
    size,
    tokens,
    with_text,
)
from agentflow.errors import ContextExceeded
from agentflow.events import ContextReduced, ContextSummarized, Reference
from agentflow.frozen import record
from agentflow.interfaces import Emit, Toolkit
from agentflow.messages import Reply
from agentflow.records import Json

FULL = 0.85
"""The share of the room, which is the window without a reply, from which something is taken out."""
GOAL = 0.5
"""The share to which it is brought down."""
ENOUGH = 0.65
"""The share that old results alone must reach; otherwise there is a summary."""
TAIL = 0.2
"""The share that the newest messages have beside a summary."""
RECENT = 2
"""Messages with results that keep them, the newest ones."""
SMALLEST = 500
"""Characters of a result that is worth a line in its place."""
MEDIA = 24_000_000
"""Characters of images and documents in one request; the API takes requests of 32 MB."""

SUMMARIZE = (
    "The conversation is about to exceed your context window. Everything but the task and your "
    "newest steps will be replaced by what you answer now. Call no tool. Write down all that you "
    "need to go on: what is done and how it was checked, what is left, decisions and their reasons, "
    "paths and names that matter, and what did not work."
)


@record
class Candidate:
    """A result that can be moved out."""

    message: int
    block: int
    content: str | list[Json]

    @property
    def tokens(self) -> int:
        """About how many its absence saves."""
        return max(0, tokens(self.content) - 40)

    @property
    def media(self) -> int:
        """Characters of images and documents."""
        return media(self.content)

    @property
    def text(self) -> str | None:
        """What a file can hold; None for an image or a document."""
        return self.content if isinstance(self.content, str) else None


def to_move(
    messages: Sequence[Json], context: Context, excess: int, *, spared: int = RECENT
) -> list[Candidate]:
    """The oldest results that together have `excess` tokens, or all there are.

    `spared`: how many of the newest messages with results keep them. If images and documents make
    the request too large, half of what it may have of them stays.
    """
    carried = sum(media(each["content"]) for each in sent(messages, context))
    heavy = carried - MEDIA // 2 if carried > MEDIA else 0
    moved = list[Candidate]()
    for each in _candidates(messages, context, spared):
        if excess > 0 or (heavy > 0 and each.media):
            moved.append(each)
            excess -= each.tokens
            heavy -= each.media
    return moved


def is_too_heavy(messages: Sequence[Json], context: Context) -> bool:
    """Whether images and documents alone make a request too large."""
    return sum(media(each["content"]) for each in sent(messages, context)) > MEDIA


def _candidates(messages: Sequence[Json], context: Context, spared: int) -> Iterator[Candidate]:
    places = [place for place, message in enumerate(messages) if _results(message)]
    for place in places[: len(places) - spared]:
        if place < context.kept_from:
            continue
        for number, block in _results(messages[place]):
            content = cast("str | list[Json]", block["content"])
            small = isinstance(content, str) and len(content) < SMALLEST
            if not small and (place, number) not in context.references:
                yield Candidate(place, number, content)


def _results(message: Json) -> list[tuple[int, Json]]:
    content = message["content"]
    if isinstance(content, str) or message["role"] != "user":
        return []
    blocks = cast("list[Json]", content)
    return [(n, block) for n, block in enumerate(blocks) if block["type"] == "tool_result"]


def line_for(candidate: Candidate, path: str) -> str:
    """What stands in the place of a result; `path` is empty if no file has it."""
    if candidate.text is None:
        return "[Taken out of the conversation: read the file again to see it.]"
    lines = candidate.text.count("\n") + 1
    told = f"[Taken out of the conversation: {lines} lines, {len(candidate.text):,} characters."
    return f"{told} Read {path}]" if path else f"{told} Make the call again to see them.]"


def tail(messages: Sequence[Json], context: Context, most: int) -> int | None:
    """The reply from which messages stay beside a summary, of at most so many tokens; at least the
    newest one. None if nothing stands before it that a summary could stand for."""
    shown, chosen, used = [*sent(messages, replace(context, kept_from=0))], None, 0
    for place in range(len(messages) - 1, max(context.kept_from, 1), -1):
        used += tokens(shown[place]["content"])
        if chosen is not None and used > most:
            break
        if messages[place]["role"] == "assistant":
            chosen = place
    return chosen


Summarize = Callable[[list[Json]], Awaitable[Reply]]
"""Asks the model with these messages. Counts as a turn."""


@record
class Reducer:
    """Takes out what does not fit."""

    window: int | None
    """Tokens; None if the model's window is not known: then only a refusal tells."""
    toolkit: Toolkit
    summarize: Summarize
    emit: Emit
    settled: Callable[[], Awaitable[None]]
    """See `interfaces.Keeper.settled`."""

    async def make_room(
        self, messages: Sequence[Json], context: Context, *, refused: bool = False
    ) -> Context:
        """Take out what must be taken out before the next request; the context after it.

        `refused`: the API has found this request too long. Raises `ContextExceeded` if even with a
        summary it would not fit.
        """
        now, space = size(messages, context), room(self.window)
        if refused:
            space = now if space is None else min(space, now)
        # A run that died between the two steps takes the second one.
        full = space is not None and max(now, context.before) >= FULL * space
        if not full and not is_too_heavy(messages, context):
            return context
        goal = now if space is None else int(GOAL * space)
        moved = to_move(messages, context, now - goal, spared=0 if refused else RECENT)
        if moved:
            context = await self._moved(messages, context, moved, now)
            now = context.tokens
        if space is None or not full or now <= ENOUGH * space:
            return context
        return await self._summed_up(messages, context, now, space)

    async def restore(self, messages: Sequence[Json], context: Context) -> Context:
        """Write the files of all references again, in a new sandbox. Where they lie elsewhere now,
        what is sent names the new place."""
        elsewhere = list[Reference]()
        for reference in context.references.values():
            block = messages[reference.message]["content"][reference.block]
            candidate = Candidate(reference.message, reference.block, block["content"])
            if reference.path:
                path = await self._keep(candidate)
                elsewhere += [] if path == reference.path else [_reference(candidate, path)]
        if not elsewhere:
            return context
        now = size(messages, context)
        return self._emitted(ContextReduced(now, now, tuple(elsewhere)), messages, context)

    async def _moved(
        self, messages: Sequence[Json], context: Context, moved: Sequence[Candidate], now: int
    ) -> Context:
        references = tuple([_reference(each, await self._keep(each)) for each in moved])
        after = max(0, now - sum(each.tokens for each in moved))
        return self._emitted(ContextReduced(now, after, references), messages, context)

    def _emitted(
        self, event: ContextReduced, messages: Sequence[Json], context: Context
    ) -> Context:
        self.emit(event)
        return context.shortened(event, len(messages))

    async def _keep(self, candidate: Candidate) -> str:
        if candidate.text is None:
            return ""
        name = f"{candidate.message}-{candidate.block}.txt"
        return await self.toolkit.keep(name, candidate.text)

    async def _summed_up(
        self, messages: Sequence[Json], context: Context, now: int, space: int
    ) -> Context:
        kept_from = tail(messages, context, int(TAIL * space))
        if kept_from is None:
            return context
        shown = sent(messages, context)
        reply = await self.summarize([*shown[:-1], with_text(shown[-1], SUMMARIZE)])
        if not reply.text.strip():
            raise ContextExceeded(
                "the conversation fills its window, and the model summed up nothing"
            )
        dropped = messages[max(1, context.kept_from) : kept_from]
        saved = sum(tokens(each["content"]) for each in dropped) + tokens(context.summary)
        after = max(0, now - saved) + tokens(SUMMARY + reply.text)
        event = ContextSummarized(
            now,
            after,
            kept_from,
            reply.text,
            reply.usage,
            reply.discarded,
            reply.cost,
            reply.model,
        )
        try:
            # What it stands for is in a checkpoint first, or a run that dies now pays for it twice.
            await self.settled()
        finally:
            self.emit(event)
        if after >= FULL * space:
            raise ContextExceeded("the task and the newest messages alone fill the model's window")
        return context.shortened(event, len(messages))


def _reference(candidate: Candidate, path: str) -> Reference:
    return Reference(candidate.message, candidate.block, path, line_for(candidate, path))
