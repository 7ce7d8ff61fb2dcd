"""The console: events as lines of talk for a person, on standard error.

On a terminal details scroll, and a row below says how far the run is. In a log each line has its
time, its task and a word for what it is: `2026-11-20T19:33:18Z TASK-1 tool Bash  pytest -q  1.1 s`.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from agentflow.durations import format_duration
from agentflow.events import (
    AgentEnded,
    AssistantMessage,
    BaseCheckFinished,
    ContextReduced,
    ContextSummarized,
    Event,
    FallbackStarted,
    GateFinished,
    GateStarted,
    LandingDone,
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
)
from agentflow.folding import elided
from agentflow.messages import blocks_in, calls_in
from agentflow.neutral import neutral, one_line
from agentflow.progress import Progress, progressed
from agentflow.results import Evidence
from agentflow.sinks.live import LiveView
from agentflow.sinks.printer import MARKS, STYLES, Fit, Printer, Span
from agentflow.words import counted

ENDS = {
    "finished": "finished",
    "signalled": "finished (marker written)",
    "silent": "silent: judging what is there",
}


def _now() -> datetime:
    return datetime.now(UTC)


class ConsoleSink:
    """Prints what happens in one run, one line an event; with `verbose` also the model's words in
    full.

    Sinks of runs at work together share a `view`; then each line names its task.
    """

    def __init__(
        self,
        printer: Printer,
        *,
        verbose: bool = False,
        view: LiveView | None = None,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._printer = printer
        self._verbose = verbose
        self._view = view or LiveView(printer, now)
        self._shares = view is not None
        self._now = now
        self._at = now()
        self._run = Progress()
        self._targets: dict[str, str] = {}

    def __call__(self, event: Event, /) -> None:
        """Print the event, if it is worth a line; on a terminal, say below what goes on."""
        self.take(event, self._now())

    def take(self, event: Event, at: datetime) -> None:
        """The same for an event of another moment."""
        self._at = at
        self._run = progressed(self._run, event, at.timestamp())
        if isinstance(event, ToolStarted):
            self._targets[event.id] = event.target
        else:
            self._tell(event)
        if self._run.phase:
            self._view.show(self, self._run)
        if isinstance(event, RunFinished) and not self._shares:
            self.close()

    def close(self) -> None:
        """Leave the terminal as it was, unless others still use it."""
        if not self._shares:
            self._view.close()

    def _tell(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._started(event)
            case RunResumed():
                told = f"going on with {event.run} after turn {event.turn} · {event.model}"
                self._line("run", told, "bold")
            case AssistantMessage():
                self._reply(event)
            case ToolFinished():
                self._tool(event)
            case GateFinished():
                self._gate(event.evidence)
            case BaseCheckFinished():
                self._base_check(event)
            case _:
                self._short(event)

    def _started(self, event: RunStarted) -> None:
        told = event.title if self._names_the_task else f"{event.task}  {event.title}"
        self._line("run", told, "bold")
        self._line("run", f"prompt {event.prompt} · {event.model} · {event.sandbox}", "dim")
        self._line("run", f"run {event.run} · base {event.base[:12]}", "dim")

    def _short(self, event: Event) -> None:
        match event:
            case Notice():
                self._line("note", f"note: {event.text}", "yellow")
            case RetryScheduled():
                told = f"{event.reason}; trying again in {event.delay:.1f} s"
                self._line("retry", told, "yellow")
            case FallbackStarted():
                self._line("model", f"{event.reason}; {event.model} goes on", "yellow")
            case LimitNear():
                self._line("limit", event.text, "yellow")
            case ContextReduced() | ContextSummarized():
                self._line("context", _context(event), "dim")
            case _:
                self._station(event)

    def _station(self, event: Event) -> None:
        match event:
            case SetupStarted():
                self._line("setup", f"installing: {one_line(event.command)} …", "dim")
            case SetupFinished():
                took = f" {format_duration(event.seconds)}"
                told = "installed already" if event.cached else f"installed{took}"
                self._line("setup", told, "dim")
            case AgentEnded():
                self._line("agent", f"the agent is {ENDS[event.reason]}", "dim")
            case GateStarted() if event.gate.startswith("build"):
                self._line("gate", f"verifying {event.gate} on a clean checkout …", "dim")
            case RepairStarted():
                told = f"repair {event.attempt} of {event.of}: back to the agent"
                self._line("repair", told, "bold")
            case _:
                self._end(event)

    def _end(self, event: Event) -> None:
        """What the verdict says on a terminal, and a log wants in its place."""
        if self._printer.live:
            return
        match event:
            case LandingDone():
                self._line("landed", f"{event.ref or 'kept'} {event.tip[:12]}")
            case RunFinished():
                told = one_line(f"{event.outcome} {event.reason}".strip(), 300)
                self._line("end", f"{told} (exit code {event.exit_code})")
            case _:
                pass

    def _gate(self, evidence: Evidence) -> None:
        failed = evidence.status == "failed"
        if failed or not self._printer.live:
            self._print("gate", *gate_line(evidence))
        for line in last_lines(evidence, 5) if failed else ():
            self._print("gate", (f"      {line}", "dim"))

    def _base_check(self, event: BaseCheckFinished) -> None:
        gate, status = event.evidence.gate.removeprefix("build:"), event.evidence.status
        if event.must_fail:
            status += ", as it should" if status == "failed" else ", but should fail"
        took = "earlier" if event.cached else format_duration(event.evidence.seconds)
        self._line("base", f"checking the base: {gate} … {status} ({took})", "dim")

    def _reply(self, event: AssistantMessage) -> None:
        self._targets |= {number: target for number, _, target in calls_in(event.message)}
        blocks = blocks_in(event.message)
        words = "\n".join(str(b.get("text")) for b in blocks if b.get("type") == "text")
        cost = "" if event.cost is None else f" · ${event.cost:.4f}"
        spent = f"  {event.usage.prompt_tokens:,} → {event.usage.output_tokens:,} tokens{cost}"
        shown = ""
        if words and not self._verbose:
            folds = self._printer.width and not self._printer.live
            shown = one_line(words, max(20, self._room - (0 if folds else len(spent)) - 4))
        self._print("turn", (f"{self._run.turn:3} ", "dim"), (shown, ""), (spent, "dim"))
        for line in neutral(words).splitlines() if self._verbose else ():
            self._line("says", f"    {line}")

    def _tool(self, event: ToolFinished) -> None:
        name, took = one_line(event.name, 20), format_duration(event.seconds)
        target = one_line(self._targets.pop(event.id, ""), 400)
        if event.is_error:
            target = one_line(target, max(20, self._room // 2))
        elif self._printer.width:
            target = elided(target, max(20, self._room - 4 - max(5, len(name)) - 3 - len(took)))
        spans: list[Span] = [
            ("    ", ""),
            (f"{name:<5} ", "cyan"),
            (target, ""),
            (f"  {took}", "dim"),
        ]
        if event.is_error:
            spans.append((f"  error: {one_line(event.summary, 200)}", "red"))
        self._print("tool", *spans)

    @property
    def _names_the_task(self) -> bool:
        """Whether each line says whose it is."""
        return self._shares or self._printer.width is None

    def _line(self, word: str, text: str, style: str = "") -> None:
        self._print(word, (neutral(text), style), fit="fold")

    def _print(self, word: str, *spans: Span, fit: Fit = "cut") -> None:
        """One line; `word` says in a log what it is about."""
        if self._printer.live:
            whose = [(f"{self._task}  ", "bold")] if self._names_the_task else []
            self._printer.print(*whose, *spans, fit=fit)
            return
        for line in "".join(text for text, _ in spans).splitlines():
            said = line.strip().removeprefix(f"{word}: ").removeprefix(f"{word} ")
            if said:
                self._printer.print(stamped(self._printer, self._at, self._task, word, said))

    @property
    def _task(self) -> str:
        return one_line(self._run.task, 60) if self._names_the_task else ""

    @property
    def _room(self) -> int:
        """Columns for what is said of an event, beside what stands before it."""
        if self._printer.width is None:
            return 200
        before = 0 if self._printer.live else len("00:00:00Z word ")
        return self._printer.width - before - len(f"{self._task}  " if self._task else "")


def stamped(printer: Printer, at: datetime, task: str, word: str, said: str) -> str:
    """A line of a log; a person who looks on knows the day."""
    stamp = f"{at:%H:%M:%SZ}" if printer.width else f"{at:%Y-%m-%dT%H:%M:%SZ}"
    return " ".join(part for part in (stamp, task, word, said) if part)


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
