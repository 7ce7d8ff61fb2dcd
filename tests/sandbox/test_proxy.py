"""The proxy: who is let through, and what every other client reads."""

import asyncio
import contextlib
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.sandbox import proxy
from agentflow.sandbox.hosts import parse_rules
from agentflow.sandbox.proxy import serve
from agentflow.sandbox.proxy_request import ProxyRequest, Refusal, parse_request
from agentflow.sandbox.traffic import Traffic
from tests.sandbox.proxied import Proxied, status


async def test_a_plain_request_reaches_the_host_in_our_words(proxied: Proxied) -> None:
    port = proxied.site.port
    answer = await proxied.ask(
        f"POST http://Allowed.Test:{port}/a?b=c HTTP/1.1\r\nHost: evil.test\r\nX-Kept: 1\r\n"
        "Proxy-Authorization: Basic eDp5\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\n"
        "bodyGET http://evil.test/ HTTP/1.1\r\n\r\n".encode()
    )
    assert answer == b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
    head = f"POST /a?b=c HTTP/1.1\r\nHost: Allowed.Test:{port}\r\nX-Kept: 1\r\nContent-Length: 4"
    assert proxied.site.seen == [f"{head}\r\nConnection: close\r\n\r\nbody".encode()]
    assert proxied.refused == []


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (
            b"HTTP/1.1 200 OK\r\nconnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\nbody",
            b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nbody",
        ),
        (
            b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
            b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
            b"HTTP/1.1 204 No\r\nConnection: close\r\n\r\n",
        ),
        (b"no head at all", b"no head at all"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000),
    ],
    ids=["keep-alive", "interim", "no head", "endless head"],
)
async def test_a_plain_answer_says_that_its_connection_ends(
    proxied: Proxied, sent: bytes, read: bytes
) -> None:
    proxied.site.answer = sent
    request = f"GET http://allowed.test:{proxied.site.port}/ HTTP/1.1\r\n\r\n"
    assert await proxied.ask(request.encode()) == read


@pytest.mark.parametrize(
    "host", ["allowed.test", "ALLOWED.test.", "x.wild.test", "127.0.0.1", "mixed.test"]
)
async def test_a_tunnel_to_a_listed_host_carries_bytes(proxied: Proxied, host: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxied.port)
    writer.write(f"CONNECT {host}:{proxied.site.port} HTTP/1.1\r\n\r\n".encode())
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 200 Connection established\r\n\r\n"
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    assert (await reader.read()).endswith(b"hello")
    writer.close()


@pytest.mark.parametrize(
    "host",
    [
        "evil.test",
        "wild.test",
        "evilwild.test",
        "x.wild.test.evil.test",
        "evil-allowed.test",
        "127.0.0.2",
        "[::1]",
        "[::ffff:7f00:1]",
        "localhost",
    ],
)
async def test_other_hosts_are_refused_by_name(proxied: Proxied, host: str) -> None:
    target = f"{host}:{proxied.site.port}"
    for line in (f"CONNECT {target}", f"GET http://{target}/"):
        answer = await proxied.ask(f"{line} HTTP/1.1\r\n\r\n".encode())
        assert status(answer) == 403
        assert answer.endswith(b" is not listed in environment.network\n")
    await proxied.told(2)
    told = (host.strip("[]"), proxied.site.port, f"{target} is not listed in environment.network")
    assert proxied.refused == [told, told]
    assert proxied.site.seen == []


async def test_other_ports_of_a_listed_host_are_refused(proxied: Proxied) -> None:
    for target in ("CONNECT allowed.test:22", "GET http://allowed.test/"):
        assert status(await proxied.ask(f"{target} HTTP/1.1\r\n\r\n".encode())) == 403
    await proxied.told(2)
    assert [each[:2] for each in proxied.refused] == [("allowed.test", 22), ("allowed.test", 80)]


async def test_a_name_that_leads_to_a_private_address_is_refused(proxied: Proxied) -> None:
    target = f"rebound.test:{proxied.site.port}"
    answer = await proxied.ask(f"CONNECT {target} HTTP/1.1\r\n\r\n".encode())
    assert status(answer) == 403
    assert b"rebound.test resolves to an address that is not public" in answer
    assert b"environment.network" in answer
    assert b"169.254" not in answer
    await proxied.told(1)
    assert proxied.refused[0][2].endswith("environment.network (169.254.169.254)")


async def test_a_listed_host_that_is_not_there_is_a_bad_gateway(proxied: Proxied) -> None:
    answer = await proxied.ask(f"CONNECT gone.test:{proxied.site.port} HTTP/1.1\r\n\r\n".encode())
    assert (status(answer), answer.endswith(b"gone.test cannot be resolved\n")) == (502, True)


