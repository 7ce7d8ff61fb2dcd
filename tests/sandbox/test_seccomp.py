"""The system call filter, asked by real system calls inside."""

import json
import platform
import struct
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from agentflow.errors import EnvironmentFailure
from agentflow.sandbox.channel import toolbox_command
from agentflow.sandbox.policy import Policy
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


@pytest.mark.parametrize("unix_sockets", [True, False])
@pytest.mark.parametrize("machine", list(MACHINES))
def test_every_jump_stays_inside_the_program(machine: str, unix_sockets: bool) -> None:
    code = list(struct.iter_unpack("<HBBI", assemble(machine, unix_sockets=unix_sockets)))
    assert code[-1] == (0x06, 0, 0, 0x7FFF0000)
    jumps = [(at, step) for at, step in enumerate(code) if step[0] & 7 == 5]
    assert all(at + 1 + max(step[1:3]) < len(code) for at, step in jumps)


def test_an_architecture_without_a_table_is_refused() -> None:
    with pytest.raises(EnvironmentFailure, match="no system call filter for the architecture vax"):
        assemble("vax")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="its header has the numbers of x86_64")
def test_the_numbers_are_those_of_the_kernel_headers() -> None:
    header = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
    if not header.exists():
        miss("the kernel's headers are not installed")
    text = subprocess.run(
        ["grep", "-oP", r"__NR_\K\w+ \d+", str(header)], capture_output=True, text=True, check=True
    ).stdout
    known = {name: int(number) for name, number in map(str.split, text.splitlines())}
    denied = MACHINES["x86_64"].denied
    assert {n: known.get(n, v) for n, v in denied.items()} == dict(denied)
