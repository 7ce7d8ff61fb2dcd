"""The journal of a run: durable events, one JSON object a line, on disk before anything follows."""

import dataclasses
import errno
import json
import os
import stat
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from agentflow.disk import FREE
from agentflow.errors import ANEW, EnvironmentFailure
from agentflow.events import Event
from agentflow.records import Json
from agentflow.strict_json import parse_object

INTERVAL = 0.2
"""Seconds between two looks at a journal that grows."""
MAX_LINE = 16 << 20
"""Bytes of a line that are read; the journal may have come with a repository."""


class Journal:
    """An append-only file that one process writes.

    Each line is `{"n": from 0, "at": ISO time in UTC, "type": …, …the event's fields}`.
    """

    def __init__(
        self, path: Path, now: Callable[[], datetime], began: datetime | None = None
    ) -> None:
        """Open or continue the journal at `path`; a torn last line is cut off. `began` is the time of the
        first line, if that is still to be written.

        Raises `EnvironmentFailure` if it cannot be read or written, or a line in its middle is
        corrupt.
        """
        self.path = path
        self._now = now
        self._began = began
        with _told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            self._file = os.open(path, flags, 0o600)
        try:
            self._count = sum(1 for _ in lines(path))
            self._size = sum(len(raw) for raw in _whole_lines(path))
            with _told(path):
                os.ftruncate(self._file, self._size)
                _sync(path.parent)
        except BaseException:
            os.close(self._file)
            raise

    def append(self, event: Event) -> None:
        """Write a durable event and wait until the disk has it; other events are let go.

        Raises `EnvironmentFailure` if the disk refuses; then nothing of the line stays.
        """
        if not event.durable:
            return
        at = self._began if self._began and not self._count else self._now()
        text = line_text(self._count, at, event)
        data = text.encode("utf-8", "backslashreplace")
        with _told(self.path):
            try:
                self._write(data)
            except OSError:
                os.ftruncate(self._file, self._size)
                raise
        self._count += 1
        self._size += len(data)

    @property
    def extent(self) -> tuple[int, int]:
        """How many lines there are, and how many bytes they have."""
        return self._count, self._size

    def read(self, start: int, end: int) -> bytes:
        """The bytes between two extents. Raises `EnvironmentFailure`."""
        with _told(self.path):
            return os.pread(self._file, end - start, start)

    def _write(self, data: bytes) -> None:
        if os.write(self._file, data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fdatasync(self._file)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def line_text(number: int, at: datetime, event: Event) -> str:
    """An event as a line of a journal."""
    line: Json = {
        "n": number,
        "at": at.isoformat(timespec="milliseconds"),
        "type": event.type,
        **dataclasses.asdict(event),
    }
    return encoded(line) + "\n"


def encoded(line: Json) -> str:
    """One line of JSON, whatever numbers stand in it."""
    try:
        return json.dumps(line, ensure_ascii=False, allow_nan=False)
    except ValueError:  # NaN and the infinities are no JSON: keep their names
        named = json.loads(json.dumps(line), parse_constant=str)
        return json.dumps(named, ensure_ascii=False)


def _sync(folder: Path) -> None:
    """Wait until the disk has the folder's list of names."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def load(path: Path) -> list[Json]:
    """All of a journal's `lines`."""
    return list(lines(path))


def lines(path: Path, again: Callable[[], bool] = lambda: False) -> Iterator[Json]:
    """Read a journal line by line, without a torn last one; where it ends, `again` says whether to
    look for more.

    Raises `EnvironmentFailure` if it is no regular file, and naming the line if one in the middle
    is not a JSON object.
    """
    for number, raw in enumerate(_whole_lines(path, again), start=1):
        try:
            yield parse_object(raw)
        except (ValueError, RecursionError) as error:
            raise EnvironmentFailure(
                f"{path}:{number}: the journal is damaged ({error})",
                hint=f"Restore the line from a copy. {ANEW}",
            ) from error


def follow(
    path: Path, is_running: Callable[[], bool], sleep: Callable[[float], None]
) -> Iterator[Json]:
    """The lines of a run's journal, those there are and those that come while it runs."""
    left = False

    def again() -> bool:
        nonlocal left
        if left:
            return False
        left = not is_running()  # what it wrote before that is still to be read
        if not left:
            sleep(INTERVAL)
        return True

    return lines(path, again)


def _whole_lines(path: Path, again: Callable[[], bool] = lambda: False) -> Iterator[bytes]:
    with _told(path), open_regular(path) as file:
        while True:
            place = file.tell()
            raw = file.readline(MAX_LINE + 1)
            if raw.endswith(b"\n"):
                yield raw
                continue
            if len(raw) > MAX_LINE:
                raise OSError(errno.EFBIG, f"a line is longer than {MAX_LINE} bytes")
            if not again():
                return
            file.seek(place)


def open_regular(path: Path) -> BinaryIO:
    """Open a file that a repository may have brought: no link, no device, no pipe.

    Raises OSError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file")
    return os.fdopen(descriptor, "rb")


@contextmanager
def _told(path: Path) -> Generator[None]:
    """Turn the disk's refusals into one sentence."""
    try:
        yield
    except OSError as error:
        raise EnvironmentFailure(
            f"cannot use the journal {path}: {error.strerror}",
            hint=FREE,
        ) from error
