"""Printing lines of styled text: on a terminal with rich, elsewhere as they are.

Who looks decides: a person at a terminal sees colours and rows that are kept up to date; a log, a
CI job and whoever sets `NO_COLOR` get lines without control codes. On any terminal that a person
looks at lines are folded between words; a log and a CI job get them whole. Rich takes 10 ms to
import, which a pipeline's log has no use for.
"""

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal, Protocol, TextIO, cast

from agentflow.folding import fold, folded

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

Span = tuple[str, str]
"""Text and how it looks, as rich names styles; the style may be empty."""
Fit = Literal["fold", "cut", "whole"]
"""What becomes of a line that a terminal has no room for: it goes on below, indented; its end is
left out; or it is a document's, and the terminal wraps it."""
Frame = Callable[[int, int], list[list[Span]]]
"""The lines to keep up to date, for so many columns and lines."""

JOBS = ("CI", "GITHUB_ACTIONS", "TF_BUILD")
"""Variables of which a CI job sets one: its terminal is nobody's."""
MARKS = {"passed": "✓", "failed": "✗", "skipped": "–"}  # noqa: RUF001
STYLES = {"passed": "green", "failed": "bold red", "skipped": "dim"}
"""What a status looks like; the mark tells it without the colour."""


class Output(Protocol):
    """What is written to: a text stream, or what behaves like one."""

    def write(self, text: str, /) -> int: ...

    def flush(self) -> None: ...

    def isatty(self) -> bool: ...


class Printer(Protocol):
    """Where lines are printed."""

    @property
    def width(self) -> int | None:
        """Columns of a person's terminal; None elsewhere, where lines are as long as they are."""
        ...

    @property
    def live(self) -> bool:
        """Whether a person looks on: what is printed need not say when it was."""
        ...

    def print(self, *spans: str | Span, fit: Fit = "fold") -> None:
        """Print one line; what is said of fitting holds where there is a `width`."""
        ...

    def follow(self, frame: Frame) -> "Follower | None":
        """Show lines at the terminal's end that are kept up to date; None off a terminal."""
        ...


class Follower(Protocol):
    """The last lines of a terminal."""

    def refresh(self) -> None: ...

    def stop(self) -> None:
        """Remove it."""
        ...


def printer(
    output: Output, *, quiet: bool = False, environment: Mapping[str, str] = os.environ
) -> Printer:
    """The printer for a stream.

    `NO_COLOR` makes every stream a log; `FORCE_COLOR` gives colours to any other one, where `CI` or
    no terminal would take them away. Rows are kept up to date only where a person looks on.
    """
    looked_at = output.isatty() and not any(map(environment.get, JOBS))
    live = looked_at and environment.get("TERM") not in {"dumb", "unknown"}
    if environment.get("NO_COLOR") or not (live or environment.get("FORCE_COLOR")):
        return PlainPrinter(output, quiet=quiet, looked_at=looked_at)
    return TerminalPrinter(output, quiet=quiet, live=live)


class PlainPrinter:
    """Lines without control codes."""

    live = False

    def __init__(self, output: Output, *, quiet: bool = False, looked_at: bool = False) -> None:
        self._output = output
        self._quiet = quiet
        self._looked_at = looked_at

    @property
    def width(self) -> int | None:
        """Columns, if this is a terminal that a person looks at and that says how wide it is."""
        return terminal_width(self._output) if self._looked_at else None

    def print(self, *spans: str | Span, fit: Fit = "fold") -> None:
        """Print one line; folded, where it has to fit."""
        if self._quiet:
            return
        text = "".join(span if isinstance(span, str) else span[0] for span in spans)
        width = None if fit == "whole" else self.width
        self._output.write(f"{folded(text, width) if width else text}\n")
        self._output.flush()

    def follow(self, frame: Frame) -> None:
        """Nothing is kept up to date in a log."""


class TerminalPrinter:
    """Lines with styles, and rows that are kept up to date."""

    def __init__(
        self, output: Output, *, quiet: bool = False, live: bool = True, by_itself: bool = True
    ) -> None:
        self._output = output
        self._quiet = quiet
        self.live = live
        self._by_itself = by_itself
        """Whether a thread draws the rows anew, besides what is printed and `refresh`."""
        self._made: Console | None = None

    @property
    def width(self) -> int | None:
        """Columns, if a person looks on."""
        return self._console.width if self.live else None

    @property
    def _console(self) -> "Console":
        if self._made is None:
            from rich.console import Console

            file = cast(TextIO, cast(object, self._output))
            self._made = Console(
                file=file, highlight=False, markup=False, emoji=False, quiet=self._quiet
            )
        return self._made

    def print(self, *spans: str | Span, fit: Fit = "fold") -> None:
        """Print one line with its styles."""
        from rich.text import Text

        text = Text.assemble(*spans)
        width = self.width
        if fit == "cut" and width:
            self._console.print(text, no_wrap=True, overflow="ellipsis")
        else:
            shown = _folded(text, width) if width and fit == "fold" else text
            self._console.print(shown, soft_wrap=True)

    def follow(self, frame: Frame) -> "Live | None":
        """Show the lines until they are stopped, redrawn four times a second."""
        if self._quiet or not self.live:
            return None
        from rich.live import Live
        from rich.text import Text

        console = self._console

        def text() -> Text:
            lines = [Text.assemble(*spans) for spans in frame(console.width, console.height)]
            joined = Text("\n", no_wrap=True, overflow="ellipsis").join(lines)
            joined.no_wrap, joined.overflow = True, "ellipsis"
            return joined

        live = Live(
            console=console,
            get_renderable=text,
            auto_refresh=self._by_itself,
            refresh_per_second=4,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        live.start()
        return live


def terminal_width(output: Output) -> int | None:
    """The columns of the terminal that a stream is; None where nobody knows."""
    said = os.environ.get("COLUMNS", "")
    if said.isdecimal() and int(said):
        return int(said)
    try:
        return os.get_terminal_size(cast(TextIO, cast(object, output)).fileno()).columns or None
    except (AttributeError, OSError, ValueError):
        return None


def _folded(text: "Text", width: int) -> "Text":
    """The text with its lines folded, and its styles where they were."""
    from rich.text import Text

    lines = [
        Text(" " * line.indent).append_text(each[line.start : line.end])
        for each in text.split("\n", allow_blank=True)
        for line in fold(each.plain, width)
    ]
    return Text("\n").join(lines)
