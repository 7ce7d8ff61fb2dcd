"""The console: events as lines of talk for a person, on standard error."""

import time
from textwrap import indent

from agentflow.durations import format_duration
from agentflow.events import (
    AgentEnded,
    AssistantMessage,
    BaseCheckFinished,
    BaseCheckStarted,
    ContextReduced,
    ContextSummarized,
    Event,
    FallbackStarted,
    GateFinished,
    GateStarted,
    LimitNear,
    Notice,
    RepairStarted,
    RetryScheduled,
    RunFinished,
    RunResumed,
    RunStarted,
    SetupFinished,
    SetupStarted,
    ToolFinished,
    ToolStarted,
    UserMessage,
)
from agentflow.neutral import neutral, one_line
from agentflow.records import Evidence
from agentflow.sinks.printer import Follower, Printer, Span
from agentflow.words import counted

MARKS = {"passed": "✓", "failed": "✗", "skipped": "–"}  # noqa: RUF001
STYLES = {"passed": "green", "failed": "bold red", "skipped": "dim"}


ENDS = {
    "finished": "finished",
    "signalled": "finished (marker written)",
    "silent": "silent: judging what is there",
}


class ConsoleSink:
    """Prints what happens, one line an event; with `verbose` also the model's words in full."""

    def __init__(self, printer: Printer, *, verbose: bool = False) -> None:
        self._printer = printer
        self._verbose = verbose
        self._turn = 0
        self._targets: dict[str, str] = {}
        self._doing, self._since = "", time.monotonic()
        self._live: Follower | None = None

    def __call__(self, event: Event, /) -> None:
        """Print the event, if it is worth a line; on a terminal, keep a line of what goes on."""
        self._tell(event)
        self._follow(event)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._live:
            self._live.stop()

    def _follow(self, event: Event) -> None:
        """What is waited for after this event."""
        match event:
            case RunStarted() | RunResumed():
                self._live = self._printer.follow(self._status)
                self._wait_for("preparing")
            case UserMessage():
                self._wait_for("waiting for the model")
            case ToolStarted():
                self._wait_for(f"{event.name} {event.target}")
            case GateStarted():
                self._wait_for(f"gate {event.gate}")
            case AgentEnded():
                self._wait_for("importing the result")
            case RunFinished():
                self.close()
            case _:
                self._follow_preparation(event)

    def _follow_preparation(self, event: Event) -> None:
        match event:
            case SetupStarted():
                self._wait_for(f"installing: {event.command}")
            case BaseCheckStarted():
                self._wait_for(f"checking the base: {event.gate}")
            case _:
                pass

    def _wait_for(self, what: str) -> None:
        self._doing, self._since = one_line(what, 60), time.monotonic()
        if self._live:
            self._live.refresh()

    def _status(self) -> str:
        return f"  … {self._doing}  {format_duration(time.monotonic() - self._since)}"

    def _tell(self, event: Event) -> None:
        match event:
            case ToolStarted():
                self._targets[event.id] = event.target
            case ToolFinished():
                self._tool(event)
            case AssistantMessage():
                self._reply(event)
            case RunStarted():
                self._started(event)
            case ContextReduced() | ContextSummarized():
                self._line(_context(event), "dim")
            case GateFinished() if event.evidence.status == "failed":
                self._printer.print(*gate_line(event.evidence), cut=True)
                for line in last_lines(event.evidence, 5):
                    self._printer.print((f"      {line}", "dim"), cut=True)
            case _:
                self._short(event)

    def _started(self, event: RunStarted) -> None:
        self._line(f"{event.task}  {event.title}", "bold")
        self._line(
            f"prompt {event.prompt} · {event.model} · base {event.base[:12]} · {event.sandbox}",
            "dim",
        )
        self._line(f"run {event.run}", "dim")

    def _short(self, event: Event) -> None:
        match event:
            case Notice():
                self._line(f"note: {event.text}", "yellow")
            case RetryScheduled():
                self._line(f"{event.reason}; trying again in {event.delay:.1f} s", "yellow")
            case FallbackStarted():
                self._line(f"{event.reason}; {event.model} goes on", "yellow")
            case LimitNear():
                self._line(event.text, "yellow")
            case AgentEnded():
                self._line(f"the agent is {ENDS[event.reason]}", "dim")
            case GateStarted() if event.gate.startswith("build"):
                self._line(f"verifying {event.gate} on a clean checkout …", "dim")
            case RepairStarted():
                self._line(f"repair {event.attempt} of {event.of}: back to the agent", "bold")
            case _:
                self._preparation(event)

    def _preparation(self, event: Event) -> None:
        match event:
            case RunResumed():
                self._turn = event.turn
                told = f"going on with {event.run} after turn {event.turn} · {event.model}"
                self._line(told, "bold")
            case SetupStarted():
                self._line(f"installing: {one_line(event.command)} …", "dim")
            case SetupFinished():
                took = f" {format_duration(event.seconds)}"
                self._line("installed already" if event.cached else f"installed{took}", "dim")
            case BaseCheckFinished():
                self._base_check(event)
            case _:
                pass

    def _base_check(self, event: BaseCheckFinished) -> None:
        gate, status = event.evidence.gate.removeprefix("build:"), event.evidence.status
        if event.must_fail:
            status += ", as it should" if status == "failed" else ", but should fail"
        took = "earlier" if event.cached else format_duration(event.evidence.seconds)
        self._line(f"checking the base: {gate} … {status} ({took})", "dim")

    def _reply(self, event: AssistantMessage) -> None:
        self._turn += 1
        words = "\n".join(b["text"] for b in event.message["content"] if b["type"] == "text")
        cost = "" if event.cost is None else f" · ${event.cost:.4f}"
        spent = f"  {event.usage.prompt_tokens:,} → {event.usage.output_tokens:,} tokens{cost}"
        shown = ""
        if words and not self._verbose:
            shown = one_line(words, max(20, self._width - len(spent) - 4))
        self._printer.print((f"{self._turn:3} ", "dim"), shown, (spent, "dim"), cut=True)
        if words and self._verbose:
            self._line(indent(neutral(words), "    "))

    def _tool(self, event: ToolFinished) -> None:
        target = self._targets.pop(event.id, "")
        spans: list[str | Span] = [
            "    ",
            (f"{one_line(event.name, 20):<5} ", "cyan"),
            one_line(target, max(20, self._width // 2 if event.is_error else 400)),
            (f"  {format_duration(event.seconds)}", "dim"),
        ]
        if event.is_error:
            spans.append((f"  error: {one_line(event.summary, 200)}", "red"))
        self._printer.print(*spans, cut=True)

    @property
    def _width(self) -> int:
        return self._printer.width or 200

    def _line(self, text: str, style: str = "") -> None:
        self._printer.print((neutral(text), style))


def _context(event: ContextReduced | ContextSummarized) -> str:
    """What became of the conversation."""
    what = "a summary stands for all but the newest messages"
    if isinstance(event, ContextReduced):
        moved = counted(len(event.references), "old result")
        what = f"{moved} moved out of the conversation"
    return f"{what}: about {event.before:,} → {event.after:,} tokens"


def last_lines(evidence: Evidence, number: int) -> list[str]:
    """The last lines of what a gate found, and how many came before."""
    lines = neutral(evidence.detail).rstrip().splitlines()
    left_out = len(lines) - number
    head = [f"[{counted(left_out, 'line')} before this in the report]"] if left_out > 0 else []
    return [*head, *(line[:400] for line in lines[-number:])]


def gate_line(evidence: Evidence) -> list[Span]:
    """`✓ build:test  passed  `pytest` passed  1.2 s`."""
    took = f"  {format_duration(evidence.seconds)}" if evidence.seconds >= 0.05 else ""
    return [
        ("  ", ""),
        (f"{MARKS[evidence.status]} {evidence.status:<7} ", STYLES[evidence.status]),
        (f"{one_line(evidence.gate, 30):<12} ", "bold"),
        (one_line(evidence.summary, 110), ""),
        (took, "dim"),
    ]
