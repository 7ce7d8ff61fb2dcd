"""NW: ways out of the sandbox over the network and over sockets.

The network is this machine's loopback. Names lead there by an answer of ours in the place of this
machine's resolver; all else is the product's.
"""

import asyncio
import contextlib
import re
import shlex
import socket
import ssl
import subprocess
from collections.abc import AsyncGenerator, Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from agentflow.environment import Environment
from agentflow.errors import EnvironmentFailure
from agentflow.events import ConnectionClosed, Event
from tests.attacks.case import case
from tests.attacks.cases.environment import answers
from tests.attacks.place import Place, bash
from tests.run.project import HELLO, turn
from tests.run.project import bash as call_bash

NOT_RUN: dict[str, str] = {
    "NW-25": "there is no tool that fetches: what the agent gets from the network it gets by a command "
    "of Bash, through the proxy (NW-06..23); tests/tools holds the list of tools",
}

PYTHON = "/usr/bin/python3 -I -S -c"

NO_SOCKETS = "EAFNOSUPPORT"
"""How every attempt ends under Landlock, which lets no socket be made."""

KNOCK = """
import errno, socket, sys
for kind, *address in (line.split() for line in sys.argv[1:]):
    path = address[0].replace("@", "\\0", 1)
    place = path if kind == "unix" else (address[0], int(address[1]))
    family = socket.AF_UNIX if kind == "unix" else socket.AF_INET6 if ":" in path else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM if kind == "route" else socket.SOCK_STREAM) as s:
            s.settimeout(3)
            s.connect(place)
            if kind != "route": s.send(b"x")
        print("REACHED")
    except OSError as error:
        print(errno.errorcode.get(error.errno, error))
"""
"""Connects to each place and says how that ended. `route` looks up a route and sends nothing: without
the sandbox it would be there, and tests keep to the loopback."""

FAMILIES = """
import errno, socket
for name, family, kind in (
    ("netlink", 16, 3), ("packet", 17, 3), ("vsock", 40, 1), ("alg", 38, 5), ("bluetooth", 31, 3),
    ("can", 29, 3), ("tipc", 30, 1), ("raw", 2, 3), ("raw6", 10, 3),
):
    try: socket.socket(family, kind); print(name, "OPEN")
    except OSError as error: print(name, errno.errorcode[error.errno])
"""


async def knock(place: Place, *addresses: str) -> list[str]:
    """How connecting to each address ends inside."""
    words = " ".join(map(shlex.quote, addresses))
    return (await place.output(f"{PYTHON} {shlex.quote(KNOCK)} {words}", 30)).splitlines()


@contextlib.contextmanager
def listener() -> Generator[int]:
    """The port of something on this machine's loopback, for IPv4."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@contextlib.contextmanager
def names(**known: str) -> Generator[None]:
    """Stand in for this machine's resolver: names with `_` for the dot, each with an address."""
    loop: Any = asyncio.get_running_loop()
    asked = loop.getaddrinfo

    async def getaddrinfo(host: str, port: int, **options: Any) -> Any:
        found = known.get(str(host).replace(".", "_"), host)
        return await asked(found, port, **options)

    loop.getaddrinfo = getaddrinfo
    try:
        yield
    finally:
        del loop.getaddrinfo


@contextlib.asynccontextmanager
async def site(folder: Path) -> AsyncGenerator[tuple[int, list[bytes]]]:
    """A TLS server on loopback that answers HELLO: its port, and what it was sent."""
    await asyncio.to_thread(folder.mkdir)
    await asyncio.to_thread(
        subprocess.run,
        ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", folder / "key", "-out", folder / "certificate", "-days", "2",
         "-subj", "/CN=allowed.test"),
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate", folder / "key")
    seen = list[bytes]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            seen.append(head)
            length = re.search(rb"Content-Length: (\d+)", head)
            await reader.readexactly(int(length[1]) if length else 0)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nHELLO")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1], seen
    finally:
        server.close()