MALFORMED = [
    b"GET / HTTP/1.1\r\n",
    b"GET https://allowed.test/ HTTP/1.1\r\n",
    b"GET http://allowed.test@evil.test/ HTTP/1.1\r\n",
    b"GET http://evil.test\\@allowed.test/ HTTP/1.1\r\n",
    b"GET http://evil.test#allowed.test/ HTTP/1.1\r\n",
    b"CONNECT user@allowed.test:443 HTTP/1.1\r\n",
    b"CONNECT allowed.test HTTP/1.1\r\n",
    b"CONNECT allowed.test:0 HTTP/1.1\r\n",
    b"CONNECT allowed.test:99999 HTTP/1.1\r\n",
    b"CONNECT allowed.test:443/x HTTP/1.1\r\n",
    b"CONNECT evil.test\0.wild.test:443 HTTP/1.1\r\n",
    b"CONNECT evil.test%00.wild.test:443 HTTP/1.1\r\n",
    b"CONNECT 2130706433:443 HTTP/1.1\r\n",
    b"CONNECT 0x7f.1:443 HTTP/1.1\r\n",
    b"CONNECT [allowed.test]:443 HTTP/1.1\r\n",
    b"CONNECT b\xc3\xbccher.test:443 HTTP/1.1\r\n",
    b"CONNECT allowed.test:443 HTTP/2\r\n",
    b"CONNECT  allowed.test:443 HTTP/1.1\r\n",
    b"GET http://allowed.test/\rX: HTTP/1.1\r\n",
    b"GET http://allowed.test/ HTTP/1.1\r\nX: a\nHost: evil.test\r\n",
    b"GET http://allowed.test/ HTTP/1.1\r\nX: a\rY: b\r\n",
    b"GET http://allowed.test/ HTTP/1.1\r\nX : a\r\n",
    b"GET http://allowed.test/ HTTP/1.1\r\n folded\r\n",
    b"GET http://allowed.test/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
    b"GET http://allowed.test/ HTTP/1.1\r\nContent-Length: -1\r\n",
    b"GET http://allowed.test/ HTTP/1.1\r\nContent-Length: 1_0\r\n",
    b"\xff\xfe\r\n",
    b"\r\n",
]


@pytest.mark.parametrize("request_line", MALFORMED)
async def test_what_is_malformed_goes_nowhere(proxied: Proxied, request_line: bytes) -> None:
    answer = await proxied.ask(request_line + b"\r\n")
    assert status(answer) == 400
    assert answer.partition(b"\r\n\r\n")[2].startswith(b"agentflow: ")


async def test_a_chunked_body_and_a_huge_header_are_refused(proxied: Proxied) -> None:
    chunked = b"POST http://allowed.test/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert status(await proxied.ask(chunked)) == 411
    huge = b"GET http://allowed.test/ HTTP/1.1\r\nX: " + b"x" * (4 * proxy.HEAD_BYTES)
    assert status(await proxied.ask(huge + b"\r\n\r\n")) == 431


async def test_connections_are_counted_and_all_end_with_the_proxy(proxied: Proxied) -> None:
    opened = [
        await asyncio.open_connection("127.0.0.1", proxied.port) for _ in range(proxy.CONNECTIONS)
    ]
    await asyncio.sleep(0.05)
    answer = await proxied.ask(b"GET / HTTP/1.1\r\n\r\n")
    assert answer in {b"", b"reset"}
    for _, writer in opened:
        writer.close()
    for _ in range(100):
        if await proxied.ask(b"GET / HTTP/1.1\r\n\r\n") not in {b"", b"reset"}:
            return
        await asyncio.sleep(0.01)
    pytest.fail("no connection is taken any more")


async def test_a_tunnel_ends_when_the_proxy_does() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    silent = socket.create_server(("127.0.0.1", 0))
    port = silent.getsockname()[1]
    with silent:
        account = Traffic().account("agent")
        async with serve(listener, parse_rules((f"127.0.0.1:{port}",)), account):
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            writer.write(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode())
            await reader.readuntil(b"\r\n\r\n")
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


@given(st.binary(max_size=300))
def test_any_bytes_are_a_request_or_a_refusal(data: bytes) -> None:
    with contextlib.suppress(Refusal):
        assert isinstance(parse_request(data + b"\r\n\r\n"), ProxyRequest)


@given(st.lists(st.sampled_from([*MALFORMED, b"\r", b"\n", b"\0", b"X: y\r\n"]), max_size=4))
def test_nothing_smuggled_reaches_the_forwarded_head(parts: list[bytes]) -> None:
    head = b"GET http://a.test/ HTTP/1.1\r\n" + b"".join(parts) + b"\r\n"
    with contextlib.suppress(Refusal):
        forwarded = parse_request(head.partition(b"\r\n\r\n")[0] + b"\r\n\r\n").head
        assert forwarded is not None
        assert forwarded.count(b"Host:") == 1
        lines = forwarded.removesuffix(b"\r\n\r\n").split(b"\r\n")
        assert not any(byte in line for line in lines for byte in (b"\r", b"\n", b"\0"))
