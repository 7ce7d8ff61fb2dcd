"""Services beside commands: how they start, what they outlive, and who cannot pass for one."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agentflow.environment import Service
from agentflow.errors import EnvironmentFailure
from agentflow.records import Backend, ProcessLimits
from agentflow.sandbox import open_sandbox
from agentflow.sandbox.channel import Channel
from agentflow.sandbox.policy import Policy
from agentflow.sandbox.program import toolbox_command
from agentflow.sandbox.services import REQUEST
from agentflow.tools import TOOLS, bash
from tests.needs import miss
from tests.sandbox.test_sandbox import is_locked

pytestmark = [pytest.mark.sandbox, pytest.mark.usefixtures("bwrap")]

PYTHON = toolbox_command("")[0]

SERVER = """
import os, socket, sys, threading, time
from pathlib import Path
with socket.create_server(("127.0.0.1", 8123)) as server:
    print("listening", flush=True)
    while True:
        connection, _ = server.accept()
        with connection:
            word = connection.recv(64)
            if word == b"crash": print("oh no", flush=True); os._exit(3)
            if word == b"spawn": os.system("(sleep 600 & echo $! > $AGENTFLOW_SERVICE_DATA/orphan)")
            connection.sendall(f"{os.getpid()} {word.decode()}".encode())
"""

ASK = """
import socket, sys
with socket.create_connection(("127.0.0.1", 8123), 5) as connection:
    connection.sendall(sys.argv[1].encode()); print(connection.recv(64).decode())
