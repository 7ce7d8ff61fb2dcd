"""Printing lines of styled text: on a terminal with rich, elsewhere as they are.

Who looks decides: a person at a terminal sees colours and rows that are kept up to date; a log, a
CI job and whoever sets `NO_COLOR` get whole lines without control codes. Rich takes 10 ms to
import, which a pipeline's log has no use for.
"""

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol, TextIO, cast

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

Span = tuple[str, str]
"""Text and how it looks, as rich names styles; the style may be empty."""
Frame = Callable[[int, int], list[list[Span]]]
"""The lines to keep up to date, for so many columns and lines."""

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
        """Columns of a terminal; None off one, where lines are as long as they are."""
        ...

    @property
    def live(self) -> bool:
        """Whether a person looks on: what is printed need not say when it was."""
        ...

    def print(self, *spans: str | Span, cut: bool = False) -> None:
        """Print one line; with `cut`, no longer than a terminal is wide."""
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
    is_terminal = output.isatty() and environment.get("TERM") not in {"dumb", "unknown"}
    looked_at = is_terminal and not environment.get("CI")
    if environment.get("NO_COLOR") or not (looked_at or environment.get("FORCE_COLOR")):
        return PlainPrinter(output, quiet=quiet)
    return TerminalPrinter(output, quiet=quiet, live=looked_at)


class PlainPrinter:
    """Lines without control codes."""

    width = None
    live = False

    def __init__(self, output: Output, *, quiet: bool = False) -> None:
        self._output = output
        self._quiet = quiet

    def print(self, *spans: str | Span, cut: bool = False) -> None:
        """Print one line, however long."""
        if not self._quiet:
            words = (span if isinstance(span, str) else span[0] for span in spans)
            self._output.write(f"{''.join(words)}\n")
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
