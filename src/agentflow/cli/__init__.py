"""The command line: parse, delegate, print. Nothing else imports typer."""

import sys
from importlib import import_module
from typing import Annotated

import typer

from agentflow import __version__
from agentflow.cli.output import end, refuse_arguments, say

EXIT_CODES = """
\b
Exit codes:
  0        done: every gate passed, and the result landed
  1        failed: a gate failed after the allowed repairs, or the agent gave up
  2        usage: a flag, a name or a file that you can correct
  3        blocked: the agent needs an answer by a person
  4        budget: turns, cost, tokens or time ran out
  5        environment: this machine is not ready: no sandbox, git, program, key, port or disk space
  6        provider: the model API refused or failed for good
  7        conflict: the target moved or cannot take the result; another run of the task is at work
  70       internal error: a bug of agentflow
  130/143  interrupted by SIGINT or SIGTERM
"""
INDENT = 2
"""Columns before each line of a text below a help."""


def _fitting(text: str) -> str:
    """A text below a help, which typer does not wrap, for the terminal that it is shown on."""
    if not sys.stdout.isatty():
        return text
    from shutil import get_terminal_size

    from agentflow.folding import folded

    return folded(text, get_terminal_size().columns - INDENT)


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
    "run": "run:run",
    "handoff": "handoff:handoff",
    "reply": "reply:reply",
    "init": "init:init",
    "doctor": "doctor:doctor",
    "demo": "demo:demo",
    "phase-6": "phase6:phase6",
    "resume": "resume:resume",
    "answer": "resume:answer",
    "submit": "cluster:submit",
    "worker": "cluster:worker",
    "cluster": "cluster:cluster",
    "wait": "wait:wait",
    "runs": "runs:runs",
    "report": "report:report",
    "ui": "ui:ui",
    "trust": "trust:trust",
    "config": "config:config",
    "prompts": "prompts:prompts",
    "tasks": "tasks:tasks",
    "verify": "verify:verify",
    "bundle": "bundle:bundle",
    "land": "bundle:land",
    "pr": "pr:pr",
    "attest": "attest:attest",
    "mcp": "mcp:mcp",
    "version": "version:version",
}
"""What can be given as the first word, in the order of the help: a module here, and its command."""


def application(called: str = "") -> typer.Typer:
    """The command line; if the first word names a command, with that command alone: it should not
    wait for the others to be imported and made.
    """
    app = typer.Typer(
        name="agentflow",
        help="Runs prompt files for backend agents against an LLM, unattended, in a sandbox, and "
        "verifies the result itself.",
        epilog=_fitting(EXIT_CODES),
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(main_options)
    for name in [called] if called in COMMANDS else COMMANDS:
        module, _, attribute = COMMANDS[name].partition(":")
        found = import_module(f"agentflow.cli.{module}")
        command = getattr(found, attribute)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            epilog = _fitting(found.EXAMPLES + EXIT_CODES) if name == "run" else None
            app.command(name, epilog=epilog)(command)
    return app


def main() -> None:
    """Run the command line; every expected failure is one sentence and its exit code."""
    try:
        code = application(sys.argv[1] if len(sys.argv) > 1 else "")(standalone_mode=False)
    except SystemExit as left:  # typer's, behind a completion script
        code = left.code
        if isinstance(code, str):
            say(code)
            code = 1
    except Exception as error:  # noqa: BLE001  # typer's own have no public name
        code = refuse_arguments(error, sys.argv[1:])
    end(code if isinstance(code, int) else 0)
