"""A person at a terminal: sees what a terminal shows, and types when something is asked."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pyte

from tests.cli.shell import Shell
from tests.forks.programs import agentflow

PATIENCE = 150.0
"""Seconds that anything may take to be shown; no test asks how long it took."""


class Person:
    """Looks at a command on a terminal of its own."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", terminal: int, size: tuple[int, int]
    ) -> None:
        self._process = process
        self._terminal = terminal
        self._screen: Any = pyte.HistoryScreen(*size, history=2000)
        self._stream: Any = pyte.ByteStream(self._screen)
        self.raw = b""
        """All that the terminal got."""

    @property
    def lines(self) -> list[str]:
        """What is on the screen, without empty lines."""
        return [line.rstrip() for line in self._screen.display if line.strip()]

    @property
    def printed(self) -> list[str]:
        """The lines as they were printed, without styles: no terminal has wrapped them."""
        return re.sub(r"\x1b\[[0-9;]*m", "", self.raw.decode()).splitlines()

    def sees(self, *words: str) -> str:
        """Wait for a line with all the words; return it."""
        end = time.monotonic() + PATIENCE
        while True:
            for line in self.lines:
                if all(word in line for word in words):
                    return line
            left = end - time.monotonic()
            if not self._look(left):
                raise AssertionError(f"nobody showed {words}, but:\n" + "\n".join(self.lines))

    def types(self, text: str) -> None:
        """Type, Enter included."""
        os.write(self._terminal, text.encode())

    def interrupts(self) -> None:
        """Press Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def waits(self) -> int:
        """Look on until the command has ended; return its exit code."""
        end = time.monotonic() + PATIENCE
        while self._look(end - time.monotonic()):
            pass
        return self._process.wait(PATIENCE)

    def _look(self, seconds: float) -> bool:
        """Take what is shown next; False where nothing comes any more."""
        ready, _, _ = select.select([self._terminal], [], [], max(0.0, seconds))
        try:
            piece = os.read(self._terminal, 4096) if ready else b""
        except OSError:  # what a closed terminal says on Linux
            return False
        self.raw += piece
        self._stream.feed(piece)
        return bool(piece)


@contextmanager
def person(
    shell: Shell, *arguments: str, size: tuple[int, int] = (100, 40), **environment: str
) -> Generator[Person]:
    """Run a command on a terminal with so many columns and lines."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    process = subprocess.Popen(
        agentflow(*arguments),
        cwd=shell.project.root,
        env={**shell.environment, "TERM": "xterm-256color", **environment},
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    try:
        yield Person(process, ours, size)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
