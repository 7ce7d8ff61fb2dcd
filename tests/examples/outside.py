"""An example's own commands, run outside agentflow: what a developer would type."""

import os
import subprocess
from collections.abc import Mapping

from tests.examples.example import Example


def shell(
    example: Example,
    command: str,
    variables: Mapping[str, str] | None = None,
    *,
    ordinary_user: bool = False,
) -> "subprocess.CompletedProcess[str]":
    """Run a line of bash in the repository, with the example's environment.

    With `ordinary_user`, root becomes uid 1000 in a user namespace: PostgreSQL refuses root.
    """
    argv = ["bash", "-c", command]
    if ordinary_user and os.geteuid() == 0:
        argv = [
            *("bwrap", "--unshare-user", "--uid", "1000", "--gid", "1000", "--die-with-parent"),
            *("--bind", "/", "/", "--dev-bind", "/dev", "/dev", "--", *argv),
        ]
    environment = {**example.project.world.environment, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        argv,
        cwd=example.root,
        env={**environment, **(variables or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def passes(example: Example, command: str, variables: Mapping[str, str] | None = None) -> str:
    """Run a command that must pass; return what it printed."""
    ended = shell(example, command, variables)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout
