"""What a journal says has happened: where a run goes on, what it was told, what it has paid."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.conversation import Conversation
from agentflow.errors import EnvironmentFailure
from agentflow.events import (
    AgentEnded,
    AssistantMessage,
    Collected,
    ContextSummarized,
    Event,
    FallbackStarted,
    GateFinished,
    LandingDone,
    Notice,
    RepairStarted,
    ReplyFailed,
    RunFinished,
    RunResumed,
    RunStarted,
    ToolFinished,
    UserMessage,
    Verified,
)
from agentflow.history import History, Line, counting, decode, goes_on_at, read_history
from agentflow.journal import Journal, load
from agentflow.messages import Usage
from agentflow.records import Json
from agentflow.results import Evidence
from tests.growth import check_growth

BEGUN = RunStarted("r", "TASK-1", "h", "t", "p", "s", "m", "b", "none", "x", (), "", "1")
TASK = UserMessage({"role": "user", "content": "Do it."})
ENDED = AgentEnded("finished", "Done.")
COLLECTED = Collected("t" * 40, (), {}, 1, 1, 0)
FAILED = GateFinished(Evidence("build", "failed", "red"))
PASSED = GateFinished(Evidence("build", "passed", "green"))
VERIFIED = Verified("b" * 40, "t" * 40)
LANDED = LandingDone("refs/heads/x", "t" * 40, None)
EPOCH = datetime(2025, 1, 1, tzinfo=UTC)


def reply(
    *calls: str,
    stop: str = "",
    cost: float | None = 0.5,
    problems: Sequence[str] = (),
    words: str = "So.",
) -> AssistantMessage:
    """A reply with calls of these ids; it used one token."""
    blocks: list[Json] = [{"type": "text", "text": words}]
    blocks += [{"type": "tool_use", "id": each, "name": "Bash", "input": {}} for each in calls]
    reason = stop or ("tool_use" if calls else "end_turn")
    malformed = dict.fromkeys(problems, "no JSON")
    message = {"role": "assistant", "content": blocks}
    return AssistantMessage(message, reason, Usage(output_tokens=1), Usage(), cost, malformed)


def ran(call: str, **more: bool) -> ToolFinished:
    return ToolFinished(
        call, "Bash", more.get("is_error", False), 0.1, "", more.get("read_only", False)
    )


def answers(*calls: str, kind: str = "results") -> UserMessage:
    """The results of calls."""
    blocks = [{"type": "tool_result", "tool_use_id": each, "content": "ok"} for each in calls]
    return UserMessage({"role": "user", "content": blocks}, kind)


def told(kind: str) -> UserMessage:
    return UserMessage({"role": "user", "content": f"A {kind}."}, kind)


def finished(outcome: str) -> RunFinished:
    return RunFinished(outcome, 0, "", "")


def lines(*events: Event, seconds: Sequence[float] = ()) -> list[Line]:
    """A journal, a line each second, or `seconds` after the line before."""
    at, found = EPOCH, list[Line]()
    for number, event in enumerate(events):
        at += timedelta(seconds=seconds[number] if seconds else 1)
        found.append(Line(number, at, event))
    return found


@pytest.mark.parametrize(
    ("beyond", "kept"),
    [
        ([], 0),
        ([reply("1")], 1),
        ([reply("1"), ran("1"), answers("1")], 1),
        ([Notice("n"), reply("1"), ran("1")], 2),
        ([ran("0"), answers("0")], 0),
        ([reply(), told("nudge"), reply("1"), ran("1")], 3),
        ([reply(), told("nudge"), reply("1"), reply("2")], 3),
        ([reply("1", stop="max_tokens"), answers("1", kind="cut")], 2),
        ([reply(), ENDED], 2),
        ([reply(), ENDED, COLLECTED, FAILED], 2),
        ([reply(), ENDED, COLLECTED, FAILED, RepairStarted(1, 2)], 5),
        ([reply(), ENDED, COLLECTED, FAILED, RepairStarted(1, 2), told("repair"), reply("1")], 7),
        ([reply(), ENDED, COLLECTED, PASSED, VERIFIED], 5),
        ([reply(), ENDED, COLLECTED, PASSED, VERIFIED, LANDED, finished("done")], 7),
        ([reply(), ENDED, COLLECTED, PASSED, VERIFIED, finished("conflict")], 5),
        ([finished("interrupted")], 0),
        ([reply(), ENDED, COLLECTED, finished("failed")], 4),
        ([reply("1"), finished("budget")], 1),
    ],
)  # fmt: skip
def test_beyond_the_last_checkpoint_stays_what_touched_no_file(
    beyond: list[Event], kept: int
) -> None:
    before = [BEGUN, TASK]
    assert goes_on_at(lines(*before, *beyond), len(before)) == len(before) + kept


def test_what_a_checkpoint_holds_counts_whatever_it_is() -> None:
    held = lines(BEGUN, TASK, reply("1"), ran("1"), answers("1"), finished("interrupted"))
    assert goes_on_at(held, 6) == 6
    history = read_history(held, 6)
    assert (history.finished, history.conversation.pending) == (None, None)


def test_calls_at_the_end_of_a_checkpoint_are_run_again_whatever_became_of_them() -> None:
    story = lines(BEGUN, TASK, reply("a"), answers("a"), finished("interrupted"))
    assert goes_on_at(story, 3) == 3
    assert goes_on_at(story, 2) == 3
    assert goes_on_at(story, 4) == 4


def test_a_journal_of_many_beginnings_is_read_in_proportion() -> None:
    def made(size: int) -> list[Line]:
        return [Line(number, EPOCH, RunResumed(number, "r", 1, "m")) for number in range(size)]

    check_growth(counting, made, 8_000)


def test_lines_before_a_new_beginning_are_void() -> None:
    story = lines(
        BEGUN, TASK, reply("1"), Notice("lost"), RunResumed(3, "r", 1, "m"), ran("1"),
        RunResumed(2, "r", 0, "m"), reply("2"),
    )  # fmt: skip
    assert [line.number for line in counting(story)] == [0, 1, 6, 7]
    history = read_history(story, 2)
    assert [line.number for line in history.lines] == [0, 1, 6, 7]
    assert history.conversation.pending is not None
    assert [call.id for call in history.conversation.pending.calls] == ["2"]


def test_what_was_paid_counts_even_where_its_line_does_not() -> None:
    summary = ContextSummarized(9, 3, 2, "s", Usage(input_tokens=7), Usage(input_tokens=1), 0.25)
    broken = ReplyFailed("m", "overloaded", Usage(input_tokens=20), 0.125)
    voided = replace(reply("1"), discarded=Usage(input_tokens=100))
    story = lines(
        BEGUN, TASK, summary, broken, voided, RunResumed(2, "r", 0, "m"), reply("2"),
        seconds=[0, 1, 1, 1, 1, 3600, 1],
    )  # fmt: skip
    history = read_history(story, 2)
    assert [line.number for line in history.paid] == [0, 1, 2, 3, 4, 5, 6]
    assert [line.number for line in history.lines] == [0, 1, 5, 6]
    spent = history.spent
    assert spent.turns == 3
    assert spent.usage == Usage(input_tokens=128, output_tokens=2)
    assert spent.cost == 0.25 + 0.125 + 0.5 + 0.5
    assert spent.seconds == 5, "nobody was at work on it for an hour"


def test_a_clock_that_was_set_back_takes_no_time_away() -> None:
    story = lines(BEGUN, TASK, reply("1"), reply("2"), seconds=[0, 5, -3600, 7])
    assert read_history(story, 2).spent.seconds == 12


def test_one_unknown_price_makes_the_cost_unknown() -> None:
    story = lines(BEGUN, TASK, reply("1", cost=None), RunResumed(2, "r", 0, "m"), reply("2"))
    assert read_history(story, 2).spent.cost is None


def test_a_fork_has_paid_nothing_of_what_it_was_given() -> None:
    given_to_it = [BEGUN, TASK, reply("1"), ran("1"), answers("1")]
    own = [replace(BEGUN, run="fork"), reply("2")]
    history = read_history(lines(*given_to_it, *own), 6)
    assert history.spent.turns == 1
    assert history.spent.seconds == 1
    assert [line.number for line in history.paid] == [5, 6]
    assert history.conversation.turns == 2
    assert history.started is not None
    assert history.started.run == "fork"


def test_a_malformed_call_is_as_it_was_when_it_came() -> None:
    pending = read_history(
        lines(BEGUN, TASK, reply("1", "2", problems=["2"])), 2
    ).conversation.pending
    assert pending is not None
    assert [(call.arguments, call.problem) for call in pending.calls] == [
        ({}, ""),
        (None, "no JSON"),
    ]


def test_failures_are_counted_across_processes() -> None:
    events: list[Event] = [BEGUN, TASK]
    for number in range(6):
        events += [reply(f"{number}"), ran(f"{number}", is_error=True), answers(f"{number}")]
    looping = read_history(lines(*events), len(events))
    assert looping.conversation.looping == ("Bash", 6)
    events += [reply("6"), ran("6"), answers("6")]
    assert read_history(lines(*events), len(events)).conversation.looping is None


def test_a_signal_is_remembered_until_the_agent_goes_on() -> None:
    signalled = replace(ran("1"), signals=(("TASK-1.done", "done"),))
    story = lines(BEGUN, TASK, reply("1"), signalled, answers("1"))
    assert [s.name for s in read_history(story, 5).conversation.signals] == ["TASK-1.done"]
    on = lines(*(line.event for line in story), ENDED, FAILED, RepairStarted(1, 2), told("repair"))
    assert read_history(on, 5).conversation.signals == ()


def test_where_the_story_stands() -> None:
    first: list[Event] = [BEGUN, TASK, FallbackStarted("n", "m", "overloaded"), reply(), ENDED]
    judged: list[Event] = [
        *first,
        COLLECTED,
        GateFinished(Evidence("build", "failed", "old")),
        COLLECTED,
        FAILED,
    ]
    repaired: list[Event] = [*judged, RepairStarted(1, 2)]
    verified: list[Event] = [*repaired, told("repair"), reply(), ENDED, COLLECTED, PASSED, VERIFIED]

    def at(events: Sequence[Event]) -> History:
        return read_history(lines(*events), 2)

    assert (at(first).told, at(first).foreign) == (True, frozenset())
    ending = at(first).ending
    assert ending is not None
    assert (ending.reason, ending.text) == ("finished", "Done.")
    assert at(judged).ending == ending, "a judgement that was not complete is made again"
    assert (at(repaired).repairs, at(repaired).told, at(repaired).ending) == (1, False, None)
    assert at(repaired).earlier.evidence == (FAILED.evidence,)
    assert (at(verified).verified, at(verified).landed) == (VERIFIED, False)
    assert at([*verified, LANDED]).landed
    assert at([*verified, finished("done")]).finished == finished("done")
    assert at([*verified, finished("conflict")]).finished is None


def test_what_was_thought_before_another_model_went_on_is_known() -> None:
    thought: Json = {"type": "thinking", "thinking": "hm", "signature": "s"}
    later: Json = {**thought, "signature": "t"}

    def thinking(block: Json) -> AssistantMessage:
        said = reply()
        return replace(said, message={"role": "assistant", "content": [block]})

    fallen = FallbackStarted("n", "m", "overloaded")
    story = lines(BEGUN, TASK, thinking(thought), told("nudge"), fallen, thinking(later))
    assert read_history(story, 6).foreign == {json.dumps(thought)}
    assert read_history(story[:4], 4).foreign is None


def test_a_journal_is_read_as_it_was_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl", lambda: EPOCH)
    events = [BEGUN, TASK, reply("1", problems=["1"]), ran("1"), answers("1"), ENDED, COLLECTED]
    for event in (*events, FAILED, RepairStarted(1, 2), RunResumed(2, "r", 0, "m")):
        journal.append(event)
    journal.close()
    read = [line.event for line in decode(load(tmp_path / "journal.jsonl"))]
    assert read[: len(events)] == events
    assert len(read) == len(events) + 3


@pytest.mark.parametrize(
    "line",
    [
        {"type": "agentflow.other", "at": "2025-01-01T00:00:00+00:00"},
        {"type": "agentflow.notice", "at": "2025-01-01T00:00:00+00:00"},
        {"type": "agentflow.notice", "at": "yesterday", "text": "x"},
        {"type": "agentflow.notice", "text": "x"},
        {"at": "2025-01-01T00:00:00+00:00", "text": "x"},
    ],
)
def test_a_line_of_another_version_is_named(line: Json) -> None:
    good = {"type": "agentflow.notice", "at": "2025-01-01T00:00:00+00:00", "text": "x"}
    with pytest.raises(EnvironmentFailure, match=r"^line 2 of the journal is no event"):
        decode([good, line])


@dataclass
class Story:
    """A run that nobody killed, and how many lines there were when each checkpoint was begun."""

    events: list[Event] = field(default_factory=lambda: [BEGUN, TASK])
    begins: list[int] = field(default_factory=lambda: [2])
    calls: int = 0

    def turn(self, kind: str, calls: int, malformed: bool) -> None:
        """One reply and what follows on it, as `agent.Agent` does it."""
        names = [f"c{self.calls + number}" for number in range(calls)]
        self.calls += calls
        words = f"Reply {len(self.events)}."
        match kind:
            case "calls":
                problems = names[:1] if malformed else []
                self.events += [
                    reply(*names, problems=problems, words=words),
                    *map(ran, names),
                    answers(*names),
                ]
                self.begins.append(len(self.events))
            case "cut":
                said = answers(*names, kind="cut") if names else told("cut")
                self.events += [reply(*names, stop="max_tokens", words=words), said]
            case _:
                self.events += [Notice("n"), reply(words=words), told("nudge")]

    def judged(self, attempt: int) -> None:
        """The agent ended, and its work is not good."""
        self.events += [
            reply(words=f"End {attempt}."),
            ENDED,
            COLLECTED,
            FAILED,
            RepairStarted(attempt, 9),
        ]
        self.events.append(told("repair"))
        self.begins.append(len(self.events))

    def tips(self, length: int) -> list[int]:
        """What the last checkpoint may hold when a process dies: a reply is only written down
        when all that was begun before it is kept."""
        replies = [
            number
            for number, event in enumerate(self.events[:length])
            if isinstance(event, AssistantMessage)
        ]
        newest = max((b for b in self.begins if b <= (replies[-1] if replies else 2)), default=2)
        return [begin for begin in self.begins if newest <= begin <= length]


@st.composite
def stories(draw: st.DrawFn) -> Story:
    kinds = st.sampled_from(["calls", "calls", "cut", "nudge"])
    turns = st.tuples(kinds, st.integers(1, 3), st.booleans())
    story = Story()
    for attempt in range(1, draw(st.integers(1, 3)) + 1):
        for kind, calls, malformed in draw(st.lists(turns, max_size=4)):
            story.turn(kind, calls, malformed)
        story.judged(attempt)
    story.events += [reply(), ENDED, COLLECTED, PASSED, VERIFIED, LANDED, finished("done")]
    return story


@st.composite
def deaths(draw: st.DrawFn) -> tuple[Story, int, int]:
    """A story, how many of its lines a killed process wrote, how many its checkpoint holds."""
    story = draw(stories())
    length = draw(st.integers(2, len(story.events)))
    return story, length, draw(st.sampled_from(story.tips(length)))


def spoken(conversation: Conversation) -> list[tuple[str, Json]]:
    """Who said what, block by block: words of the user in a row are one message."""
    found: list[tuple[str, Json]] = []
    for message in conversation.messages:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        found += [(message["role"], block) for block in blocks]
    return found


def replies_in(events: Sequence[Event]) -> int:
    return sum(isinstance(event, AssistantMessage) for event in events)


@given(deaths())
def test_wherever_a_run_dies_it_goes_on_with_what_was_said(death: tuple[Story, int, int]) -> None:
    story, length, tip = death
    whole = spoken(read_history(lines(*story.events), len(story.events)).conversation)
    left = lines(*story.events[:length])

    history = read_history(left, tip)

    said = spoken(history.conversation)
    assert said == whole[: len(said)]
    assert tip <= history.kept <= length
    assert history.conversation.turns == replies_in(story.events[:length]), "no reply is paid twice"
    assert history.spent.turns == history.conversation.turns
    calls = [n for n, e in enumerate(story.events[: history.kept]) if isinstance(e, ToolFinished)]
    assert all(number < tip for number in calls), "what ran beyond the files runs again"


@given(deaths(), st.data())
def test_a_run_that_died_twice_has_said_the_same(
    death: tuple[Story, int, int], data: st.DataObject
) -> None:
    story, length, tip = death
    first = read_history(lines(*story.events[:length]), tip)
    on = [*story.events[:length], RunResumed(first.kept, "r", 0, "m")]

    again = read_history(lines(*on), tip)
    assert spoken(again.conversation) == spoken(first.conversation)
    assert again.conversation.pending == first.conversation.pending

    further = data.draw(st.integers(0, len(story.events) - first.kept))
    second = [*on, *story.events[first.kept : first.kept + further]]
    whole = spoken(read_history(lines(*story.events), len(story.events)).conversation)
    history = read_history(lines(*second), len(second))
    said = spoken(history.conversation)
    assert said == whole[: len(said)]
    assert history.spent.turns == replies_in(second)
    if first.kept + further == len(story.events):
        assert said == whole
        assert history.finished == finished("done")


@given(stories(), st.data())
def test_without_its_last_checkpoints_a_run_keeps_one_reply_with_calls(
    story: Story, data: st.DataObject
) -> None:
    tip = data.draw(st.sampled_from(story.begins))
    history = read_history(lines(*story.events), tip)
    beyond = [
        event
        for event in story.events[tip : history.kept]
        if isinstance(event, AssistantMessage) and event.stop_reason == "tool_use"
    ]
    assert len(beyond) <= 1
    if beyond:
        assert story.events[history.kept - 1] == beyond[0]
        assert history.conversation.pending is not None
