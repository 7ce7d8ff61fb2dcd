"""Children of the toolbox: their limits, how they are started and how all of them end."""

import ctypes
import os
import resource
import select
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from agentflow.toolbox.session import Refusal

PR_SET_DUMPABLE = 4
PR_SET_CHILD_SUBREAPER = 36
"""Both from linux/prctl.h."""
KILL_SECONDS = 5.0
"""After this time a process that SIGKILL does not end (disk wait) is left to the kernel."""

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
    if os.getpid() == 1:  # counted per user namespace; elsewhere it would count the whole user
        _limit(resource.RLIMIT_NPROC, limits.get("processes"))


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
    errors: int = subprocess.STDOUT,
    environment: Mapping[str, str] | None = None,
    keep: tuple[int, ...] = (),
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, its output on a pipe, its input empty."""
    with _gate:
        if _stopping:
            raise Refusal("The toolbox is stopping.")
        return subprocess.Popen(
            arguments,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
            pass_fds=keep,
            start_new_session=True,
            bufsize=0,
        )


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
        kill_group(process.pid)
        process.wait()
        process.stdout.close()
        process.stderr.close()
    complaints = pipes.popitem()[1].decode("utf-8", "replace").strip()
    return bytes(output[:cap]), complaints, len(output) > cap


def kill_group(leader: int) -> None:
    """Kill a process group whose leader was not reaped yet, so that its number is still ours."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def reap_orphans(child: int) -> None:
    """Reap what was handed to us by its dead parent; stop at our own child, which we wait for."""
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None or ended.si_pid == child:
            return
        os.waitpid(ended.si_pid, os.WNOHANG)


def kill_descendants() -> None:
    """Kill and reap every process below this one, however it was detached, and nothing else.

    A process that leaves its parent becomes our child (as PID 1, or as subreaper), so there is
    nothing left when there is no child left.
    """
    deadline = time.monotonic() + KILL_SECONDS
    while time.monotonic() < deadline:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        _kill_below()
        time.sleep(0.001)


def stop() -> None:
    """Start nothing any more and kill everything."""
    global _stopping
    with _gate:
        _stopping = True
    kill_descendants()


def _kill_below() -> None:
    if os.getpid() == 1:
        try:
            os.kill(-1, signal.SIGKILL)
        except ProcessLookupError:
            return
        return
    for process in _descendants():
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _descendants() -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_bytes().rpartition(b")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = list(children.get(os.getpid(), ()))
    for process in found:
        found.extend(children.get(process, ()))
    return found
