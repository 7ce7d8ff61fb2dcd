"""The network of a sandbox: none, a list behind the proxy, or the machine's own."""

import asyncio
import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentflow.errors import UsageError
from agentflow.events import ConnectionClosed, Event
from agentflow.sandbox import open_sandbox
from agentflow.sandbox.channel import Channel
from agentflow.sandbox.policy import Network, Policy
from agentflow.sandbox.program import toolbox_command
from agentflow.sandbox.traffic import Traffic

pytestmark = [pytest.mark.sandbox, pytest.mark.usefixtures("bwrap")]

PYTHON = toolbox_command("")[0]

FETCH = """
import sys, urllib.request, urllib.error
for url in sys.argv[1:]:
    try: print(urllib.request.urlopen(url, timeout=10).read().decode())
    except urllib.error.HTTPError as error: print(error.code, error.read().decode().strip())
    except OSError as error: print(type(error).__name__)
"""


class _Site(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        away = self.path.startswith("/away")
        self.send_response(302 if away else 200)
        if away:
            self.send_header("Location", "http://elsewhere.test/")
        self.end_headers()
        self.wfile.write(f"hello {self.path}".encode())

    def log_message(self, *_: object) -> None:  # pyright: ignore[reportImplicitOverride, reportIncompatibleMethodOverride]  silent
        pass


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a web server on this machine's loopback."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Site) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def refusals(events: list[Event]) -> list[tuple[str, int]]:
    """Host and port of each refused connection."""
    told = [each for each in events if isinstance(each, ConnectionClosed)]
    return [(each.host, each.port) for each in told if each.refused]


async def fetch(channel: Channel, *urls: str) -> list[str]:
    result = await channel.call(
        "Bash", {"command": f"{PYTHON} fetch.py {' '.join(urls)}", "timeout": 20}
    )
    return str(result["output"]).splitlines()


@pytest.fixture
def files(tree: Path) -> Path:
    (tree / "fetch.py").write_text(FETCH)
    return tree


async def test_the_list_is_the_only_way_out(files: Path, port: int) -> None:
    network = Network(hosts=(f"localhost:{port}", "*.listed.test"))
    events = list[Event]()
    account = Traffic(emit=events.append).account("agent")
    policy = Policy(tree=files, network=network)
    async with open_sandbox("bubblewrap", policy, account=account) as channel:
        site = f"http://localhost:{port}"
        refused = "403 agentflow: {} is not listed in environment.network"
        urls = (f"{site}/a", f"{site}/away", "http://evillisted.test/", f"http://127.0.0.1:{port}/")
        assert await fetch(channel, *urls) == [
            "hello /a",
            refused.format("elsewhere.test:80"),
            refused.format("evillisted.test:80"),
            refused.format(f"127.0.0.1:{port}"),
        ]
        assert refusals(events) == [
            ("elsewhere.test", 80),
            ("evillisted.test", 80),
            ("127.0.0.1", port),
        ]
        direct = (
            f"curl -sS --noproxy '*' -m 2 {site}/ 2>&1 | grep -o 'curl: ([0-9]*)';"
            f"curl -s -p -x http://127.0.0.1:3128 {site}/tunnel; echo;"
            "ls -l /proc/1/fd 2>&1 | grep -c socket; echo $HTTPS_PROXY"
        )
        result = await channel.call("Bash", {"command": direct, "timeout": 20})
        assert result["output"].splitlines() == [
            "curl: (7)",
            "hello /tunnel",
            "0",
            "http://127.0.0.1:3128",
        ]


async def test_no_command_can_take_the_proxys_place_or_its_listener(files: Path, port: int) -> None:
    script = """
import os, socket
try: socket.create_server(("127.0.0.1", 3128))
except OSError as error: print(os.strerror(error.errno))
print(sorted(os.listdir("/proc/self/fd")))
"""
    (files / "take.py").write_text(script)
    network = Network(hosts=(f"localhost:{port}",))
    async with open_sandbox("bubblewrap", Policy(tree=files, network=network)) as channel:
        taken = await channel.call("Bash", {"command": f"exec {PYTHON} take.py", "timeout": 10})
        first, descriptors = taken["output"].splitlines()
        assert first == "Address already in use"
        plain = "['0', '1', '2', '3'"
        assert descriptors.startswith(plain)
        assert await fetch(channel, f"http://localhost:{port}/b") == ["hello /b"]


async def test_without_a_list_nothing_listens_inside(files: Path, port: int) -> None:
    async with open_sandbox("bubblewrap", Policy(tree=files)) as channel:
        urls = (f"http://localhost:{port}/", "http://127.0.0.1:3128/")
        assert await fetch(channel, *urls) == ["URLError", "URLError"]
        result = await channel.call("Bash", {"command": "env | grep -ic proxy"})
        assert result["output"] == "0\n"


async def test_a_list_that_cannot_be_read_starts_nothing(tree: Path) -> None:
    with pytest.raises(UsageError, match=r"environment\.network: 'http://a' does not name a host"):
        async with open_sandbox("bubblewrap", Policy(tree=tree, network=Network(("http://a",)))):
            pass


async def test_two_sandboxes_have_a_proxy_each(files: Path, port: int) -> None:
    listed, other = Network(hosts=(f"localhost:{port}",)), Network(hosts=("other.test",))
    events: tuple[list[Event], list[Event]] = [], []
    accounts = [Traffic(emit=each.append).account("agent") for each in events]
    policies = [Policy(tree=files, network=each) for each in (listed, other)]
    async with (
        open_sandbox("bubblewrap", policies[0], account=accounts[0]) as first,
        open_sandbox("bubblewrap", policies[1], account=accounts[1]) as second,
    ):
        answers = await asyncio.gather(
            fetch(first, f"http://localhost:{port}/"), fetch(second, "http://elsewhere.test/")
        )
    assert answers == [
        ["hello /"],
        ["403 agentflow: elsewhere.test:80 is not listed in environment.network"],
    ]
    assert [refusals(each) for each in events] == [[], [("elsewhere.test", 80)]]


async def test_the_machines_network_is_reached_but_no_unix_socket(
    files: Path, port: int, tmp_path: Path
) -> None:
    script = """
import os, socket, sys
for path in sys.argv[1:]:
    try: socket.socket(socket.AF_UNIX).connect(path.replace("@", "\\0"))
    except OSError as error: print(os.strerror(error.errno))
    else: print("reached")
a, b = socket.socketpair(); a.send(b"pair"); print(b.recv(9).decode())
"""
    (files / "unix.py").write_text(script)
    name = f"agentflow-{tmp_path.name}-{port}"
    with socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(f"\0{name}")
        abstract.listen()
        policy = Policy(tree=files, network=Network(host=True))
        async with open_sandbox("bubblewrap", policy) as channel:
            assert await fetch(channel, f"http://127.0.0.1:{port}/c") == ["hello /c"]
            result = await channel.call("Bash", {"command": f"{PYTHON} unix.py @{name}"})
    assert result["output"].splitlines() == ["Address family not supported by protocol", "pair"]
