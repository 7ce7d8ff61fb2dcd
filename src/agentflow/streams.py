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


class _Tolerant(io.FileIO):
    """A descriptor on which writing always succeeds."""

    def write(self, data: "Buffer", /) -> int:  # pyright: ignore[reportImplicitOverride]
        try:
            while (written := super().write(data)) is None:
                _wait_for_room(self.fileno())  # whoever started us lets writing not wait
        except OSError as error:
            if self.fileno() == 1 and error.errno != errno.EPIPE:
                _failures.append(error)
            return memoryview(data).nbytes
        return written


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
    raw = _Tolerant(number, "w", closefd=False)
    encoding = known.encoding if known else "utf-8"
    lines = number == 2 or raw.isatty()
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, "replace", line_buffering=lines)


def lost() -> OSError | None:
    """Flush standard output and return why something of it was not written, if so: not that nobody
    wanted to read on."""
    with suppress(ValueError):  # whoever took it over has closed it
        sys.stdout.flush()
    return _failures[0] if _failures else None
