"""A terminal of a given size, as an emulator shows it."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager

import pyte
import pytest

from agentflow.sinks.printer import TerminalPrinter


class Screen:
    """A stream that says that a person is looking; what is written ends on a screen."""

    encoding = "utf-8"

    def __init__(self, columns: int, lines: int = 60) -> None:
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.Stream(self._screen)
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        self.writes.append(text)
        self._stream.feed(text.replace("\n", "\r\n"))
        return len(text)

    def flush(self) -> None: ...

    def isatty(self) -> bool:
        return True

    @property
    def lines(self) -> list[str]:
        """What stands there, without empty lines at the end."""
        shown: Sequence[str] = self._screen.display
        return "\n".join(line.rstrip() for line in shown).rstrip().splitlines()

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


@contextmanager
def terminal(columns: int, lines: int = 60) -> Generator[tuple[Screen, TerminalPrinter]]:
    """A screen, and what prints on it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TERM", "xterm-256color")
        patch.setenv("COLUMNS", str(columns))
        patch.setenv("LINES", str(lines))
        for name in ("NO_COLOR", "CI", "FORCE_COLOR"):
            patch.delenv(name, raising=False)
        screen = Screen(columns, lines)
        yield screen, TerminalPrinter(screen, by_itself=False)
