"""The command line: parse, delegate, print. Nothing else imports typer."""

import sys
from typing import Annotated

import typer

from agentflow import __version__
from agentflow.cli.attest import attest
from agentflow.cli.bundle import bundle, land
from agentflow.cli.config import config
from agentflow.cli.demo import demo
from agentflow.cli.doctor import doctor
from agentflow.cli.handoff import handoff
from agentflow.cli.init import init
from agentflow.cli.mcp import mcp
from agentflow.cli.output import end, refuse_arguments
from agentflow.cli.phase6 import phase6
from agentflow.cli.pr import pr
from agentflow.cli.prompts import prompts
from agentflow.cli.reply import reply
from agentflow.cli.report import report
from agentflow.cli.resume import answer, resume
from agentflow.cli.run import EXAMPLES, run
from agentflow.cli.runs import runs
from agentflow.cli.tasks import tasks
from agentflow.cli.trust import trust
from agentflow.cli.verify import verify
from agentflow.cli.version import version as print_versions
from agentflow.cli.wait import wait

EXIT_CODES = """
\b
Exit codes:
  0        done: every gate passed, and the result landed
  1        failed: a gate failed after the allowed repairs, or the agent gave up
  2        usage: a flag, a name or a file that you can correct
  3        blocked: the agent needs an answer by a person
  4        budget: turns, cost, tokens or time ran out
  5        environment: no sandbox, no git, a program is missing
  6        provider: the model API refused or failed for good
  7        conflict: the target moved or cannot take the result
  70       internal error: a bug of agentflow
  130/143  interrupted by SIGINT or SIGTERM
"""


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"agentflow {__version__}")
        raise typer.Exit


def main_options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Runs prompt files for backend agents against an LLM, unattended, in a sandbox, and verifies
    the result itself."""


COMMANDS = {
    "run": run,
    "handoff": handoff,
    "reply": reply,
    "init": init,
    "doctor": doctor,
    "demo": demo,
    "phase-6": phase6,
    "resume": resume,
    "answer": answer,
    "wait": wait,
    "runs": runs,
    "report": report,
    "trust": trust,
    "config": config,
    "prompts": prompts,
    "tasks": tasks,
    "verify": verify,
    "bundle": bundle,
    "land": land,
    "pr": pr,
    "attest": attest,
    "mcp": mcp,
    "version": print_versions,
}
"""What can be given as the first word, in the order of the help."""


def application(called: str = "") -> typer.Typer:
    """The command line; if the first word names a command, with that command alone.

    Typer needs 8 ms to make them all, which the one that is called should not wait for.
    """
    app = typer.Typer(
        name="agentflow",
        help="Runs prompt files for backend agents against an LLM, unattended, in a sandbox, and "
        "verifies the result itself.",
        epilog=EXIT_CODES,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(main_options)
    for name in [called] if called in COMMANDS else COMMANDS:
        command = COMMANDS[name]
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name, epilog=EXAMPLES + EXIT_CODES if command is run else None)(command)
    return app


def main() -> None:
    """Run the command line; every expected failure is one sentence and its exit code."""
    try:
        code = application(sys.argv[1] if len(sys.argv) > 1 else "")(standalone_mode=False)
    except typer.Abort:
        code = 130
    except Exception as error:  # noqa: BLE001  # typer's own have no public name
        code = refuse_arguments(error, sys.argv[1:])
    end(code if isinstance(code, int) else 0)
