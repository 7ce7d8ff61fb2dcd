"""What a run's journal says has happened, and where the run can go on."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field, replace
from datetime import datetime
from itertools import pairwise
from typing import Any, cast

from agentflow.conversation import RUNNABLE, Conversation
from agentflow.errors import ANEW, EnvironmentFailure
from agentflow.events import (
    EVENTS,
    AgentEnded,
    AssistantMessage,
    Collected,
    Combined,
    ConnectionClosed,
    ContextSummarized,
    Event,
    FallbackStarted,
    GateFinished,
    LandingDone,
    RepairStarted,
    ReplyFailed,
    RunFinished,
    RunResumed,
    RunStarted,
    ToolFinished,
    UserMessage,
    Verified,
)
from agentflow.frozen import record
from agentflow.messages import Ending, Usage, thoughts
from agentflow.records import Json
from agentflow.results import Evidence, Verdict
from agentflow.retelling import Retelling

MILESTONES = (AgentEnded, RepairStarted, UserMessage, Verified, LandingDone, RunFinished)
"""What is kept together with all that led to it; between an agent's end and the next of them lies a
judgement."""
PAID = (AssistantMessage, ContextSummarized, ReplyFailed)
"""What used tokens."""
LASTING = (*PAID, ConnectionClosed)
"""What going on from an earlier line does not undo."""
FINAL = frozenset({"done", "failed"})
"""Outcomes after which a run does not go on."""


@record
class Line:
    """One line of a journal."""

    number: int
    at: datetime
    event: Event


@record
class Spent:
    """What a run has used, lines that no longer count included: they were paid."""

    turns: int = 0
    usage: Usage = field(default_factory=Usage)
    cost: float | None = 0.0
    """US dollars; None as soon as one price is unknown."""
    seconds: float = 0.0
    """While a process was at work on it."""


@record
class History:
    """The story of a run up to where it goes on."""

    kept: int
    """How many lines of the journal count; what follows them is done again."""
    lines: tuple[Line, ...] = ()
    """Those that count."""
    paid: tuple[Line, ...] = ()
    """The same, with the replies and connections that do not count any more."""
    spent: Spent = field(default_factory=Spent)
    started: RunStarted | None = None
    foreign: frozenset[str] | None = None
    """The thoughts that another model, which went on, cannot read back; None if none did."""
    repairs: int = 0
    """Begun."""
    told: bool = False
    """Whether the agent was given its task, or the verdict that the last repair is about."""
    earlier: Verdict = field(default_factory=Verdict)
    """The one that the last repair is about."""
    ending: Ending | None = None
    """How the agent's work ended, if it did and its result was not judged."""
    verified: Verified | None = None
    landed: bool = False
    combined: Combined | None = None
    """The last merge of that with a target that had moved."""
    finished: RunFinished | None = None
    """The run's end, if only its report or its marker may be missing."""
    conversation: Conversation = field(default_factory=Conversation)

    @property
    def uploaded(self) -> int:
        """Bytes that the run's sandboxes have sent."""
        events = (line.event for line in self.paid)
        return sum(each.uploaded for each in events if isinstance(each, ConnectionClosed))


def decode(lines: Iterable[Json]) -> list[Line]:
    """The events of a journal's lines.

    Raises `EnvironmentFailure` for a line that no event makes.
    """
    return list(decoded(lines))


def decoded(lines: Iterable[Json]) -> Iterator[Line]:
    """The same one by one, as the lines come."""
    from pydantic import TypeAdapter, ValidationError  # 30 ms that only a run that goes on needs

    adapters: dict[str, TypeAdapter[Any]] = {}
    for number, line in enumerate(lines):
        kind = str(line.get("type"))
        try:
            if kind not in adapters:
                adapters[kind] = TypeAdapter(EVENTS[kind])
            fields = {
                name: value for name, value in line.items() if name not in {"n", "at", "type"}
            }
            event = cast("Event", adapters[kind].validate_python(fields))
            yield Line(number, datetime.fromisoformat(line["at"]), event)
        except (KeyError, TypeError, ValueError, ValidationError) as error:
            raise EnvironmentFailure(
                f"line {number + 1} of the journal is no event of this version ({kind[:60]})",
                hint=ANEW,
            ) from error


def counting(lines: Iterable[Line]) -> list[Line]:
    """The lines that count: one that says that the run went on from line N voids what lies
    between."""
    valid: list[Line] = []
    for line in lines:
        if isinstance(line.event, RunResumed):
            while valid and valid[-1].number >= line.event.kept:
                valid.pop()
        valid.append(line)
    return valid


