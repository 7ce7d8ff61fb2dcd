"""The only way out of a sandbox with a list of hosts: an HTTP proxy on a listener from inside it.

It takes `CONNECT host:port` and plain requests in absolute form (RFC 9112, section 3.2), judges
the host, resolves it here, judges the addresses and connects to one that it judged. Whom an
allowed host serves, and what is sent to it, is not judged.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

from agentflow.sandbox.hosts import Rule, may_connect, parse_address, permits
from agentflow.sandbox.proxy_request import ProxyRequest, Refusal, parse_request

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
            if request.head is not None:
                await _pass_head(from_host, to_client, alive)
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


async def _pass_head(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, alive: Callable[[], None]
) -> None:
    """Pass on the head of a plain answer, saying that the connection ends with it.

    The host was asked for that and may not say so; a client would then use it again and be cut off.
    """
    while True:
        try:
            head = await source.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            sink.write(error.partial)
            return
        except asyncio.LimitOverrunError:
            return  # too long to be read: it goes on as it is
        alive()
        interim = head.startswith((b"HTTP/1.1 1", b"HTTP/1.0 1"))
        sink.write(head if interim else _ending(head))
        if not interim:
            return


def _ending(head: bytes) -> bytes:
    status, *fields = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    own = {b"connection", b"keep-alive", b"proxy-connection"}
    kept = [each for each in fields if each.partition(b":")[0].strip().lower() not in own]
    return b"\r\n".join([status, *kept, b"Connection: close", b"", b""])


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
