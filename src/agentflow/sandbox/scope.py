"""A control group around the sandbox, where the user's systemd can make one.

Behind the watchdog: what grows between two of its looks, and what it cannot see, the kernel ends.
Its bounds lie above the watchdog's, which can say why. Not run here: this machine has no user
manager; the command line and its detection are tested, the kernel's answer is not.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from agentflow.frozen import record
from agentflow.sandbox.policy import Policy

MARGIN = 512 * 1024**2
"""Bytes beyond what the watchdog and the folders in memory allow: the toolbox, the page cache."""
MARGIN_TASKS = 256

CONTROLLERS = {"memory", "pids"}
"""What the user's part of the hierarchy must be able to bound (cgroups(7))."""


@record
class Scope:
    """How to start a program in a scope of its own."""

    executable: str
    runtime: str
    """XDG_RUNTIME_DIR, by which systemd-run finds the user's manager."""

    def prefix(self, policy: Policy, shared_memory: int) -> tuple[str, ...]:
        """The command line before bubblewrap's. systemd-run becomes the program itself: it keeps
        its number, its parent and its open files (systemd-run(1), `--scope`)."""
        limits = policy.limits
        memory = limits.memory + policy.scratch_size + policy.home_size + shared_memory + MARGIN
        return (
            *(self.executable, "--user", "--scope", "--quiet", "--collect"),
            f"--property=MemoryMax={memory}",
            "--property=MemorySwapMax=0",
            f"--property=TasksMax={limits.processes + MARGIN_TASKS}",
            "--",
        )

    @property
    def environment(self) -> Mapping[str, str]:
        """What systemd-run needs. bubblewrap sees it, no process inside does."""
        return {"XDG_RUNTIME_DIR": self.runtime}


def find_scope(
    search: str | None = None,
    runtime: str | None = None,
    cgroups: Path = Path("/sys/fs/cgroup"),
) -> Scope | None:
    """Return how to make a scope; None where there is no user manager that may bound memory and
    processes.

    `search` is a PATH, this process's own if None; so is `runtime`, XDG_RUNTIME_DIR.
    """
    folder = os.environ.get("XDG_RUNTIME_DIR", "") if runtime is None else runtime
    user = os.getuid()
    manager = cgroups / "user.slice" / f"user-{user}.slice" / f"user@{user}.service"
    if not folder.startswith("/") or not Path(folder, "systemd", "private").is_socket():
        return None
    try:
        given = set((manager / "cgroup.controllers").read_text(encoding="ascii").split())
    except OSError:
        return None
    executable = shutil.which("systemd-run", path=search)
    return Scope(executable, folder) if executable and given >= CONTROLLERS else None
