"""`agentflow runs`: what was run, and how it ended."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from agentflow.cli.completion import complete_outcome, complete_prompt, complete_run, complete_task
from agentflow.cli.desk import root_here
from agentflow.cli.options import Verbose
from agentflow.cli.output import data, exit_codes, print_json, print_table, say, talk
from agentflow.cli.past import diff, export, fork, prune, rewind
from agentflow.cli.runs_import import import_
from agentflow.cli.submitted import (
    RUNS,
    row_of,
    show_submitted,
    submitted_report,
    submitted_reports,
)
from agentflow.records import Json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentflow.selection import Selection


class By(StrEnum):
    """What the costs of runs are summed up by."""

    TASK = "task"
    MODEL = "model"
    PROMPT = "prompt"
    DAY = "day"


runs = typer.Typer(
    help="List and show runs, go back in them, tidy up.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@runs.command("list")
def list_(
    task: Annotated[
        str | None,
        typer.Argument(help="Only the runs of this task.", autocompletion=complete_run),
    ] = None,
    outcome: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OUTCOME",
            help="done, failed, blocked, …, unfinished, running. Repeatable.",
            autocompletion=complete_outcome,
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Begun since 7d, 2h, 2026-11-20, ….")
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="With this prompt.", autocompletion=complete_prompt),
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="By a model whose name holds this.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", metavar="N", min=1, help="The newest N.")
    ] = None,
    by: Annotated[By | None, typer.Option(help="What the runs of each one cost together.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List the runs in this repository, oldest first, and what they cost.

    With AGENTFLOW_DATABASE_URL, also those that were submitted.
    """
    with exit_codes("json" if json else "text"):
        from agentflow.selection import Selection, parse_since, select
        from agentflow.world import World

        begun = None if since is None else parse_since(since, World().now(), where="--since")
        outcomes = _outcomes(outcome or [])
        wanted = Selection(task, outcomes, begun, prompt, model, limit)
        reports = _all_reports(task, whole=json and not by)
        if task is not None:
            _check_known(task, reports)
        found = select(reports, wanted)
        if by:
            _print_sums(by, found, json=json)
            return
        if json:
            for report in found:
                print_json(report)
            return
        if not found:
            say(_nothing(wanted))
        print_table(RUNS, list(map(row_of, found)))
        if len(found) > 1:
            from agentflow.spending import total

            say(f"{len(found)} runs: {total(found).spent.as_text}")


def _check_known(task: str, reports: list[Json]) -> None:
    """Raise `UsageError` for a task without a run, a file, an entry in a queue and a document."""
    from agentflow.cli.desk import desk
    from agentflow.errors import UsageError
    from agentflow.nearest import nearest

    known = {*complete_task(""), *(str(report["task"]) for report in reports)}
    if task in known:
        return
    try:
        desk().find(task)
    except UsageError as error:
        raise UsageError(
            f"there is no task {task!r}, and no run of it{nearest(task, sorted(known))}",
            hint="All runs: agentflow runs list",
        ) from error


def _print_sums(by: By, found: list[Json], *, json: bool) -> None:
    from agentflow.neutral import one_line
    from agentflow.sinks.tables import Row
    from agentflow.spending import by_day, by_model, by_prompt, by_task
    from agentflow.words import counted

    sums = {By.TASK: by_task, By.MODEL: by_model, By.PROMPT: by_prompt, By.DAY: by_day}
    summed = sums[by](found)
    if json:
        for name, each in summed.items():
            print_json({by.value: name, **each.as_json()})
        return
    rows = [
        Row((one_line(name, 80), counted(each.runs, "run"), each.spent.as_text))
        for name, each in summed.items()
    ]
    print_table("{:<40} {:>8}  {}", rows)


def _outcomes(given: list[str]) -> tuple[str, ...]:
    from agentflow.errors import UsageError
    from agentflow.nearest import nearest
    from agentflow.runs import OUTCOMES

    for each in given:
        if each not in OUTCOMES:
            raise UsageError(
                f"--outcome: {each!r} is none{nearest(each, OUTCOMES)}",
                hint=f"Outcomes: {', '.join(OUTCOMES)}",
            )
    return tuple(given)


