"""Every screen as it looks on 60, 80 and 120 columns, and in a log.

After a change that is meant: `UPDATE_GOLDENS=1 .venv/bin/pytest tests/sinks`, and read the
difference.
"""

import io
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agentflow.events import Event, GateFinished, ToolFinished, ToolStarted
from agentflow.progress import Progress, progressed
from agentflow.report import Summary
from agentflow.results import Evidence
from agentflow.sinks.console import ConsoleSink
from agentflow.sinks.live import LiveView, live_rows
from agentflow.sinks.printer import PlainPrinter
from agentflow.sinks.verdict import TITLES, print_verdict
from tests.golden import check_golden
from tests.sinks.sample import BEGAN, LOG, timed
from tests.sinks.screen import terminal

GOLDEN = Path(__file__).parent / "golden"
WIDTHS = (60, 80, 120)
RUNS = (
    Progress("TASK-1", "r1", "agent", 12, "Bash python -m pytest -q tests/test_search.py", 100.0,
             None, 0.0, 1_234_567, 0.42, 2.0, 100, "build:test", "failed"),
    Progress("TASK-2", "r2", "preparing", 0, "installing: npm ci --no-audit --no-fund", 220.0),
    Progress("BILLING-REFUNDS-EVENTS-2026", "r3", "verifying", 31, "build:integration", 0.0,
             None, 3600.0, 31_400, None, 5.0, None, "commit", "passed"),
    Progress("TASK-4", "r4", "done", 4, "", 100.0, 160.0, 0.0, 950, 0.0101, 2.0, 100,
             "build:test", "passed"),
)  # fmt: skip
NOW = 301.0


def text_of(lines: list[list[tuple[str, str]]]) -> str:
    return "".join("".join(text for text, _ in line).rstrip() + "\n" for line in lines)


@pytest.mark.parametrize("width", WIDTHS)
def test_one_run_is_a_line_and_several_are_a_table(width: int) -> None:
    parts = [live_rows([run], NOW, width) for run in RUNS]
    parts.append(live_rows(RUNS, NOW, width))
    parts.append(live_rows(RUNS * 10, NOW, width, height=8))
    lines = [line for part in parts for line in part]
    assert max(len("".join(text for text, _ in line)) for line in lines) <= width
    check_golden(GOLDEN / f"live_{width}.txt", "\n".join(map(text_of, parts)))


@pytest.mark.parametrize("width", [60, 61, 79, 89, 90, 200])
def test_a_row_tells_everything_on_any_width(width: int) -> None:
    (line,) = live_rows(RUNS[:1], NOW, width)
    text = "".join(text for text, _ in line)
    for part in ("agent", "12", "Bash pytho", "3:21", "1.2M", "$0.42", "2", "✗ test"):
        assert part in text


@pytest.mark.parametrize("width", WIDTHS)
def test_the_talk_scrolls_and_the_row_goes(width: int) -> None:
    with terminal(width, lines=80) as (screen, printer):
        sink = ConsoleSink(printer, now=lambda: BEGAN + timedelta(minutes=3))
        seen: list[str] = []
        for at, event in timed():
            sink.take(event, at)
            seen.append(screen.lines[-1])
        sink.close()
        rows = [line for line in dict.fromkeys(seen) if "$" in line and "tokens ·" not in line]
    check_golden(GOLDEN / f"talk_{width}.txt", screen.text)
    check_golden(GOLDEN / f"rows_{width}.txt", "\n".join(rows) + "\n")


def test_nothing_flickers() -> None:
    """The screen is never cleared, and each frame is one write: no terminal shows half of one."""
    with terminal(80) as (screen, printer):
        sink = ConsoleSink(printer, now=lambda: BEGAN)
        for at, event in timed():
            sink.take(event, at)
    text = "".join(screen.writes)
    assert not [code for code in ("\x1b[2J", "\x1b[J", "\x1b[0J", "\x1b[H") if code in text]
    frames = [each for each in screen.writes if "\x1b[2K" in each]
    drawn = [each.rpartition("\x1b[2K")[2] for each in frames]
    assert len(drawn) > 20
    assert all("$" in each for each in drawn[:-1])
    assert drawn[-1] == ""


def test_runs_at_work_together_share_the_view() -> None:
    with terminal(80) as (screen, printer):
        view = LiveView(printer, lambda: BEGAN)
        sinks = [ConsoleSink(printer, view=view, now=lambda: BEGAN) for _ in range(2)]
        for at, event in timed()[:12]:
            for sink in sinks:
                sink.take(event, at)
        shown = screen.lines[-3:]
        sinks[0].close()
        assert screen.lines[-3:] == shown
        view.close()
    assert [line.split()[0] for line in shown] == ["task", "TASK-1", "TASK-1"]
    assert not [line for line in screen.lines if line.startswith("task ")]


@pytest.mark.parametrize("width", [80, 120])
def test_each_line_of_runs_at_work_together_says_whose_it_is(width: int) -> None:
    """From the first one on, whoever else has begun by then, and each says it once."""
    with terminal(width, lines=40) as (screen, printer):
        view = LiveView(printer, lambda: BEGAN)
        first, second = (ConsoleSink(printer, view=view, now=lambda: BEGAN) for _ in range(2))
        for at, event in timed()[:9]:
            first.take(event, at)
        for at, event in timed()[:5]:
            second.take(event, at)
        view.close()
    whose = [re.findall("TASK-1(?!-)", line) for line in screen.lines]
    assert whose == [["TASK-1"]] * len(screen.lines)
    check_golden(GOLDEN / f"together_{width}.txt", screen.text)


