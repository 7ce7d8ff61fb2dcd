"""When something is taken out of a conversation, what, and how the journal tells it again."""

import dataclasses
import json

import pytest

from agentflow.context import Context, reply_tokens, sent, size
from agentflow.errors import ContextExceeded
from agentflow.events import AssistantMessage, ContextReduced, ContextSummarized, Event, UserMessage
from agentflow.history import decode, messages_to_send
from agentflow.messages import Reply, ToolCall, ToolResult, Usage
from agentflow.records import Json
from agentflow.reduction import MEDIA, Reducer
from agentflow.turn_results import TURN_MEDIA, TURN_TEXT, within_turn

WINDOW = 12_000
"""A reply may have 3,000, so 9,000 are left: 7,650 fill it, 4,500 are the goal, 5,850 enough."""
FULL = 7_650


class Kit:
    """A `Toolkit` that keeps texts."""

    def __init__(self, folder: str = "/tmp/results") -> None:
        self.schemas: list[Json] = []
        self.kept: dict[str, str] = {}
        self.folder = folder

    async def keep(self, name: str, text: str) -> str:
        self.kept[name] = text
        return f"{self.folder}/{name}" if self.folder else ""

    def is_read_only(self, call: ToolCall) -> bool:
        raise NotImplementedError

    def target(self, call: ToolCall) -> str:
        raise NotImplementedError

    async def run(self, call: ToolCall) -> ToolResult:
        raise NotImplementedError


class Work:
    """A conversation, a reducer and all that it says."""

    def __init__(self, *contents: str | list[Json], window: int | None = WINDOW) -> None:
        self.messages: list[Json] = [{"role": "user", "content": "Do it."}]
        for number, content in enumerate(contents):
            call: Json = {"type": "tool_use", "id": f"c{number}", "name": "Read", "input": {}}
            result: Json = {"type": "tool_result", "tool_use_id": f"c{number}", "content": content}
            self.messages.append({"role": "assistant", "content": [call]})
            self.messages.append({"role": "user", "content": [result]})
        self.events: list[Event] = []
        self.kit = Kit()
        self.asked: list[list[Json]] = []
        self.summary = "All is well."
        self.window = window

    def context(self, tokens: int) -> Context:
        return Context(tokens=tokens, counted=len(self.messages))

    async def make_room(self, context: Context, *, refused: bool = False) -> Context:
        reducer = Reducer(self.window, self.kit, self.summarize, self.events.append, self.settled)
        return await reducer.make_room(self.messages, context, refused=refused)

    async def summarize(self, messages: list[Json]) -> Reply:
        self.asked.append(messages)
        return Reply(({"type": "text", "text": self.summary},), "end_turn", Usage(7), cost=0.5)

    async def settled(self) -> None:
        """Nothing is kept."""

    def journal(self) -> list[Json]:
        """The messages and then what was decided, as a journal has them."""
        told: list[Event] = [
            AssistantMessage(each, "tool_use", Usage(3), Usage(), None)
            if each["role"] == "assistant"
            else UserMessage(each)
            for each in self.messages
        ]
        lines = ({"type": each.type, **dataclasses.asdict(each)} for each in told + self.events)
        at = "2026-11-28T00:00:00+00:00"
        return [{**json.loads(json.dumps(line)), "at": at} for line in lines]

    def told(self) -> list[Json]:
        """What a run that goes on would send next."""
        return messages_to_send(decode(self.journal()))

    def moved(self) -> list[int]:
        reduced = [each for each in self.events if isinstance(each, ContextReduced)]
        return [reference.message for each in reduced for reference in each.references]


LONG = "x" * 8_000
"""2,000 tokens, of which a line in its place saves 1,960."""


@pytest.mark.parametrize(
    ("tokens", "moved"), [(FULL - 1, []), (FULL, [2, 4]), (4_500 + 2 * 1_960, [2, 4])]
)
async def test_nothing_happens_until_the_room_is_full(tokens: int, moved: list[int]) -> None:
    work = Work(*[LONG] * 5)
    context = work.context(tokens)
    after = await work.make_room(context)
    assert work.moved() == moved
    assert (after is context) == (not moved)
    assert work.asked == []


async def test_the_oldest_results_go_until_the_goal_is_reached_and_the_newest_stay() -> None:
    work = Work(LONG, "short", LONG, *[LONG] * 4)
    after = await work.make_room(work.context(FULL))
    assert work.moved() == [2, 6]
    assert after.tokens == FULL - 2 * 1_960
    assert work.kit.kept == {"2-0.txt": LONG, "6-0.txt": LONG}
    shown = sent(work.messages, after)
    assert shown[2]["content"][0] == {
        "type": "tool_result",
        "tool_use_id": "c0",
        "content": "[Taken out of the conversation: 1 lines, 8,000 characters. "
        "Read /tmp/results/2-0.txt]",
    }
    assert [shown[place] == work.messages[place] for place in (4, 6, 8)] == [True, False, True]
    assert work.messages[2]["content"][0]["content"] == LONG
    assert work.told() == shown


async def test_what_was_taken_out_is_not_taken_out_again() -> None:
    work = Work(*[LONG] * 8)
    after = await work.make_room(work.context(FULL))
    again = await work.make_room(dataclasses.replace(after, tokens=FULL))
    assert work.moved() == [2, 4, 6, 8]
    assert len(again.references) == 4


