"""Folders for work: made in one sentence or not at all, and removed whatever is in them."""

import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from agentflow.disk import FREE
from agentflow.errors import EnvironmentFailure


@contextmanager
def preparing(folder: Path) -> Generator[None]:
    """Turn the disk's refusals into one sentence."""
    try:
        yield
    except OSError as error:
        raise EnvironmentFailure(
            f"cannot prepare {folder}: {error.strerror}",
            hint=FREE,
        ) from error


def temporary_folder(parent: Path, prefix: str) -> Path:
    """Make a folder for checkouts that no run owns. Raises `EnvironmentFailure`."""
    with preparing(parent):
        parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=prefix, dir=parent))


def remove_folder(*folders: Path) -> None:
    """Delete folders that hostile code has filled; what cannot be deleted stays.

    By `rm`, because Python's own removal recurses once for each nested folder.
    """
    subprocess.run(["rm", "-rf", "--", *folders], capture_output=True, check=False)
