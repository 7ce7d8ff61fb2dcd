"""Open files that bubblewrap inherits: directories to mount, texts to read, a socket to hand on."""

import contextlib
import os
from types import TracebackType
from typing import Self


class Descriptors:
    """A context manager that closes all it was given."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._passed: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def passed(self) -> tuple[int, ...]:
        """The descriptors that bubblewrap must inherit."""
        return tuple(self._passed)

    def hold(self, descriptor: int) -> int:
        """Close this descriptor in the end."""
        self._stack.callback(os.close, descriptor)
        return descriptor

    def give(self, descriptor: int) -> str:
        """Let bubblewrap inherit this descriptor; return its number for the command line."""
        self._passed.append(self.hold(descriptor))
        return str(descriptor)

    def data(self, content: bytes) -> str:
        """Let bubblewrap read these bytes; return the descriptor's number."""
        descriptor = os.memfd_create("data")
        number = self.give(descriptor)
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(content)
        os.lseek(descriptor, 0, os.SEEK_SET)
        return number