@pytest.mark.parametrize(("before", "asked"), [(7_810, 0), (7_811, 1)])
async def test_a_summary_is_asked_for_if_results_do_not_suffice(before: int, asked: int) -> None:
    work = Work(LONG, LONG, LONG)  # one can be moved: 1,960
    after = await work.make_room(work.context(before))
    assert len(work.asked) == asked
    assert bool(after.kept_from) == bool(asked)


async def test_a_summary_stands_for_all_but_the_newest_messages() -> None:
    work = Work(*["x" * 400] * 6)
    for message in work.messages[1::2]:
        message["content"][0]["input"] = {"content": "x" * 4_000}
    after = await work.make_room(work.context(8_000))
    assert work.moved() == []
    (event,) = work.events
    assert isinstance(event, ContextSummarized)
    assert (event.summary, event.usage, event.cost) == ("All is well.", Usage(7), 0.5)
    assert work.messages[event.kept_from]["role"] == "assistant"
    first, *tail = sent(work.messages, after)
    assert tail == work.messages[event.kept_from :]
    assert [block["text"] for block in first["content"]] == [
        "Do it.",
        "[Earlier messages were replaced by your summary of them:]\n\nAll is well.",
    ]
    assert work.told() == [first, *tail]


@pytest.mark.parametrize("summary", [" ", "x" * 40_000])
async def test_a_summary_that_does_not_help_ends_the_run(summary: str) -> None:
    work = Work(*["x" * 400] * 6)
    work.summary = summary
    with pytest.raises(ContextExceeded):
        await work.make_room(work.context(8_000))


async def test_a_refused_request_is_halved_whatever_was_counted() -> None:
    work = Work(LONG, LONG, window=None)
    after = await work.make_room(work.context(4_000), refused=True)
    assert work.moved() == [2, 4]  # the newest ones, too
    assert (after.tokens, work.asked) == (4_000 - 2 * 1_960, [])
    assert await work.make_room(after) is after


async def test_nothing_can_be_taken_out_of_the_task_alone() -> None:
    work = Work(window=None)
    context = work.context(4_000)
    assert await work.make_room(context, refused=True) is context


async def test_images_and_documents_are_bounded_in_bytes() -> None:
    def document(characters: int) -> list[Json]:
        return [{"type": "document", "source": {"type": "base64", "data": "x" * characters}}]

    work = Work(*(document(MEDIA // 4) for _ in range(4)), LONG, document(1), window=None)
    context = await work.make_room(work.context(1))
    assert work.moved() == [2, 4, 6]
    shown = sent(work.messages, context)[2]["content"][0]["content"]
    assert shown == "[Taken out of the conversation: read the file again to see it.]"
    assert await work.make_room(context) is context


async def test_files_are_written_again_and_named_anew_where_they_lie_elsewhere() -> None:
    work = Work(*[LONG] * 5)
    context = await work.make_room(work.context(FULL))
    work.kit = Kit()
    reducer = Reducer(WINDOW, work.kit, work.summarize, work.events.append, work.settled)
    assert await reducer.restore(work.messages, context) is context
    assert work.kit.kept == {"2-0.txt": LONG, "4-0.txt": LONG}

    elsewhere = Reducer(WINDOW, Kit("/other"), work.summarize, work.events.append, work.settled)
    context = await elsewhere.restore(work.messages, context)
    shown = sent(work.messages, context)
    assert "Read /other/2-0.txt]" in shown[2]["content"][0]["content"]
    assert work.told() == shown

    nowhere = Reducer(WINDOW, Kit(""), work.summarize, work.events.append, work.settled)
    context = await nowhere.restore(work.messages, context)
    assert "Make the call again" in sent(work.messages, context)[2]["content"][0]["content"]


def test_the_size_is_what_was_counted_and_what_came_since() -> None:
    work = Work("x" * 300, "y" * 300)
    context = Context().replied(Usage(100, 20, 30, 40, 50), 2)
    assert size(work.messages[:2], context) == 240
    assert size(work.messages[:3], context) == 340
    assert Context(tokens=5).replied(Usage(0, 20), 9) == Context(tokens=5)


@pytest.mark.parametrize(("window", "tokens"), [(None, 32_000), (200_000, 32_000), (12_000, 3_000)])
def test_a_reply_has_a_quarter_of_a_small_window(window: int | None, tokens: int) -> None:
    assert reply_tokens(window) == tokens


@pytest.mark.parametrize(
    ("contents", "window", "shown"),
    [
        (["x" * TURN_TEXT, "x"], None, [True, False]),
        (["x" * (TURN_TEXT - 1), "x", "x"], 1_000_000, [True, True, False]),
        (["x" * 12_001, "x" * 12_000], WINDOW, [False, True]),
        ([TURN_MEDIA // 2, TURN_MEDIA // 2, 1], None, [True, True, False]),
    ],
)
def test_results_of_a_turn_are_bounded(
    contents: list[str | int], window: int | None, shown: list[bool]
) -> None:
    results = [
        ToolResult(
            str(number),
            each
            if isinstance(each, str)
            else [{"type": "image", "source": {"type": "base64", "data": "x" * each}}],
        )
        for number, each in enumerate(contents)
    ]
    bounded = within_turn([(result, True) for result in results], window)
    assert [each is result for each, result in zip(bounded, results, strict=True)] == shown
    assert [not each.is_error for each in bounded] == shown
    bash = within_turn([(result, isinstance(result.content, list)) for result in results], window)
    assert [each is r for each, r in zip(bash, results, strict=True)] == [
        True if isinstance(c, str) else ok for c, ok in zip(contents, shown, strict=True)
    ]
