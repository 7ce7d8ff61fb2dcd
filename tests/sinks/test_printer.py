"""Lines on a terminal and elsewhere."""

import io
import re
from typing import cast

import pytest

from agentflow.sinks.printer import Fit, PlainPrinter, TerminalPrinter, printer


class Terminal:
    """A stream that says that a person is looking."""

    def __init__(self) -> None:
        self._file = io.StringIO()
        self.write, self.flush, self.getvalue = (
            self._file.write, self._file.flush, self._file.getvalue
        )  # fmt: skip

    def isatty(self) -> bool:
        return True


def test_off_a_terminal_a_line_has_no_control_codes_and_any_length() -> None:
    file = io.StringIO()
    printer(file).print(("x" * 300, "bold red"), " [bold]y[/bold] ", ("z", ""), fit="cut")
    assert file.getvalue() == "x" * 300 + " [bold]y[/bold] z\n"


def test_on_a_terminal_a_line_has_styles_and_can_be_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("CI", raising=False)
    file = Terminal()
    made = printer(file)
    assert made.width == 40
    made.print(("x" * 100, "bold"), fit="cut")
    made.print(("y" * 100, ""), "[bold]")
    cut, whole = file.getvalue().splitlines()
    assert cut == f"\x1b[1m{'x' * 39}…\x1b[0m"
    assert whole == "y" * 100 + "[bold]"


def test_a_line_is_folded_where_somebody_looks_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "24")
    looks = {"TERM": "xterm"}
    long = [("a label  ", "bold"), "and more words than fit\n\nsecond"]
    folded = "a label  and more words\n  than fit\n\nsecond\n"
    whole = "a label  and more words than fit\n\nsecond\n"
    for environment, fit, expected in (
        (looks, "fold", folded),
        ({**looks, "NO_COLOR": "1"}, "fold", folded),
        ({"TERM": "dumb"}, "fold", folded),
        (looks, "whole", whole),
        ({**looks, "NO_COLOR": "1"}, "whole", whole),
        ({**looks, "CI": "true"}, "fold", whole),
        ({**looks, "CI": "true", "FORCE_COLOR": "1"}, "fold", whole),
        ({**looks, "GITHUB_ACTIONS": "true"}, "fold", whole),
        ({**looks, "TF_BUILD": "True"}, "fold", whole),
    ):
        file = Terminal()
        printer(file, environment=environment).print(*long, fit=cast(Fit, fit))
        assert re.sub(r"\x1b\[\d*m", "", file.getvalue()) == expected, (environment, fit)


def test_nobody_knows_how_wide_a_terminal_without_a_size_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    made = printer(Terminal(), environment={"TERM": "dumb"})
    assert made.width is None


@pytest.mark.parametrize("made", [PlainPrinter, TerminalPrinter])
def test_quiet_prints_nothing(made: type[PlainPrinter | TerminalPrinter]) -> None:
    file = Terminal()
    quiet = made(file, quiet=True)
    quiet.print("x")
    assert quiet.follow(lambda _width, _height: []) is None
    assert file.getvalue() == ""


@pytest.mark.parametrize(
    ("on_terminal", "environment", "shows"),
    [
        (True, {"TERM": "xterm"}, "live"),
        (True, {"TERM": "xterm", "NO_COLOR": ""}, "live"),
        (True, {"TERM": "xterm", "NO_COLOR": "1"}, "log"),
        (True, {"TERM": "xterm", "CI": "true"}, "log"),
        (True, {"TERM": "dumb"}, "log"),
        (True, {"TERM": "xterm", "CI": "true", "FORCE_COLOR": "1"}, "colours"),
        (True, {"TERM": "xterm", "NO_COLOR": "1", "FORCE_COLOR": "1"}, "log"),
        (False, {"TERM": "xterm"}, "log"),
        (False, {"FORCE_COLOR": "1"}, "colours"),
    ],
    ids=str,
)
def test_who_looks_decides(on_terminal: bool, environment: dict[str, str], shows: str) -> None:
    stream = Terminal() if on_terminal else io.StringIO()
    made = printer(stream, environment=environment)
    assert isinstance(made, PlainPrinter) is (shows == "log")
    assert made.live is (shows == "live")
    follower = made.follow(lambda _width, _height: [])
    assert (follower is not None) is made.live
    if follower:
        follower.stop()
