"""What one sandbox may use, each limit met by a real command; and what the model reads then."""

import asyncio
import contextlib
import fcntl
import tempfile
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from agentflow.environment import Service
from agentflow.records import Json, ProcessLimits
from agentflow.sandbox import open_sandbox
from agentflow.sandbox.channel import Channel
from agentflow.sandbox.policy import Mount, Policy
from agentflow.sandbox.program import toolbox_command
from agentflow.toolbox.watchdog import RESERVE, allowance
from agentflow.tools import bash

pytestmark = [pytest.mark.sandbox, pytest.mark.usefixtures("bwrap")]

PYTHON = f"{toolbox_command('')[0]} -I -S -c"
LOW = ProcessLimits(
    memory=160 << 20,
    processes=40,
    file_size=8 << 20,
    open_files=64,
)
GROWTH = replace(LOW, disk=24 << 20, inodes=4000)
"""Only where it is what a test is about: others write to the same disk."""

# Bounded, whatever happens: 400 MB at most are taken, 300 processes started, 60,000 files made.
ALONE = f'{PYTHON} "a = bytearray(400 << 20); import time; time.sleep(60)"'
TOGETHER = (
    f"for n in 1 2 3 4; do {PYTHON} "
    '"a = bytearray(60 << 20); import time; time.sleep(60)" & done; wait'
)
UNMAPPED = (
    f'{PYTHON} "import os, time; fs = [os.memfd_create(str(n)) for n in range(60)]; '
    '[os.write(f, bytes(7 << 20)) for f in fs]; time.sleep(60)"'
)
HIDDEN = UNMAPPED.replace("time; fs", "time, ctypes; ctypes.CDLL(None).prctl(4, 0); fs")
SEGMENTS = (
    f'{PYTHON} "import ctypes, time; c = ctypes.CDLL(None); c.shmat.restype = ctypes.c_void_p\n'
    "for n in range(40):\n"
    " i = c.shmget(0, ctypes.c_size_t(10 << 20), 0o1600); p = c.shmat(i, None, 0)\n"
    " ctypes.memset(ctypes.c_void_p(p), 1, 10 << 20); c.shmdt(ctypes.c_void_p(p))\n"
    'time.sleep(60)"'
)
SHARED = (
    f'{PYTHON} "import os, time; a = bytearray(60 << 20)\n'
    "for n in range(8):\n"
    " if not os.fork(): time.sleep(0.5); os._exit(0)\n"
    'time.sleep(0.6); print(len(a))"'
)
THREADS = (
    f'{PYTHON} "import threading, time; '
    '[threading.Thread(target=time.sleep, args=(60,)).start() for n in range(60)]"'
)
BOMB = "f() { for n in $(seq 300); do sleep 60 & done; wait; }; f"
SPREAD = "for n in $(seq 60); do head -c 7M /dev/zero > big$n; done; sleep 60"
FLOOD = "mkdir -p {0} && cd {0} && seq 60000 | xargs touch; sleep 60"
MEMORY_LIMIT = (
    "its processes together used more than 160 MiB of memory. Run fewer of them at once, or work "
    "on less data."
)
MANY = "more than 40 processes and threads ran at once. Start fewer of them in parallel."
FILES = (
    "more than 4,000 files were made since this session began. Remove what you do not need, and "
    "make fewer."
)


@asynccontextmanager
async def opened(tree: Path, limits: ProcessLimits = LOW) -> AsyncGenerator[Channel]:
    async with open_sandbox("bubblewrap", Policy(tree=tree, limits=limits)) as channel:
        yield channel


async def sh(channel: Channel, command: str) -> Json:
    return await channel.call("Bash", {"command": command, "timeout": 30})


def read(result: Json) -> str:
    """What the model reads."""
    text, _ = bash.shape(bash.Input(command="x", timeout=None, description=None), result)
    assert isinstance(text, str)
    return text


@pytest.mark.parametrize(
    ("command", "limit", "reason"),
    [
        pytest.param(ALONE, "memory", MEMORY_LIMIT, id="one process"),
        pytest.param(TOGETHER, "memory", MEMORY_LIMIT, id="several processes"),
        pytest.param(UNMAPPED, "memory", MEMORY_LIMIT, id="files in memory"),
        pytest.param(HIDDEN, "memory", MEMORY_LIMIT, id="files in memory of one that hides"),
        pytest.param(SEGMENTS, "memory", MEMORY_LIMIT, id="segments that nobody maps"),
        pytest.param(BOMB, "processes", MANY, id="processes"),
        pytest.param(THREADS, "processes", MANY, id="threads"),
        pytest.param(FLOOD.format("/tmp/many"), "inodes", FILES, id="files in memory folders"),
    ],
)
async def test_what_uses_too_much_is_killed_and_the_next_command_works(
    tree: Path, command: str, limit: str, reason: str
) -> None:
    limits = replace(LOW, file_size=1 << 30, inodes=4000 if limit == "inodes" else LOW.inodes)
    async with opened(tree, limits) as channel:
        result = await sh(channel, command)
        assert (result["killed"], result["exit_code"]) == (limit, None)
        assert read(result).startswith(f"The command was killed: {reason}")
        after = await sh(channel, "rm -rf /tmp/*; ls /proc > all; grep -c '^[0-9]' all")
        assert after["output"] == "3\n"  # the toolbox, bash, and `ls` itself


