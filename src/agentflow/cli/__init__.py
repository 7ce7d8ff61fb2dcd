"""The command line: parse, delegate, print. Nothing else imports typer."""

import sys

import typer

from agentflow.cli.demo import demo
from agentflow.cli.run import run
from agentflow.cli.runs import runs
from agentflow.cli.version import version

EXIT_CODES = """
Exit codes: 0 done (verified and landed) · 1 failed · 2 usage · 3 blocked (a question is open) ·
4 budget · 5 environment · 6 provider (model API) · 7 conflict (verified, but the target moved) ·
130/143 interrupted
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
app.command(epilog=EXIT_CODES)(run)
app.command()(demo)
app.add_typer(runs, name="runs")
app.command()(version)


def main() -> None:
    """Run the command line; every expected failure is one sentence and its exit code."""
    try:
        app()
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
