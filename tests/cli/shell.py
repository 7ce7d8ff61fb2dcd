"""A small repository, and `agentflow` as a process in it; needs no sandbox."""

import os
import pty
import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from tests.forks.programs import agentflow
from tests.run.project import Project, make_project

EVIL = "\x1b]0;owned\x07\x1b[2J\u202e"
"""What no terminal may get."""


class Shell:
    """Runs commands in the repository of a project."""

    def __init__(self, folder: Path, project: Project | None = None) -> None:
        self.project: Project = project or make_project(folder)
        self.project.world = replace(self.project.world, cache=folder / "cache" / "agentflow")
        self.environment = {
            **self.project.world.environment,
            "XDG_CACHE_HOME": str(folder / "cache"),
            "LANG": "C.UTF-8",
        }

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command that talks into pipes."""
        return subprocess.Popen(
            agentflow(*arguments),
            cwd=self.project.root,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        process = self.start(*arguments, **environment)
        output, talk = process.communicate(timeout=240)  # of a hang
        return subprocess.CompletedProcess(process.args, process.returncode, output, talk)

    def on_terminal(self, answer: str, *arguments: str) -> tuple[int, str]:
        """Run a command on a terminal where somebody types; return its code and all it showed."""
        return on_terminal(self.project.root, self.environment, answer, *arguments)


def on_terminal(
    folder: Path, environment: Mapping[str, str], answer: str, *arguments: str
) -> tuple[int, str]:
    """Run a command on a terminal where somebody types; return its code and all it showed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        agentflow(*arguments),
        cwd=folder,
        env={**environment, "TERM": "dumb"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    os.write(ours, answer.encode())
    shown = b""
    late = threading.Timer(60, process.kill)  # where more is asked than is answered
    late.start()
    with suppress(OSError):  # what a closed terminal says on Linux
        while piece := os.read(ours, 4096):
            shown += piece
    late.cancel()
    os.close(ours)
    return process.wait(timeout=60), shown.decode().replace("\r\n", "\n")
