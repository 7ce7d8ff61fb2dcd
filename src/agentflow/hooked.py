"""A run with hooks: tools and gates that call them, and the run's own beginning and end."""

import dataclasses
import time
from collections.abc import Sequence

from agentflow.environment import HookEvent
from agentflow.errors import EnvironmentFailure
from agentflow.frozen import record
from agentflow.hooks import Hooks, Tell
from agentflow.interfaces import Audit, Gate, Toolkit
from agentflow.messages import ToolCall, ToolResult
from agentflow.records import Json
from agentflow.results import Candidate, Evidence

MEND = "What it refuses is decided by your configuration: look at [[hooks]]."


class HookedToolkit:
    """A `Toolkit` that asks hooks before each call and tells them after it."""

    def __init__(self, toolkit: Toolkit, hooks: Hooks, tell: Tell) -> None:
        self._toolkit = toolkit
        self._hooks = hooks
        self._tell = tell
        self.is_read_only = toolkit.is_read_only
        self.target = toolkit.target
        self.keep = toolkit.keep

    @property
    def schemas(self) -> list[Json]:
        """The tools as the request names them."""
        return self._toolkit.schemas

    async def run(self, call: ToolCall) -> ToolResult:
        """Run a call that no hook refuses. Raises `EnvironmentFailure` for a broken hook."""
        if call.arguments is None:  # what is no call is not run anyway
            return await self._toolkit.run(call)
        facts: Json = {
            "call": {"id": call.id, "name": call.name, "arguments": call.arguments},
            "read_only": self._toolkit.is_read_only(call),
        }
        refused = await self._hooks.call("tool.before", self._tell, facts, call.name)
        if refused:
            return ToolResult(call.id, f"Not run: {refused}", is_error=True)
        started = time.monotonic()
        result = await self._toolkit.run(call)
        facts["result"] = {
            "is_error": result.is_error,
            "seconds": round(time.monotonic() - started, 4),
            "text": _text(result),
        }
        refused = await self._hooks.call("tool.after", self._tell, facts, call.name)
        return _with_word(result, refused) if refused else result


def _text(result: ToolResult) -> str:
    if isinstance(result.content, str):
        return result.content
    return "\n".join(block["text"] for block in result.content if block["type"] == "text")


def _with_word(result: ToolResult, word: str) -> ToolResult:
    """The result, and that a hook objects to it."""
    block: Json = {"type": "text", "text": word}
    content = (
        f"{result.content}\n\n{word}"
        if isinstance(result.content, str)
        else [*result.content, block]
    )
    return dataclasses.replace(result, content=content, is_error=True)


@record
class HookedGate:
    """A `Gate` whose evidence hooks are told."""

    gate: Gate
    hooks: Hooks
    tell: Tell

    @property
    def name(self) -> str:
        """What the verdict calls it."""
        return self.gate.name

    async def measure(self, candidate: Candidate) -> Evidence:
        """Measure, and tell. Raises `EnvironmentFailure` if a hook does not let the run go on."""
        return await _told(await self.gate.measure(candidate), self.hooks, self.tell)


@record
class HookedAudit:
    """An `Audit` whose evidence hooks are told."""

    audit: Audit
    hooks: Hooks
    tell: Tell

    @property
    def name(self) -> str:
        """What the verdict calls it."""
        return self.audit.name

    async def compare(self, candidate: Candidate, measured: Sequence[Evidence]) -> Evidence:
        """Compare, and tell. Raises `EnvironmentFailure` as a gate does."""
        return await _told(await self.audit.compare(candidate, measured), self.hooks, self.tell)


async def _told(evidence: Evidence, hooks: Hooks, tell: Tell) -> Evidence:
    fields = ("gate", "status", "summary", "detail")
    facts: Json = {"evidence": {name: getattr(evidence, name) for name in fields}}
    await require(hooks, "gate.finished", tell, facts)
    return evidence


async def require(hooks: Hooks, event: HookEvent, tell: Tell, facts: Json | None = None) -> None:
    """Call the hooks of an event. Raises `EnvironmentFailure` if one refuses."""
    refused = await hooks.call(event, tell, facts or {})
    if refused:
        raise EnvironmentFailure(refused, hint=MEND)


async def tell_end(hooks: Hooks, report: Json, path: str, tell: Tell) -> None:
    """Call the hooks of a run's end, when nothing can be changed any more: of one that refuses or
    is broken only the user is told."""
    blocked = report["outcome"] == "blocked"
    names = (
        "outcome", "exit_code", "reason", "hint", "branch", "landed", "commits",
        "num_turns", "duration_ms", "total_cost_usd", "marker",
    )  # fmt: skip
    facts: Json = {**{name: report[name] for name in names}, "report": path}
    try:
        told = await hooks.call("run.blocked" if blocked else "run.finished", tell, facts)
    except EnvironmentFailure as error:
        told = error.message
    if told:
        tell(told)
