"""An outer sandbox for trials without one of their own: a PID namespace that ends with them.

The Landlock back end has no PID namespace. What it lets through must not meet anybody else's
processes, so it is tried inside bubblewrap: the whole machine's files, by the same throw-away
user, but processes, network and shared memory of its own, and no way to a new user namespace (as
on the machines that the back end is for).
"""

import os
from pathlib import Path

OUTER = (
    *("/usr/bin/bwrap", "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-net"),
    *("--disable-userns", "--assert-userns-disabled", "--die-with-parent"),
    *("--dev-bind", "/", "/", "--proc", "/proc", "--tmpfs", "/dev/shm", "--"),
)
"""A command line that is put before another."""

ALONE_AT_MOST = 10
"""Processes in a PID namespace of one's own: the trial, its parents, and what it started."""


def check_alone() -> None:
    """Refuse to go on among processes that are not ours. Raises AssertionError."""
    processes = [each for each in Path("/proc").iterdir() if each.name.isdigit()]
    assert len(processes) <= ALONE_AT_MOST, f"not alone: {len(processes)} processes"
    first = Path("/proc/1/cmdline").read_bytes()
    assert first.startswith(b"/usr/bin/bwrap\0"), f"the first process is {first!r}"
    assert os.getpid() != 1
