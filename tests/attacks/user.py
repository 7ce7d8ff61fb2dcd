"""A throw-away user for hostile code: one that owns no other process, claimed by one test worker.

Root's processes could be signalled by whatever escapes, and limits do not bind root. So a suite that
runs as root hands its cases to a user that nobody else uses.
"""

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Generator
from pathlib import Path

FIRST, LAST = 61_000, 61_999
"""User ids that systems give to nobody: above people (60,000), below containers and systemd."""

CLAIMS = Path("/run/agentflow-attacks")
"""One locked file for each claimed id; only root can write here."""


@contextlib.contextmanager
def throw_away_user() -> Generator[int | None]:
    """Claim a user id (and group id of the same number) until the block ends.

    None if we are not root: then the user who runs the suite is the only one to be had. What is
    left of his processes at the end is killed.
    """
    if os.geteuid() != 0:
        yield None
        return
    CLAIMS.mkdir(mode=0o700, exist_ok=True)
    for uid in range(FIRST, LAST + 1):
        claim = os.open(CLAIMS / str(uid), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(claim)
            continue
        try:
            if processes_of(uid):
                continue
            try:
                yield uid
            finally:
                _kill(uid)
            return
        finally:
            os.close(claim)
    raise RuntimeError(f"every user id from {FIRST} to {LAST} is in use")


def processes_of(uid: int) -> list[int]:
    """The processes of a user that are not zombies.

    By their status: the folder of a process that is not dumpable belongs to root.
    """
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit():
                status = (entry / "status").read_text("utf-8", "replace")
                if f"\nUid:\t{uid}\t" in status and "\nState:\tZ" not in status:
                    found.append(int(entry.name))
    return found


def _kill(uid: int) -> None:
    """End what an attack left: the claim says that all of this user's processes are ours."""
    while left := processes_of(uid):
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.01)