"""


@pytest.fixture
def files(tree: Path) -> Path:
    (tree / "server.py").write_text(SERVER)
    (tree / "ask.py").write_text(ASK)
    return tree


def echo(**changes: object) -> Service:
    values: dict[str, object] = {
        "name": "echo",
        "command": f"exec {PYTHON} server.py",
        "ready": f"{PYTHON} ask.py ready",
        "variables": {"ECHO_URL": "tcp://127.0.0.1:8123"},
        "timeout": 10.0,
    }
    return Service(**(values | changes))  # pyright: ignore[reportArgumentType]  a test's own values


@asynccontextmanager
async def opened(
    tree: Path, *services: Service, backend: Backend = "bubblewrap", path: tuple[str, ...] = ()
) -> AsyncGenerator[Channel]:
    limits = ProcessLimits(processes=200)
    policy = Policy(tree=tree, services=services, path=path, limits=limits)
    async with open_sandbox(backend, policy) as channel:
        yield channel


async def sh(channel: Channel, command: str, timeout: float = 15.0) -> str:
    result = await channel.call("Bash", {"command": command, "timeout": timeout})
    return str(result["output"]).strip()


async def notes(channel: Channel) -> list[str]:
    return (await channel.call("Bash", {"command": "true"}))["notes"]


@pytest.mark.parametrize("backend", ["bubblewrap", "none"])
async def test_a_service_outlives_commands_that_leave_nothing_else(
    files: Path, backend: Backend
) -> None:
    async with opened(files, echo(), backend=backend) as channel:
        assert await sh(channel, "echo $ECHO_URL; echo ${AGENTFLOW_SERVICE_DATA-none}") == (
            "tcp://127.0.0.1:8123\nnone"
        )
        pids = {await sh(channel, f"{PYTHON} ask.py x") for _ in range(3)}
        assert len(pids) == 1
        left = await sh(channel, "(setsid sleep 600 & echo $!); (sleep 600 & echo $!)")
        assert await sh(channel, f"for n in {' '.join(left.split())}; do ls -d /proc/$n; done") == (
            "\n".join(
                f"ls: cannot access '/proc/{n}': No such file or directory" for n in left.split()
            )
        )
        assert {await sh(channel, f"{PYTHON} ask.py x")} == pids
        assert await notes(channel) == []


async def test_what_a_service_leaves_behind_belongs_to_it(files: Path) -> None:
    async with opened(files, echo()) as channel:
        await sh(channel, f"{PYTHON} ask.py spawn")
        data = "/tmp/service-1/data"
        assert await sh(channel, f"ls -d /proc/$(cat {data}/orphan) >/dev/null && echo alive") == (
            "alive"
        )
        assert await sh(channel, f"stat -c '%a %U' {data}; cat /tmp/service-1/log") == (
            "700 agent\nlistening"
        )


async def test_a_service_that_ends_is_told_once_and_takes_its_processes_along(files: Path) -> None:
    async with opened(files, echo()) as channel:
        await sh(channel, f"{PYTHON} ask.py spawn")
        orphan = await sh(channel, "cat /tmp/service-1/data/orphan")
        result = await channel.call("Bash", {"command": f"{PYTHON} ask.py crash; sleep 0.5"})
        assert result["notes"] == [
            "The service 'echo' ended with exit code 3 and is not started again. "
            "Its output: /tmp/service-1/log"
        ]
        assert await notes(channel) == []
        assert await sh(channel, "tail -1 /tmp/service-1/log") == "oh no"
        assert await sh(channel, f"ls -d /proc/{orphan} 2>/dev/null") == ""


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"command": "echo bad luck; exit 3"},
            "the service 'echo' ended with exit code 3 before it was ready:\nbad luck",
        ),
        (
            {"command": "echo up; sleep 60", "ready": "echo no answer; false", "timeout": 0.3},
            "the service 'echo' was not ready after 0.3 seconds; `ready` said: no answer:\nup",
        ),
        (
            {"command": "sleep 60", "ready": "sleep 60", "timeout": 0.2},
            "the service 'echo' was not ready after 0.2 seconds",
        ),
        (
            {"command": "sleep 60", "ready": "yes", "timeout": 0.2},
            "the service 'echo' was not ready after 0.2 seconds; `ready` said: ",
        ),
        (
            {"command": "seq 3000000 | sed s/$/abcdefg/; exit 1", "ready": "false"},
            "the service 'echo' ended with exit code 1 before it was ready:\n2999981abcdefg\n",
        ),
    ],
)
async def test_a_service_that_does_not_get_ready_is_explained(
    files: Path, change: dict[str, object], reason: str
) -> None:
    with pytest.raises(EnvironmentFailure) as caught:
        async with opened(files, echo(**change)):
            pass
    assert caught.value.message.startswith(reason)
    assert len(caught.value.message) < 3000


async def test_services_start_one_after_the_other_and_know_each_others_variables(
    files: Path,
) -> None:
    second = Service(
        name="../second",
        command=f"{PYTHON} ask.py $SECOND > $AGENTFLOW_SERVICE_DATA/answer; exec sleep 600",
        ready="test -s $AGENTFLOW_SERVICE_DATA/answer",
        variables={"SECOND": "hello"},
    )
    async with opened(files, echo(), second) as channel:
        assert (await sh(channel, "cat /tmp/service-2/data/answer")).endswith(" hello")


async def test_closing_ends_the_services(files: Path) -> None:
    holder = echo(command="exec 9>>lock; flock 9; exec sleep 600", ready="! flock -n lock true")
    for backend in ("bubblewrap", "none"):
        async with opened(files, holder, backend=backend):
            assert await asyncio.to_thread(is_locked, files / "lock")
        assert not await asyncio.to_thread(is_locked, files / "lock")


# All of these are bounded by themselves, in number and in time: root has no limit of processes.
FORK_BOMB = """
import os, time
own, end = os.getpid(), time.monotonic() + 20
for _ in range(6): os.fork()
if os.getpid() == own: time.sleep(0.3); raise SystemExit
os.setsid()
while time.monotonic() < end:
    if os.fork(): os._exit(0)
"""

RUNNER = """
import os, signal, time
end = time.monotonic() + 20
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.setsid()
while time.monotonic() < end:  # always another process: each forks the next one and is gone
    if os.fork(): os._exit(0)
"""

REVIVERS = """
import os, signal, time
end = time.monotonic() + 20
os.setsid()
for _ in range(2): os.fork()
while time.monotonic() < end:  # wake up all that is stopped
    try: os.kill(-1, signal.SIGCONT)
    except OSError: pass
