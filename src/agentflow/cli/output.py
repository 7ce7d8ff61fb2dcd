"""What every command prints the same way: errors, consoles."""

import json
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Literal

import typer

from agentflow.errors import AgentflowError

if TYPE_CHECKING:
    from rich.console import Console

INTERNAL_ERROR = 70
"""A bug of ours must not look like an outcome. The number is EX_SOFTWARE of BSD's sysexits."""

OutputFormat = Literal["text", "json", "stream-json"]


def talk(*, quiet: bool = False) -> "Console":
    """The console on standard error."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, emoji=False, quiet=quiet)


def data() -> "Console":
    """The console on standard output."""
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False)


def print_json(value: object) -> None:
    """One line of JSON on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=True) + "\n")
    sys.stdout.flush()


@contextmanager
def exit_codes(output_format: OutputFormat = "text") -> Generator[None]:
    """Turn every expected failure into one sentence, its next step, and its exit code.

    With a JSON format, standard output gets a result object as well.
    """
    try:
        yield
    except AgentflowError as error:
        from agentflow.neutral import neutral

        typer.echo(f"error: {neutral(error.message)}", err=True)
        if error.hint:
            typer.echo(f"  {neutral(error.hint)}", err=True)
        if output_format != "text":
            print_json({
                "type": "result",
                "subtype": "error_during_execution",
                "is_error": True,
                "outcome": error.outcome,
                "exit_code": error.exit_code,
                "reason": error.message,
                "hint": error.hint,
            })
        raise typer.Exit(error.exit_code) from error
    except KeyboardInterrupt as error:
        typer.echo("interrupted", err=True)
        raise typer.Exit(130) from error
    except (typer.Exit, typer.Abort, BrokenPipeError):
        raise
    except Exception as error:
        import traceback

        traceback.print_exc()
        typer.echo("internal error: please report it with the lines above", err=True)
        raise typer.Exit(INTERNAL_ERROR) from error


def end(code: int) -> None:
    """End the process at once: a normal exit collects the SDK's modules for half a second, or
    waits for a thread that still imports them."""
    with suppress(BrokenPipeError):
        sys.stdout.flush()
    with suppress(BrokenPipeError):
        sys.stderr.flush()
    os._exit(code)
