"""What `agentflow init` asks this machine: which programs there are, and how they are set."""

import shutil
import subprocess
from collections.abc import Mapping
from typing import Protocol

from agentflow.frozen import record

UNCHANGED: Mapping[str, str] = {}
TIMEOUT = 10.0
"""Seconds that a program may take to answer."""


class Host(Protocol):
    """The machine that `init` runs on."""

    @property
    def environment(self) -> Mapping[str, str]:
        """The user's environment."""
        ...

    def has(self, program: str) -> bool:
        """Whether a program is on PATH."""
        ...

    def ask(self, *command: str, changed: Mapping[str, str] = UNCHANGED) -> str:
        """A program's answer; empty if it has none. `changed` are variables of its environment;
        an empty one is unset."""
        ...


@record
class ThisHost:
    """This machine."""

    environment: Mapping[str, str]

    def has(self, program: str) -> bool:
        """Whether a program is on PATH."""
        return shutil.which(program, path=self.environment.get("PATH")) is not None

    def ask(self, *command: str, changed: Mapping[str, str] = UNCHANGED) -> str:
        """A program's answer on its standard output.

        It is asked at the root directory: what a repository configures could run code of it.
        """
        known = {name.lower() for name in changed}
        kept = {name: v for name, v in self.environment.items() if name.lower() not in known}
        environment = {**kept, **{name: value for name, value in changed.items() if value}}
        try:
            ended = subprocess.run(
                command,
                cwd="/",
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=TIMEOUT,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            return ""
        return ended.stdout.decode("utf-8", "replace").strip()
