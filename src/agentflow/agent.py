"""The loop: reply, tools, reply, until the agent is finished or is stopped."""

import asyncio
import time
from collections.abc import Coroutine, Iterable, Iterator
from typing import Any

from agentflow.asking import Asking
from agentflow.budget import Budget
from agentflow.context import REPLY_TOKENS
from agentflow.conversation import FULL, HINT_AFTER, RUNNABLE, Conversation, Kind, Word
from agentflow.errors import (
    AgentFailed,
    Blocked,
    BudgetExceeded,
    ContextExceeded,
    ProviderFailure,
)
from agentflow.events import (
    AgentEnded,
    AssistantMessage,
    ToolFinished,
    ToolStarted,
    UserMessage,
)
from agentflow.interfaces import Emit, Keeper, Model, Toolkit
from agentflow.messages import (
    Ending,
    EndReason,
    Reply,
    Signal,
    ToolCall,
    ToolResult,
)
from agentflow.records import Completion, Effort, Json
from agentflow.turn_results import within_turn

MAX_CUT_REPLIES = 3
"""Replies in a row that may hit that limit before the run is stopped."""

CUT = (
    "Your last reply hit its length limit and was cut; a tool call in it was not run. "
    "Go on in smaller steps: write large files in several edits."
)
NO_ROOM = (
    "Your last reply was cut because the context window was full; a tool call in it was not run. "
    "There is room again: go on."
)
NUDGES: dict[Completion, str] = {
    "marker": "You ended your turn without the completion marker. If you are finished, write it "
    "now, as the task message says; otherwise go on.",
    "json": "You ended your turn without a JSON object. If you are finished, answer with exactly "
    "one JSON object; otherwise go on.",
    "report": "You ended your turn without a report. If you are finished, give it; otherwise go "
    "on.",
    "message": "You ended your turn without a word. If you are finished, say what you did; "
    "otherwise go on.",
    "commit": "You ended your turn without a word. If you are finished, say what you did; "
    "otherwise go on.",
}


class Agent:
    """One conversation with a model that has tools. Repairs continue it."""

    def __init__(
        self,
        model: Model,
        model_id: str,
        system: str,
        completion: Completion,
        budget: Budget,
        emit: Emit,
        effort: Effort | None = None,
        conversation: Conversation | None = None,
        window: int | None = None,
    ) -> None:
        """`conversation` is what was said before, by an agent whose process died; `window` the
        model's context window in tokens, None if it is not known."""
        self.window = window
        self.asking = Asking(model, model_id, system, effort, window, emit)
        self.completion: Completion = completion
        self.budget = budget
        self.emit = emit
        self.conversation = conversation or Conversation()

    async def work(self, word: Word | None, toolkit: Toolkit, keeper: Keeper) -> Ending:
        """Tell the agent something and let it work until it is finished; without a word it goes on
        where its conversation stands.

        Raises `BudgetExceeded`, `ProviderFailure`, `AgentFailed` (gave up, or looping), `Blocked`
        (needs an answer). However it ends, every tool call in the conversation is answered.
        """
        time_left = asyncio.timeout(max(0.0, self.budget.seconds_left))
        try:
            async with time_left:
                await self.asking.restore(self.conversation, toolkit, keeper)
                if word is not None:
                    self._tell(word.text, word.kind)
                    keeper.begin(changed=False)
                ending = await self._turns(toolkit, keeper)
        except TimeoutError as error:
            if not time_left.expired():  # a network disk's ETIMEDOUT, for one
                raise
            raise self.budget.out_of_time() from error
        self.emit(AgentEnded(ending.reason, ending.text))
        return ending

    async def _turns(self, toolkit: Toolkit, keeper: Keeper) -> Ending:
        while True:
            if self.conversation.signals:
                return self._signalled(self.conversation.signals[0])
            reply = self.conversation.pending or await self._ask(toolkit, keeper)
            if reply.calls and reply.stop_reason in RUNNABLE:
                await self._execute(reply.calls, toolkit, keeper)
            elif ending := self._without_calls(reply):
                return ending

    def _without_calls(self, reply: Reply) -> Ending | None:
        """Go on after a reply of which nothing may be run, or end."""
        reason = self._why_cut(reply)
        if reply.calls:
            answers = [_answer(_not_run(call, reason or CUT)) for call in reply.calls]
            self._tell(answers, "cut")
        match reply.stop_reason:
            case "end_turn" | "stop_sequence" | "tool_use":
                if self.conversation.nudged or self._is_finished(reply):
                    return self._ending("finished" if self._is_finished(reply) else "silent")
                self._tell(NUDGES[self.completion], "nudge")
            case "pause_turn":
                self.conversation.pending = None
            case other if not reason:
                raise _stopped(other)
            case _:
                if not reply.calls:
                    self._tell(reason, "cut")
        return None

    def _why_cut(self, reply: Reply) -> str:
        """What a reply that was cut is answered; empty if it was not, or too often."""
        if reply.stop_reason == FULL:
            return NO_ROOM if self.conversation.full == 1 else ""
        return CUT if 0 < self.conversation.cut < MAX_CUT_REPLIES else ""

    async def _ask(self, toolkit: Toolkit, keeper: Keeper) -> Reply:
        reply = await self.asking.reply(self.conversation, toolkit, keeper)
        try:
            # What is written down of a reply can be gone on from, and nothing of it writes earlier:
            # all before it is in a checkpoint.
            await keeper.settled()
        finally:
            self._hear(reply)  # it is paid, whatever happened
        return reply

    def _hear(self, reply: Reply) -> None:
        message = self.conversation.hear(reply)
        problems = {call.id: call.problem for call in reply.calls if call.arguments is None}
        self.emit(
            AssistantMessage(
                message,
                reply.stop_reason,
                reply.usage,
                reply.discarded,
                reply.cost,
                problems,
                reply.model,
            )
        )

    def _tell(self, content: str | list[Json], kind: Kind) -> None:
        message: Json = {"role": "user", "content": content}
        self.conversation.tell(message, kind)
        self.emit(UserMessage(message, kind))

    async def _execute(self, calls: tuple[ToolCall, ...], toolkit: Toolkit, keeper: Keeper) -> None:
        """Run a reply's calls and answer every one, even when interrupted.

        After a completion signal no further call is run.
        """
        results: dict[str, ToolResult] = {}
        missing = "Interrupted: this call was not run to its end; its outcome is unknown."
        signals: list[Signal] = []
        try:
            for group in _groups(calls, toolkit):
                await _together(self._run(call, toolkit, results) for call in group)
                signals = [s for call in group for s in results[call.id].signals]
                if signals:
                    missing = "Not run: you signalled completion before this call."
                    break
        finally:
            told = [
                (results.get(call.id) or _not_run(call, missing), toolkit.is_read_only(call))
                for call in calls
            ]
            answers = [_answer(result) for result in within_turn(told, self.window)]
            self._tell(answers, "results")
        self.conversation.signals = tuple(signals)
        keeper.begin(changed=not all(toolkit.is_read_only(call) for call in calls))
        if looping := self.conversation.looping:
            name, count = looping
            raise AgentFailed(f"looping: the same {name} call failed {count} times")

    async def _run(self, call: ToolCall, toolkit: Toolkit, results: dict[str, ToolResult]) -> None:
        self.emit(ToolStarted(call.id, call.name, toolkit.target(call)))
        started = time.monotonic()
        result = await toolkit.run(call)
        seconds = round(time.monotonic() - started, 4)
        read_only = toolkit.is_read_only(call)
        failed = self.conversation.count(call, is_error=result.is_error, read_only=read_only)
        results[call.id] = _hinted(result, failed)
        self.emit(
            ToolFinished(
                call.id,
                call.name,
                result.is_error,
                seconds,
                _first_line(result.content),
                read_only,
                tuple((signal.name, signal.text) for signal in result.signals),
            )
        )

    def _is_finished(self, reply: Reply) -> bool:
        """Whether a reply without calls is the end that the prompt's profile expects."""
        if self.completion == "marker":
            return False
        if self.completion == "json":
            return "{" in reply.text and "}" in reply.text
        return bool(reply.text.strip())

    def _signalled(self, signal: Signal) -> Ending:
        if signal.name.endswith(".failed"):
            raise AgentFailed(f"the agent gave up: {signal.text.strip() or 'no reason given'}")
        if signal.name.endswith(".blocked"):
            raise Blocked(signal.text.strip() or "the agent needs an answer, but asked nothing")
        return self._ending("signalled")

    def _ending(self, reason: EndReason) -> Ending:
        return Ending(reason, self.conversation.last_words)


