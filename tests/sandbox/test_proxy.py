"""The proxy on a loopback listener: who is let through, and what every other client reads."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncGenerator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.events import ConnectionClosed, Event, Notice
from agentflow.sandbox import proxy, traffic
from agentflow.sandbox.client_hello import read_opening
from agentflow.sandbox.hosts import parse_rules
from agentflow.sandbox.proxy import serve
from agentflow.sandbox.proxy_request import ProxyRequest, Refusal, parse_request
from agentflow.sandbox.traffic import LISTED, CutOff, Traffic

NAMES = {
    "allowed.test": ["127.0.0.1"],
    "x.wild.test": ["127.0.0.1"],
    "rebound.test": ["169.254.169.254"],
    "mixed.test": ["10.255.255.1", "127.0.0.1"],
}
"""What the stand-in for this machine's resolver knows."""


async def _resolve(host: str, port: int) -> Sequence[str]:
    if host not in NAMES:
        raise OSError(f"{host}:{port} is unknown")
    return NAMES[host]


class Site:
    """A web server that keeps what it was sent."""

    def __init__(self) -> None:
        self.seen = list[bytes]()
        self.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
        self.port = 0
        self.cut: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        """How much of a request came that ended early."""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        try:
            self.seen.append(head + await reader.readexactly(int(length or 0)))
        except asyncio.IncompleteReadError as error:
            self.cut.set_result(len(head) + len(error.partial))
        writer.write(self.answer)
        writer.close()


class Proxied:
    """A proxy and the site behind it."""

    def __init__(self, port: int, site: Site) -> None:
        self.port = port
        self.site = site
        self.events = list[Event]()
        self._news = asyncio.Event()

    def emit(self, event: Event) -> None:
        """Take what the proxy tells."""
        self.events.append(event)
        self._news.set()

    @property
    def refused(self) -> list[tuple[str, int, str]]:
        """Host, port and reason of each connection that was refused."""
        return [(each.host, each.port, each.refused) for each in self.closed if each.refused]

    @property
    def closed(self) -> list[ConnectionClosed]:
        """All connections that were told."""
        return [each for each in self.events if isinstance(each, ConnectionClosed)]

    async def told(self, count: int) -> list[ConnectionClosed]:
        """The connections, when there are so many."""
        while len(self.closed) < count:
            self._news.clear()
            await asyncio.wait_for(self._news.wait(), 10)
        return self.closed

    async def tunnel(self, host: str, *sent: bytes) -> bytes:
        """Send bytes through a tunnel; what comes back until it ends."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"CONNECT {host}:{self.site.port} HTTP/1.1\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        answer = b""
        with contextlib.suppress(ConnectionError):
            for each in sent:
                writer.write(each)
                await writer.drain()
            answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        return head + answer

    async def ask(self, request: bytes) -> bytes:
        """Send bytes and return all that comes back."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            with contextlib.suppress(ConnectionError):
                writer.write(request)
                await writer.drain()
                return await asyncio.wait_for(reader.read(), 10)
            return b"reset"
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def proxy_before_a_site(upload: int = 10**6) -> AsyncGenerator[Proxied]:
    site = Site()
    server = await asyncio.start_server(site.handle, "127.0.0.1", 0)
    site.port = server.sockets[0].getsockname()[1]
    listener = socket.create_server(("127.0.0.1", 0))
    names = ("allowed.test", "*.wild.test", "rebound.test", "mixed.test", "gone.test")
    entries = (*(f"{name}:{site.port}" for name in names), f"127.0.0.1:{site.port}")
    proxied = Proxied(listener.getsockname()[1], site)
    account = Traffic(upload, emit=proxied.emit).account("agent")
    try:
        async with serve(listener, parse_rules(entries), account, _resolve):
            yield proxied
    finally:
        server.close()


@pytest.fixture
async def proxied() -> AsyncGenerator[Proxied]:
    async with proxy_before_a_site() as found:
        yield found


def _status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


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
        assert _status(answer) == 403
        assert answer.endswith(b" is not listed in environment.network\n")
    await proxied.told(2)
    told = (host.strip("[]"), proxied.site.port, f"{target} is not listed in environment.network")
    assert proxied.refused == [told, told]
    assert proxied.site.seen == []


async def test_other_ports_of_a_listed_host_are_refused(proxied: Proxied) -> None:
    for target in ("CONNECT allowed.test:22", "GET http://allowed.test/"):
        assert _status(await proxied.ask(f"{target} HTTP/1.1\r\n\r\n".encode())) == 403
    await proxied.told(2)
    assert [each[:2] for each in proxied.refused] == [("allowed.test", 22), ("allowed.test", 80)]


