"""The disk: whether it takes what comes next, and files that are there as a whole or not at all."""

import errno
import glob
import os
import stat
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from agentflow.errors import EnvironmentFailure, UsageError
from agentflow.words import word

ROOM = 4 << 20
"""Bytes that must still fit: fewer, and git or a command may have failed for that alone."""

REFUSALS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})
"""What a disk says that is full, over its quota, read-only or broken."""

TEMPORARY = ".agentflow"
"""What the names of files end with that are not yet whole."""

FREE = "Free disk space or mend permissions."


def check_room(folder: Path) -> None:
    """Raise `EnvironmentFailure` if the disk of a folder is full, over its quota or read-only."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, ROOM)
    except OSError as error:
        raise EnvironmentFailure(
            f"nothing more can be written in {folder}: {error.strerror}",
            hint=FREE,
        ) from error


def check_place(file: Path) -> None:
    """Raise `UsageError` if a file that somebody asked for cannot be where they want it.

    Looked at before the work whose result it is to hold.
    """
    folder = file.absolute().parent
    if not folder.is_dir():
        raise UsageError(
            f"{file} cannot be written: there is no folder {folder}",
            hint=f"Make it first: mkdir -p {word(folder)}",
        )
    if file.is_dir():
        raise UsageError(f"{file} cannot be written: it is a folder", hint="Name a file in it.")
    if not os.access(file if file.exists() else folder, os.W_OK):
        raise UsageError(
            f"{file} cannot be written: that is not allowed here", hint="Name another file."
        )


def check_replaceable(file: Path) -> None:
    """The same for a file that takes the place of one that is there: a device, a pipe or a link would
    be gone."""
    check_place(file)
    if os.path.lexists(file) and not stat.S_ISREG(file.lstat().st_mode):
        raise UsageError(
            f"{file} cannot be written: it is no plain file",
            hint="Name another file, or - for standard output.",
        )


def check_writable(file: Path) -> None:
    """The same for a file that is written where it is: a pipe that nobody reads would hold up whoever
    writes. A link to a plain file is one."""
    check_place(file)
    if file.exists() and not file.is_file():
        raise UsageError(
            f"{file} cannot be written: it is no plain file", hint="Name another file."
        )


def check_new(file: Path) -> None:
    """Raise `UsageError` if a file that somebody asked for is there, or cannot be: what is in it may be
    the only copy."""
    if os.path.lexists(file):
        raise UsageError(f"{file} is there already", hint="Name another file, or remove this one.")
    check_place(file)


def refused(error: OSError) -> EnvironmentFailure:
    """What a disk's refusal means for a run. Raises `error` again if it is anything else."""
    if error.errno not in REFUSALS:
        raise error
    return EnvironmentFailure(
        f"cannot use {error.filename or 'a file'}: {error.strerror}", hint=FREE
    )


def remedy(words: str) -> str:
    """The next step after a program's last words, if they are a disk's refusal; else nothing."""
    return FREE if any(os.strerror(number) in words for number in REFUSALS) else ""


def write_atomically(
    path: Path, content: str | bytes, *, mode: int = 0o644, alone: bool = False
) -> None:
    """Write a file that is there as a whole or not at all, and is on the disk when this returns.

    `alone` says that nobody else writes it now, as a lock is held: what a process left that was killed
    while it wrote is then removed. Raises `EnvironmentFailure` if the disk refuses.
    """
    data = content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace")
    with telling("write", path):
        for left in path.parent.glob(f".{glob.escape(path.name)}.*{TEMPORARY}") if alone else ():
            left.unlink(missing_ok=True)
        descriptor, name = tempfile.mkstemp(TEMPORARY, f".{path.name}.", path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(mode)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        synced(path.parent)


@contextmanager
def telling(verb: str, path: Path) -> Generator[None]:
    """Turn the disk's refusals into one sentence."""
    try:
        yield
    except OSError as error:
        raise EnvironmentFailure(f"cannot {verb} {path}: {error.strerror}", hint=FREE) from error
    except RuntimeError as error:  # what Path.resolve raises up to Python 3.12
        raise EnvironmentFailure(f"cannot {verb} {path}: its links lead in a circle") from error


def synced(folder: Path) -> None:
    """Wait until the disk has a folder's list of names. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
