"""`agentflow runs`: what was run, and how it ended."""

from pathlib import Path
from typing import Annotated

import typer

from agentflow.cli.output import data, exit_codes, print_json
from agentflow.records import Json

runs = typer.Typer(help="List and show runs.", no_args_is_help=True, rich_markup_mode=None)


@runs.command("list")
def list_(
    task: Annotated[str | None, typer.Argument(help="Only the runs of this task.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List the runs in this repository, oldest first."""
    with exit_codes("json" if json else "text"):
        from agentflow.runs import list_runs

        found = list_runs(_root(), task)
        if json:
            for report in found:
                print_json(report)
            return
        if not found:
            typer.echo("no runs yet", err=True)
        for report in found:
            data().print(_line(report), soft_wrap=True)


@runs.command()
def show(
    run: Annotated[str, typer.Argument(help="A run, or a task for its newest run.")],
    json: Annotated[bool, typer.Option("--json", help="The report as JSON.")] = False,
    journal: Annotated[bool, typer.Option("--journal", help="The journal, line by line.")] = False,
) -> None:
    """Show a run's verdict, or its journal."""
    with exit_codes("json" if json else "text"):
        from agentflow.errors import UsageError
        from agentflow.journal import load
        from agentflow.nearest import nearest
        from agentflow.runs import FOLDER, JOURNAL, list_runs
        from agentflow.sinks.verdict import print_verdict

        found = list_runs(_root())
        match = [report for report in found if run in {report["run"], report["task"]}]
        if not match:
            names = [str(report["run"]) for report in found]
            raise UsageError(
                f"there is no run or task {run!r} here{nearest(run, names)}",
                hint="List them with `agentflow runs list`.",
            )
        report = match[-1]
        if journal:
            for line in load(_root() / FOLDER / report["run"] / JOURNAL):
                print_json(line)
        elif json or report["outcome"] == "unfinished":
            print_json(report)
        else:
            print_verdict(data(), report)


def _root() -> Path:
    from agentflow.workspace.repository import open_repository
    from agentflow.world import World

    world = World()
    return open_repository(world.directory, world.environment).root


def _line(report: Json) -> str:
    from agentflow.durations import format_duration
    from agentflow.neutral import one_line

    cost = report.get("total_cost_usd")
    spent = "" if cost is None else f"${cost:.4f}"
    took = format_duration(report["duration_ms"] / 1000) if "duration_ms" in report else ""
    title = one_line(str(report.get("title") or ""), 60)
    return f"{report['run']:<40} {report['outcome']:<12} {spent:>9} {took:>12}  {title}".rstrip()
