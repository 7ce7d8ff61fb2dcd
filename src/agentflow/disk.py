"""The disk: whether it takes what comes next."""

import os
import tempfile
from pathlib import Path

from agentflow.errors import EnvironmentFailure

ROOM = 4 << 20
"""Bytes that must still fit: fewer, and git or a command may have failed for that alone."""

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
