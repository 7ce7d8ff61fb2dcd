"""The launcher of the Landlock back end: a keeper that outlives the toolbox, and the toolbox itself
as its child, confined before it reads a word.

Without a PID namespace nobody ends what a dead parent leaves behind. So the keeper stays outside:
it adopts every orphan (`PR_SET_CHILD_SUBREAPER`), and when the toolbox or agentflow is gone, it
kills all that is left. No process inside may signal it (Landlock ABI 6).

Landlock: https://docs.kernel.org/userspace-api/landlock.html, linux/landlock.h.
"""

import base64
import ctypes
import json
import os
import resource
import signal
import stat
import struct
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

from agentflow.toolbox import ending, record
from agentflow.toolbox.session import Json

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
"""System calls, with the same numbers on every architecture."""
CREATE_VERSION = 1
"""LANDLOCK_CREATE_RULESET_VERSION."""
PATH_BENEATH = 1
"""LANDLOCK_RULE_PATH_BENEATH."""

LEAST_ABI = 3
"""Before it, files that may not be written to could be truncated."""
SCOPE_ABI = 6
"""From here on processes outside can be neither signalled nor reached by abstract Unix sockets."""

(
    EXECUTE, WRITE_FILE, READ_FILE, READ_DIRECTORY, REMOVE_DIRECTORY, REMOVE_FILE,
    MAKE_CHARACTER_DEVICE, MAKE_DIRECTORY, MAKE_REGULAR, MAKE_SOCKET, MAKE_FIFO,
    MAKE_BLOCK_DEVICE, MAKE_LINK, REFER, TRUNCATE, IOCTL_DEVICE,
) = (1 << bit for bit in range(16))  # fmt: skip
"""LANDLOCK_ACCESS_FS_*, in the order of the header."""

OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEVICE
"""What a rule on a single file may name."""

READ = EXECUTE | READ_FILE | READ_DIRECTORY
ACCESS = {
    "list": READ_DIRECTORY,
    "read": READ,
    "write": READ | WRITE_FILE | TRUNCATE | REFER | REMOVE_DIRECTORY | REMOVE_FILE
    | MAKE_DIRECTORY | MAKE_REGULAR | MAKE_FIFO | MAKE_LINK,
    "device": READ_FILE | WRITE_FILE,
}  # fmt: skip
"""What the rules of a launch may grant. No sockets and no devices can be made anywhere."""

TCP = 3
"""LANDLOCK_ACCESS_NET_BIND_TCP and CONNECT_TCP, from ABI 4 on: handled, and granted nowhere."""
SCOPES = 3
"""LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET and SIGNAL."""

PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_CAPBSET_DROP = 1, 22, 24
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 36, 38, 47
"""From linux/prctl.h."""
PR_CAP_AMBIENT_CLEAR_ALL, SECCOMP_MODE_FILTER = 4, 2
CAPABILITY_VERSION = 0x20080522
"""_LINUX_CAPABILITY_VERSION_3 (linux/capability.h)."""
LAST_CAPABILITY = 63

NOWHERE = "gitdir: /run/agentflow/git\n"
"""What the tree's `.git` says when no toolbox runs: no program of the user finds a repository."""

_libc = ctypes.CDLL(None, use_errno=True)


def abi() -> int:
    """The version of Landlock that this kernel offers; 0 for none."""
    found = _libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(CREATE_VERSION))
    return max(0, found)


