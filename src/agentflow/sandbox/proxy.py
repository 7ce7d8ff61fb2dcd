"""The only way out of a sandbox with a list of hosts: an HTTP proxy on a listener from inside it.

It takes `CONNECT host:port` and plain requests in absolute form (RFC 9112, section 3.2), judges
the host, resolves it here, judges the addresses and connects to one that it judged. Whom an
allowed host serves, and what is sent to it, is not judged.
"""

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from agentflow.sandbox.hosts import Rule, canonical, may_connect, parse_address, permits

HEAD_BYTES = 64 * 1024
"""Of a request's line and header fields."""
HEAD_SECONDS = 10.0
CONNECT_SECONDS = 10.0
IDLE_SECONDS = 300.0
"""Until a connection on which neither side says anything is closed."""
LINGER_SECONDS = 1.0
"""How long what a refused client still sends is read, so that it gets to read the refusal."""
CONNECTIONS = 128
"""At a time; each further one is closed at once."""

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a host. Raises `OSError` if it has none."""

_TARGET = re.compile(
    rb"(?:CONNECT (?P<peer>[^\s/@]+)|(?P<method>[A-Z]{1,20}) http://(?P<site>[^\s/@?#\\]+)"
    rb"(?P<path>[/?][\x21-\x7e]*)?) HTTP/1\.[01]"
)
_PEER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*)")
_OWN_FIELDS = frozenset((
    *(b"host", b"connection", b"proxy-connection", b"proxy-authorization", b"keep-alive"),
    *(b"upgrade", b"te", b"trailer"),
))
"""Fields that are for the proxy, or that it writes itself."""


class Refusal(Exception):
    """A request that gets an answer of ours: a status and one sentence."""

    def __init__(self, status: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence

    @property
    def answer(self) -> bytes:
        """The whole answer on the wire."""
        body = f"agentflow: {self.sentence}\n".encode("ascii", "replace")
        head = (
            f"HTTP/1.1 {self.status}\r\nContent-Type: text/plain\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        return head.encode("ascii") + body


@dataclass(frozen=True, slots=True)
class ProxyRequest:
    """What a client asks for."""

    host: str
    """Canonical."""
    port: int
    head: bytes | None = None
    """What goes to the host in the client's place; None for a tunnel."""
    body: int | None = None
    """Bytes that may follow from the client; None for as many as it likes."""

    @property
    def target(self) -> str:
        """Host and port as they are written."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


async def resolve(host: str, port: int) -> Sequence[str]:
    """Ask this machine's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@contextlib.asynccontextmanager
async def serve(
    listener: socket.socket,
    rules: Sequence[Rule],
    note_refusal: Callable[[str], None],
    resolver: Resolve = resolve,
) -> AsyncGenerator[None]:
    """Serve a listener until the block ends; all connections are closed then.

    `note_refusal` is told each host, with its port, that the rules refuse.
    """
    proxy = _Proxy(rules, note_refusal, resolver)
    server = await asyncio.start_server(proxy.accept, sock=listener, limit=HEAD_BYTES)
    try:
        yield
    finally:
        server.close()
        await proxy.close()


class _Proxy:
    def __init__(
        self, rules: Sequence[Rule], note_refusal: Callable[[str], None], resolver: Resolve
    ) -> None:
        self._rules = rules
        self._note_refusal = note_refusal
        self._resolve = resolver
        self._tasks = set[asyncio.Task[None]]()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one connection, if there are not too many."""
        if len(self._tasks) >= CONNECTIONS:
            writer.transport.abort()
            return
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End all connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                request = await _read_request(reader)
            upstream = await self._connect(request)
            await _relay(request, (reader, writer), upstream)
        except Refusal as refusal:
            await _refuse(refusal, reader, writer)
        except OSError:
            pass  # a side went away, or said nothing for too long
        finally:
            writer.close()

    async def _connect(
        self, request: ProxyRequest
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the host. Raises `Refusal` if the rules or the host itself do not let us."""
        host, port = request.host, request.port
        if not permits(self._rules, host, port):
            self._note_refusal(request.target)
            raise Refusal("403 Forbidden", f"{request.target} is not listed in environment.network")
        try:
            is_address = parse_address(host) is not None
            async with asyncio.timeout(CONNECT_SECONDS):
                addresses = [host] if is_address else await self._resolve(host, port)
        except OSError as error:
            raise Refusal("502 Bad Gateway", f"{host} cannot be resolved") from error
        judged = [each for each in addresses if may_connect(self._rules, host, each, port)]
        if not judged:
            self._note_refusal(f"{request.target} ({', '.join(addresses)})")
            raise Refusal(
                "403 Forbidden",
                f"{host} resolves to an address that is not public and not itself listed in "
                "environment.network",
            )
        for address in judged:
            with contextlib.suppress(OSError):
                async with asyncio.timeout(CONNECT_SECONDS):
                    return await asyncio.open_connection(address, port)
        raise Refusal("502 Bad Gateway", f"{request.target} does not answer")