async def test_a_name_that_leads_to_a_private_address_is_refused(proxied: Proxied) -> None:
    target = f"rebound.test:{proxied.site.port}"
    answer = await proxied.ask(f"CONNECT {target} HTTP/1.1\r\n\r\n".encode())
    assert _status(answer) == 403
    assert b"rebound.test resolves to an address that is not public" in answer
    assert b"environment.network" in answer
    assert b"169.254" not in answer
    await proxied.told(1)
    assert proxied.refused[0][2].endswith("environment.network (169.254.169.254)")


async def test_a_listed_host_that_is_not_there_is_a_bad_gateway(proxied: Proxied) -> None:
    answer = await proxied.ask(f"CONNECT gone.test:{proxied.site.port} HTTP/1.1\r\n\r\n".encode())
    assert (_status(answer), answer.endswith(b"gone.test cannot be resolved\n")) == (502, True)


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
    assert _status(answer) == 400
    assert answer.partition(b"\r\n\r\n")[2].startswith(b"agentflow: ")


async def test_a_chunked_body_and_a_huge_header_are_refused(proxied: Proxied) -> None:
    chunked = b"POST http://allowed.test/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert _status(await proxied.ask(chunked)) == 411
    huge = b"GET http://allowed.test/ HTTP/1.1\r\nX: " + b"x" * (4 * proxy.HEAD_BYTES)
    assert _status(await proxied.ask(huge + b"\r\n\r\n")) == 431


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


async def test_every_connection_is_told_with_what_it_carried(proxied: Proxied) -> None:
    port = proxied.site.port
    plain = await proxied.ask(
        f"POST http://allowed.test:{port}/ HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody".encode()
    )
    assert plain.endswith(b"hello")
    assert (await proxied.tunnel("x.wild.test", b"GET / HTTP/1.0\r\n\r\n")).endswith(b"hello")
    await proxied.ask(b"nonsense\r\n\r\n")

    first, second, third = await proxied.told(3)
    answer = len(proxied.site.answer)
    assert (first.place, first.host, first.port) == ("agent", "allowed.test", port)
    assert (first.uploaded, first.downloaded) == (len(proxied.site.seen[0]), answer)
    assert (second.host, second.uploaded, second.downloaded) == ("x.wild.test", 18, answer)
    assert (first.refused, second.refused, second.connections) == ("", "", 1)
    assert 0 <= second.seconds < 60
    assert (third.host, third.uploaded, third.downloaded) == ("", 0, 0)
    assert third.refused == "the proxy takes CONNECT host:port and http://host/path only"


async def test_no_byte_beyond_the_quota_leaves() -> None:
    head = b"POST / HTTP/1.0\r\nContent-Length: 400000\r\n\r\n"
    async with proxy_before_a_site(upload=300_000) as proxied:
        await proxied.tunnel("allowed.test", head, *[b"x" * 50_000] * 8)
        (cut,) = await proxied.told(1)
        assert 0 < cut.uploaded <= 300_000
        assert await proxied.site.cut == cut.uploaded
        assert cut.refused == "cut off: this run's upload quota of 300,000 bytes is used up"
        refused = b"this run's upload quota of 300,000 bytes is used up"
        for line in ("CONNECT allowed.test:{}", "GET http://allowed.test:{}/"):
            request = f"{line.format(proxied.site.port)} HTTP/1.1\r\n\r\n"
            answer = await proxied.ask(request.encode())
            assert (_status(answer), refused in answer) == (403, True)
        notices = [each.text for each in proxied.events if isinstance(each, Notice)]
        assert notices == [f"{refused.decode()}: nothing more is sent. `upload` under [sandbox] of "
                           "your own configuration raises it."]  # fmt: skip


async def test_a_plain_request_that_is_larger_than_the_quota_is_refused_whole() -> None:
    async with proxy_before_a_site(upload=1000) as proxied:
        port = proxied.site.port
        head = f"POST http://allowed.test:{port}/ HTTP/1.1\r\nContent-Length: 2000\r\n\r\n"
        assert _status(await proxied.ask(head.encode() + b"x" * 2000)) == 403
        assert proxied.site.seen == []
        assert (await proxied.ask(head.replace("2000", "5").encode() + b"small")).endswith(b"hello")


def test_several_sandboxes_share_the_quota_and_what_went_before_counts() -> None:
    shared = Traffic(100, uploaded=30)
    shared.account("setup").flow().send(40)
    flow = shared.account("agent").flow()
    flow.send(30)
    with pytest.raises(CutOff, match="quota of 100 bytes"):
        flow.send(1)
    assert flow.uploaded == 30


def test_after_many_connections_only_their_sums_are_told() -> None:
    events = list[Event]()
    account = Traffic(10**9, emit=events.append).account("agent")
    for number in range(LISTED + 3):
        for refused in ("", "no"):
            flow = account.flow()
            flow.host, flow.refused = f"{number}.test", refused
            flow.send(2)
            flow.receive(3)
            account.close(flow, 0.5)
    assert len(events) == 2 * LISTED
    account.settle()
    sums = [each for each in events[2 * LISTED :] if isinstance(each, ConnectionClosed)]
    assert [(each.host, each.connections, each.uploaded, each.seconds) for each in sums] == [
        ("(others)", 3, 6, 1.5)
    ] * 2
    assert [bool(each.refused) for each in sums] == [False, True]
    account.settle()
    assert len(events) == 2 * LISTED + 2


