"""The table of many tasks: outcome, commits, cost and time of each."""

from collections.abc import Iterator

from agentflow.durations import format_duration
from agentflow.neutral import one_line
from agentflow.records import Json
from agentflow.sinks.printer import Printer, Span
from agentflow.words import counted

STYLES = {"done": "green", "skipped": "dim", "failed": "bold red", "environment": "bold red"}
"""How outcomes look; every other one is yellow."""


def print_tasks(printer: Printer, report: Json) -> None:
    """Print the summary of `agentflow run` with several tasks."""
    tasks: list[Json] = report["tasks"]
    width = max((len(one_line(task["task"], 100)) for task in tasks), default=4)
    head = f"{'task':<{width}}  {'outcome':<12} {'commits':>7}  {'cost':>9}  {'time':>10}  where"
    printer.print((head, "dim"))
    for task in tasks:
        for line in _lines(task, width, printer.width):
            printer.print(*line)
    done = sum(task["outcome"] == "done" for task in tasks)
    turns, cost = counted(report["num_turns"], "turn"), _cost(report["total_cost_usd"])
    printer.print(f"{done} of {len(tasks)} done · {turns} · {cost}")
    for name, why in report["left_out"].items():
        printer.print((f"not ready: {one_line(name, 100)}: {one_line(why, 200)}", "dim"))
    if report["hint"]:
        printer.print(("next: ", "dim"), one_line(report["hint"], 300))


def _lines(task: Json, width: int, columns: int | None) -> Iterator[list[Span]]:
    """A row, and what does not fit into it below; `columns` of the terminal, None in a log."""
    time = format_duration(task["duration_ms"] / 1000) if task["duration_ms"] else ""
    row: list[Span] = [
        (f"{one_line(task['task'], 100):<{width}}  ", "bold"),
        (f"{one_line(task['outcome'], 12):<12} ", STYLES.get(task["outcome"], "yellow")),
        (f"{len(task['commits']):>7}  {_cost(task['total_cost_usd']):>9}  {time:>10}", ""),
    ]
    where = _where(task)
    if columns is None or sum(len(text) for text, _ in row) + 2 + len(where) <= columns:
        yield [*row, (f"  {where}".rstrip(), "")]
    else:
        yield row
        yield [(f"{'':<{width}}  {where}", "")]
    proposed = ", ".join(task["follow_ups"])
    asks = f"asks for {proposed}" if proposed else ""
    step = f"next: {task['hint']}" if task["hint"] else ""
    for text in (task["reason"], step, asks):
        if text:
            yield [(f"{'':<{width}}  {one_line(text, 300)}", "dim")]


def _where(task: Json) -> str:
    landed: Json = task["landed"] or {}
    if not landed.get("ref"):
        return ""
    before = " (done before)" if task["already_done"] else ""
    merged = " (merged)" if task["combined"] else ""
    name = one_line(str(landed["ref"]).removeprefix("refs/heads/"), 100)
    return f"{name} {landed['tip'][:12]}{merged}{before}"


def _cost(cost: float | None) -> str:
    return "unknown" if cost is None else f"${cost:.4f}"
