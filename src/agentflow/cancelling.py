"""Cancelling a run from outside: the interrupt that Ctrl-C sends, to the process that proves to be
the run's own."""

import os
import signal
from pathlib import Path

from agentflow.errors import UsageError
from agentflow.runs import PID_WIDTH

PROCESSES = Path("/proc")


def cancel(folder: Path, task: str) -> int:
    """Interrupt the process that works on a task; return its number. It ends as after Ctrl-C, and
    its run can go on; a second one ends it at once.

    The number in the lock's file is believed only if the kernel says that this process has that
    file open and locked, so a stale or planted one hits nobody. Raises `UsageError` if no process
    proves to be the one.
    """
    lock = folder / f"{task}.lock"
    number = _number(lock)
    descriptor = None if number is None else _pinned(number)
    if number is None or descriptor is None:
        raise _unproven(task)
    try:
        if not _holds(number, lock):  # asked when the number can pass to no other process any more
            raise _unproven(task)
        signal.pidfd_send_signal(descriptor, signal.SIGINT)
    except OSError as error:
        raise _unproven(task) from error
    finally:
        os.close(descriptor)
    return number


def _unproven(task: str) -> UsageError:
    return UsageError(
        f"no process of this machine and user works on {task}",
        hint="If one works on it in a container or as another user: stop it there with Ctrl-C.",
    )


def holder(folder: Path, task: str) -> int | None:
    """The process that holds a task's lock, proven; None if there is none that proves it."""
    lock = folder / f"{task}.lock"
    number = _number(lock)
    return number if number is not None and _holds(number, lock) else None


def _number(lock: Path) -> int | None:
    try:
        with lock.open("rb") as file:
            text = file.read(PID_WIDTH + 1)
        number = int(text)
    except (OSError, ValueError):
        return None
    return number if number > 0 else None


def _pinned(number: int) -> int | None:
    try:
        return os.pidfd_open(number)
    except (OSError, OverflowError):
        return None


def _holds(number: int, lock: Path) -> bool:
    """Whether a process has locked this very file (proc(5), `fdinfo`: a line for each lock)."""
    folder = PROCESSES / str(number)
    try:
        wanted = lock.stat()
        for name in os.listdir(folder / "fd"):  # noqa: PTH208  # names, not paths
            if _is_locked(folder, name, wanted):
                return True
    except OSError:
        return False
    return False


def _is_locked(folder: Path, name: str, wanted: os.stat_result) -> bool:
    try:
        found = (folder / "fd" / name).stat()
        if (found.st_dev, found.st_ino) != (wanted.st_dev, wanted.st_ino):
            return False
        lines = (folder / "fdinfo" / name).read_text("ascii", "replace").splitlines()
    except OSError:
        return False
    return any(
        line.startswith("lock:") and " FLOCK " in line and " WRITE " in line for line in lines
    )
