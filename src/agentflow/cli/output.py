"""What every command prints the same way: errors, consoles."""

import io
import os
import secrets
import signal
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from textwrap import indent
from typing import TYPE_CHECKING, Literal, TextIO

import typer

from agentflow.errors import (
    AgentflowError,
    EnvironmentFailure,
    Interrupted,
    UsageError,
    UsageErrors,
)
from agentflow.signals import Terminated, leave_on_signals, raise_on_signals
from agentflow.streams import lost

if TYPE_CHECKING:
    from agentflow.records import Json
    from agentflow.sinks.printer import Printer
    from agentflow.sinks.tables import Row

INTERNAL_ERROR = 70
"""A bug of ours must not look like an outcome. The number is EX_SOFTWARE of BSD's sysexits."""

OutputFormat = Literal["text", "json", "stream-json"]


def is_terminal() -> bool:
    """Whether a person can be asked: all three streams are a terminal's."""
    return all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))


def talk(*, quiet: bool = False) -> "Printer":
    """The printer on standard error."""
    return _printer(sys.stderr, quiet=quiet)


def data() -> "Printer":
    """The printer on standard output."""
    return _printer(sys.stdout)


def _printer(stream: TextIO, *, quiet: bool = False) -> "Printer":
    from agentflow.sinks.printer import printer

    return printer(stream, quiet=quiet)


def print_json(value: object) -> None:
    """One line of JSON on standard output."""
    from agentflow.neutral import json_line

    sys.stdout.write(f"{json_line(value)}\n")
    sys.stdout.flush()


def print_table(form: str, rows: "Sequence[Row]") -> None:
    """A table on standard output."""
    from agentflow.sinks import tables

    tables.print_table(data(), form, rows)


def fitting(question: str) -> str:
    """A question on standard error, folded for its terminal."""
    from agentflow.folding import folded

    width = talk().width
    return folded(question, width - len(" : ")) if width else question


def say(text: str) -> None:
    """Lines on standard error."""
    talk().print(text)


@contextmanager
def commands_stopped(environment: Mapping[str, str]) -> Generator[None]:
    """In a job of GitHub Actions: let its runner obey nothing that is printed in the block."""
    if environment.get("GITHUB_ACTIONS") != "true":
        yield
        return
    from agentflow.neutral import stopped_commands

    stop, resume = stopped_commands(secrets.token_hex(16))
    say(stop)
    try:
        yield
    finally:
        sys.stdout.flush()
        say(resume)


@contextmanager
def exit_codes(output_format: OutputFormat = "text") -> Generator[None]:
    """Turn every expected failure into one sentence, its next step, and its exit code.

    With a JSON format, standard output gets a result object as well. A signal is such a failure.
    """
    try:
        raise_on_signals()
        yield
    except typer.Exit:
        raise
    except (Exception, KeyboardInterrupt) as error:
        leave_on_signals()  # a second one: nobody may be reading what is told
        told = _told(error)
        if output_format != "text":
            print_json(told)
        raise typer.Exit(told["exit_code"]) from error
    finally:
        leave_on_signals()


def _told(error: Exception | KeyboardInterrupt) -> "Json":
    """Say on standard error why a command ended; return the result object."""
    match error:
        case AgentflowError():
            from agentflow.neutral import neutral

            say(f"error: {neutral(error.message)}")
            if error.hint:
                say(indent(neutral(_shown(error.hint)), "  "))
            return _refusal(error)
        case KeyboardInterrupt() | typer.Abort():
            say("interrupted")
            number = signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT
            return _refusal(Interrupted(number))
        case _:
            import traceback

            traceback.print_exc()
            say("internal error: please report it with the lines above")
            return _refused("internal", INTERNAL_ERROR, f"internal error: {error!r}")


def _shown(hint: str) -> str:
    """A next step; on a terminal each command to copy is on a line of its own."""
    from agentflow.folding import with_commands_apart

    return with_commands_apart(hint) if talk().width else hint


def _refusal(error: AgentflowError) -> "Json":
    """The result object of what never became a run."""
    told = _refused(error.outcome, error.exit_code, error.message, error.hint)
    if isinstance(error, UsageErrors):
        told["each"] = [{"reason": one.message, "hint": one.hint} for one in error.each]
    return told


def _refused(outcome: str, code: int, reason: str, hint: str = "") -> "Json":
    return {
        "type": "result",
        "subtype": "error_during_execution",
        "is_error": True,
        "outcome": outcome,
        "exit_code": code,
        "reason": reason,
        "hint": hint,
    }


def refuse_arguments(error: Exception, arguments: Sequence[str]) -> int:
    """Print what typer found wrong with the arguments; return the exit code.

    As typer could not read them, the wish for JSON is looked up in the words. Raises `error`
    again if it is not typer's.
    """
    show, say_it = (getattr(error, name, None) for name in ("show", "format_message"))
    if not (callable(show) and callable(say_it)):
        raise error
    from agentflow.words import plain

    message = getattr(error, "message", None)
    if isinstance(message, str):
        vars(error)["message"] = plain(message)
    shown = io.StringIO()
    show(shown)
    say(shown.getvalue().rstrip("\n"))
    wanted = {word for argument in arguments for word in argument.split("=")}
    if wanted & {"--json", "json", "stream-json"}:
        print_json(_refusal(UsageError(str(say_it()), hint="Look at: agentflow --help")))
    return UsageError.exit_code


class OutcomeCode(int):
    """An exit code that tells what became of something: it stands, whatever could be printed."""


def exit_of(report: "Json") -> typer.Exit:
    """Return how a command ends that told what is in the report, or only what it would do."""
    code = int(report["exit_code"])
    return typer.Exit(OutcomeCode(code) if "outcome" in report else code)


def end(code: int) -> None:
    """End the process, with 5 where the command was to print something and could not.

    At once: a normal exit collects the SDK's modules for half a second, or waits for a thread that
    still imports them.
    """
    failure = lost()
    if failure is not None:
        say(f"error: standard output was not written: {failure.strerror}")
        is_over = code != 0 or isinstance(code, OutcomeCode)
        code = code if is_over else EnvironmentFailure.exit_code
    sys.stderr.flush()
    os._exit(code)