def main(descriptor: int) -> NoReturn:
    """Read the launch from an inherited descriptor, start the toolbox, and stay until all is dead.

    The launch is a JSON object: `parent` (the process that starts us), `rules` (pairs of a
    descriptor and a name in `ACCESS`), `seccomp` (the filter in base64), `processes` (how many
    more the user may have), `root`, `pointer` (the tree's `.git` while we run, or null), `record`
    (a file that says what must be killed if we cannot).
    """
    with os.fdopen(descriptor, "rb") as file:
        launch: Json = json.load(file)
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    code = 143
    child = 0
    try:
        _call("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        _follow(launch["parent"], signal.SIGTERM)
        _point(launch, launch["pointer"])
        child = _start(launch)
        record.write(Path(launch["record"]), launch["parent"], (os.getpid(), child))
        for number in (0, 1):
            os.close(number)
        code = _wait(child)
    except _Ended:
        pass
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        ending.kill_descendants()
        _point(launch, NOWHERE)
        Path(launch["record"]).unlink(missing_ok=True)
    os._exit(code)


class _Ended(Exception):
    """We are told to end, or agentflow is dead."""


def _end(signum: int, _: FrameType | None) -> NoReturn:
    signal.signal(signum, signal.SIG_IGN)
    raise _Ended


def _follow(parent: int, signum: int) -> None:
    """Get a signal when the parent ends, also if it already has."""
    _call("prctl", PR_SET_PDEATHSIG, signum, 0, 0, 0)
    if os.getppid() != parent:
        raise _Ended


def _start(launch: Json) -> int:
    keeper = os.getpid()
    child = os.fork()
    if child:
        for rule, _ in launch["rules"]:
            os.close(rule)
        return child
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.setpgid(0, 0)
        _follow(keeper, signal.SIGTERM)
        _confine(launch)
        os.chdir(launch["root"])
        # Here, with no more rights than the agent: what it runs is only read from now on.
        from agentflow.toolbox.server import main as serve

        serve()
    except BaseException as error:  # noqa: BLE001  (the keeper's frames are above us)
        print(f"toolbox: not confined: {error!r}", file=sys.stderr)  # noqa: T201
    os._exit(2)


def _wait(child: int) -> int:
    """Reap what is handed to us until the toolbox ends; return its exit code."""
    while True:
        process, status = os.wait()
        if process == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _confine(launch: Json) -> None:
    """Give up everything but what the launch grants. Raises OSError if the kernel refuses."""
    _limit_processes(launch["processes"])
    _drop_capabilities()
    _call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _restrict(launch["rules"])
    program = base64.b64decode(launch["seccomp"])
    code = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(code))
    _call("prctl", PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.create_string_buffer(head), 0, 0)


def _limit_processes(more: int) -> None:
    """Bound the processes of the whole user, as there is no namespace that counts ours alone."""
    own, count = os.getuid(), 0
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and entry.stat().st_uid == own:
                count += sum(1 for _ in (entry / "task").iterdir())
        except OSError:
            continue
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    limit = count + more if hard == resource.RLIM_INFINITY else min(count + more, hard)
    resource.setrlimit(resource.RLIMIT_NPROC, (limit, limit))


def _drop_capabilities() -> None:
    for capability in range(LAST_CAPABILITY + 1):
        _libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)  # fails where there is none to drop
    _libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header = ctypes.create_string_buffer(struct.pack("Ii", CAPABILITY_VERSION, 0))
    _call("capset", header, ctypes.create_string_buffer(24))


def _restrict(rules: list[tuple[int, str]]) -> None:
    version = abi()
    if version < LEAST_ABI:
        raise OSError(f"Landlock's ABI is {version}, and at least {LEAST_ABI} is needed")
    handled = (1 << 16) - 1 if version >= 5 else (1 << 15) - 1
    fields = [
        handled,
        *([TCP] if version >= 4 else []),
        *([SCOPES] if version >= SCOPE_ABI else []),
    ]
    attribute = struct.pack(f"{len(fields)}Q", *fields)
    ruleset = _syscall(
        CREATE_RULESET,
        ctypes.create_string_buffer(attribute, len(attribute)),
        ctypes.c_size_t(len(attribute)),
        ctypes.c_uint(0),
    )
    for descriptor, name in rules:
        access = ACCESS[name] & handled
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            access &= OF_FILES
        rule = ctypes.create_string_buffer(struct.pack("=Qi", access, descriptor))
        _syscall(
            ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(PATH_BENEATH), rule, ctypes.c_uint(0)
        )
        os.close(descriptor)
    _syscall(RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint(0))
    os.close(ruleset)


def _point(launch: Json, text: str | None) -> None:
    """Write the tree's `.git` anew, whatever the agent put in its place.

    Called when no process of the agent is alive. It may have made a directory of it.
    """
    if launch["pointer"] is None or text is None:
        return
    pointer = Path(launch["root"], ".git")
    if pointer.is_dir() and not pointer.is_symlink():
        place = Path(launch["record"]).with_name(f"discarded-{os.getpid()}")
        pointer.rename(place)
    pointer.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(pointer, flags, 0o644), "w", encoding="utf-8") as file:
        file.write(text)


def _syscall(number: int, *arguments: object) -> int:
    value: int = _libc.syscall(ctypes.c_long(number), *arguments)
    if value < 0:
        raise OSError(ctypes.get_errno(), f"system call {number} failed")
    return value


def _call(name: str, *arguments: object) -> None:
    if _libc[name](*arguments) < 0:
        raise OSError(ctypes.get_errno(), f"{name}{arguments[:1]} failed")
