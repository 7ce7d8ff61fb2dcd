"""The command line: parse, delegate, print. Nothing else imports typer."""

import sys
from typing import Annotated

import typer

from agentflow import __version__
from agentflow.cli.config import config
from agentflow.cli.demo import demo
from agentflow.cli.doctor import doctor
from agentflow.cli.init import init
from agentflow.cli.output import end, refuse_arguments
from agentflow.cli.prompts import prompts
from agentflow.cli.run import EXAMPLES, run
from agentflow.cli.runs import runs
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


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"agentflow {__version__}")
        raise typer.Exit


@app.callback()
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


app.command(epilog=EXAMPLES + EXIT_CODES)(run)
app.command()(init)
app.command()(doctor)
app.command()(demo)
app.command()(wait)
app.add_typer(runs, name="runs")
app.command()(trust)
app.add_typer(config, name="config")
app.add_typer(prompts, name="prompts")
app.command()(verify)
app.command("version")(print_versions)


def main() -> None:
    """Run the command line; every expected failure is one sentence and its exit code."""
    try:
        code = app(standalone_mode=False)
    except typer.Abort:
        code = 130
    except Exception as error:  # noqa: BLE001  # typer's own have no public name
        code = refuse_arguments(error, sys.argv[1:])
    end(code if isinstance(code, int) else 0)