def _hinted(result: ToolResult, failed: int) -> ToolResult:
    """The result, with advice where the same call has `failed` that often."""
    if failed < HINT_AFTER or not isinstance(result.content, str):
        return result
    hint = (
        f"\n\nThis same call has failed {failed} times. Do something different: "
        f"read what the error says, look at the current state, or choose another way."
    )
    return ToolResult(result.call_id, result.content + hint, is_error=True)


def _groups(calls: Iterable[ToolCall], toolkit: Toolkit) -> Iterator[list[ToolCall]]:
    """Read-only calls in a row together, writing calls alone, in the model's order."""
    together: list[ToolCall] = []
    for call in calls:
        if toolkit.is_read_only(call):
            together.append(call)
            continue
        if together:
            yield together
            together = []
        yield [call]
    if together:
        yield together


async def _together(calls: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run them side by side. What one raises ends the others, and is raised as it is."""
    running = [asyncio.ensure_future(call) for call in calls]
    try:
        await asyncio.wait(running, return_when=asyncio.FIRST_EXCEPTION)
    finally:  # also if we are told to stop: then that is why we end, whatever they say
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    for each in running:
        if not each.cancelled():
            each.result()


def _not_run(call: ToolCall, reason: str) -> ToolResult:
    return ToolResult(call.id, reason, is_error=True)


def _answer(result: ToolResult) -> Json:
    answer: Json = {
        "type": "tool_result",
        "tool_use_id": result.call_id,
        "content": result.content,
    }
    return {**answer, "is_error": True} if result.is_error else answer


def _first_line(content: str | list[Json]) -> str:
    if isinstance(content, str):
        return next(iter(content.strip().splitlines()), "")[:200]
    return ", ".join(str(block["type"]) for block in content)


def _stopped(stop_reason: str) -> Exception:
    """What a stop reason that ends the run is called."""
    match stop_reason:
        case "max_tokens":
            return BudgetExceeded(
                f"{MAX_CUT_REPLIES} replies in a row hit the limit of {REPLY_TOKENS} tokens"
            )
        case other if other == FULL:
            return ContextExceeded("the conversation no longer fits the model's context window")
        case "refusal":
            return ProviderFailure("the model refused to go on with this task")
        case other:
            return ProviderFailure(f"the model stopped for an unknown reason: {other[:60]!r}")