@case("NW-01")
async def there_is_no_route(place: Place) -> None:
    hosts = ("192.0.2.1", "2001:db8::1", "169.254.169.254", "255.255.255.255", "224.0.0.1")
    said = await knock(place, *(f"route {host} 53" for host in hosts))
    assert len(said) == len(hosts)
    if place.backend == "landlock":
        assert said == [NO_SOCKETS] * len(hosts)
        return
    assert set(said) <= {"ENETUNREACH", "EHOSTUNREACH", "EADDRNOTAVAIL", "EACCES"}, said
    lookups = (
        "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '; tail -n +2 /proc/net/route; "
        "grep -v ' lo$' /proc/net/ipv6_route; getent hosts localhost.example.test; "
        "grep nameserver /etc/resolv.conf 2>/dev/null; echo end $HTTPS_PROXY"
    )
    assert await place.output(lookups) == "lo\nend\n"


@case("NW-02")
async def the_loopback_is_the_sandbox_s_own(place: Place) -> None:
    with listener() as port, listener() as other:
        addresses = [f"tcp {host} {port}" for host in ("127.0.0.1", "127.0.0.2", "0.0.0.0", "::1")]
        said = await knock(place, *addresses, f"tcp 127.0.0.1 {other}")
        if place.backend == "landlock":
            assert said == [NO_SOCKETS] * 5
            return
        assert set(said) <= {"ECONNREFUSED", "EADDRNOTAVAIL"}, said
        # What knocks does reach what is there:
        probe = f"import socket; s = socket.create_server(('127.0.0.1', {port})); "
        inside = f"{probe}import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"
        knocking = f"{PYTHON} {shlex.quote(KNOCK)} 'tcp 127.0.0.1 {port}'"
        command = f"{PYTHON} {shlex.quote(inside)} bash -c {shlex.quote(knocking)}"
        assert await place.output(command) == "REACHED\n"


@case("NW-03")
async def a_socket_file_is_no_way_out(place: Place) -> None:
    # What lies deeper than the folder itself is not looked at: docs/security.md says so.
    shown = place.folder / "NW-03"
    shown.mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(shown / "daemon.sock"))
        server.listen()
        for readable in (shown, shown / "daemon.sock"):
            bench = await place.bench(readable=[str(readable)])
            if place.backend == "landlock":  # it shows nothing less, but there are no sockets
                async with bench.agent_sandbox() as sandbox:
                    knocking = f"{PYTHON} {shlex.quote(KNOCK)} 'unix {shown}/daemon.sock'"
                    assert (await bash(sandbox, knocking))["output"] == f"{NO_SOCKETS}\n"
                continue
            with pytest.raises(EnvironmentFailure, match=r"daemon\.sock is a socket"):
                async with bench.agent_sandbox():
                    pass
    if place.backend == "landlock":
        return
    # Those of its own work: servers and test runners need them.
    own = "import socket; s = socket.socket(socket.AF_UNIX); s.bind('/tmp/NW-03'); s.listen()"
    assert await place.output(f'{PYTHON} "{own}"; ls -F /tmp/NW-03') == "/tmp/NW-03=\n"


@case("NW-04")
async def abstract_sockets_are_out_of_reach(place: Place) -> None:
    name = f"agentflow-NW-04-{place.folder.name}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0{name}")
        server.listen()
        said = await knock(place, f"unix @{name}")
        if place.backend == "landlock":
            assert said == [NO_SOCKETS]
            return
        assert said == ["ECONNREFUSED"]
        assert name not in await place.output("cat /proc/net/unix")


@case("NW-05")
async def exotic_families_are_refused(place: Place) -> None:
    said = await place.output(f"{PYTHON} {shlex.quote(FAMILIES)}")
    found = dict(line.split() for line in said.splitlines())
    assert len(found) == 9
    assert {name for name, ended in found.items() if ended == "OPEN"} == set()
    filtered = {found[name] for name in ("netlink", "packet", "vsock", "alg", "bluetooth")}
    assert filtered == {"EAFNOSUPPORT"}
    names = ("io_uring_setup", "io_uring_enter", "io_uring_register")
    assert await answers(place, *names) == dict.fromkeys(names, "EPERM")
    pair = "import socket; a, b = socket.socketpair(); a.send(b'k'); print(b.recv(1))"
    assert await place.output(f'{PYTHON} "{pair}"') == "b'k'\n"


