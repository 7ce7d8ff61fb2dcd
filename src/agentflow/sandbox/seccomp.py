"""The system call filter: classic BPF, assembled here, for `bwrap --seccomp FD` and `prctl`.

A filter is an array of `struct sock_filter {u16 code; u8 jt; u8 jf; u32 k}` (linux/filter.h) that
runs over a `struct seccomp_data` (linux/seccomp.h). Unix sockets are allowed where the network
namespace is private, so that no abstract one of the host is in reach; no mount shows another.
"""

import errno
import platform
import struct
from collections.abc import Mapping

from agentflow.errors import EnvironmentFailure
from agentflow.frozen import record

LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
"""BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ, |BPF_JGE, |BPF_JSET, BPF_RET|BPF_K (linux/bpf_common.h)."""

NUMBER, ARCHITECTURE, ARGUMENT_0, ARGUMENT_1 = 0, 4, 16, 24
"""Offsets in `struct seccomp_data`: of an argument the low 32 bits, little-endian.

The kernel, too, looks only at those for the flags compared here (CVE-2019-10063).
"""

ALLOW, FAIL, KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
"""SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO (plus the number) and SECCOMP_RET_KILL_PROCESS."""

X32_BIT = 0x40000000
"""Set in the number of a call of the x32 ABI, which would slip past the table."""

NAMESPACE_FLAGS = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x60000000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET (linux/sched.h)."""

TERMINAL_INJECTIONS = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX (asm-generic/ioctls.h)."""

UNIX = 1
"""AF_UNIX."""

SOCKET_FAMILIES = (2, 10)
"""AF_INET, AF_INET6."""

STREAM_PAIRS = tuple(kind | flags for kind in (1, 5) for flags in (0, 0o4000, 0o2000000, 0o2004000))
"""SOCK_STREAM and SOCK_SEQPACKET, with SOCK_NONBLOCK and SOCK_CLOEXEC. One of a pair of datagram
sockets can be connected anew, to any socket that a path or an abstract name leads to."""

NEWER_CALLS: Mapping[str, int] = {
    "pidfd_getfd": 438, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
    "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432,
    "fspick": 433, "mount_setattr": 442, "open_tree_attr": 467,
}  # fmt: skip
"""Denied calls whose number is the same everywhere."""


@record
class Machine:
    """The numbers of one architecture."""

    audit: int
    """AUDIT_ARCH_* (linux/audit.h)."""
    clone: int
    clone3: int
    ioctl: int
    socket: int
    socketpair: int
    prlimit: int
    denied: Mapping[str, int]
    """Calls that fail with EPERM."""
    shared: Mapping[str, int]
    """Calls that reach what other processes of an IPC namespace share: they fail with EPERM where
    that is the host's."""


MACHINES: Mapping[str, Machine] = {
    "x86_64": Machine(0xC000003E, clone=56, clone3=435, ioctl=16, socket=41, socketpair=53, prlimit=302, denied={
        "ptrace": 101, "syslog": 103, "personality": 135, "pivot_root": 155, "chroot": 161,
        "acct": 163, "mount": 165, "umount2": 166, "swapon": 167, "swapoff": 168, "reboot": 169,
        "sethostname": 170, "setdomainname": 171, "iopl": 172, "ioperm": 173, "init_module": 175,
        "delete_module": 176, "quotactl": 179, "kexec_load": 246, "add_key": 248,
        "request_key": 249, "keyctl": 250, "unshare": 272, "move_pages": 279,
        "perf_event_open": 298, "fanotify_init": 300, "open_by_handle_at": 304, "setns": 308,
        "process_vm_readv": 310, "process_vm_writev": 311, "finit_module": 313,
        "kexec_file_load": 320, "bpf": 321, "userfaultfd": 323, **NEWER_CALLS,
    }, shared={
        "shmget": 29, "shmat": 30, "shmctl": 31, "semget": 64, "semop": 65, "semctl": 66,
        "msgget": 68, "msgsnd": 69, "msgrcv": 70, "msgctl": 71, "semtimedop": 220,
        "mq_open": 240, "mq_unlink": 241,
    }),
    # Not run here: the numbers are those of asm-generic/unistd.h.
    "aarch64": Machine(0xC00000B7, clone=220, clone3=435, ioctl=29, socket=198, socketpair=199, prlimit=261, denied={
        "umount2": 39, "mount": 40, "pivot_root": 41, "chroot": 51, "quotactl": 60, "acct": 89,
        "personality": 92, "unshare": 97, "kexec_load": 104, "init_module": 105,
        "delete_module": 106, "syslog": 116, "ptrace": 117, "reboot": 142, "sethostname": 161,
        "setdomainname": 162, "add_key": 217, "request_key": 218, "keyctl": 219, "swapon": 224,
        "swapoff": 225, "move_pages": 239, "perf_event_open": 241, "fanotify_init": 262,
        "open_by_handle_at": 265, "setns": 268, "process_vm_readv": 270, "process_vm_writev": 271,
        "finit_module": 273, "bpf": 280, "userfaultfd": 282, "kexec_file_load": 294, **NEWER_CALLS,
    }, shared={
        "mq_open": 180, "mq_unlink": 181, "msgget": 186, "msgctl": 187, "msgrcv": 188,
        "msgsnd": 189, "semget": 190, "semctl": 191, "semtimedop": 192, "semop": 193,
        "shmget": 194, "shmctl": 195, "shmat": 196,
    }),
}  # fmt: skip


