"""The process of a toolbox: how it is started, and what connects us to it."""

import asyncio
import contextlib
import fcntl
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from agentflow.errors import EnvironmentFailure
from agentflow.frozen import record
from agentflow.sandbox.bytecode import keep_bytecode
from agentflow.threads import once

TOOLBOX = Path(__file__).resolve().parent.parent / "toolbox"
"""The program that answers the calls: a directory."""

LINE_LIMIT = 64 * 1024**2
"""Bytes of one answer."""

STDERR_LIMIT = 64 * 1024
"""Bytes kept of what the process writes to standard error."""

_keep_bytecode = once(keep_bytecode)


@record
class Program:
    """A process to start."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    directory: str
    descriptors: tuple[int, ...] = ()
    """Inherited under the same numbers."""
    information: int | None = None
    """Read end of a pipe on which bubblewrap names the process to kill (`--info-fd`)."""
    keeper: bool = False
    """Whether the process ends what it started when it gets SIGTERM; killing it would not."""


@record
class Started:
    """A process that runs."""

    process: asyncio.subprocess.Process
    streams: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    """Its standard output, and its standard input."""
    stderr: int
    """A file that it writes errors to; the caller closes it."""


async def start(program: Program) -> Started:
    """Start a process. Raises `EnvironmentFailure` if it cannot be started."""
    _keep_bytecode(TOOLBOX)
    with contextlib.ExitStack() as opened:
        stderr = _bounded_file(STDERR_LIMIT)
        opened.callback(os.close, stderr)
        ours, theirs = socket.socketpair()
        with theirs:
            streams = await asyncio.open_connection(sock=ours, limit=LINE_LIMIT)
            opened.callback(streams[1].close)
            process = await _process(program, theirs, stderr)
        opened.pop_all()  # the caller's now
    return Started(process, streams, stderr)


async def _process(
    program: Program, channel: socket.socket, stderr: int
) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *program.argv,
            stdin=channel.fileno(),
            stdout=channel.fileno(),
            stderr=stderr,
            env=dict(program.environment),
            cwd=program.directory,
            pass_fds=program.descriptors,
            start_new_session=True,  # Ctrl-C is for agentflow to handle, not for the sandbox
        )
    except OSError as error:
        raise EnvironmentFailure(f"{program.argv[0]} cannot be started: {error}") from error


def toolbox_command(directory: str) -> tuple[str, ...]:
    """Return the command line that runs the toolbox found in `directory`.

    The interpreter is that of the base installation, by its real path: a venv may be the
    repository's own, and is not shown in a sandbox.
    """
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    candidate = Path(sys.base_prefix, "bin", version)
    interpreter = candidate if candidate.exists() else Path(sys.executable)
    return (str(interpreter.resolve()), "-I", "-S", "-B", f"{directory}/__main__.py")


def _bounded_file(size: int) -> int:
    """Return a file in memory that cannot grow beyond `size` bytes.

    Unlike a pipe, it needs no reader and nobody ever waits for those who hold it.
    """
    descriptor = os.memfd_create("stderr", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, size)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW)
    return descriptor