@case("NW-06..23")
async def the_proxy_opens_what_the_list_names(place: Place) -> None:
    events = list[Event]()
    if place.backend == "landlock":
        await _no_list_is_taken(place)
        return
    async with site(place.folder / "NW-06") as (port, seen):
        hosts = [f"{name}:{port}" for name in ("allowed.test", "*.wild.test", "rebound.test")]
        # What is on the list itself may lie on this machine; a name that leads there may not.
        bench = await place.bench(Environment(agent_network=(*hosts, f"127.0.0.1:{port}")))
        bench.traffic.emit = events.append
        known = {
            "allowed_test": "127.0.0.1", "x_wild_test": "127.0.0.1", "wild_test": "127.0.0.1",
            "evil_test": "127.0.0.1", "evilwild_test": "127.0.0.1", "rebound_test": "169.254.169.254",
        }  # fmt: skip
        with names(**known):
            async with bench.agent_sandbox() as sandbox:

                async def said(*lines: str) -> list[str]:
                    result = await bash(sandbox, "\n".join(lines), 40)
                    return str(result["output"]).splitlines()

                await _let_through(said, port)
                assert len(seen) == 4
                seen.clear()
                await _refused(said, port)
                await _malformed(said, port)
                await _around(said, port)
        assert seen == []
    closed = [event for event in events if isinstance(event, ConnectionClosed)]
    told = {f"{each.host}:{each.port}": each.refused for each in closed if each.refused}
    assert "not listed in environment.agent.network" in told[f"evil.test:{port}"]
    assert "169.254.169.254" in told[f"rebound.test:{port}"]
    assert "names evil.test, which is not listed" in told[f"allowed.test:{port}"]


async def _no_list_is_taken(place: Place) -> None:
    """Landlock has no network: a list is refused before the run, never silently without effect."""
    listed = '[environment.agent]\nnetwork = ["allowed.test"]\n'
    async with place.another("NW-06") as own:
        own.user_settings(listed)
        with pytest.raises(EnvironmentFailure, match="Landlock sandbox has no network"):
            await own.plan()


Said = Callable[..., Any]
CURL = "curl -sS -k -m 20 -o /dev/null -w '%{http_connect} %{http_code}\\n' 2>/dev/null"


async def _let_through(said: Said, port: int) -> None:
    """The listed host, one below a wildcard, a listed address, and a name written otherwise."""
    urls = ("allowed.test", "x.wild.test", "127.0.0.1", "ALLOWED.test")
    assert (
        await said(*(f"{CURL} --noproxy '' https://{host}:{port}/" for host in urls))
        == ["200 200"] * 4
    )


async def _refused(said: Said, port: int) -> None:
    """The wildcard's own name, others, suffixes, ports, addresses, and a name that leads inside."""
    targets = (
        f"wild.test:{port}", f"evil.test:{port}", f"evilwild.test:{port}",
        f"evil-allowed.test:{port}", f"allowed.test.evil.test:{port}", "allowed.test:22",
        "allowed.test:443", f"127.0.0.2:{port}", f"[::1]:{port}", f"[::ffff:127.0.0.1]:{port}",
        f"rebound.test:{port}", f"localhost:{port}",
    )  # fmt: skip
    lines = [f"{CURL} --noproxy '' https://{target}/" for target in targets]
    plain = [f"{CURL} --noproxy '' http://{target}/" for target in targets]
    assert await said(*lines, *plain) == ["403 000"] * len(lines) + ["000 403"] * len(plain)
    # The tunnel is to a listed host, and TLS in it asks for another one.
    fronted = f"{CURL} --noproxy '' --connect-to evil.test:{port}:allowed.test:{port} https://evil.test:{port}/"
    assert await said(fronted) == ["200 000"]


