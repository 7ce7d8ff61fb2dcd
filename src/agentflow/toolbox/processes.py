"""Children of the toolbox: their limits, and how they are started."""

import contextlib
import ctypes
import os
import resource
import select
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from agentflow.toolbox import ending, record
from agentflow.toolbox.session import Refusal

PR_SET_DUMPABLE = 4
PR_SET_CHILD_SUBREAPER = 36
"""Both from linux/prctl.h."""

SPARE_PROCESSES = 64
"""What a fork bomb gets beyond the limit until the watchdog looks. Root gets more."""

_gate = threading.Lock()
_stopping = False


def confine(limits: Mapping[str, int]) -> None:
    """Shield this process from its children and set the limits that they inherit.

    Limits are set here and not between fork and exec, so that children start by vfork.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)  # siblings can neither trace us nor read our /proc
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, limits.get("file_size"))
    _limit(resource.RLIMIT_NOFILE, limits.get("open_files"))
    processes = limits.get("processes")
    if processes is not None and os.getpid() == 1:
        # Counted per user namespace; elsewhere it would count the whole user. The watchdog comes
        # first, as it can say why.
        _limit(resource.RLIMIT_NPROC, processes + SPARE_PROCESSES)


def _limit(which: int, value: int | None) -> None:
    if value is None:
        return
    hard = resource.getrlimit(which)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, value))


def start(
    arguments: Sequence[str],
    directory: Path,
    *,
    output: int = subprocess.PIPE,
    errors: int = subprocess.STDOUT,
    environment: Mapping[str, str] | None = None,
    keep: tuple[int, ...] = (),
    lasting: bool = False,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, its input empty.

    Descriptors in `keep` are inherited. One that is `lasting` outlives the call.
    """
    with _gate:
        if _stopping:
            raise Refusal("The toolbox is stopping.")
        process = subprocess.Popen(
            arguments,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env=environment,
            pass_fds=keep,
            start_new_session=True,
            bufsize=0,
        )
        if lasting:
            ending.keep(process.pid)
        with contextlib.suppress(OSError):  # a full disk, which this very process may mend
            record.note(process.pid)
        return process


def run(
    arguments: Sequence[str],
    directory: Path,
    environment: Mapping[str, str],
    seconds: float,
    cap: int,
) -> tuple[bytes, str, bool]:
    """Run a search program; return its output, its complaints and whether it was cut at the cap.

    Raises TimeoutError after the given seconds; its process group is then dead.
    """
    process = start(arguments, directory, errors=subprocess.PIPE, environment=environment)
    assert process.stdout  # noqa: S101  (a pipe)
    assert process.stderr  # noqa: S101  (a pipe)
    pipes = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
    output = pipes[process.stdout.fileno()]
    waiting, deadline = set(pipes), time.monotonic() + seconds
    try:
        while waiting and len(output) <= cap:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            for pipe in select.select(waiting, (), (), left)[0]:
                data = os.read(pipe, 1 << 16)
                pipes[pipe] += data
                if not data:
                    waiting.remove(pipe)
    finally:
        ending.kill_group(process.pid)
        process.wait()
        process.stdout.close()
        process.stderr.close()
    complaints = pipes.popitem()[1].decode("utf-8", "replace").strip()
    return bytes(output[:cap]), complaints, len(output) > cap


def stop() -> None:
    """Start nothing any more and kill everything."""
    global _stopping
    with _gate:
        _stopping = True
    ending.keep_nothing()
    ending.kill_descendants()
    record.remove()
