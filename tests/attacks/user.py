"""A throw-away user for hostile code: one that owns no other process, claimed by one test worker.

Root's processes could be signalled by whatever escapes, and limits do not bind root. So a suite that
runs as root hands its cases to a user that nobody else uses.
"""

import contextlib
import fcntl
import os
from collections.abc import Generator
from pathlib import Path

FIRST, LAST = 61_000, 61_999
"""User ids that systems give to nobody: above people (60,000), below containers and systemd."""

CLAIMS = Path("/run/agentflow-attacks")
"""One locked file for each claimed id; only root can write here."""


@contextlib.contextmanager
def throw_away_user() -> Generator[int | None]:
    """Claim a user id (and group id of the same number) until the block ends.

    None if we are not root: then the user who runs the suite is the only one to be had.
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
            if not processes_of(uid):
                yield uid
                return
        finally:
            os.close(claim)
    raise RuntimeError(f"every user id from {FIRST} to {LAST} is in use")


def processes_of(uid: int) -> list[int]:
    """The processes of a user."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if entry.name.isdigit() and entry.stat().st_uid == uid:
                found.append(int(entry.name))
    return found
