"""PR: processes that will not die, and resources of this machine."""

import asyncio
import contextlib
import fcntl
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

from agentflow.records import Json
from tests.attacks.case import ALONE, case
from tests.attacks.cases.environment import answers
from tests.attacks.place import Place, bash

NOT_RUN: dict[str, str] = {}

PYTHON = "/usr/bin/python3 -I -S -c"
BOMB = """
import os, sys, time
for number in range(300):
    try:
        if os.fork() == 0:
            time.sleep(20)
            os._exit(0)
    except BlockingIOError:
        print("refused", flush=True)
        break
time.sleep(float(sys.argv[1]))
"""
"""Bounded, whatever happens: root is not bound by the kernel's limit."""
LOW: dict[str, Any] = {
    "memory": 300 << 20,
    "processes": 64,
    "file_size": 8 << 20,
}
ORPHAN = """
import asyncio, sys
from pathlib import Path
from agentflow.sandbox import open_sandbox
from agentflow.sandbox.policy import Policy
async def main():
    async with open_sandbox(sys.argv[1], Policy(tree=Path(sys.argv[2]))) as sandbox:
        command = "exec 9>>lock; flock 9; setsid -f sleep 600; sleep 600"
        await sandbox.call("Bash", {"command": command, "timeout": 60})
asyncio.run(main())
"""
INJECT = """
import fcntl
for request in (0x5412, 0x541C):
    for path in ("/dev/null", "/dev/tty"):
        try: fcntl.ioctl(open(path), request, b"x"); print(path)
        except OSError: pass
print("end")
"""
"""TIOCSTI and TIOCLINUX of ioctl_tty(2), to everything that could be this terminal."""
AT_A_TERMINAL = """
import asyncio, fcntl, sys, termios
from pathlib import Path
from agentflow.sandbox import open_sandbox
from agentflow.sandbox.policy import Policy
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
async def main():
    async with open_sandbox(sys.argv[1], Policy(tree=Path(sys.argv[2]))) as sandbox:
        command = sys.argv[3] + "; ps -o tty= -p $$"
        result = await sandbox.call("Bash", {"command": command, "timeout": 20})
        print(result["output"], end="")
asyncio.run(main())
"""


async def limited(place: Place, *commands: str, **limits: int) -> list[Json]:
    """Results of commands in a sandbox of low limits; it must answer after each."""
    bench = await place.bench(sandbox={"backend": place.backend, **LOW, **limits})
    found: list[Json] = []
    async with bench.agent_sandbox() as sandbox:
        for command in commands:
            found.append(await bash(sandbox, command, 40))
            assert (await bash(sandbox, "echo next"))["output"] == "next\n"
    return found


@case("PR-01")
async def a_command_has_its_time(place: Place) -> None:
    result = await place.bash("sleep 10", 0.5)
    assert (result["killed"], result["exit_code"]) == ("timeout", None)


@case("PR-02")
async def no_daemon_stays(place: Place) -> None:
    leave = "sh -c 'sleep 1; touch apps/api/PR-02'"
    for command in (
        f"setsid -f {leave}",
        f"nohup {leave} >/dev/null 2>&1 & disown",
        f"( ( {leave} & ) & )",
        f'{PYTHON} \'import os\nif os.fork() == 0:\n os.setsid()\n os.fork() or os.execvp("sleep", ["sleep", "60"])\'',
    ):
        await place.bash(command)
        assert await place.output("ps -eo comm= | grep -c sleep") == "0\n"
    await asyncio.sleep(1.1)
    assert not (await place.tree() / "apps/api/PR-02").exists()


@case("PR-03")
async def a_child_that_holds_the_output_delays_nothing(place: Place) -> None:
    result = await place.bash("sleep 600 & echo done", 20)
    assert (result["output"], result["killed"]) == ("done\n", None)


@case("PR-04")
async def signals_can_be_ignored_in_vain(place: Place) -> None:
    result = await place.bash("trap '' TERM INT HUP QUIT; while :; do :; done", 0.5)
    assert result["killed"] == "timeout"
    assert await place.output("ps -eo args= | grep -c 'while [:]'") == "0\n"


@case("PR-05")
async def a_fork_bomb_is_bounded(place: Place) -> None:
    # There it is the user's processes that the kernel counts, and nobody comes to kill them.
    waits = 0 if place.backend == "landlock" else 20
    (result,) = await limited(place, f"{ALONE}{PYTHON} '{BOMB}' {waits}")
    if place.backend == "landlock":
        assert (result["killed"], result["output"]) == (None, "refused\n"), result
    else:
        assert result["killed"] == "processes"
        assert "more than 64 processes and threads" in result["reason"]


@case("PR-06")
async def killing_everything_kills_the_command(place: Place) -> None:
    sandbox = await place.sandbox()
    await place.bash(f"{ALONE}kill -9 1; kill -9 -1")
    assert await place.output("echo alive") == "alive\n"
    assert await place.sandbox() is sandbox


