"""The system call filter, asked by real system calls inside."""

import errno
import json
import platform
import re
import struct
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from agentflow.errors import EnvironmentFailure
from agentflow.sandbox.policy import Policy
from agentflow.sandbox.program import toolbox_command
from agentflow.sandbox.seccomp import MACHINES, assemble
from tests.needs import miss

Inside = Callable[[Policy, Sequence[str]], subprocess.CompletedProcess[str]]
"""Runs one program in a sandbox."""

SCRIPT = """
import ctypes, errno, fcntl, json, socket, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
def attempt(number, *arguments):
    ctypes.set_errno(0)
    value = libc.syscall(number, *(ctypes.c_long(a) for a in arguments))
    return errno.errorcode.get(ctypes.get_errno(), "OK") if value == -1 else "OK"
def inject(request):
    with open("/dev/null") as file:
        try: fcntl.ioctl(file, request, b"x")
        except OSError as error: return errno.errorcode[error.errno]
def family(number):
    try: socket.socket(number, socket.SOCK_DGRAM).close()
    except OSError as error: return errno.errorcode[error.errno]
    return "OK"
numbers = json.loads(sys.argv[1])
thread = threading.Thread(target=lambda: None); thread.start(); thread.join()
print(json.dumps({
    "denied": {n: attempt(v, -1, -1, -1, -1, -1, -1) for n, v in numbers["denied"].items()},
    "clone3": attempt(numbers["clone3"], 0, 0),
    "namespaces": [attempt(numbers["clone"], flag | 17, 0, 0, 0, 0) for flag in numbers["flags"]],
    "terminal": [inject(0x5412), inject(0x541C), inject(0x5401)],
    "families": {n: family(n) for n in (1, 2, 10, 16, 17, 38, 40)},
    "x32": attempt(0x40000000 + 39) if sys.argv[2] == "x86_64" else "ENOSYS",
}))
"""


@pytest.mark.sandbox
def test_the_filter_denies_what_it_names_and_nothing_else(inside: Inside, tree: Path) -> None:
    machine = MACHINES[platform.machine()]
    numbers = {
        "denied": dict(machine.denied),
        "clone": machine.clone,
        "clone3": machine.clone3,
        "flags": [0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000],
    }
    python = toolbox_command("")[0]
    command = [python, "-I", "-S", "-c", SCRIPT, json.dumps(numbers), platform.machine()]
    ended = inside(Policy(tree=tree), command)
    assert ended.stderr == ""
    assert json.loads(ended.stdout) == {
        "denied": dict.fromkeys(machine.denied, "EPERM"),
        "clone3": "ENOSYS",
        "namespaces": ["EPERM"] * 7,
        "terminal": ["EPERM", "EPERM", "ENOTTY"],
        "families": {
            "1": "OK", "2": "OK", "10": "OK",
            "16": "EAFNOSUPPORT", "17": "EAFNOSUPPORT", "38": "EAFNOSUPPORT", "40": "EAFNOSUPPORT",
        },
        "x32": "ENOSYS",
    }  # fmt: skip


@pytest.mark.sandbox
def test_programs_of_every_day_run_under_it(inside: Inside, tree: Path) -> None:
    script = "seq 3 | sort -r | (read a; echo $a) & wait; git --version >/dev/null && echo git"
    ended = inside(Policy(tree=tree), ["/bin/bash", "-c", script])
    assert (ended.stdout, ended.stderr, ended.returncode) == ("3\ngit\n", "", 0)


ALLOWED, EPERM, ENOSYS, EAFNOSUPPORT, KILLED = (
    "allowed", "EPERM", "ENOSYS", "EAFNOSUPPORT", "killed",
)  # fmt: skip
HEADERS = {
    "x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
    "aarch64": "/usr/include/asm-generic/unistd.h",
}
"""Where Linux says the numbers of each architecture's calls."""
AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
DENIED = (
    "unshare", "setns", "mount", "umount2", "pivot_root", "chroot", "open_tree", "move_mount",
    "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr", "io_uring_setup", "io_uring_enter",
    "io_uring_register", "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "keyctl",
    "add_key", "request_key", "bpf", "perf_event_open", "userfaultfd", "open_by_handle_at",
    "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "personality",
    "acct", "quotactl", "swapon", "swapoff", "reboot", "syslog", "fanotify_init", "move_pages",
)  # fmt: skip
"""Calls that a filter must refuse whatever their arguments, by name."""


