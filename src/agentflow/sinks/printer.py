"""Printing lines of styled text: on a terminal with rich, elsewhere as they are.

Rich takes 10 ms to import, which a pipeline's log has no use for.
"""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TextIO, cast

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

Span = tuple[str, str]
"""Text and how it looks, as rich names styles; the style may be empty."""


class Output(Protocol):
    """What is written to: a text stream, or what behaves like one."""

    def write(self, text: str, /) -> int: ...

    def flush(self) -> None: ...

    def isatty(self) -> bool: ...


class Printer(Protocol):
    """Where lines are printed."""

    @property
    def width(self) -> int | None:
        """Columns of a terminal; None off one, where lines are as long as they are."""
        ...

    def print(self, *spans: str | Span, cut: bool = False) -> None:
        """Print one line; with `cut`, no longer than a terminal is wide."""
        ...

    def follow(self, status: Callable[[], str]) -> "Follower | None":
        """Show a line at the terminal's end that is kept up to date; None off a terminal."""
        ...


class Follower(Protocol):
    """The last line of a terminal."""

    def refresh(self) -> None: ...

    def stop(self) -> None:
        """Remove it."""
        ...


def printer(output: Output, *, quiet: bool = False) -> Printer:
    """The printer for a stream. `FORCE_COLOR` makes every stream a terminal, as rich has it."""
    if output.isatty() or os.environ.get("FORCE_COLOR"):
        return TerminalPrinter(output, quiet=quiet)
    return PlainPrinter(output, quiet=quiet)


class PlainPrinter:
    """Lines without control codes."""

    width = None

    def __init__(self, output: Output, *, quiet: bool = False) -> None:
        self._output = output
        self._quiet = quiet

    def print(self, *spans: str | Span, cut: bool = False) -> None:
        """Print one line, however long."""
        if not self._quiet:
            words = (span if isinstance(span, str) else span[0] for span in spans)
            self._output.write(f"{''.join(words)}\n")
            self._output.flush()

    def follow(self, status: Callable[[], str]) -> None:
        """Nothing is kept up to date in a log."""


class TerminalPrinter:
    """Lines with styles, and a line that is kept up to date."""

    def __init__(self, output: Output, *, quiet: bool = False) -> None:
        self._output = output
        self._quiet = quiet
        self._made: Console | None = None

    @property
    def width(self) -> int:
        """Columns."""
        return self._console.width

    @property
    def _console(self) -> "Console":
        if self._made is None:
            from rich.console import Console

            file = cast(TextIO, cast(object, self._output))
            self._made = Console(
                file=file, highlight=False, markup=False, emoji=False, quiet=self._quiet
            )
        return self._made

    def print(self, *spans: str | Span, cut: bool = False) -> None:
        """Print one line, wrapped by the terminal or cut to its width."""
        from rich.text import Text

        text = Text.assemble(*spans)
        if cut:
            self._console.print(text, no_wrap=True, overflow="ellipsis")
        else:
            self._console.print(text, soft_wrap=True)

    def follow(self, status: Callable[[], str]) -> "Live | None":
        """Show the line until it is stopped, redrawn four times a second."""
        if self._quiet:
            return None
        from rich.live import Live
        from rich.text import Text

        def text() -> Text:
            return Text(status(), "dim", no_wrap=True, overflow="ellipsis")

        live = Live(
            console=self._console,
            get_renderable=text,
            refresh_per_second=4,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        live.start()
        return live