@pytest.mark.parametrize("verbose", [False, True])
def test_a_log_has_whole_lines_with_a_time(*, verbose: bool) -> None:
    file = io.StringIO()
    sink = ConsoleSink(PlainPrinter(file), verbose=verbose)
    for at, event in timed():
        sink.take(event, at)
    text = file.getvalue()
    stamped = re.compile(r"2026-11-20T19:3\d:\d\dZ TASK-1 [a-z]+ \S")
    assert all(stamped.match(line) for line in text.splitlines())
    assert "\x1b" not in text
    check_golden(GOLDEN / f"log_{'verbose' if verbose else 'plain'}.txt", text)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_log_on_a_terminal_fits_it_and_has_the_time_of_day(width: int) -> None:
    with terminal(width, lines=90) as (screen, _):
        sink = ConsoleSink(PlainPrinter(screen, looked_at=True))
        for at, event in timed():
            sink.take(event, at)
    lines = "".join(screen.writes).splitlines()
    assert max(map(len, lines)) <= width
    assert all(re.match(r"19:3\d:\d\dZ [a-z]+ \S|  +\S", line) for line in lines)
    check_golden(GOLDEN / f"log_{width}.txt", "\n".join(lines) + "\n")


def test_a_log_of_runs_at_work_together_names_each_task() -> None:
    with terminal(60) as (screen, _):
        printer = PlainPrinter(screen, looked_at=True)
        sink = ConsoleSink(printer, view=LiveView(printer, lambda: BEGAN))
        for at, event in timed()[:5]:
            sink.take(event, at)
    assert all(re.match(r"19:3\d:\d\dZ TASK-1 [a-z]+ \S|  +\S", line) for line in screen.lines)


def test_a_long_path_loses_its_middle_and_not_its_name() -> None:
    with terminal(60) as (screen, printer):
        sink = ConsoleSink(printer)
        path = f"src/{'modules/' * 9}refunds/service.py"
        sink.take(ToolStarted("1", "Read", path), BEGAN)
        sink.take(ToolFinished("1", "Read", is_error=False, seconds=1.0, summary=""), BEGAN)
    [line] = screen.lines
    assert line.startswith("    Read  src/modules/")
    assert line.endswith("refunds/service.py  1.0 s")


def report(outcome: str) -> dict[str, Any]:
    """The report of the sample, if it had ended in another way."""
    summary = Summary(lambda: BEGAN)
    found: list[Event] = [event for _, event in timed()]
    if outcome == "failed":
        first = next(n for n, event in enumerate(found) if isinstance(event, GateFinished))
        found = [*found[: first + 1], *found[first + 1 : first + 4]]
        extra = Evidence("files", "failed", "a declared file is missing", "missing: docs/search.md")
        found.append(GateFinished(extra))
    for event in found:
        summary(event)
    fields = summary.as_json()
    reasons = {
        "done": ("", ""),
        "failed": ("not verified after 2 repairs: build:test, files", "Look at the agent's files."),
        "blocked": ("Shall deleted notes be found?", ""),
        "budget": ("max_cost: $1.98 of $2.00 are spent", ""),
        "environment": ("the base is red: build:test", "Mend the base, or give --allow-red-base."),
        "provider": ("the API refused the key (401)", "Look at ANTHROPIC_API_KEY."),
        "conflict": ("agentflow/TASK-1 moved meanwhile", "Give another --target."),
        "interrupted": ("interrupted by SIGINT", ""),
    }
    reason, hint = reasons[outcome]
    landed = fields["landed"] if outcome == "done" else None
    marker = f".orchestrator/complete/TASK-1.{outcome}" if outcome in {"done", "failed"} else None
    kept = None if outcome == "done" else "/cache/runs/r/tree"
    return {
        **fields, "again": "agentflow run TASK-1", "outcome": outcome, "reason": reason, "hint": hint, "landed": landed,
        "marker": marker, "work_tree": kept, "duration_ms": 187_000,
        "enough": {"max_cost": 4.0} if outcome == "budget" else {},
    }  # fmt: skip


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("outcome", TITLES)
def test_a_verdict(outcome: str, width: int) -> None:
    with terminal(width) as (screen, printer):
        print_verdict(printer, report(outcome))
    check_golden(GOLDEN / f"verdict_{outcome}_{width}.txt", screen.text)


def test_failures_come_first_with_their_last_lines() -> None:
    file = io.StringIO()
    print_verdict(PlainPrinter(file), report("failed"))
    lines = [line.strip() for line in file.getvalue().splitlines()]
    marks = [line[0] for line in lines if line[:1] in {"✗", "✓", "–"}]  # noqa: RUF001
    assert marks == ["✗", "✗", "✓", "✓"]
    assert set(map(str.strip, LOG.splitlines())) <= set(lines)


def test_progress_is_a_function_of_events() -> None:
    run = Progress()
    for at, event in timed():
        run = progressed(run, event, at.timestamp())
    assert run.phase == "done"
    assert (run.turn, run.gate, run.gate_status) == (5, "checklist", "passed")
    assert (run.tokens, run.cost) == (26_751, pytest.approx(1.6432))
    assert (run.max_cost, run.max_turns) == (2.0, 100)
    assert run.elapsed(0) == 7 * (len(timed()) - 1)
