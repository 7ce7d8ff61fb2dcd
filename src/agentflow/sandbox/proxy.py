"""The only way out of a sandbox with a list of hosts: an HTTP proxy on a listener from inside it.

It takes `CONNECT host:port` and plain requests in absolute form (RFC 9112, section 3.2), judges
the host, resolves it here, judges the addresses and connects to one that it judged. A tunnel that opens with TLS must
ask for a name on the list. Whom an allowed host serves beyond that, and what is sent to it, is not
judged; how much is, for a whole run.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from functools import partial

from agentflow.sandbox.client_hello import Opening, read_opening
from agentflow.sandbox.hosts import Rule, may_connect, parse_address, permits
from agentflow.sandbox.proxy_request import ProxyRequest, Refusal, parse_request
from agentflow.sandbox.traffic import Account, CutOff, Flow

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
Judge = Callable[[Opening], None]
"""Raises `CutOff` for a tunnel that may not go on."""


async def resolve(host: str, port: int) -> Sequence[str]:
    """Ask this machine's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@contextlib.asynccontextmanager
async def serve(
    listener: socket.socket,
    rules: Sequence[Rule],
    account: Account,
    resolver: Resolve = resolve,
    setting: str = "environment.network",
) -> AsyncGenerator[None]:
    """Serve a listener until the block ends; all connections are closed then.

    `account` is told every connection and bounds what is uploaded; `setting` is where the rules
    are from.
    """
    proxy = _Proxy(rules, account, resolver, setting)
    server = await asyncio.start_server(proxy.accept, sock=listener, limit=HEAD_BYTES)
    try:
        yield
    finally:
        server.close()
        await proxy.close()
        account.settle()


class _Proxy:
    def __init__(
        self, rules: Sequence[Rule], account: Account, resolver: Resolve, setting: str
    ) -> None:
        self._rules = rules
        self._account = account
        self._resolve = resolver
        self._setting = setting
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
        now = asyncio.get_running_loop().time
        started, flow = now(), self._account.flow()
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                request = await _read_request(reader)
            flow.host, flow.port = request.host, request.port
            upstream = await self._connect(request)
            judge = partial(_judge_name, self._rules, request)
            await _relay(request, (reader, writer), upstream, flow, judge)
        except Refusal as refusal:
            flow.refused = refusal.reason
            await _refuse(refusal, reader, writer)
        except OSError:
            pass  # a side went away, or said nothing for too long
        finally:
            writer.close()
            self._account.close(flow, round(now() - started, 3))

    async def _connect(
        self, request: ProxyRequest
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the host. Raises `Refusal` if the rules or the host itself do not let us."""
        host, port = request.host, request.port
        if not permits(self._rules, host, port):
            raise Refusal("403 Forbidden", f"{request.target} is not listed in {self._setting}")
        if not request.upload <= self._account.traffic.left:
            raise Refusal("403 Forbidden", self._account.traffic.used_up)
        try:
            is_address = parse_address(host) is not None
            async with asyncio.timeout(CONNECT_SECONDS):
                addresses = [host] if is_address else await self._resolve(host, port)
        except OSError as error:
            raise Refusal("502 Bad Gateway", f"{host} cannot be resolved") from error
        judged = [each for each in addresses if may_connect(self._rules, host, each, port)]
        if not judged:
            raise Refusal(
                "403 Forbidden",
                f"{host} resolves to an address that is not public and not itself listed in "
                f"{self._setting}",
                ", ".join(addresses),
            )
        for address in judged:
            with contextlib.suppress(OSError):
                async with asyncio.timeout(CONNECT_SECONDS):
                    return await asyncio.open_connection(address, port)
        raise Refusal("502 Bad Gateway", f"{request.target} does not answer")


def _judge_name(rules: Sequence[Rule], request: ProxyRequest, opening: Opening) -> None:
    """Refuse TLS that asks the host's address for another name, which a host of many may serve.

    Raises `CutOff`.
    """
    if not opening.tls or opening.name == request.host:
        return
    if opening.name is None:
        if parse_address(request.host) is None:
            raise CutOff("its TLS handshake names no host")
    elif not permits(rules, opening.name, request.port):
        raise CutOff(f"its TLS handshake names {opening.name}, which is not listed")


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
    flow: Flow,
    judge: Judge,
) -> None:
    """Carry bytes both ways until the host has said everything, or may be sent no more."""
    now = asyncio.get_running_loop().time
    (from_client, to_client), (from_host, to_host) = client, upstream
    try:
        if request.head is None:
            to_client.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            flow.send(len(request.head))
            to_host.write(request.head)
        async with asyncio.timeout(IDLE_SECONDS) as idle, asyncio.TaskGroup() as group:

            def sent(size: int) -> None:
                flow.send(size)
                idle.reschedule(now() + IDLE_SECONDS)

            def received(size: int) -> None:
                flow.receive(size)
                idle.reschedule(now() + IDLE_SECONDS)

            upload = group.create_task(_upload(from_client, to_host, request.body, judge, sent))
            if request.head is not None:
                await _pass_head(from_host, to_client, received)
            await _pump(from_host, to_client, received)
            upload.cancel()
    except* CutOff as used_up:
        flow.refused = f"cut off: {used_up.exceptions[0]}"
    except* OSError:
        pass
    finally:
        to_host.close()


async def _upload(
    source: asyncio.StreamReader,
    sink: asyncio.StreamWriter,
    most: int | None,
    judge: Judge,
    carried: Callable[[int], None],
) -> None:
    if most is None:
        opening = await read_opening(source)
        judge(opening)
        carried(len(opening.data))
        sink.write(opening.data)
        await _pump(source, sink, carried)
        sink.write_eof()
        return
    while most and (data := await source.read(min(most, HEAD_BYTES))):
        most -= len(data)
        carried(len(data))
        sink.write(data)
        await sink.drain()


async def _pass_head(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, carried: Callable[[int], None]
) -> None:
    """Pass on the head of a plain answer, saying that the connection ends with it.

    The host was asked for that and may not say so; a client would then use it again and be cut off.
    """
    while True:
        try:
            head = await source.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            carried(len(error.partial))
            sink.write(error.partial)
            return
        except asyncio.LimitOverrunError:
            return  # too long to be read: it goes on as it is
        carried(len(head))
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
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, carried: Callable[[int], None]
) -> None:
    while data := await source.read(HEAD_BYTES):
        carried(len(data))
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
