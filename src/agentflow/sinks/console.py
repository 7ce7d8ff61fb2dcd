"""The console: events as lines of talk for a person, on standard error."""

from rich.console import Console
from rich.text import Text

from agentflow.durations import format_duration
from agentflow.events import (
    AgentEnded,
    AssistantMessage,
    Collected,
    Event,
    GateFinished,
    GateStarted,
    LandingDone,
    Notice,
    RepairStarted,
    RetryScheduled,
    RunStarted,
    ToolFinished,
    ToolStarted,
)
from agentflow.neutral import neutral, one_line
from agentflow.records import Evidence

MARKS = {"passed": "✓", "failed": "✗", "skipped": "–"}  # noqa: RUF001
STYLES = {"passed": "green", "failed": "bold red", "skipped": "dim"}


class ConsoleSink:
    """Prints what happens, one line an event; with `verbose` also the model's words in full."""

    def __init__(self, console: Console, *, verbose: bool = False) -> None:
        self._console = console
        self._verbose = verbose
        self._turn = 0
        self._targets: dict[str, str] = {}

    def __call__(self, event: Event, /) -> None:
        """Print the event, if it is worth a line."""
        match event:
            case ToolStarted():
                self._targets[event.id] = event.target
            case ToolFinished():
                self._tool(event)
            case AssistantMessage():
                self._reply(event)
            case GateFinished():
                self._console.print(gate_line(event.evidence))
            case RunStarted():
                self._started(event)
            case _:
                self._short(event)

    def _started(self, event: RunStarted) -> None:
        self._line(f"{event.task}  {event.title}", "bold")
        self._line(
            f"prompt {event.prompt} · model {event.model} · base {event.base[:12]} "
            f"· sandbox {event.sandbox} · run {event.run}",
            "dim",
        )

    def _short(self, event: Event) -> None:
        match event:
            case Notice():
                self._line(f"note: {event.text}", "yellow")
            case RetryScheduled():
                self._line(
                    f"the model API failed ({event.reason}); again in {event.delay:.1f} s", "yellow"
                )
            case AgentEnded():
                self._line(f"agent {event.reason}", "dim")
            case Collected():
                self._line("verifying on a clean checkout of the result", "bold")
            case GateStarted() if event.gate.startswith("build"):
                self._line(f"{event.gate} …", "dim")
            case RepairStarted():
                self._line(f"repair {event.attempt} of {event.of}: back to the agent", "bold")
            case LandingDone():
                self._line(f"landed on {event.ref or 'nothing'}", "bold green")
            case _:
                pass

    def _reply(self, event: AssistantMessage) -> None:
        self._turn += 1
        words = "\n".join(b["text"] for b in event.message["content"] if b["type"] == "text")
        tokens = event.usage.prompt_tokens
        cost = "" if event.cost is None else f" · ${event.cost:.4f}"
        head = Text(f"{self._turn:3} ", "dim")
        if words and not self._verbose:
            head.append(one_line(words, max(40, self._console.width - 30)))
        head.append(f"  {tokens:,} → {event.usage.output_tokens:,} tokens{cost}", "dim")
        self._console.print(head, soft_wrap=True)
        if words and self._verbose:
            self._line(neutral(words))

    def _tool(self, event: ToolFinished) -> None:
        target = one_line(self._targets.pop(event.id, ""), max(20, self._console.width - 40))
        line = Text("    ")
        line.append(f"{one_line(event.name, 20):<5} ", "cyan")
        line.append(target)
        line.append(f"  {format_duration(event.seconds)}", "dim")
        if event.is_error:
            line.append(f"  error: {one_line(event.summary, 80)}", "red")
        self._console.print(line, soft_wrap=True)

    def _line(self, text: str, style: str = "") -> None:
        self._console.print(Text(neutral(text), style), soft_wrap=True)


def gate_line(evidence: Evidence) -> Text:
    """`✓ build:test  passed  `pytest` passed  1.2 s`."""
    line = Text("  ")
    line.append(f"{MARKS[evidence.status]} {evidence.status:<7} ", STYLES[evidence.status])
    line.append(f"{one_line(evidence.gate, 30):<12} ", "bold")
    line.append(one_line(evidence.summary, 110))
    if evidence.seconds >= 0.05:
        line.append(f"  {format_duration(evidence.seconds)}", "dim")
    return line