def _nothing(wanted: "Selection") -> str:
    from agentflow.selection import Selection

    if wanted == Selection(wanted.task):
        return "no runs yet" if wanted.task is None else f"no runs of {wanted.task} yet"
    return "no such runs"


@runs.command()
def show(
    run: Annotated[
        str,
        typer.Argument(help="A run, or a task for its newest run.", autocompletion=complete_run),
    ],
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="What happened, and what happens until its end.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="The report as JSON.")] = False,
    journal: Annotated[bool, typer.Option("--journal", help="The journal, line by line.")] = False,
    verbose: Verbose = False,
) -> None:
    """Show a run's verdict, or its journal."""
    with exit_codes("json" if json else "text"):
        from agentflow.runs import find_report

        elsewhere = submitted_report(run, root_here())
        if elsewhere:
            show_submitted(elsewhere, json=json, journal=journal or follow)
            return
        report = _report_of(str(find_report(root_here(), run)["run"]))
        if journal:
            for line in _lines(report, follow=follow):
                print_json(line)
            return
        if follow:
            _follow(report, verbose=verbose)
            report = _report_of(str(report["run"]))
        if json:
            print_json(report)
        elif report["outcome"] in {"unfinished", "running"}:
            print_table(RUNS, [row_of(report)])
            _print_next(report)
        else:
            from agentflow.sinks.verdict import print_verdict

            print_verdict(data(), report)


def _print_next(report: Json) -> None:
    """What comes next for a run that has not ended."""
    from agentflow.runs import next_of
    from agentflow.what_next import step_lines
    from agentflow.words import word

    steps = step_lines(next_of(report))
    if report["outcome"] == "running":
        steps = [
            f"agentflow runs show {word(report['task'])} --follow",
            f"agentflow wait {word(report['task'])}",
        ]
    for step in steps:
        data().print(("  next     ", "dim"), step)


def _all_reports(task: str | None, *, whole: bool) -> list[Json]:
    """The runs here and those that were submitted, oldest first."""
    here = _reports(None)
    elsewhere = submitted_reports(task, whole=whole, known=bool(here))
    if not elsewhere:
        return here
    return sorted((*here, *elsewhere), key=lambda report: str(report["run"]).rsplit("-", 2)[1:])


def _report_of(run: str) -> Json:
    return next(each for each in _reports(None) if each["run"] == run)


def _lines(report: Json, *, follow: bool) -> "Iterator[Json]":
    """The lines of a run's journal; with `follow`, also those that come."""
    import time

    from agentflow.journal import follow as grow
    from agentflow.journal import lines
    from agentflow.runs import FOLDER, JOURNAL, is_running
    from agentflow.workspace.repository import open_repository
    from agentflow.world import World

    world = World()
    repository = open_repository(world.directory, world.environment)
    path = repository.root / FOLDER / str(report["run"]) / JOURNAL
    if not follow:
        return lines(path)
    locks, task = repository.locks(world.cache), str(report["task"])
    return grow(path, lambda: is_running(locks, task), time.sleep)


def _follow(report: Json, *, verbose: bool) -> None:
    """Show what a run's journal tells, as its own process would have shown it."""
    from agentflow.history import decoded
    from agentflow.sinks.console import ConsoleSink

    console = ConsoleSink(talk(), verbose=verbose)
    try:
        for line in decoded(_lines(report, follow=True)):
            console.take(line.event, line.at)
    finally:
        console.close()


def _reports(task: str | None) -> list[Json]:
    """What is known of the runs here; one without a report runs now, or was killed."""
    from agentflow.report import runs_here
    from agentflow.workspace.repository import open_repository
    from agentflow.world import World

    world = World()
    repository = open_repository(world.directory, world.environment)
    return runs_here(repository.root, repository.locks(world.cache), world.now(), task)


for command in (diff, rewind, fork, export):
    runs.command()(command)
runs.command("import")(import_)
runs.command()(prune)
