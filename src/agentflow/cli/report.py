"""`agentflow report`: a run as one HTML file."""

from pathlib import Path
from typing import Annotated

import typer

from agentflow.cli.completion import complete_run
from agentflow.cli.output import data, exit_codes


def report(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN|TASK", help="A run, or a task for its newest.", autocompletion=complete_run
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Default: report.html in the run's folder."
        ),
    ] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Show it in your browser.")] = False,
) -> None:
    """Write a run as one HTML page.

    Verdict with evidence, diff, every turn, spending, prompt and environment. It needs no network
    and can be sent to others; its path is printed. `-o -` prints the page itself.
    """
    with exit_codes("text"):
        import sys
        import webbrowser

        from agentflow.disk import check_replaceable, write_atomically

        if output and str(output) != "-":
            check_replaceable(output)
        page, file = _page(run)
        if str(output) == "-":
            sys.stdout.write(page)
            return
        file = output or file
        write_atomically(file, page)
        data().print(str(file))
        if open_it:
            webbrowser.open(file.resolve().as_uri())


def _page(run: str) -> tuple[str, Path]:
    """The page, and where it goes if nobody says."""
    from agentflow.details.reading import read_details
    from agentflow.details.secrecy import secrets_of
    from agentflow.markers import own_folder
    from agentflow.pages.report import render_report
    from agentflow.redaction import redactor
    from agentflow.runs import FOLDER, find_report
    from agentflow.workspace.repository import open_repository
    from agentflow.world import World

    world = World()
    repository = open_repository(world.directory, world.environment)
    found = find_report(repository.root, run)
    redact = redactor(secrets_of(repository, world.environment))
    details = read_details(repository, world.cache, found, redact)
    folder = own_folder(repository.root, FOLDER) / str(found["run"])
    return render_report(details), folder / "report.html"
