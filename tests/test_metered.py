"""Every call is allowed and charged; another model goes on; prompts are never underestimated."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from agentflow.budget import Budget
from agentflow.errors import BudgetExceeded, ProviderFailure
from agentflow.events import Event, FallbackStarted, LimitNear, ReplyFailed
from agentflow.interfaces import Emit
from agentflow.messages import CallFailed, Reply, Request, Usage
from agentflow.metered import IMAGE_TOKENS, Fallback, MeteredModel, PromptMeter
from agentflow.models.catalog import cost
from agentflow.records import Json, Limits

FIRST, OTHER = "claude-sonnet-5-5", "claude-haiku-5-5"
NOTHING, PAID = Usage(), Usage(1_000, 100)
TASK: Json = {"role": "user", "content": "x" * 2_000}


class Answers:
    """A model with given answers; what a reply used that is cut short stands for one."""

    def __init__(self, *answers: Reply | CallFailed | Usage) -> None:
        self.answers = list(answers)
        self.requests: list[Request] = []

    async def reply(self, request: Request, emit: Emit) -> Reply:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, CallFailed):
            raise answer
        if isinstance(answer, Usage):
            emit(ReplyFailed(request.model, "cut short", answer, None))
            raise asyncio.CancelledError
        return answer

    async def close(self) -> None:
        self.requests.clear()


def reply(usage: Usage = PAID, discarded: Usage = NOTHING) -> Reply:
    return Reply(({"type": "text", "text": "ok"},), "end_turn", usage, (), discarded)


def failed(used: Usage = NOTHING, *, temporary: bool = True) -> CallFailed:
    return CallFailed("the model API answered 529", "Try again later.", used, temporary=temporary)


def request(*messages: Json, model: str = FIRST, output: int = 32_000) -> Request:
    return Request(model, "be brief", list(messages or (TASK,)), [], output, "max")


def metered(
    answers: Answers,
    *,
    fallback: bool = False,
    foreign: frozenset[str] | None = None,
    **limits: Any,
) -> tuple[MeteredModel, Budget]:
    budget = Budget(Limits(**limits), cost, lambda: 0.0)
    other = Fallback(OTHER, "low") if fallback else None
    return MeteredModel(answers, budget, other, foreign=foreign), budget


def kinds(events: Sequence[Event]) -> list[type[Event]]:
    return [type(event) for event in events]


async def test_a_reply_says_who_gave_it_and_what_it_cost_with_failed_attempts() -> None:
    model, budget = metered(Answers(reply(discarded=Usage(0, 50))))
    answered = await model.reply(request(), list[Event]().append)
    assert (answered.model, answered.cost) == (FIRST, pytest.approx(0.0035))
    assert (budget.spent.turns, budget.spent.usage) == (1, Usage(1_000, 150))


async def test_a_call_that_does_not_fit_is_not_made() -> None:
    answers = Answers(reply(Usage(10_000, 20_000)), reply())
    model, _ = metered(answers, max_tokens=38_000)
    events: list[Event] = []
    await model.reply(request(), events.append)
    assert answers.requests[0].max_tokens == 32_000
    with pytest.raises(BudgetExceeded, match="could exceed the limit of 38000 tokens"):
        await model.reply(request(TASK, {"role": "assistant", "content": "y"}, TASK), events.append)
    assert len(answers.requests) == 1


async def test_the_reply_is_shortened_and_the_user_is_warned() -> None:
    answers = Answers(reply(Usage(1_000, 31_000)), reply())
    model, _ = metered(answers, max_tokens=40_000)
    events: list[Event] = []
    await model.reply(request(), events.append)
    assert kinds(events) == [LimitNear]
    await model.reply(request(), events.append)
    assert 4_096 <= answers.requests[1].max_tokens < 8_000
    assert (answers.requests[1].affordable, kinds(events)) == (1, [LimitNear])


async def test_what_a_failed_call_used_is_charged() -> None:
    model, budget = metered(Answers(failed(Usage(1_000_000), temporary=False)))
    events: list[Event] = []
    with pytest.raises(ProviderFailure):
        await model.reply(request(), events.append)
    assert (budget.spent.turns, budget.spent.cost) == (0, pytest.approx(2.0))
    assert events == [ReplyFailed(FIRST, "the model API answered 529", Usage(1_000_000), 2.0)]


async def test_what_a_reply_used_that_was_cut_short_is_charged() -> None:
    model, budget = metered(Answers(PAID))
    events: list[Event] = []
    with pytest.raises(asyncio.CancelledError):
        await model.reply(request(), events.append)

    assert events == [ReplyFailed(FIRST, "cut short", PAID, cost(FIRST, PAID))]
    assert (budget.spent.turns, budget.spent.cost) == (0, cost(FIRST, PAID))


async def test_a_failed_call_that_used_up_the_budget_is_a_matter_of_the_budget() -> None:
    model, _ = metered(Answers(failed(Usage(1_000, 30_000))), fallback=True, max_tokens=35_000)
    with pytest.raises(BudgetExceeded):
        await model.reply(request(), list[Event]().append)


async def test_another_model_goes_on_for_good() -> None:
    thinking = {"type": "thinking", "thinking": "hm", "signature": "s"}
    text = {"type": "text", "text": "so"}
    old: Json = {"role": "assistant", "content": [thinking, text]}
    alone: Json = {"role": "assistant", "content": [thinking]}
    answers = Answers(failed(), reply(), reply(), reply())
    model, budget = metered(answers, fallback=True)
    events: list[Event] = []
    messages = [TASK, alone, TASK, old, TASK]
    answered = await model.reply(request(*messages), events.append)
    other = {"type": "thinking", "thinking": "hm", "signature": "t"}
    new: Json = {"role": "assistant", "content": [other, text]}
    await model.reply(request(*messages, new, TASK), events.append)
    # When a summary has taken the place of what was before, a reply stands elsewhere.
    await model.reply(request(TASK, new, TASK, old, TASK), events.append)
    assert kinds(events) == [ReplyFailed, FallbackStarted]
    assert events[1] == FallbackStarted(OTHER, FIRST, "the model API answered 529")
    stripped = [TASK, TASK, {"role": "assistant", "content": [text]}, TASK]
    asked = [(each.model, each.effort, each.messages) for each in answers.requests]
    assert asked == [
        (FIRST, "max", messages),
        (OTHER, "low", stripped),
        (OTHER, "low", [*stripped, new, TASK]),
        (OTHER, "low", [TASK, new, TASK, {"role": "assistant", "content": [text]}, TASK]),
    ]
    assert (answered.model, answered.cost) == (OTHER, pytest.approx(0.00015))
    assert budget.spent.turns == 3


async def test_a_refusal_is_no_reason_for_another_model() -> None:
    answers = Answers(failed(temporary=False))
    model, _ = metered(answers, fallback=True)
    with pytest.raises(CallFailed):
        await model.reply(request(), list[Event]().append)
    assert [each.model for each in answers.requests] == [FIRST]


async def test_a_resumed_run_stays_with_the_other_model() -> None:
    answers = Answers(reply())
    model, _ = metered(answers, fallback=True, foreign=frozenset())
    await model.reply(request(), list[Event]().append)
    assert [each.model for each in answers.requests] == [OTHER]
    await model.close()
    assert answers.requests == []


@pytest.mark.parametrize(
    ("messages", "prompt"),
    [
        pytest.param([TASK], 4 + 1_010, id="nothing is known yet"),
        pytest.param([TASK, {"role": "assistant", "content": "y" * 100}], 700 + 65, id="grown"),
        pytest.param([{"role": "user", "content": "z" * 4_000}], 4 + 2_010, id="rewritten"),
    ],
)
def test_a_prompt_is_the_last_usage_and_what_was_added(messages: list[Json], prompt: int) -> None:
    meter = PromptMeter()
    if len(messages) > 1 or messages[0] is not TASK:
        meter.count(request(), reply(Usage(200, 50, 500)))
    worst = meter.worst(request(*messages)).prompt
    assert prompt <= worst <= prompt + 25


def test_an_image_counts_as_an_image() -> None:
    image = {"type": "image", "source": {"type": "base64", "data": "A" * 1_000_000}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [image]}
    worst = PromptMeter().worst(request({"role": "user", "content": [result]}))
    assert IMAGE_TOKENS <= worst.prompt < IMAGE_TOKENS + 100
