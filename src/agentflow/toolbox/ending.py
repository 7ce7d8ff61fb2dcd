"""How processes end: after a call all are dead that the toolbox started, except for services.

A service's process (`keep`) and what descends from it live on. Descent cannot be forged: who loses
its parent becomes a child of the toolbox, or of the service that it belongs to
(`PR_SET_CHILD_SUBREAPER`), and a kept number is forgotten the moment it could become another's.
Nor can a command run its own code in a service: ptrace and its kin are denied, /proc is read-only.
What a service does because its clients ask for it (`COPY … FROM PROGRAM`) is the service's.
"""

import os
import signal
import time
from pathlib import Path

KILL_SECONDS = 5.0
"""After this time a process that SIGKILL does not end (disk wait) is left to the kernel."""

LOOKS = 2
"""Looks at /proc that must find no stranger, one after the other.

One is not enough: a process that lies ahead of the look can fork, once numbers have wrapped
around, behind it. For a second time it would have to go through all numbers.
"""

STOPPED_AT_ONCE = 10_000
"""Processes that are killed before more are looked for."""

_kept = set[int]()
_released = set[int]()
_codes = dict[int, int]()


def keep(process: int) -> None:
    """Let a child of ours and what descends from it outlive the calls."""
    _kept.add(process)


def keep_nothing() -> None:
    """Let nothing outlive what comes next."""
    _released.update(_kept)
    _kept.clear()


def exit_code(process: int) -> int | None:
    """Return the exit code of a process that was kept, as shells report it; None while it lives."""
    return _codes.get(process)


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
        _forget(*os.waitpid(ended.si_pid, os.WNOHANG))


def kill_descendants() -> None:
    """Kill and reap every process below this one, however it was detached, and nothing else.

    A process that leaves its parent becomes our child (as PID 1, or as subreaper), so there is
    nothing left when there is no child left. What is kept stays.
    """
    deadline = time.monotonic() + KILL_SECONDS
    while _reap() and time.monotonic() < deadline:
        if _kept:
            _kill_strangers(deadline)
            return
        _kill_everything()
        time.sleep(0.001)


def _reap() -> bool:
    """Reap the dead; False if there is no child left, dead or alive."""
    try:
        while True:
            process, status = os.waitpid(-1, os.WNOHANG)
            if not process:
                return True
            _forget(process, status)
    except ChildProcessError:
        return False


def _forget(process: int, status: int) -> None:
    """Note that a process is gone: from here on its number may be that of any other."""
    if process in _kept or process in _released:
        _kept.discard(process)
        _released.discard(process)
        code = os.waitstatus_to_exitcode(status)
        _codes[process] = code if code >= 0 else 128 - code


def _kill_strangers(deadline: float) -> None:
    """Kill what does not belong to what is kept.

    While there is a stranger everything stands still, so that nothing can fork. If that does not
    help in time, the services die too.
    """
    clean, frozen = 0, False
    try:
        while clean < LOOKS:
            strangers, whole = _look()
            clean = clean + 1 if whole and not strangers else 0
            if clean:
                continue
            if time.monotonic() > deadline:
                _kill_everything()
                time.sleep(0.001)
                _reap()
                return
            # Before the world stands still, a look can mistake a service's child for a stranger.
            for process in strangers if frozen else ():
                _send(process, signal.SIGKILL)
            _send_all(signal.SIGSTOP)
            frozen = True
            _reap()
    finally:
        if frozen:
            _send_all(signal.SIGCONT)


def _look() -> tuple[list[int], bool]:
    """Return the processes below us that do not belong to what is kept, and whether all were seen.

    As PID 1 everything is below us, and a process that vanished during the look, or whose parent
    did, may have left another.
    """
    children = dict[int, list[int]]()
    seen, whole = 0, True
    for entry in list(Path("/proc").iterdir()):
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            whole = False
            continue
        children.setdefault(int(fields[1]), []).append(int(entry.name))
        seen += 1
    ours = below({os.getpid()}, children)
    kept = {*_kept, *below(_kept, children)}
    strangers = [process for process in ours if process not in kept]
    return strangers, os.getpid() != 1 or (whole and len(ours) == seen - 1)


def below(roots: set[int], children: dict[int, list[int]]) -> list[int]:
    """Return all descendants, given the children of each process."""
    found = [child for root in roots for child in children.get(root, ())]
    for process in found:
        found.extend(children.get(process, ()))
    return found


def _kill_everything() -> None:
    if os.getpid() == 1:
        _send_all(signal.SIGKILL)
        return
    # Each look may find what was forked behind the one before: first all must stand still.
    stopped = set[int]()
    while fresh := {*_look()[0], *_kept}.difference(stopped):
        for process in fresh:
            _send(process, signal.SIGSTOP)
        stopped |= fresh
        if len(stopped) > STOPPED_AT_ONCE:
            break
    for process in stopped:
        _send(process, signal.SIGKILL)


def _send(process: int, signum: int) -> None:
    try:
        os.kill(process, signum)
    except ProcessLookupError:
        return


def _send_all(signum: int) -> None:
    """Send a signal to all processes but us: as PID 1 only, or it would go to all of the user's."""
    if os.getpid() == 1:
        _send(-1, signum)
