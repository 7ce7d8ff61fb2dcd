"""Locks on files. The kernel lets go of one when the process that holds it dies."""

import asyncio
import fcntl
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

INTERVAL = 0.1
"""Seconds between two tries for a lock."""


def open_lock(path: Path) -> int:
    """A descriptor of a lock's file, which is made if it is not there. Raises `OSError`."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def try_lock(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    """Take the lock (or share it: `LOCK_SH`) unless it is held; whether that went well.

    Two descriptors of one process exclude each other as well.
    """
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@asynccontextmanager
async def locked(path: Path, waiting: Callable[[], None] | None = None) -> AsyncGenerator[bool]:
    """Hold a lock. While somebody else does, tell `waiting` once and wait; yields whether that was
    so. Raises `OSError`."""
    descriptor = open_lock(path)
    waited = False
    try:
        # Asked again and again: a thread that waits is one that the holder may need.
        while not try_lock(descriptor):
            if waiting and not waited:
                waiting()
            waited = True
            await asyncio.sleep(INTERVAL)
        yield waited
    finally:
        os.close(descriptor)
