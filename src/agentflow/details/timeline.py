"""A journal's lines as turns, and what happened between them."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace

from agentflow.details.records import Call, Moment, Turn
from agentflow.durations import format_duration
from agentflow.events import (
    AgentEnded,
    AssistantMessage,
    BaseCheckFinished,
    Collected,
    ContextReduced,
    ContextSummarized,
    Event,
    FallbackStarted,
    GateFinished,
    LandingDone,
    LimitNear,
    Notice,
    RepairStarted,
    ReplyFailed,
    RetryScheduled,
    RunFinished,
    RunResumed,
    SetupFinished,
    SetupStarted,
    ToolFinished,
    UserMessage,
)
from agentflow.history import Line, counting
from agentflow.messages import blocks_in, target_of
from agentflow.records import Json
from agentflow.words import counted

MAX_TEXT = 20_000
"""Characters of one result or argument."""


def read_timeline(lines: Sequence[Line]) -> tuple[Turn | Moment, ...]:
    """Turns and moments, oldest first; a turn that was done again does not count."""
    numbers = {line.number for line in counting(lines)}
    ended = {line.event.id: line.event for line in lines if isinstance(line.event, ToolFinished)}
    results = _results(lines)
    found: list[Turn | Moment] = []
    turn = 0
    for line in lines:
        at = line.at.isoformat(timespec="seconds")
        match line.event:
            case AssistantMessage():
                turn += 1
                made = _turn(turn, at, line.event, ended, results)
                found.append(replace(made, counts=line.number in numbers))
            case RunResumed():
                turn = line.event.turn
                found.append(Moment(at, "resumed", f"going on after turn {turn}"))
            case event:
                moment = _moment(at, event)
                found += [moment] if moment else []
    return tuple(found)


def _results(lines: Iterable[Line]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        for block in blocks_in(line.event.message) if isinstance(line.event, UserMessage) else ():
            if block.get("type") == "tool_result":
                found[str(block.get("tool_use_id"))] = _text(block)
    return found


def _text(message: Json) -> str:
    """The text of a message or a result; a word stands for what is none."""
    blocks = blocks_in(message)
    texts = (str(each.get("text", f"[{each.get('type')}]")) for each in blocks)
    return "\n".join(texts)


def _turn(
    number: int,
    at: str,
    event: AssistantMessage,
    ended: dict[str, ToolFinished],
    results: dict[str, str],
) -> Turn:
    blocks = blocks_in(event.message)
    words = "\n".join(str(each.get("text", "")) for each in blocks if each.get("type") == "text")
    calls = tuple(
        _call(block, ended.get(str(block.get("id"))), results.get(str(block.get("id")), ""))
        for block in blocks
        if block.get("type") == "tool_use"
    )
    usage = event.usage + event.discarded
    return Turn(number, at, event.model, _cut(words), calls, usage, event.cost)


def _call(block: Json, end: ToolFinished | None, result: str) -> Call:
    given = block.get("input")
    return Call(
        str(block.get("name")),
        target_of(given),
        _cut(json.dumps(given, indent=2, ensure_ascii=False)),
        _cut(result),
        is_error=end is not None and end.is_error,
        seconds=end.seconds if end else None,
    )


def _cut(text: str) -> str:
    if len(text) <= MAX_TEXT:
        return text
    half = MAX_TEXT // 2
    return f"{text[:half]}\n[… {len(text) - MAX_TEXT:,} characters …]\n{text[-half:]}"


def _moment(at: str, event: Event) -> Moment | None:
    kind, text, detail = _preparation(event) or _station(event) or _trouble(event) or ("", "", "")
    return Moment(at, kind, text, _cut(detail)) if kind else None


def _preparation(event: Event) -> tuple[str, str, str] | None:
    match event:
        case SetupStarted():
            told = ("setup", f"installing: {event.command}", "")
        case SetupFinished():
            took = "already" if event.cached else format_duration(event.seconds)
            told = ("setup", f"installed {took}", "")
        case BaseCheckFinished():
            told = ("base", f"{event.evidence.gate} {event.evidence.status} on the base", "")
        case _:
            return None
    return told


def _station(event: Event) -> tuple[str, str, str] | None:
    match event:
        case AgentEnded():
            told = ("agent", f"ended: {event.reason}", event.text)
        case Collected():
            told = ("commits", counted(len(event.commits), "commit"), "")
        case GateFinished():
            found = event.evidence
            told = ("gate", f"{found.gate} {found.status}: {found.summary}", found.detail)
        case LandingDone():
            told = ("landed", f"{event.ref or 'kept'} {event.tip[:12]}", "")
        case RunFinished():
            told = ("end", f"{event.outcome} {event.reason}".strip(), "")
        case _:
            return None
    return told


def _trouble(event: Event) -> tuple[str, str, str] | None:
    match event:
        case Notice() | LimitNear():
            told = ("note", event.text, "")
        case RetryScheduled():
            told = ("retry", f"{event.reason}; again in {event.delay:.1f} s", "")
        case ReplyFailed() | FallbackStarted():
            told = ("model", event.reason, "")
        case RepairStarted():
            told = ("repair", f"{event.attempt} of {event.of}", "")
        case ContextReduced():
            told = ("context", f"about {event.before:,} → {event.after:,} tokens", "")
        case ContextSummarized():
            told = ("context", f"about {event.before:,} → {event.after:,} tokens", event.summary)
        case UserMessage() if event.kind not in {"task", "results"}:
            told = ("told", event.kind, _text(event.message))
        case _:
            return None
    return told
