"""Runs that were submitted to a cluster, for `agentflow runs` and `wait`."""

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from agentflow.cli.output import data, print_json, print_table, say
from agentflow.records import Json
from agentflow.words import word

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow.sinks.tables import Row

T = TypeVar("T")

URL = "AGENTFLOW_DATABASE_URL"
"""Without it, nobody waits for the packages of a cluster."""


def submitted_reports(task: str | None, *, whole: bool, known: bool) -> list[Json]:
    """The reports of this repository's submitted runs, or of those of a task, oldest first; none
    without a database. Not `whole`, they are what a list shows.

    If the database is away, a note says so where `known` runs are here; else it raises
    `EnvironmentFailure`.
    """
    from agentflow.world import World

    world = World()
    if URL not in world.environment:
        return []
    from agentflow.cluster.elsewhere import reports_of, summaries_of

    ask = reports_of if whole else summaries_of
    return _asked(lambda: ask(world, task), lambda: known) or []


def submitted_report(wanted: str, root: Path) -> Json | None:
    """The report of a submitted run, or of a task's newest, if no newer one happened here.

    Raises `EnvironmentFailure` if nothing of it is here and the database is away.
    """
    from agentflow.runs import is_here, newest_run, started_at
    from agentflow.world import World

    world = World()
    if URL not in world.environment or (started_at(wanted) and is_here(root, wanted)):
        return None
    from agentflow.cluster.elsewhere import report_of

    found = _asked(lambda: report_of(world, wanted), lambda: is_here(root, wanted))
    if not found:
        return None
    here = newest_run(root, wanted)
    begun, other = started_at(str(found["run"])), started_at(here) if here else None
    return found if begun is None or other is None or begun >= other else None


def _asked(ask: "Callable[[], T]", is_known: "Callable[[], bool]") -> T | None:
    """What the database says; None, and a note, if it is away and something is known without it."""
    from agentflow.errors import EnvironmentFailure
    from agentflow.neutral import one_line

    try:
        return ask()
    except EnvironmentFailure as error:
        if not is_known():
            raise
        say(f"only what happened here: {one_line(error.message, 300)}")
        return None


def show_submitted(report: Json, *, json: bool, journal: bool) -> None:
    """Print a submitted run's verdict, or where it stands. Raises `UsageError` for its journal."""
    from agentflow.errors import UsageError

    if journal:
        raise UsageError(
            f"the journal of {report['run']} is not on this machine",
            hint="It is in the run's checkpoints, on the state remote of the workers.",
        )
    if json:
        print_json(report)
    elif "verification" not in report:
        print_table(RUNS, [row_of(report)])
    else:
        from agentflow.sinks.verdict import print_verdict

        print_verdict(data(), report)


def refuse_submitted(run: str | None, root: Path) -> None:
    """Raises `UsageError` for a submitted run: workers go on with it."""
    from agentflow.errors import UsageError

    report = submitted_report(run, root) if run else None
    if report and report["outcome"] != "done":
        name, outcome = report["run"], report["outcome"]
        raise UsageError(
            f"{name} was submitted, and workers go on with it: it is {outcome}",
            hint=f"agentflow answer {word(name)} 'TEXT'"
            if outcome == "blocked"
            else f"agentflow cluster retry {word(name)}",
        )


def answer_submitted(report: Json, text: str) -> None:
    """Give a submitted run's agent a person's answer; print the run. Raises `UsageError`."""
    from agentflow.cluster.database import database_url, open_client, refusals
    from agentflow.models.endpoint import keys
    from agentflow.redaction import redactor
    from agentflow.world import World

    environment = World().environment
    with refusals():
        from agentflow.cluster.board import Board

        with open_client(database_url(environment)) as client:
            board = Board(client)
            board.answer(board.get(str(report["run"])), text, redactor(keys(environment)))
    data().print(str(report["run"]))
    say(f"a worker goes on with it; then: agentflow wait {word(report['task'])}")


RUNS = "{:<40} {:<12} {:>45}  {:>10}  {}"
"""A row of runs: name, outcome, what was spent, time, title."""


def row_of(report: Json) -> "Row":
    """One run as a row."""
    from agentflow.durations import format_duration
    from agentflow.neutral import one_line
    from agentflow.shown_reports import shown
    from agentflow.sinks.tables import Row
    from agentflow.spending import is_replay, of_report

    fields = shown(report)
    run, outcome = one_line(fields["run"], 255), one_line(fields["outcome"], 40)
    milliseconds, spent = fields["duration_ms"], of_report(report)
    took = "" if milliseconds is None else format_duration(milliseconds / 1000)
    title = one_line(fields["title"], 60)
    paid = "replay" if is_replay(report) else spent.as_text if spent.turns else ""
    return Row((run, outcome, paid, took, title))
