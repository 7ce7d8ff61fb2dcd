"""The table of many tasks: outcome, commits, cost and time of each."""

from agentflow.durations import format_duration
from agentflow.neutral import neutral, one_line
from agentflow.records import Json
from agentflow.sinks.printer import Printer
from agentflow.sinks.tables import Row, print_table
from agentflow.what_next import step_lines
from agentflow.words import counted

STYLES = {"done": "green", "skipped": "dim", "failed": "bold red", "environment": "bold red"}
"""How outcomes look; every other one is yellow."""
TOLD = 1000
"""Characters of a reason."""


def print_tasks(printer: Printer, report: Json) -> None:
    """Print the summary of `agentflow run` with several tasks."""
    tasks: list[Json] = report["tasks"]
    width = max((len(one_line(task["task"], 100)) for task in tasks), default=4)
    form = f"{{:<{width}}}  {{:<12}} {{:>7}}  {{:>9}}  {{:>10}}  {{}}"
    titles = ("task", "outcome", "commits", "cost", "time", "where")
    head = Row([(title, "dim") for title in titles], is_heading=True)
    print_table(printer, form, [head, *(_row(task, width) for task in tasks)])
    done = sum(task["outcome"] == "done" for task in tasks)
    turns, cost = counted(report["num_turns"], "turn"), _cost(report["total_cost_usd"])
    printer.print(f"{done} of {len(tasks)} done · {turns} · {cost}")
    for name, why in report["left_out"].items():
        printer.print((f"not ready: {one_line(name, 100)}: {one_line(why, TOLD)}", "dim"))
    for line in step_lines(report["hint"]):
        printer.print(("next: ", "dim"), neutral(line))


def _row(task: Json, width: int) -> Row:
    """A task's row; below it why it ended so, and what comes next for it alone: the command that goes
    on with all stands below the table."""
    time = format_duration(task["duration_ms"] / 1000) if task["duration_ms"] else ""
    proposed = ", ".join(task["follow_ups"])
    asks = f"asks for {proposed}" if proposed else ""
    steps = [f"next: {neutral(line)}" for line in step_lines(task["hint"])]
    told = [one_line(text, TOLD) for text in (task["reason"], asks) if text]
    told[1 if task["reason"] else 0 : 0] = steps
    return Row(
        (
            (one_line(task["task"], 100), "bold"),
            (one_line(task["outcome"], 12), STYLES.get(task["outcome"], "yellow")),
            str(len(task["commits"])),
            _cost(task["total_cost_usd"]),
            time,
            _where(task),
        ),
        [(f"{'':<{width}}  {text}", "dim") for text in told],
    )


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