async def test_the_sums_are_told_when_the_proxy_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "LISTED", 1)
    async with proxy_before_a_site() as proxied:
        for number in range(3):
            await proxied.ask(f"CONNECT {number}.evil.test:443 HTTP/1.1\r\n\r\n".encode())
    assert [(each.host, each.connections) for each in proxied.closed] == [
        ("0.evil.test", 1),
        ("(others)", 2),
    ]


def hello(name: str | None) -> bytes:
    """The ClientHello of a real client that asks for a name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def in_records(data: bytes, size: int) -> bytes:
    """The same message in records of so many bytes."""
    body = data[5:]
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(data[:3] + len(part).to_bytes(2) + part for part in parts)


def made_hello(*names: str, padding: int = 0) -> bytes:
    """A ClientHello by hand, with an extension for each name, in as many records as it takes."""
    extensions = b"".join(
        b"\0\0" + _sized(_sized(b"\0" + _sized(name.encode(), 2), 2), 2) for name in names
    )
    extensions += b"\0\x15" + _sized(bytes(padding), 2)
    body = b"\3\3" + bytes(32) + b"\0" + _sized(b"\x13\x01", 2) + b"\1\0" + _sized(extensions, 2)
    return in_records(b"\x16\3\1\0\0\1" + _sized(body, 3), 16_000)


def _sized(data: bytes, width: int) -> bytes:
    return len(data).to_bytes(width) + data


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("allowed.test", "allowed.test"),
        ("allowed.test", "Allowed.test"),
        ("allowed.test", "x.wild.test"),
        ("127.0.0.1", None),
        ("127.0.0.1", "allowed.test"),
    ],
)
async def test_tls_for_a_listed_name_is_carried_as_it_is(
    proxied: Proxied, host: str, name: str | None
) -> None:
    made = made_hello(*filter(None, [name]), padding=20_000)
    for sent in (hello(name), in_records(hello(name), 7), made):
        data = sent + b"\r\n\r\n"
        assert (await proxied.tunnel(host, data[:3], data[3:])).endswith(b"hello")
        assert proxied.site.seen[-1] == data
    assert proxied.refused == []


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (hello("evil.test"), "names evil.test, which is not listed"),
        (in_records(hello("evil.test"), 3), "names evil.test, which is not listed"),
        (hello("wild.test"), "names wild.test, which is not listed"),
        (hello(None), "names no host"),
        (b"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00", "no ClientHello that can be read"),
        (b"\x16\x03\x01\x00\x00" * 2, "no ClientHello that can be read"),
        (b"\x16\x03\x01\x00\x01\x01\x17\x03\x01\x00\x01\x01", "no ClientHello that can be read"),
        (b"\x16\x03\x01\xff\xff" + bytes(70_000), "no ClientHello that can be read"),
        (made_hello("allowed.test", padding=40_000), "no ClientHello that can be read"),
        (made_hello("allowed.test", "evil.test"), "no ClientHello that can be read"),
        (hello("allowed.test")[:5] + b"\x01\x00\x00\x20" + bytes(2000), "no ClientHello"),
    ],
    ids=[
        "other",
        "in pieces",
        "apex",
        "none",
        "server's",
        "empty",
        "mixed",
        "huge",
        "padded",
        "two names",
        "short",
    ],
)
async def test_tls_for_another_name_never_reaches_the_host(
    proxied: Proxied, sent: bytes, reason: str
) -> None:
    answer = await proxied.tunnel("allowed.test", sent + b"\r\n\r\n")
    assert answer == b"HTTP/1.1 200 Connection established\r\n\r\n"
    (cut,) = await proxied.told(1)
    assert cut.refused.startswith("cut off: it")
    assert reason in cut.refused
    assert (cut.uploaded, proxied.site.seen) == (0, [])


@given(st.binary(max_size=400), st.integers(0, 400), st.binary(max_size=3))
def test_any_opening_is_read_or_cut_off(data: bytes, place: int, changed: bytes) -> None:
    whole = HELLO[:place] + changed + HELLO[place + len(changed) :]
    for sent in (b"\x16" + data, whole):
        assert asyncio.run(_opened(sent)) in {"read", "cut off", "reset"}


HELLO = hello("allowed.test")


async def _opened(sent: bytes) -> str:
    source = asyncio.StreamReader()
    source.feed_data(sent)
    source.feed_eof()
    try:
        opening = await read_opening(source)
    except CutOff:
        return "cut off"
    except ConnectionResetError:
        return "reset"
    assert sent.startswith(opening.data)
    return "read"