@case("PR-07")
async def memory_is_bounded(place: Place) -> None:
    one = f"{PYTHON} 'a = bytearray(1 << 30); import time; time.sleep(60)'"
    many = (
        f"for n in 1 2 3 4 5; do {PYTHON} 'a = bytearray(100 << 20); import time; time.sleep(60)' & "
        "done; wait"
    )
    unmapped = (
        f"{PYTHON} 'import os, time\nfor n in range(64):\n"
        ' os.write(os.memfd_create("x"), bytes(7 << 20))\ntime.sleep(60)\''
    )
    found = await limited(place, ALONE + one, ALONE + many, ALONE + unmapped)
    assert [each["killed"] for each in found] == ["memory"] * 3
    assert "more than 300 MiB of memory" in found[0]["reason"]


@case("PR-08")
async def endless_output_is_cut(place: Place) -> None:
    result = await place.bash("yes", 30)
    assert (result["killed"], result["truncated"]) == ("output", True)
    assert len(result["output"]) < 31_000


@case("PR-09")
async def a_file_cannot_grow_without_bound(place: Place) -> None:
    (result,) = await limited(
        place,
        "head -c 64M /dev/zero > apps/api/PR-09; code=$?; stat -c %s apps/api/PR-09; exit $code",
    )
    assert result["output"].splitlines()[-1] == str(8 << 20)
    assert (result["exit_code"], result["notes"]) == (
        153,
        ["A file may have at most 8 MiB: write less, or several files."],
    )


@case("PR-10")
async def many_files_cannot_fill_the_disk(place: Place) -> None:
    fill = "for n in $(seq 60); do head -c 7M /dev/zero > apps/api/PR-10-$n; done; sleep 20"
    (result,) = await limited(place, fill, disk=64 << 20)
    assert result["killed"] == "disk"


@case("PR-11")
async def folders_in_memory_are_sized(place: Place) -> None:
    said = await place.output(
        "for d in ${TMPDIR:-/tmp} /dev/shm ~ .orchestrator/complete; do "
        'echo "$(df -B1M --output=size $d | tail -n1) $d"; done; '
        "(echo x > /dev/PR-11) 2>&1; (echo x > /PR-11) 2>&1"
    )
    rows = [line.split() for line in said.splitlines()[:4]]
    assert [len(row) for row in rows] == [2] * 4, said
    unsized = [folder for size, folder in rows if not 0 < int(size) <= 1024]
    assert not unsized, f"not sized: {' '.join(unsized)}"
    assert said.count("Read-only file system") == 2


@case("PR-11b")
async def nothing_else_is_writable(place: Place) -> None:
    # Opened for appending, never written: a success would reach this machine.
    folders = "/ /dev /etc /run /run/agentflow /proc /proc/sys/kernel /usr /home /bin"
    files = "/proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/self/oom_score_adj /etc/passwd"
    said = await place.output(
        f"for d in {folders}; do touch $d/PR-11b 2>/dev/null && echo $d; done; "
        f'for f in {files}; do (exec 9>>"$f") 2>/dev/null && echo $f; done; echo end'
    )
    assert said == "end\n"


@case("PR-12")
async def empty_files_cannot_use_up_the_inodes(place: Place) -> None:
    flood = "mkdir -p {0} && cd {0} && seq 20000 | xargs touch; sleep 20"
    for folder in ("apps/api/PR-12", "${TMPDIR:-/tmp}/PR-12"):
        (result,) = await limited(place, ALONE + flood.format(folder), inodes=5000)
        assert result["killed"] == "inodes", result
        assert "more than 5,000 files" in result["reason"]


@case("PR-13")
async def nothing_is_typed_into_a_terminal(place: Place) -> None:
    # In a process whose terminal agentflow would be started from: ours has none.
    tree = place.folder / "PR-13"
    tree.mkdir()
    (tree / ".git").write_text("gitdir: /nowhere\n")
    ours, theirs = pty.openpty()
    try:
        child = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-c",
                AT_A_TERMINAL,
                place.backend,
                str(tree),
                f"{PYTHON} '{INJECT}'",
            ),
            stdin=theirs,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        said, _ = await child.communicate()
        typed = await asyncio.to_thread(_typed, theirs)
    finally:
        os.close(ours)
        os.close(theirs)
    assert child.returncode == 0
    assert said == b"end\n?\n"
    assert typed == b""


def _typed(terminal: int) -> bytes:
    """What waits to be read from a terminal."""
    attributes = termios.tcgetattr(terminal)
    attributes[3] &= ~(termios.ICANON | termios.ECHO)
    termios.tcsetattr(terminal, termios.TCSANOW, attributes)
    return os.read(terminal, 100) if select.select([terminal], [], [], 0)[0] else b""


