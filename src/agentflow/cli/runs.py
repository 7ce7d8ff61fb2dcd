"""`agentflow runs`: what was run, and how it ended."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from agentflow.cli.output import data, exit_codes, print_json, say
from agentflow.cli.past import diff, export, fork, prune, rewind
from agentflow.records import Json


class By(StrEnum):
    """What the costs of runs are summed up by."""

    TASK = "task"
    MODEL = "model"


runs = typer.Typer(
    help="List and show runs, go back in them, tidy up.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@runs.command("list")
def list_(
    task: Annotated[str | None, typer.Argument(help="Only the runs of this task.")] = None,
    by: Annotated[
        By | None, typer.Option(help="What the runs of each task, or each model, cost together.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List the runs in this repository, oldest first, and what they cost."""
    with exit_codes("json" if json else "text"):
        found = _reports(task)
        if by:
            _print_sums(by, found, json=json)
            return
        if json:
            for report in found:
                print_json(report)
            return
        if not found:
            say("no runs yet" if task is None else f"no runs of {task} yet")
        for report in found:
            data().print(_line(report))
        if len(found) > 1:
            from agentflow.spending import total

            say(f"{len(found)} runs: {total(found).spent.as_text}")


def _print_sums(by: By, found: list[Json], *, json: bool) -> None:
    from agentflow.neutral import one_line
    from agentflow.spending import by_model, by_task
    from agentflow.words import counted

    for name, each in (by_task if by is By.TASK else by_model)(found).items():
        if json:
            print_json({by.value: name, **each.as_json()})
        else:
            runs_ = counted(each.runs, "run")
            data().print(f"{one_line(name, 80):<40} {runs_:>8}  {each.spent.as_text}")


@runs.command()
def show(
    run: Annotated[str, typer.Argument(help="A run, or a task for its newest run.")],
    json: Annotated[bool, typer.Option("--json", help="The report as JSON.")] = False,
    journal: Annotated[bool, typer.Option("--journal", help="The journal, line by line.")] = False,
) -> None:
    """Show a run's verdict, or its journal."""
    with exit_codes("json" if json else "text"):
        from agentflow.journal import lines
        from agentflow.runs import FOLDER, JOURNAL, find_report
        from agentflow.sinks.verdict import print_verdict

        find_report(_root(), run)
        report = [each for each in _reports(None) if run in {each["run"], each["task"]}][-1]
        if journal:
            for line in lines(_root() / FOLDER / report["run"] / JOURNAL):
                print_json(line)
        elif json:
            print_json(report)
        elif report["outcome"] in {"unfinished", "running"}:
            data().print(_line(report))
        else:
            print_verdict(data(), report)


def _reports(task: str | None) -> list[Json]:
    """What is known of the runs here; one without a report runs now, or was killed."""
    from agentflow.report import known_runs
    from agentflow.runs import FOLDER, is_running, last_line
    from agentflow.workspace.repository import open_repository
    from agentflow.world import World

    world = World()
    repository = open_repository(world.directory, world.environment)
    found = known_runs(repository.root, task)
    for name in {report["task"] for report in found}:
        if is_running(repository.locks(world.cache), name):
            latest = max(
                (report for report in found if report["task"] == name),
                key=lambda report: last_line(repository.root / FOLDER / report["run"]),
            )
            latest["outcome"] = "running"
    return found


def _root() -> Path:
    from agentflow.workspace.repository import open_repository
    from agentflow.world import World

    world = World()
    return open_repository(world.directory, world.environment).root


def _line(report: Json) -> str:
    from agentflow.durations import format_duration
    from agentflow.neutral import one_line
    from agentflow.runs import shown
    from agentflow.spending import of_report

    fields = shown(report)
    run, outcome = one_line(fields["run"], 255), one_line(fields["outcome"], 40)
    milliseconds, spent = fields["duration_ms"], of_report(report)
    took = "" if milliseconds is None else format_duration(milliseconds / 1000)
    title = one_line(fields["title"], 60)
    paid = spent.as_text if spent.turns else ""
    return f"{run:<40} {outcome:<12} {paid:>45}  {took:>10}  {title}".rstrip()


for command in (diff, rewind, fork, export, prune):
    runs.command()(command)
