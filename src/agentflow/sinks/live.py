"""The live view: one row a run, from records alone, for any width from 60 columns."""

from collections.abc import Callable, Sequence
from datetime import datetime

from agentflow.neutral import one_line
from agentflow.progress import Progress
from agentflow.sinks.printer import MARKS, STYLES, Follower, Printer, Span
from agentflow.words import counted

OUTCOMES = {"done": "green", "failed": "bold red"}

SMALLEST_DOING = 10
"""Columns for what a run does now, before other columns give way."""
ROOMY = 90
"""From this many columns on, numbers have their units."""
GIVES_WAY = ("tokens", "elapsed", "gate")
"""What is left out of rows that are still too narrow, first to last."""
TITLES = {
    "task": "task", "phase": "phase", "turn": "turn", "doing": "now", "elapsed": "time",
    "tokens": "tokens", "cost": "cost", "gate": "gate",
}  # fmt: skip

Row = dict[str, Span]


def live_rows(
    runs: Sequence[Progress], now: float, width: int, height: int = 24
) -> list[list[Span]]:
    """The view of some runs at a Unix time: a line for one, a table for several.

    Each line has at most `width` columns, and there are at most `height` lines.
    """
    shown = _most_telling(runs, height)
    rows = [_row(each, now, width) for each in shown]
    if len(runs) == 1:
        del rows[0]["task"]
    else:
        rows.insert(0, {name: (title, "dim") for name, title in TITLES.items()})
    lines = _fitted(rows, width)
    left_out = len(runs) - len(shown)
    return [*lines, *([[(f"and {counted(left_out, 'more run')}", "dim")]] if left_out else [])]


def _most_telling(runs: Sequence[Progress], height: int) -> Sequence[Progress]:
    """As many runs as fit, those that are at work first."""
    most = max(1, height - 2)
    if len(runs) <= most:
        return runs
    return sorted(runs, key=lambda each: each.ended is not None)[:most]


def _row(run: Progress, now: float, width: int) -> Row:
    roomy = width >= ROOMY
    return {
        "task": (one_line(run.task, width // 5), "bold"),
        "phase": (one_line(run.phase, 14), OUTCOMES.get(run.phase, "cyan")),
        "turn": (_turn(run, roomy=roomy), ""),
        "doing": (one_line(run.doing, 200), ""),
        "elapsed": (_clock(run.elapsed(now)), "dim"),
        "tokens": (_tokens(run.tokens, roomy=roomy), "dim"),
        "cost": (_cost(run, roomy=roomy), ""),
        "gate": _gate(run, roomy=roomy),
    }


def _turn(run: Progress, *, roomy: bool) -> str:
    if not roomy:
        return f"t{run.turn}"
    return f"turn {run.turn}" + (f"/{run.max_turns:g}" if run.max_turns else "")


def _clock(seconds: float) -> str:
    """`0:07`, `12:34`, `1:02:03`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _tokens(number: int, *, roomy: bool) -> str:
    """`950`, `31k`, `1.2M`."""
    if number < 1000:
        text = str(number)
    elif number < 999_500:
        text = f"{number / 1000:.0f}k"
    else:
        text = f"{number / 1e6:.1f}M"
    return f"{text} tokens" if roomy else text


def _cost(run: Progress, *, roomy: bool) -> str:
    spent = "$?" if run.cost is None else f"${run.cost:.2f}"
    if run.max_cost is None:
        return spent
    return f"{spent} of ${run.max_cost:.2f}" if roomy else f"{spent}/{run.max_cost:g}"


def _gate(run: Progress, *, roomy: bool) -> Span:
    if run.gate_status is None:
        return "", ""
    name = one_line(run.gate.removeprefix("build:"), 20 if roomy else 10)
    return f"{MARKS[run.gate_status]} {name}", STYLES[run.gate_status]


def _fitted(rows: list[Row], width: int) -> list[list[Span]]:
    """The rows as columns; what a run does now gets the room that the others leave."""
    names = [name for name in TITLES if name in rows[0] and _widest(rows, name)]
    names = [name for name in TITLES if name in {*names, "doing"}]
    for name in GIVES_WAY:
        if _left(rows, names, width) >= SMALLEST_DOING:
            break
        names = [each for each in names if each != name]
    widths = {name: _widest(rows, name) for name in names}
    widths["doing"] = max(1, _left(rows, names, width))
    return [_line(row, widths) for row in rows]


def _widest(rows: list[Row], name: str) -> int:
    return max(len(row[name][0]) for row in rows)


def _left(rows: list[Row], names: list[str], width: int) -> int:
    others = [name for name in names if name != "doing"]
    return width - 2 * len(others) - sum(_widest(rows, name) for name in others)


def _line(row: Row, widths: dict[str, int]) -> list[Span]:
    spans: list[Span] = []
    for name, width in widths.items():
        text, style = row[name]
        cut = text if len(text) <= width else f"{text[: width - 1]}…"
        right = name in {"elapsed", "tokens", "cost"}
        spans += [(cut.rjust(width) if right else cut.ljust(width), style), ("  ", "")]
    return spans[:-1]


class LiveView:
    """The rows at a terminal's end; several sinks may share one."""

    def __init__(self, printer: Printer, now: Callable[[], datetime]) -> None:
        self._printer = printer
        self._now = now
        self._runs: dict[object, Progress] = {}
        self._follower: Follower | None = None

    def show(self, who: object, run: Progress) -> None:
        """Show where one run is; the first call begins the view, later ones change a row."""
        self._runs[who] = run
        if self._follower is None:
            self._follower = self._printer.follow(self._rows)
        if self._follower:
            self._follower.refresh()

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._follower:
            self._follower.stop()
        self._follower = None
        self._runs.clear()

    def _rows(self, width: int, height: int) -> list[list[Span]]:
        return live_rows(list(self._runs.values()), self._now().timestamp(), width, height)