async def _read_request(reader: asyncio.StreamReader) -> ProxyRequest:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError as error:
        raise Refusal(
            "431 Request Header Fields Too Large", "the request's header is too long"
        ) from error
    except asyncio.IncompleteReadError as error:
        raise ConnectionResetError from error
    return parse_request(head)


def parse_request(head: bytes) -> ProxyRequest:
    """Read a request's line and header fields, up to the empty line. Raises `Refusal`."""
    line, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    target = _TARGET.fullmatch(line)
    if target is None:
        raise _bad("the proxy takes CONNECT host:port and http://host/path only")
    fields = [_field(each) for each in lines]
    if target["peer"] is not None:
        return ProxyRequest(*_peer(target["peer"], None))
    host, port = _peer(target["site"], 80)
    path: bytes = target["path"] or b"/"
    path = path if path.startswith(b"/") else b"/" + path
    kept = [b"%s: %s" % each for each in fields if each[0].lower() not in _OWN_FIELDS]
    own = [target["method"] + b" " + path + b" HTTP/1.1", b"Host: " + target["site"]]
    forwarded = b"\r\n".join([*own, *kept, b"Connection: close", b"", b""])
    return ProxyRequest(host, port, forwarded, _body_length(fields))


def _peer(written: bytes, default: int | None) -> tuple[str, int]:
    match = _PEER.fullmatch(written.decode("latin-1"))
    port = (int(match[2]) if match[2] else default) if match else None
    if match is None or port is None or not 0 < port < 1 << 16:
        raise _bad("the request does not name a host and a port")
    bare = match[1].removeprefix("[").removesuffix("]")
    try:
        host = canonical(bare)
    except ValueError as error:
        raise _bad("the request does not name a host") from error
    if (bare != match[1]) != (":" in host):
        raise _bad("the request does not name a host")
    return host, port


def _field(line: bytes) -> tuple[bytes, bytes]:
    match = _FIELD.fullmatch(line)
    if match is None:
        raise _bad("a header field is malformed")
    return match[1], match[2]


def _body_length(fields: Sequence[tuple[bytes, bytes]]) -> int:
    """Return how many bytes follow. What two servers could read in two ways is refused."""
    if any(name.lower() == b"transfer-encoding" for name, _ in fields):
        raise Refusal("411 Length Required", "the proxy takes no chunked body on plain http")
    lengths = [value.strip() for name, value in fields if name.lower() == b"content-length"]
    if not lengths:
        return 0
    if len(lengths) > 1 or not re.fullmatch(rb"[0-9]{1,18}", lengths[0]):
        raise _bad("the Content-Length is malformed")
    return int(lengths[0])


def _bad(sentence: str) -> Refusal:
    return Refusal("400 Bad Request", sentence)


async def _relay(
    request: ProxyRequest,
    client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    """Carry bytes both ways until the host has said everything."""
    now = asyncio.get_running_loop().time
    (from_client, to_client), (from_host, to_host) = client, upstream
    if request.head is None:
        to_client.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    else:
        to_host.write(request.head)
    try:
        async with asyncio.timeout(IDLE_SECONDS) as idle, asyncio.TaskGroup() as group:

            def alive() -> None:
                idle.reschedule(now() + IDLE_SECONDS)

            upload = group.create_task(_upload(from_client, to_host, request.body, alive))
            await _pump(from_host, to_client, alive)
            upload.cancel()
    except* OSError:
        pass
    finally:
        to_host.close()


async def _upload(
    source: asyncio.StreamReader,
    sink: asyncio.StreamWriter,
    most: int | None,
    alive: Callable[[], None],
) -> None:
    if most is None:
        await _pump(source, sink, alive)
        sink.write_eof()
        return
    while most and (data := await source.read(min(most, HEAD_BYTES))):
        most -= len(data)
        alive()
        sink.write(data)
        await sink.drain()


async def _pump(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, alive: Callable[[], None]
) -> None:
    while data := await source.read(HEAD_BYTES):
        alive()
        sink.write(data)
        await sink.drain()


async def _refuse(
    refusal: Refusal, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    with contextlib.suppress(OSError):
        async with asyncio.timeout(LINGER_SECONDS):
            writer.write(refusal.answer)
            await writer.drain()
            writer.write_eof()
            while await reader.read(HEAD_BYTES):
                pass