@pytest.fixture
def quiet_tree() -> Iterator[Path]:
    """A work tree on a disk that nobody else fills by 64 MiB in a moment, as installations do."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        (Path(name) / ".git").write_text("gitdir: /run/agentflow/git\n")
        yield Path(name)


async def test_a_session_s_growth_is_bounded_and_can_be_removed(quiet_tree: Path) -> None:
    async with opened(quiet_tree, GROWTH) as channel:
        result = await sh(channel, SPREAD)
        assert result["killed"] == "disk"
        assert read(result).startswith("The command was killed: files grew by more than 24 MiB")
        # Another command is not free to start again from there, but may clean up.
        assert (await sh(channel, SPREAD.replace("big", "more")))["killed"] == "disk"
        assert (await sh(channel, "sleep 0.3; rm -f big* more*; echo ok"))["output"] == "ok\n"
        result = await sh(channel, FLOOD.format("many"))
        assert (result["killed"], read(result)) == ("inodes", f"The command was killed: {FILES}")
        assert (await sh(channel, "sleep 0.3; rm -rf many; echo ok"))["output"] == "ok\n"


async def test_pages_that_processes_share_count_once(tree: Path) -> None:
    async with opened(tree) as channel:
        result = await sh(channel, SHARED)
        assert (result["killed"], result["output"]) == (None, f"{60 << 20}\n")


async def test_limits_of_the_kernel_are_explained(tree: Path) -> None:
    async with opened(tree, replace(LOW, cpu=1)) as channel:
        result = await sh(channel, "head -c 20M /dev/zero > big; exit $?")
        assert (tree / "big").stat().st_size == 8 << 20
        assert "A file may have at most 8 MiB: write less, or several files." in read(result)
        result = await sh(channel, f"{PYTHON} \"open('b', 'wb').write(bytes(20 << 20))\"")
        assert "A file may have at most 8 MiB" in read(result)
        result = await sh(channel, f"{PYTHON} \"a = [open('big') for n in range(99)]\"")
        assert "A process may have at most 64 files open" in read(result)
        result = await sh(channel, "(while :; do :; done); exit $?")
        assert (result["exit_code"], result["killed"]) == (152, None)
        assert "A process may use at most 1 s of processor time" in read(result)
        assert (await sh(channel, "ulimit -t 9999; ulimit -Ht"))["output"].endswith("\n6\n")
    async with open_sandbox("bubblewrap", Policy(tree=tree, scratch_size=1 << 20)) as channel:
        result = await sh(channel, "head -c 2M /dev/zero > /tmp/full")
        assert "/tmp is full: it is in memory, and holds 1 MiB." in read(result)


HOG = (
    f'exec 9> lock; flock 9; touch ready; until test -e go; do sleep 0.05; done; {PYTHON} "'
    'import time; a = bytearray(300 << 20); time.sleep(60)"'
)
"""A service that takes too much when it is told to, and holds a lock as long as it lives."""
HOGGING = Service("hog", HOG, "test -e ready", {}, 20.0)
ENDED = "The service 'hog' ended with exit code 137"


async def test_a_service_that_uses_too_much_ends_with_the_command_beside_it(tree: Path) -> None:
    policy = Policy(tree=tree, limits=LOW, services=(HOGGING,))
    async with open_sandbox("bubblewrap", policy) as channel:
        result = await sh(channel, "touch go; sleep 20")
        assert result["killed"] == "memory"
        assert ENDED in "".join(result["notes"])


async def test_a_service_that_uses_too_much_ends_while_there_is_no_command(tree: Path) -> None:
    policy = Policy(tree=tree, limits=LOW, services=(HOGGING,))
    async with open_sandbox("bubblewrap", policy) as channel:
        (tree / "go").touch()
        # Nobody asks the toolbox anything meanwhile: it looks on its own.
        assert await asyncio.to_thread(_released, tree / "lock")
        result = await sh(channel, "true")
        assert result["killed"] is None
        assert ENDED in "".join(result["notes"])


def _released(lock: Path) -> bool:
    """Whether everybody who holds a lock ends within 20 seconds."""
    end = time.monotonic() + 20
    with lock.open("ab") as file:
        while time.monotonic() < end:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            time.sleep(0.01)
    return False


@pytest.mark.parametrize(
    ("limit", "free", "allowed"),
    [
        (64 << 30, 100 << 30, 64 << 30),
        (64 << 30, 9 << 30, (9 << 30) - RESERVE),
        (64 << 30, 0, RESERVE),
    ],
)
def test_the_disk_of_the_machine_keeps_a_reserve(limit: int, free: int, allowed: int) -> None:
    assert allowance(limit, free) == allowed


async def test_writable_mounts_count_too(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    mount = Mount(tmp_path / "out", "/run/agentflow/out", writable=True)
    policy = Policy(tree=tree, writable=(), mounts=(mount,), limits=GROWTH, completion=None)
    async with open_sandbox("bubblewrap", policy) as channel:
        result = await sh(channel, f"cd {mount.target} && {SPREAD}")
        assert result["killed"] == "disk"
