"""The proxy on a loopback listener, before a site that keeps what it was sent."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Sequence

from agentflow.events import ConnectionClosed, Event
from agentflow.sandbox.hosts import parse_rules
from agentflow.sandbox.proxy import serve
from agentflow.sandbox.traffic import LISTED, Traffic

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
async def proxy_before_a_site(upload: int = 10**6, listed: int = LISTED) -> AsyncGenerator[Proxied]:
    site = Site()
    server = await asyncio.start_server(site.handle, "127.0.0.1", 0)
    site.port = server.sockets[0].getsockname()[1]
    listener = socket.create_server(("127.0.0.1", 0))
    names = ("allowed.test", "*.wild.test", "rebound.test", "mixed.test", "gone.test")
    entries = (*(f"{name}:{site.port}" for name in names), f"127.0.0.1:{site.port}")
    proxied = Proxied(listener.getsockname()[1], site)
    account = Traffic(upload, emit=proxied.emit, listed=listed).account("agent")
    try:
        async with serve(listener, parse_rules(entries), account, _resolve):
            yield proxied
    finally:
        server.close()


def status(answer: bytes) -> int:
    """The code in an answer's first line."""
    return int(answer.split(b" ", 2)[1])