def assemble(machine: str = "", *, unix_sockets: bool = True, own_namespaces: bool = True) -> bytes:
    """Assemble the filter for a machine as named by `uname -m`, this one if empty.

    Without `unix_sockets` none can be made but pairs of streams, which lead nowhere else. Without
    `own_namespaces` there are no other sockets either, no shared memory, semaphores and queues of
    the host, and no limits of other processes.
    Raises `EnvironmentFailure` for an architecture without a table.
    """
    name = machine or platform.machine()
    numbers = MACHINES.get(name)
    if numbers is None:
        raise EnvironmentFailure(
            f"there is no system call filter for the architecture {name}",
            hint=f"run agentflow on {' or '.join(MACHINES)}",
        )
    unix_sockets = unix_sockets and own_namespaces
    families = (*((UNIX,) if unix_sockets else ()), *(SOCKET_FAMILIES if own_namespaces else ()))
    code = [
        *_check_architecture(numbers),
        *_when(numbers.clone3, [(RETURN, 0, 0, FAIL | errno.ENOSYS)]),  # the C library uses clone
        *_when(numbers.clone, _unless_any_bit(ARGUMENT_0, NAMESPACE_FLAGS)),
        *_when(numbers.ioctl, _unless_equal(ARGUMENT_1, TERMINAL_INJECTIONS)),
        *_when(numbers.socket, _only_equal(ARGUMENT_0, families)),
    ]
    if not unix_sockets:
        code += _when(numbers.socketpair, _only_equal(ARGUMENT_1, STREAM_PAIRS))
    if not own_namespaces:
        code += _when(numbers.prlimit, _only_equal(ARGUMENT_0, (0,), errno.EPERM))
    denied = numbers.denied if own_namespaces else {**numbers.denied, **numbers.shared}
    for number in sorted(denied.values()):
        code += _when(number, [(RETURN, 0, 0, FAIL | errno.EPERM)])
    code.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in code)


_Code = list[tuple[int, int, int, int]]
"""Instructions: code, instructions to skip if true, if false, operand."""


def _check_architecture(numbers: Machine) -> _Code:
    code: _Code = [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, numbers.audit),
        (RETURN, 0, 0, KILL_PROCESS),
        (LOAD, 0, 0, NUMBER),
    ]
    if numbers is MACHINES["x86_64"]:
        code += [(AT_LEAST, 0, 1, X32_BIT), (RETURN, 0, 0, FAIL | errno.ENOSYS)]
    return code


def _when(number: int, body: _Code) -> _Code:
    """Run `body`, which always returns, if the call has this number."""
    return [(EQUAL, 0, len(body), number), *body]


def _unless_any_bit(argument: int, bits: int) -> _Code:
    return [
        (LOAD, 0, 0, argument),
        (ANY_BIT, 0, 1, bits),
        (RETURN, 0, 0, FAIL | errno.EPERM),
        (RETURN, 0, 0, ALLOW),
    ]


def _unless_equal(argument: int, values: tuple[int, ...]) -> _Code:
    tests: _Code = [(EQUAL, len(values) - i, 0, value) for i, value in enumerate(values)]
    return [
        (LOAD, 0, 0, argument),
        *tests,
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, FAIL | errno.EPERM),
    ]


def _only_equal(
    argument: int, values: tuple[int, ...], otherwise: int = errno.EAFNOSUPPORT
) -> _Code:
    tests: _Code = [(EQUAL, len(values) - i, 0, value) for i, value in enumerate(values)]
    return [
        (LOAD, 0, 0, argument),
        *tests,
        (RETURN, 0, 0, FAIL | otherwise),
        (RETURN, 0, 0, ALLOW),
    ]