"""

LEADERLESS = """
import ctypes, os, threading, time
os.setsid()
threading.Thread(target=lambda: [time.sleep(0.01) for _ in range(100000)]).start()
ctypes.CDLL(None).syscall(60 if os.uname().machine == "x86_64" else 93, 0)  # the thread lives on
"""

CLONE_PARENT = """
import ctypes, os, time
flags = 0x8000 | 17
number = 56 if os.uname().machine == "x86_64" else 220
if ctypes.CDLL(None).syscall(number, flags, 0, 0, 0, 0) == 0: time.sleep(600)
"""


@pytest.mark.parametrize(
    "command",
    [
        f"{PYTHON} fork_bomb.py",
        f"for i in 1 2 3; do ({PYTHON} runner.py & ); done; sleep 0.1",
        f"({PYTHON} revivers.py & ) ; sleep 0.2",
        f"({PYTHON} revivers.py & ) ; ({PYTHON} runner.py & ); sleep 0.2",
        f"({PYTHON} leaderless.py & ) ; sleep 0.2",
        f"{PYTHON} clone_parent.py; {PYTHON} clone_parent.py",
        "setsid sh -c 'trap \"\" TERM; (sleep 600); :' & sleep 600 & sleep 0.1",
    ],
)
async def test_only_services_survive_a_hostile_command(files: Path, command: str) -> None:
    scripts = {"runner": RUNNER, "revivers": REVIVERS, "leaderless": LEADERLESS}
    for name, script in {**scripts, "clone_parent": CLONE_PARENT, "fork_bomb": FORK_BOMB}.items():
        (files / f"{name}.py").write_text(script)
    async with opened(files, echo()) as channel:
        before = await sh(channel, "set -- /proc/[0-9]*; echo $#")
        first = await sh(channel, f"{PYTHON} ask.py x")
        await sh(channel, command)
        assert await sh(channel, "set -- /proc/[0-9]*; echo $#") == before
        assert await sh(channel, f"{PYTHON} ask.py x") == first
        assert await notes(channel) == []


async def test_a_command_cannot_write_the_memory_of_a_service(files: Path) -> None:
    script = """
import sys
try:
    with open(f"/proc/{sys.argv[1]}/mem", "r+b", buffering=0): print("opened")
except OSError as error: print(error.errno, error)
"""
    (files / "inject.py").write_text(script)
    async with opened(files, echo()) as channel:
        answer = await sh(channel, f"{PYTHON} inject.py $({PYTHON} ask.py x)")
        assert answer.startswith("30 [Errno 30] Read-only file system")


def test_no_tool_of_the_model_starts_a_service() -> None:
    assert REQUEST not in TOOLS


def test_the_model_reads_that_a_service_ended() -> None:
    result = {"output": "out\n", "truncated": False, "killed": None, "exit_code": 0}
    assert bash.shape(
        bash.Input(command="true", timeout=None, description=None),
        {**result, "notes": ["It ended."]},
    ) == (
        "out\nIt ended.",
        False,
    )


def _postgresql() -> str:
    """The directory of PostgreSQL's programs; where there is none, CI fails and others skip."""
    if shutil.which("pg_config"):
        command = ["pg_config", "--bindir"]
        found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        if Path(found, "initdb").exists():
            return found
    found = shutil.which("initdb")
    return str(Path(found).resolve().parent) if found else miss("PostgreSQL is not installed")


async def test_postgresql_runs_beside_commands(tree: Path) -> None:
    service = Service(
        name="db",
        command=(
            'initdb -D "$AGENTFLOW_SERVICE_DATA/db" -U app -A trust --no-sync >/dev/null && '
            'exec postgres -D "$AGENTFLOW_SERVICE_DATA/db" -k "$AGENTFLOW_SERVICE_DATA" '
            "-c listen_addresses=127.0.0.1 -c fsync=off"
        ),
        ready="pg_isready -q -h 127.0.0.1",
        variables={"DATABASE_URL": "postgresql://app@127.0.0.1/postgres"},
    )
    async with opened(tree, service, path=(_postgresql(),)) as channel:
        query = 'psql -qtAX "$DATABASE_URL" -c'
        await sh(channel, f"{query} 'create table t (n int)'; (sleep 600 &)")
        (tree / "fork_bomb.py").write_text(FORK_BOMB)
        insert = f"{query} 'insert into t select generate_series(1, 1000)'"
        await sh(channel, f"{insert}; {PYTHON} fork_bomb.py")
        assert await sh(channel, f"{query} 'select sum(n) from t'") == "500500"
        assert await notes(channel) == []
        assert await sh(channel, "pgrep -c sleep") == "0"
