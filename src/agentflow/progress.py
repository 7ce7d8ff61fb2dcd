"""How far a run is: one record, made anew by each event, for a view of one run or of many."""

from dataclasses import replace
from typing import Any

from agentflow.events import (
    AgentEnded,
    AssistantMessage,
    BaseCheckStarted,
    Collected,
    ContextSummarized,
    Event,
    GateFinished,
    GateStarted,
    RepairStarted,
    ReplyFailed,
    RetryScheduled,
    RunFinished,
    RunResumed,
    RunStarted,
    SetupStarted,
    TextDelta,
    ToolStarted,
    UserMessage,
    Verified,
)
from agentflow.frozen import record
from agentflow.messages import Usage, calls_in
from agentflow.records import Json, Status


@record
class Progress:
    """Where a run is at one moment. Times are Unix times in seconds."""

    task: str = ""
    run: str = ""
    phase: str = ""
    """`preparing`, `agent`, `repair 1/2`, `verifying`, `landing`, or the outcome; empty before."""
    turn: int = 0
    doing: str = ""
    """What is waited for: a tool and its target, the model, a gate."""
    began: float = 0.0
    ended: float | None = None
    earlier: float = 0.0
    """Seconds that other processes were at work on it."""
    tokens: int = 0
    cost: float | None = 0.0
    """US dollars; None as soon as one price is unknown."""
    max_cost: float | None = None
    max_turns: int | None = None
    gate: str = ""
    gate_status: Status | None = None
    """The gate that measured last."""

    def elapsed(self, now: float) -> float:
        """Seconds of work on the run."""
        return max(0.0, (now if self.ended is None else self.ended) - self.began) + self.earlier


def progressed(progress: Progress, event: Event, at: float) -> Progress:
    """Where a run is after an event that happened `at` a Unix time."""
    match event:
        case RunStarted():
            begun = Progress(event.task, event.run, "preparing", doing="work tree", began=at)
            now = replace(begun, **_limits(event.limits))
        case RunResumed():
            now = _resumed(progress, event, at)
        case RunFinished():
            now = replace(progress, phase=event.outcome, doing="", ended=at)
        case GateFinished():
            measured = event.evidence
            now = replace(progress, gate=measured.gate, gate_status=measured.status)
        case AssistantMessage() | ContextSummarized() | ReplyFailed():
            now = _paid(progress, event)
        case _:
            phase, doing = _phase(event, progress.phase), _doing(event)
            now = replace(progress, phase=phase, doing=progress.doing if doing is None else doing)
    return now


def _resumed(progress: Progress, event: RunResumed, at: float) -> Progress:
    return replace(
        progress,
        task=progress.task or event.run.rsplit("-", 2)[0],
        run=event.run,
        phase="preparing",
        doing="work tree",
        turn=event.turn,
        began=at,
        ended=None,
        earlier=event.seconds,
        tokens=event.tokens,
        cost=event.cost,
        **_limits(event.limits),
    )


def _limits(limits: Json) -> dict[str, Any]:
    numbers = {name: limits.get(name) for name in ("max_cost", "max_turns")}
    return {name: value for name, value in numbers.items() if isinstance(value, int | float)}


def _paid(
    progress: Progress, event: AssistantMessage | ContextSummarized | ReplyFailed
) -> Progress:
    discarded = Usage() if isinstance(event, ReplyFailed) else event.discarded
    calls = calls_in(event.message) if isinstance(event, AssistantMessage) else []
    unknown = progress.cost is None or event.cost is None
    return replace(
        progress,
        turn=progress.turn + isinstance(event, AssistantMessage),
        doing=" ".join(calls[0][1:]) if calls else progress.doing,
        tokens=progress.tokens + (event.usage + discarded).total_tokens,
        cost=None if unknown else (progress.cost or 0.0) + (event.cost or 0.0),
    )


def _phase(event: Event, phase: str) -> str:
    if phase == "preparing" and isinstance(event, ToolStarted | TextDelta):
        return "agent"  # the run goes on amid a turn, and is told nothing first
    match event:
        case UserMessage():
            found = phase if phase.startswith("repair") else "agent"
        case AgentEnded():
            found = "verifying"
        case Verified():
            found = "landing"
        case RepairStarted():
            found = f"repair {event.attempt}/{event.of}"
        case _:
            found = phase
    return found


def _doing(event: Event) -> str | None:
    """What is waited for after the event; None if that does not change."""
    doing = _WAITS.get(type(event))
    match event:
        case ToolStarted():
            doing = f"{event.name} {event.target}"
        case GateStarted():
            doing = event.gate
        case SetupStarted():
            doing = f"installing: {event.command}"
        case BaseCheckStarted():
            doing = f"base: {event.gate.removeprefix('build:')}"
        case RetryScheduled():
            doing = f"again in {event.delay:.0f} s: {event.reason}"
        case _:
            pass
    return doing


_WAITS: dict[type[Event], str] = {
    UserMessage: "waiting for the model",
    TextDelta: "the model answers",
    AgentEnded: "importing the result",
    Collected: "gates",
    RepairStarted: "",
    Verified: "",
}
