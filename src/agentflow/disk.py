"""The disk: whether it takes what comes next."""

import errno
import os
import tempfile
from pathlib import Path

from agentflow.errors import EnvironmentFailure

ROOM = 4 << 20
"""Bytes that must still fit: fewer, and git or a command may have failed for that alone."""

REFUSALS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})
"""What a disk says that is full, over its quota, read-only or broken."""

FREE = "Free disk space or mend permissions, then go on: agentflow resume"


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
