"""The journal of a run: durable events, one JSON object a line, on disk before anything follows."""

import dataclasses
import errno
import json
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import cast

from agentflow.errors import EnvironmentFailure
from agentflow.events import Event
from agentflow.records import Json


class Journal:
    """An append-only file that one process writes.

    Each line is `{"n": from 0, "at": ISO time in UTC, "type": …, …the event's fields}`.
    """

    def __init__(self, path: Path, now: Callable[[], datetime]) -> None:
        """Open or continue the journal at `path`; a torn last line is cut off.

        Raises `EnvironmentFailure` if it cannot be read or written, or a line in its middle is
        corrupt.
        """
        self.path = path
        self._now = now
        with _told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            self._count = len(load(path))
            with _told(path):
                self._size = path.read_bytes().rfind(b"\n") + 1
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
        line: Json = {
            "n": self._count,
            "at": self._now().isoformat(timespec="milliseconds"),
            "type": event.type,
            **dataclasses.asdict(event),
        }
        data = (json.dumps(line, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
        with _told(self.path):
            try:
                self._write(data)
            except OSError:
                os.ftruncate(self._file, self._size)
                raise
        self._count += 1
        self._size += len(data)

    def _write(self, data: bytes) -> None:
        if os.write(self._file, data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fdatasync(self._file)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def _sync(folder: Path) -> None:
    """Wait until the disk has the folder's list of names."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def load(path: Path) -> list[Json]:
    """Read a journal's lines, without a torn last one.

    Raises `EnvironmentFailure` naming the line if one in the middle is not a JSON object.
    """
    with _told(path):
        whole = path.read_bytes()
    lines: list[Json] = []
    for number, raw in enumerate(whole[: whole.rfind(b"\n") + 1].splitlines(), start=1):
        try:
            lines.append(_object(raw))
        except (ValueError, RecursionError) as error:
            raise EnvironmentFailure(
                f"{path}:{number}: the journal is damaged ({error})",
                hint="Restore the line from a copy, or start over with --fresh.",
            ) from error
    return lines


def _object(raw: bytes) -> Json:
    line = json.loads(raw)
    if not isinstance(line, dict):
        raise ValueError("not an object")  # noqa: TRY004 - one answer to all damage
    return cast(Json, line)


@contextmanager
def _told(path: Path) -> Generator[None]:
    """Turn the disk's refusals into one sentence."""
    try:
        yield
    except OSError as error:
        raise EnvironmentFailure(
            f"cannot use the journal {path}: {error.strerror}",
            hint="Free disk space or mend permissions; the run's earlier lines are safe.",
        ) from error