def interpret(
    program: bytes, number: int, arguments: tuple[int, ...] = (), audit: int = AUDIT["x86_64"]
) -> str:
    """Run a filter as the kernel does (linux/filter.h), on a call's number and arguments."""
    padded = (*arguments, *[0] * (6 - len(arguments)))
    data = struct.pack("<IIQ6Q", number, audit, 0, *padded)
    code = list(struct.iter_unpack("<HBBI", program))
    at, accumulator = 0, 0
    while True:
        operation, if_true, if_false, operand = code[at]
        at += 1
        match operation:
            case 0x20:
                (accumulator,) = struct.unpack_from("<I", data, operand)
            case 0x15:
                at += if_true if accumulator == operand else if_false
            case 0x35:
                at += if_true if accumulator >= operand else if_false
            case 0x45:
                at += if_true if accumulator & operand else if_false
            case 0x06:
                action, value = operand & 0xFFFF0000, operand & 0xFFFF
                names = {0x7FFF0000: ALLOWED, 0x80000000: KILLED}
                return names[action] if action in names else errno.errorcode[value]
            case _:
                raise AssertionError(f"no such instruction: {operation:#x}")


def numbers_of(machine: str) -> dict[str, int]:
    """The numbers of an architecture's calls, from the kernel's headers."""
    header = Path(HEADERS[machine])
    if not header.exists():
        miss("the kernel's headers are not installed")
    text = header.read_text("utf-8")
    found = re.findall(r"^#define __NR(?:3264)?_(\w+)\s+(\d+)", text, re.M)
    return {name: int(number) for name, number in found}


@pytest.mark.parametrize("machine", list(MACHINES))
def test_a_filter_decides_the_same_on_each_architecture(machine: str) -> None:
    numbers, audit = numbers_of(machine), AUDIT[machine]
    program = assemble(machine)

    def ask(name: str, *arguments: int) -> str:
        return interpret(program, numbers[name], arguments, audit)

    assert {name: ask(name) for name in DENIED} == dict.fromkeys(DENIED, EPERM)
    flags = (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)
    assert [ask("clone", flag | 17) for flag in flags] == [EPERM] * 7
    assert (ask("clone", 17), ask("clone", 0x3D0F00)) == (ALLOWED, ALLOWED)  # fork, a thread
    assert ask("clone3", 0x10000000) == ENOSYS
    requests = [ask("ioctl", 0, request) for request in (0x5412, 0x541C, 0x5401)]
    assert requests == [EPERM, EPERM, ALLOWED]
    assert ask("ioctl", 0, 0x1_0000_5412) == EPERM  # the kernel drops the upper half
    families = {family: ask("socket", family, 1) for family in range(60)}
    assert {family for family, said in families.items() if said == ALLOWED} == {1, 2, 10}
    assert {families[f] for f in (16, 17, 21, 29, 38, 40, 44)} == {EAFNOSUPPORT}
    refused = {
        name for name, number in numbers.items() if interpret(program, number, (), audit) != ALLOWED
    }
    assert refused - set(MACHINES[machine].denied) == {"clone3", "socket"}
    everyday = {"read", "write", "openat", "execve", "exit_group", "mmap", "futex", "socketpair",
                "connect", "kill", "prctl", "seccomp", "memfd_create", "pidfd_open", "statx"}  # fmt: skip
    assert everyday <= set(numbers)
    assert not everyday & refused


def test_another_architecture_s_calls_are_killed_and_the_x32_abi_is_not_there() -> None:
    for machine, audit in AUDIT.items():
        for other in {0x40000003, 0x40000028, *AUDIT.values()} - {audit}:  # i386, arm
            assert interpret(assemble(machine), 0, (), other) == KILLED
    assert interpret(assemble("x86_64"), 0x40000000 + 39) == ENOSYS


@pytest.mark.parametrize("machine", list(MACHINES))
def test_unix_sockets_can_be_closed(machine: str) -> None:
    program, number = assemble(machine, unix_sockets=False), MACHINES[machine].socket
    said = [interpret(program, number, (family,), AUDIT[machine]) for family in (1, 2, 10)]
    assert said == [EAFNOSUPPORT, ALLOWED, ALLOWED]


def test_an_architecture_without_a_table_is_refused() -> None:
    with pytest.raises(EnvironmentFailure, match="no system call filter for the architecture vax"):
        assemble("vax")


@pytest.mark.parametrize("machine", list(MACHINES))
def test_the_numbers_are_those_of_the_kernel_headers(machine: str) -> None:
    known, table = numbers_of(machine), MACHINES[machine]
    # Newer than some headers, and the same everywhere.
    own = {**table.denied, "clone": table.clone, "clone3": table.clone3, "ioctl": table.ioctl}
    own |= {"socket": table.socket}
    assert {name: known.get(name, value) for name, value in own.items()} == own
    assert set(own) - set(known) <= {"open_tree_attr"}
