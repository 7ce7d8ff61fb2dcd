"""A model whose every call is allowed by the budget and charged to it, and a model to fall back on.

It stands between whoever asks and the model itself, so nothing that is asked goes uncounted.
"""

import json
from dataclasses import replace
from typing import Any, cast

from agentflow.budget import Budget, Call
from agentflow.events import Event, FallbackStarted, ReplyFailed
from agentflow.frozen import record
from agentflow.interfaces import Emit, Model
from agentflow.messages import CallFailed, Reply, Request, thoughts
from agentflow.records import Effort, Json

BYTES_PER_TOKEN = 2
"""Of what no usage has counted yet: few enough that a prompt is not larger than thought. Text and
code have 3 to 4."""
IMAGE_TOKENS = 8_000
"""Of one image, at most, whatever its bytes."""


@record
class Fallback:
    """The model that goes on when the first one fails for good, on the same server."""

    model: str
    effort: Effort | None = None


class MeteredModel:
    """A `Model` that asks the budget before each call and charges what it used.

    Replies say their `model` and `cost`.
    """

    def __init__(
        self,
        model: Model,
        budget: Budget,
        fallback: Fallback | None = None,
        *,
        foreign: frozenset[str] | None = None,
    ) -> None:
        """`foreign`: if an earlier part of the run went over to the fallback, all `thoughts` of
        then; None if it did not."""
        self._model = model
        self._budget = budget
        self._fallback = fallback
        self._foreign = foreign
        self._meter = PromptMeter()

    async def reply(self, request: Request, emit: Emit) -> Reply:
        """Return one finished reply.

        Emits `LimitNear`, `ReplyFailed` and `FallbackStarted` besides the model's own events.
        Raises `BudgetExceeded` if the call, or the one that failed, leaves too little, and
        `CallFailed`.
        """
        if self._fallback is None:
            return await self._ask(request, emit)
        if self._foreign is None:
            try:
                return await self._ask(request, emit)
            except CallFailed as error:
                if not error.temporary:
                    raise
                self._foreign = thoughts(request.messages)
                self._meter.forget()
                emit(FallbackStarted(self._fallback.model, request.model, error.message))
        return await self._ask(_rewritten(request, self._fallback, self._foreign), emit)

    async def close(self) -> None:
        """Close the model."""
        await self._model.close()

    async def _ask(self, request: Request, emit: Emit) -> Reply:
        self._warn(emit)
        call = self._meter.worst(request)
        admission = self._budget.admit(call)
        allowed = replace(request, max_tokens=admission.output, affordable=admission.attempts)

        def hear(event: Event) -> None:
            emit(self._charged(event) if isinstance(event, ReplyFailed) else event)

        try:
            reply = await self._model.reply(allowed, hear)
        except CallFailed as error:
            emit(self._charged(ReplyFailed(request.model, error.message, error.used, None)))
            self._warn(emit)
            if error.temporary:
                self._budget.admit(call)  # what it used may be why it was not tried again
            raise
        finally:
            self._budget.release()
        self._meter.count(request, reply)
        costs = [
            self._budget.charge(request.model, reply.discarded, turns=0),
            self._budget.charge(request.model, reply.usage),
        ]
        self._warn(emit)
        cost = None if None in costs else sum(each for each in costs if each is not None)
        return replace(reply, model=request.model, cost=cost)

    def _charged(self, failed: ReplyFailed) -> ReplyFailed:
        """What a reply used that will never be there, with its cost."""
        return replace(failed, cost=self._budget.charge(failed.model, failed.usage, turns=0))

    def _warn(self, emit: Emit) -> None:
        for warning in self._budget.warnings():
            emit(warning)


class PromptMeter:
    """How many tokens a prompt has at most: what the last usage says, and what was added since."""

    def __init__(self) -> None:
        self._messages: list[Json] = []
        self._tokens = 0

    def worst(self, request: Request) -> Call:
        """The request as a call at its worst."""
        fixed = _tokens([request.system, request.tools])
        known = len(self._messages)
        grown = self._tokens and request.messages[:known] == self._messages
        if grown:
            prompt = self._tokens + _tokens(request.messages[known:])
        else:
            prompt = fixed + _tokens(request.messages)
        return Call(request.model, min(fixed, prompt), prompt, request.max_tokens)

    def count(self, request: Request, reply: Reply) -> None:
        """Remember what the server counted for a request."""
        self._messages = [*request.messages]
        self._tokens = reply.usage.prompt_tokens

    def forget(self) -> None:
        """Another model counts in another way."""
        self._tokens = 0


def _tokens(value: Any) -> int:
    """An upper bound for the tokens of a part of a request."""
    return _weight(value) // BYTES_PER_TOKEN


def _weight(value: Any) -> int:
    """Bytes, as far as a model reads them."""
    if isinstance(value, str):
        return len(value.encode("utf-8", "replace"))
    if isinstance(value, list):
        return sum(map(_weight, cast("list[Any]", value)))
    if not isinstance(value, dict):
        return len(str(value))
    fields = cast("Json", value)
    if fields.get("type") == "image":
        return IMAGE_TOKENS * BYTES_PER_TOKEN
    return sum(len(name) + 6 + _weight(each) for name, each in fields.items())


def _rewritten(request: Request, fallback: Fallback, foreign: frozenset[str]) -> Request:
    """The request for the other model, without what only the first one can read back."""
    found: list[Json] = []
    for message in request.messages:
        content = message["content"]
        if message["role"] == "assistant" and not isinstance(content, str):
            kept = [block for block in content if json.dumps(block) not in foreign]
            message = {**message, "content": kept}
        if message["content"]:
            found.append(message)
    return replace(request, model=fallback.model, effort=fallback.effort, messages=found)
