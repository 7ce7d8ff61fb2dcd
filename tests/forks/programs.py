"""How tests start agentflow as a process."""

import atexit
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
CALLER = Path(__file__).with_name("caller.py")
FRESH = os.environ.get("AGENTFLOW_FRESH") == "1"
"""Whether every program gets an interpreter of its own, as users have it: what CI asks for."""


def agentflow(*arguments: str) -> list[str]:
    """The command line `agentflow ARGUMENTS`, as a fork of a process that has imported it."""
    return _usual("agentflow", *arguments)


def scripted_model(*arguments: str) -> list[str]:
    """A scripted model as a process; its URL is the first line of its output."""
    return _usual("agentflow.models.scripted", *arguments)


def fresh_agentflow(*arguments: str) -> list[str]:
    """The first in an interpreter of its own: for what concerns the process as such."""
    return fresh("agentflow", *arguments)


def on_path() -> Path:
    """A folder with `agentflow`, for a `PATH`."""
    return Path(sys.executable).parent if FRESH else _server() / "bin"


def fresh(module: str, *arguments: str) -> list[str]:
    """A module as a program, in an interpreter of its own."""
    return [sys.executable, "-m", module, *arguments]


def forked(module: str, *arguments: str) -> list[str]:
    """A module as a program, in a fork."""
    return [*_called(_server()), module, *arguments]


def _usual(module: str, *arguments: str) -> list[str]:
    return (fresh if FRESH else forked)(module, *arguments)


def _called(folder: Path) -> list[str]:
    return [sys.executable, "-I", "-S", str(CALLER), str(folder / "socket")]


@cache
def _server() -> Path:
    """Start the server of this process's programs; its folder. It ends with this process.

    Callers need not wait until it has imported agentflow: they queue.
    """
    folder = Path(tempfile.mkdtemp(prefix="agentflow-forks-"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
        listener.listen(64)
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.forks.server", str(listener.fileno())],
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if not name.startswith("LC_")},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
            start_new_session=True,
        )
    (folder / "bin").mkdir()
    command = folder / "bin/agentflow"
    words = " ".join(f"'{word}'" for word in _called(folder))
    command.write_text(f'#!/bin/sh\nexec {words} agentflow "$@"\n', "utf-8")
    command.chmod(0o755)
    atexit.register(_end, process, folder)
    return folder


def _end(process: "subprocess.Popen[bytes]", folder: Path) -> None:
    process.communicate()
    shutil.rmtree(folder)