async def _malformed(said: Said, port: int) -> None:
    """Requests that two readers could read in two ways: raw, as no client would write them."""
    ask = (
        "ask() { exec 3<>/dev/tcp/127.0.0.1/3128; printf \"$1\" >&3; head -1 <&3 | cut -d' ' -f2; "
        "exec 3>&-; }"
    )
    requests = (
        f"CONNECT 2130706433:{port}", f"CONNECT 0x7f000001:{port}", f"CONNECT 127.1:{port}",
        f"CONNECT evil.test\\0.wild.test:{port}", f"CONNECT evil.test%%00.wild.test:{port}",
        f"CONNECT evil.test@allowed.test:{port}", f"CONNECT evil.test#.wild.test:{port}",
        f"CONNECT evil.test\\t.wild.test:{port}", f"GET http://evil.test\\\\\\\\@allowed.test:{port}/",
        f"GET https://allowed.test:{port}/", "GET file:///etc/passwd", "GET /",
    )  # fmt: skip
    lines = [f"ask '{request} HTTP/1.1\\r\\n\\r\\n'" for request in requests]
    assert await said(ask, *lines) == ["400"] * len(requests)
    smuggled = (
        f"ask 'GET http://allowed.test:{port}/ HTTP/1.1\\r\\nX: a\\rHost: evil.test\\r\\n\\r\\n'"
    )
    assert await said(ask, smuggled) == ["400"]


async def _around(said: Said, port: int) -> None:
    """Not through the proxy at all: there is no other way."""
    direct = [f"tcp 127.0.0.1 {port}", "route 192.0.2.1 443", "route 2001:db8::1 53"]
    words = " ".join(map(shlex.quote, direct))
    ended = await said(f"{PYTHON} {shlex.quote(KNOCK)} {words}")
    assert ended == ["ECONNREFUSED", "ENETUNREACH", "ENETUNREACH"]
    assert await said("getent hosts allowed.test evil.test; echo end") == ["end"]
    # What listens inside is reached as ever.
    server = "python3 -m http.server 8099 --bind 127.0.0.1 >/dev/null 2>&1 &"
    wait = "until (exec 3<>/dev/tcp/127.0.0.1/8099) 2>/dev/null; do sleep 0.02; done"
    assert await said(server, wait, f"{CURL} --noproxy '*' http://127.0.0.1:8099/") == ["000 200"]


@case("NW-24")
async def what_is_sent_to_an_allowed_host_is_bounded_and_told(place: Place) -> None:
    # That an allowed host is sent something cannot be prevented: how much is, and the report says.
    if place.backend == "landlock":
        await _no_list_is_taken(place)
        return
    async with site(place.folder / "NW-24") as (port, _), place.another("NW-24") as own:
        own.user_settings(
            f'[environment.agent]\nnetwork = ["allowed.test:{port}", "127.0.0.1:{port}"]\n'
            '[sandbox]\nupload = "1MB"\n'
        )
        url = f"https://allowed.test:{port}/"
        send = (
            f"head -c 3M /dev/zero > /tmp/secrets; {CURL} -H 'Expect:' --data-binary @/tmp/secrets {url}; "
            f"{CURL} {url}; {CURL} https://evil.test:{port}/"
        )
        with names(allowed_test="127.0.0.1"):
            report = await own.run([turn(call_bash(send)), turn(HELLO), turn(text="Done.")])
    first, second, third = report["network"]
    assert (first["place"], first["host"], first["port"]) == ("agent", "allowed.test", port)
    assert 500_000 < first["uploaded"] <= 1_000_000
    assert first["refused"] == "cut off: this run's upload quota of 1,000,000 bytes is used up"
    assert (second["uploaded"], "quota" in second["refused"]) == (0, True)
    assert third["host"] == "evil.test"
    assert any("upload quota" in notice for notice in report["notices"])
