"""EN: what of this machine an agent can see, and whether a secret gets out."""

import json
import os
import platform
from pathlib import Path

from agentflow.records import Json
from agentflow.sandbox.seccomp import MACHINES
from tests.attacks.case import case
from tests.attacks.place import CANARY, Place
from tests.attacks.place import bash as inside
from tests.run.project import HELLO, MARKER, bash, turn

NOT_RUN: dict[str, str] = {}

NAMESPACES = ("user", "mnt", "pid", "net", "ipc", "uts")
SYSTEM_CALLS = """
import ctypes, errno, sys
libc = ctypes.CDLL(None, use_errno=True)
for number in map(int, sys.argv[1:]):
    ctypes.set_errno(0)
    libc.syscall(number, *[ctypes.c_long(-1)] * 6)
    print(errno.errorcode.get(ctypes.get_errno(), "OK"))
"""
"""Makes system calls by their numbers, with arguments that no call accepts."""


async def answers(place: Place, *names: str) -> dict[str, str]:
    """What system calls end with inside."""
    denied = MACHINES[platform.machine()].denied
    numbers = " ".join(str(denied[name]) for name in names)
    said = await place.output(f"/usr/bin/python3 -I -S -c '{SYSTEM_CALLS}' {numbers}")
    return dict(zip(names, said.split(), strict=True))


@case("EN-01")
async def no_variable_of_this_machine_is_inside(place: Place) -> None:
    assert os.environ["CANARY_TOKEN"]
    command = "env; cat /proc/self/environ; cat /proc/[0-9]*/environ; cat /proc/[0-9]*/cmdline"
    said = await place.output(command)
    assert "USER=agent" in said
    assert CANARY not in said


@case("EN-02")
async def the_home_is_empty(place: Place) -> None:
    command = "ls -A ~; cat ~/.ssh/id_rsa ~/.aws/* ~/.netrc ~/.config/gh/hosts.yml 2>/dev/null"
    assert await place.output(command) == place.home_files
    assert place.hidden in await place.output(f"cat {place.home}/.ssh/id_rsa")
    # A toolchain in the home folder is shown, and what it keeps of its user's credentials is not.
    async with place.another("toolchain") as other:
        root = other.home / ".nvm/v20"
        (root / "bin").mkdir(parents=True)
        (root / "bin/tool").write_text("#!/bin/sh\necho a tool\n")
        (root / "bin/tool").chmod(0o755)
        (root / ".npmrc").write_text(CANARY)
        other.add_environment(PATH=f"{root}/bin:{other.project.world.environment['PATH']}")
        bench = await other.bench(gates=[{"name": "test", "command": "tool"}])
        async with bench.agent_sandbox() as sandbox:
            said = (await inside(sandbox, f"tool; cat {root}/.npmrc; ls {other.home}/.ssh"))[
                "output"
            ]
    assert "a tool\n" in said
    assert CANARY not in said
    assert "id_rsa\n" not in said


@case("EN-03")
async def only_the_standard_descriptors_are_inherited(place: Place) -> None:
    # 255 is bash's own copy of its script, 3 is `ls` reading the folder; the last one is the pipe on
    # which the shell reports its directory, which leads to a file in memory.
    said = await place.output("ls -l /proc/self/fd | sed -n 's/.* -> //p'")
    kinds = {line.partition(":")[0] for line in said.split("\n") if line}
    assert kinds <= {"/dev/null", "pipe", "/memfd", *[k for k in kinds if k.startswith("/proc/")]}
    assert "socket" not in kinds


@case("EN-04")
async def the_first_process_is_closed(place: Place) -> None:
    command = (
        "for f in environ mem maps fd/0 fd/1; do head -c1 /proc/1/$f >/dev/null 2>&1 && echo $f; done; "
        "for f in root cwd exe fd/0; do readlink /proc/1/$f; done; echo end"
    )
    assert await place.output(command) == "end\n"
    assert await answers(place, "ptrace", "process_vm_readv", "process_vm_writev") == {
        "ptrace": "EPERM", "process_vm_readv": "EPERM", "process_vm_writev": "EPERM",
    }  # fmt: skip


@case("EN-05")
async def the_key_rings_are_closed(place: Place) -> None:
    assert set((await answers(place, "keyctl", "add_key", "request_key")).values()) == {"EPERM"}


@case("EN-06")
async def there_is_no_socket_of_the_session(place: Place) -> None:
    paths = "/sys /run/user /run/docker.sock /var/run/docker.sock /run/dbus /run/systemd /run/containerd"
    said = await place.output(
        f'ls -d {paths} 2>/dev/null; env | grep -E "SSH_|DBUS|XDG_|DOCKER"; '
        "find / -xdev -type s 2>/dev/null; find /workspace /run /tmp /home -type s; echo end"
    )
    assert said == "end\n", said


@case("EN-07")
async def host_user_and_processes_are_its_own(place: Place) -> None:
    said = await place.output(
        "hostname; id -un; ls /proc | grep -c '^[0-9]'; cat /proc/[0-9]*/cmdline | tr '\\0' ' '"
    )
    name, user, count, commands = said.split("\n", 3)
    inside = await place.output(
        f"for n in {' '.join(NAMESPACES)}; do readlink /proc/self/ns/$n; done"
    )
    assert len(inside.splitlines()) == len(NAMESPACES)
    shared = {*inside.splitlines()} & _namespaces()
    assert not shared, f"this machine's: {', '.join(sorted(n.partition(':')[0] for n in shared))}"
    assert (name, user) == ("sandbox", "agent")
    assert int(count) < 10
    assert "tests.attacks" not in commands
    assert "bwrap" not in commands


def _namespaces() -> set[str]:
    """Those that agentflow runs in."""
    return {str(Path("/proc/self/ns", name).readlink()) for name in NAMESPACES}


@case("EN-08")
async def what_an_agent_prints_is_redacted_and_ignored_files_are_not_there(place: Place) -> None:
    assert (place.project.root / ".env").is_file()
    said = await place.output(
        "ls -A; cat .env; git show HEAD:.env; git log --all --format=%H -- .env"
    )
    assert CANARY not in said
    assert ".env\n" not in said
    report, asked = await _printed(place)
    journal = place.project.journal(report["run"])
    assert "CANARY_TOKEN" in json.dumps([*journal, *asked])  # the command that printed it
    assert f"{CANARY}-token" not in json.dumps(journal)
    stored = place.project.root / ".orchestrator" / "runs" / report["run"]
    files = [file for file in stored.rglob("*") if file.is_file()]
    assert files
    assert not [file for file in files if f"{CANARY}-token" in _text(file)]


@case("EN-09")
async def a_secret_is_taken_out_before_the_provider_gets_it(place: Place) -> None:
    _, asked = await _printed(place)
    assert "CANARY_TOKEN" in json.dumps(asked)
    assert f"{CANARY}-token" not in json.dumps(asked)


async def _printed(place: Place) -> tuple[Json, list[Json]]:
    """A run whose agent was granted a secret and prints it; its report, and what the model got."""
    before = len(place.project.requests)
    turns = [turn(bash("echo the value is $CANARY_TOKEN")), turn(HELLO, MARKER), turn()]
    environment = {"agent": {"env_from": ["CANARY_TOKEN"]}}
    report = await place.run(turns, environment=environment, allow=["app/**"], land="none")
    asked = place.project.requests[before:]
    assert "the value is " in json.dumps(asked)
    return report, asked


def _text(file: Path) -> str:
    return file.read_text("utf-8", "replace")