def goes_on_at(lines: Sequence[Line], tip: int) -> int:
    """The number of lines that a run which goes on keeps; `tip` are those that its last checkpoint
    holds.

    Up to there files and conversation agree. After it everything is kept that touched no file: up
    to and including one whole reply with calls, which is paid and whose calls are run again. A
    judgement that was not brought to its end is made again. Where the checkpoint ends with such a
    reply, as one does by which a run changed hands, its calls are run again and nothing else counts.
    """
    kept, judging = tip, False
    valid = counting(lines)
    if _is_unanswered([line.event for line in valid if line.number < tip]):
        return tip
    for line in valid:
        event = line.event
        if line.number < tip:
            continue
        if isinstance(event, ToolFinished) or _ends(event):
            break
        if isinstance(event, AssistantMessage) and _runs_calls(event):
            return line.number + 1
        if isinstance(event, MILESTONES) or not judging:
            kept = line.number + 1
        if isinstance(event, MILESTONES):
            judging = isinstance(event, AgentEnded)
    return kept


def _is_unanswered(events: Sequence[Event]) -> bool:
    """Whether the last that was said is a reply with calls."""
    said = [each for each in events if isinstance(each, AssistantMessage | UserMessage)]
    return bool(said) and isinstance(said[-1], AssistantMessage) and _runs_calls(said[-1])


def _ends(event: Event) -> bool:
    """Whether a run ended so that it can go on: the end does not count then."""
    return isinstance(event, RunFinished) and event.outcome not in FINAL


def _runs_calls(event: AssistantMessage) -> bool:
    calls = any(block["type"] == "tool_use" for block in event.message["content"])
    return calls and event.stop_reason in RUNNABLE


def read_history(lines: Sequence[Line], tip: int) -> History:
    """The story of a run whose last checkpoint holds `tip` lines."""
    kept = goes_on_at(lines, tip)
    valid = [line for line in counting(lines) if line.number < kept]
    numbers = {line.number for line in valid}
    own = _own(lines)
    paid = [line for line in own if line.number in numbers or isinstance(line.event, LASTING)]
    return _told(History(kept, tuple(valid), tuple(paid), _spent(own)), valid)


def messages_to_send(lines: Iterable[Line]) -> list[Json]:
    """What the model would be sent next."""
    conversation = Conversation()
    talk = Retelling(conversation)
    for line in counting(lines):
        talk.take(line.event)
    return conversation.sent


def _own(lines: Sequence[Line]) -> Sequence[Line]:
    """The lines of the run itself: one that was forked has not paid for what it was given."""
    begun = [place for place, line in enumerate(lines) if isinstance(line.event, RunStarted)]
    return lines[begun[-1] if begun else 0 :]


def _spent(lines: Sequence[Line]) -> Spent:
    usage, cost, turns = Usage(), 0.0, 0
    unknown = False
    for line in lines:
        if isinstance(line.event, AssistantMessage | ContextSummarized):
            turns += 1
            usage += line.event.discarded
        if isinstance(line.event, PAID):
            usage += line.event.usage
            unknown = unknown or line.event.cost is None
            cost += line.event.cost or 0.0
    # A clock that was set back counts nothing, and takes nothing away.
    seconds = sum(
        max(0.0, (after.at - before.at).total_seconds())
        for before, after in pairwise(lines)
        if not isinstance(after.event, RunResumed)
    )
    return Spent(turns, usage, None if unknown else cost, seconds)


def _told(history: History, lines: Sequence[Line]) -> History:
    """Fold the lines that count into the story."""
    talk = Retelling(history.conversation)
    evidence: list[Evidence] = []
    for line in lines:
        talk.take(line.event)
        match line.event:
            case Collected():
                evidence.clear()
            case GateFinished():
                evidence.append(line.event.evidence)
            case FallbackStarted():
                history = replace(history, foreign=thoughts(history.conversation.messages))
            case event:
                history = replace(history, **_step(event, evidence))
    return history


def _step(event: Event, evidence: Sequence[Evidence]) -> dict[str, Any]:
    """The fields that an event changes; `evidence` is what the gates found last."""
    fields: dict[str, Any] = {}
    match event:
        case RunStarted():
            fields["started"] = event
        case UserMessage():
            fields |= {"told": True, "ending": None}
        case AgentEnded():
            fields["ending"] = Ending(event.reason, event.text)
        case RepairStarted():
            verdict = Verdict(tuple(evidence))
            fields |= {"repairs": event.attempt, "earlier": verdict, "told": False, "ending": None}
        case _:
            fields |= _last_steps(event)
    return fields


def _last_steps(event: Event) -> dict[str, Any]:
    """The same, for what follows a judgement that was good."""
    match event:
        case Verified():
            return {"verified": event}
        case Combined():
            return {"combined": event}
        case LandingDone():
            return {"landed": True}
        case RunFinished() if event.outcome in FINAL:
            return {"finished": event}
        case _:
            return {}