@case("PR-14")
async def set_user_id_programs_gain_nothing(place: Place) -> None:
    said = await place.output(
        "grep -E 'NoNewPrivs|CapEff|CapBnd' /proc/self/status; "
        "for p in su mount passwd sudo; do p=$(command -v $p) && $p --version >/dev/null 2>&1; done; "
        "f=${TMPDIR:-/tmp}/PR-14; cp /bin/bash $f && chmod 4755 $f && $f -p -c 'id -u'"
    )
    assert "NoNewPrivs:\t1" in said
    assert "CapEff:\t0000000000000000" in said
    assert said.splitlines()[-1] == {"bubblewrap": "1000"}.get(place.backend, str(os.getuid()))


@case("PR-15")
async def dangerous_system_calls_are_refused(place: Place) -> None:
    names = (
        "unshare", "setns", "mount", "umount2", "pivot_root", "chroot", "bpf", "perf_event_open",
        "userfaultfd", "ptrace", "keyctl", "io_uring_setup", "open_tree", "move_mount", "fsopen",
        "mount_setattr", "open_by_handle_at", "kexec_load", "init_module",
    )  # fmt: skip
    assert await answers(place, *names) == dict.fromkeys(names, "EPERM")
    script = "for c in 'unshare -Ur true' 'unshare -m true' 'umount /workspace'; do $c 2>/dev/null && echo $c; done; echo end"
    assert await place.output(script) == "end\n"


@case("PR-16")
async def the_sandbox_dies_with_agentflow(place: Place) -> None:
    tree = place.folder / "PR-16"
    tree.mkdir()
    before = _orphans()
    (tree / ".git").write_text("gitdir: /nowhere\n")
    child = await asyncio.to_thread(
        subprocess.Popen, [sys.executable, "-c", ORPHAN, place.backend, str(tree)]
    )
    try:
        assert await asyncio.to_thread(_becomes, tree / "lock", held=True)
    finally:
        os.kill(child.pid, signal.SIGKILL)
        await asyncio.to_thread(child.wait)
    assert await asyncio.to_thread(_becomes, tree / "lock", held=False)
    end = time.monotonic() + 20
    while not _orphans() <= before:
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


def _orphans() -> set[str]:
    """Processes of ours whose parent is gone, the dead that nobody has reaped yet among them."""
    found: set[str] = set()
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            ours = entry.name.isdigit() and entry.stat().st_uid == os.getuid()
            fields = (entry / "stat").read_text().rpartition(")")[2].split() if ours else []
            if fields[1:2] == ["1"]:
                found.add(entry.name)
    return found


def _becomes(lock: Path, *, held: bool) -> bool:
    """Wait until a process inside holds the lock, or none does."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if lock.exists():
            with lock.open("ab") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if held:
                        return True
                else:
                    if not held:
                        return True
        time.sleep(0.01)
    return False


@case("PR-17")
async def what_is_left_behind_reaches_nothing(place: Place) -> None:
    plant = (
        "mkdir -p ~/bin apps/api/node_modules/.bin; for p in ~/bin/git apps/api/node_modules/.bin/git; "
        "do printf '#!/bin/sh\\necho HIJACKED\\n' > $p; chmod +x $p; done; "
        "for f in .bashrc .bash_profile .profile .pythonrc.py; do echo 'echo HIJACKED' > ~/$f; done; "
        "export PATH=~/bin:$PATH LD_PRELOAD=/tmp/x.so BASH_ENV=~/.bashrc PYTHONSTARTUP=~/.pythonrc.py"
    )
    bench = await place.bench()
    async with bench.agent_sandbox() as sandbox:
        await bash(sandbox, plant)
        check = (
            "git --version; echo $LD_PRELOAD$BASH_ENV$PYTHONSTARTUP; bash -c true; python3 -c ''"
        )
        result = await bash(sandbox, check)
        assert "HIJACKED" not in result["output"]
        assert result["output"].splitlines()[1] == ""
    async with bench.agent_sandbox() as sandbox:
        assert (await bash(sandbox, "ls -A ~"))["output"] == place.home_files
    async with bench.checkout(bench.plan.base) as gate:
        said = (await bash(gate, "ls -A ~; git --version; ls apps/api"))["output"]
        assert "HIJACKED" not in said
        assert "node_modules" not in said


@case("PR-18")
async def nobody_else_answers(place: Place) -> None:
    forged = '{"id": 1, "result": {"exit_code": 0, "killed": null, "output": "forged"}}'
    said = await place.output(
        f"for n in 0 1 2 3 4 5 6 7 8 9; do (echo '{forged}' > /proc/$PPID/fd/$n) 2>/dev/null && echo $n; "
        f"(echo '{forged}' >&$n) 2>/dev/null; done; ls /proc/$PPID/fd 2>&1; echo end"
    )
    assert "Permission denied" in said
    assert said.endswith("end\n")
    assert await place.output("echo true answer") == "true answer\n"
