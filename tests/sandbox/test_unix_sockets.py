"""Unix sockets and process pools inside: what test runners and build daemons live on."""

import sys
from pathlib import Path

import pytest

from agentflow.sandbox import open_sandbox
from agentflow.sandbox.policy import Mount, Policy
from agentflow.sandbox.program import toolbox_command

pytestmark = [pytest.mark.sandbox, pytest.mark.usefixtures("bwrap")]

PYTHON = toolbox_command("")[0]

FORK_SERVER = """
import multiprocessing
def double(n): return 2 * n
if __name__ == "__main__":
    with multiprocessing.get_context("forkserver").Pool(2) as pool:
        print(pool.map(double, range(4)))
"""

PROCESS_POOL = """
from concurrent.futures import ProcessPoolExecutor
if __name__ == "__main__":
    with ProcessPoolExecutor(2) as pool: print(list(pool.map(abs, [-1, -2])))
"""

DAEMON = """
import socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.bind(sys.argv[1]); server.listen()
    while True:
        connection, _ = server.accept()
        with connection: connection.sendall(b"from the daemon")
"""

CLIENT = """
import socket, sys, time
for _ in range(200):
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(sys.argv[1]); print(client.recv(64).decode()); break
    except OSError: time.sleep(0.02)
"""

TESTS = """
import os, pytest
@pytest.mark.parametrize("n", range(4))
def test_n(n): assert os.environ["PYTEST_XDIST_WORKER"] in {"gw0", "gw1"}
"""


async def _run(policy: Policy, command: str) -> str:
    async with open_sandbox("bubblewrap", policy) as channel:
        result = await channel.call("Bash", {"command": command, "timeout": 60})
    return str(result["output"]).strip()


@pytest.mark.parametrize(
    ("script", "output"), [(FORK_SERVER, "[0, 2, 4, 6]"), (PROCESS_POOL, "[1, 2]")]
)
async def test_process_pools_work(tree: Path, script: str, output: str) -> None:
    (tree / "pool.py").write_text(script)
    assert await _run(Policy(tree=tree), f"{PYTHON} pool.py") == output


@pytest.mark.parametrize("address", ["/tmp/daemon.sock", "daemon.sock"])
async def test_a_daemon_serves_the_command_that_started_it(tree: Path, address: str) -> None:
    (tree / "daemon.py").write_text(DAEMON)
    (tree / "client.py").write_text(CLIENT)
    command = f"({PYTHON} daemon.py {address} &); {PYTHON} client.py {address}"
    assert await _run(Policy(tree=tree), command) == "from the daemon"


async def test_pytest_runs_in_parallel(tree: Path) -> None:
    (tree / "test_n.py").write_text(TESTS)
    policy = Policy(tree=tree, mounts=(Mount(Path(sys.prefix), sys.prefix),))
    python = f"{sys.prefix}/bin/python"
    options = "-q -n 2 -p no:cacheprovider -p no:hypothesispytest"
    output = await _run(policy, f"{python} -m pytest {options} test_n.py")
    assert output.splitlines()[-1].startswith("4 passed")
