"""The standard streams: always there, and never a reason for a run to end otherwise.

Nobody may be reading (`| head`), the disk may be full, and a terminal may not know a character.
Light: it is imported before anything else of ours.
"""

import errno
import io
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from typing_extensions import Buffer

CLOSED = {0: os.O_RDONLY, 1: os.O_RDONLY, 2: os.O_WRONLY}
"""How a descriptor that was closed is opened on the null device: data cannot be written then, as
before; what is said is not missed."""

_failures = list[OSError]()


class _Tolerant(io.BufferedWriter):
    """A descriptor on which writing always succeeds.

    Nothing below this is Python's: a signal between two of its steps would have what is written
    already written again.
    """

    def write(self, data: "Buffer", /) -> int:  # pyright: ignore[reportImplicitOverride]
        view = memoryview(data).cast("B")
        done = 0
        while done < len(view):
            try:
                done += super().write(view[done:])
            except BlockingIOError as error:
                done += error.characters_written
                _wait_for_room(self.fileno())
            except OSError as error:
                self._fail(error)
                break
        return len(view)

    def flush(self) -> None:  # pyright: ignore[reportImplicitOverride]
        while True:
            try:
                return super().flush()
            except BlockingIOError:
                _wait_for_room(self.fileno())  # whoever started us lets writing not wait
            except OSError as error:
                return self._fail(error)

    def _fail(self, error: OSError) -> None:
        if self.fileno() == 1 and error.errno != errno.EPIPE:
            _failures.append(error)


def _wait_for_room(descriptor: int) -> None:
    import select

    select.select((), (descriptor,), ())


def hold_standard_streams() -> None:
    """Make printing tolerant, and open the descriptors that whoever started us had closed, so that no
    file of ours takes their place."""
    for number, flags in CLOSED.items():
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)  # the lowest that is free: this one
    sys.stdin = sys.stdin or io.TextIOWrapper(io.FileIO(0, closefd=False), "utf-8")
    sys.stdout, sys.stderr = _tolerant(1, sys.stdout), _tolerant(2, sys.stderr)


def _tolerant(number: int, known: TextIO | None) -> TextIO:
    binary = _Tolerant(io.FileIO(number, "w", closefd=False))
    encoding = known.encoding if known else "utf-8"
    lines = number == 2 or binary.isatty()
    return io.TextIOWrapper(binary, encoding, "replace", line_buffering=lines)


def lost() -> OSError | None:
    """Flush standard output and return why something of it was not written, if so: not that nobody
    wanted to read on."""
    with suppress(ValueError):  # whoever took it over has closed it
        sys.stdout.flush()
    return _failures[0] if _failures else None
