"""The scripted model's HTTP/1.1 server, on loopback only."""

import asyncio
import hashlib
import hmac
import json
from collections import Counter
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from agentflow.frozen import record
from agentflow.models.scripted.answer import events, message
from agentflow.models.scripted.cache import Cache, estimate
from agentflow.models.scripted.faults import Abort, ErrorResponse, Fault, Pause, Step
from agentflow.models.scripted.limits import Limits
from agentflow.models.scripted.rules import Refused, check
from agentflow.models.scripted.script import Script, Turn
from agentflow.models.scripted.wire import error_body
from agentflow.records import Json

MAX_BODY = 32 * 1024 * 1024
"""Bytes; the API's limit for a request."""

_SECRETS = {"authorization", "x-api-key", "cookie", "proxy-authorization"}


@record
class Received:
    """One request that the server read."""

    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case, without those that carry secrets."""
    body: Any
    """The parsed JSON; None if there was none."""


@record
class _Head:
    method: str
    path: str
    headers: dict[str, str]


class ScriptedServer:
    """Serve one script until the `async with` block ends.

    Which turn answers is told by the number of assistant messages in the request (see `Script.by`), so nothing has
    to be kept between requests: retries, repairs and several conversations at once work. Faults
    count the attempts at one and the same list of messages.
    """

    def __init__(self, script: Script, *, port: int = 0, key: str | None = None) -> None:
        """`port` 0 takes a free one. With `key`, requests without exactly this key get a 401."""
        self.requests: list[Received] = []
        self.connections = 0
        """How many were opened so far."""
        self.url = ""
        self._script = script
        self._port = port
        self._key = key
        self._cache = Cache()
        self.limits = Limits(script.limits)
        self._attempts: Counter[bytes] = Counter()
        self._numbers: dict[bytes, int] = {}
        self._count = 0
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server:
            self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.ensure_future(self._converse(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        with suppress(asyncio.CancelledError):
            await task

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._answer_next(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the client went away, or does not speak HTTP
        finally:
            writer.transport.abort() if writer.transport.is_closing() else writer.close()

    async def _answer_next(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Read and answer one request; False if the connection is of no more use."""
        head = _parse_head(await reader.readuntil(b"\r\n\r\n"))
        self._count += 1
        response = Response(writer, f"req_{self._count:06}", head.method == "HEAD", self.limits)
        size = head.headers.get("content-length", "0")
        if not size.isdecimal() or int(size) > MAX_BODY or "transfer-encoding" in head.headers:
            await response.error(413, "request_too_large", "Request exceeds the maximum size")
            return False
        raw = await reader.readexactly(int(size))
        body = _parse_body(raw)
        public = {k: v for k, v in head.headers.items() if k not in _SECRETS}
        self.requests.append(Received(head.method, head.path, public, body))
        if self._key is not None and not hmac.compare_digest(_key_of(head), self._key):
            await response.error(401, "authentication_error", "invalid bearer token")
            return True
        return await self._route(head, body, response)

    async def _route(self, head: _Head, body: Any, response: "Response") -> bool:
        path = head.path.partition("?")[0]
        if head.method != "POST" or not path.startswith("/v1/messages"):
            await response.error(404, "not_found_error", f"{head.method} {path} is not served")
            return True
        try:
            if path == "/v1/messages/count_tokens":
                await response.json(
                    200, {"input_tokens": _count_tokens(check(body, counting=True))}
                )
            elif path == "/v1/messages":
                return await self._reply(check(body), response)
            else:
                await response.error(404, "not_found_error", f"{path} is not served")
        except Refused as refused:
            await response.error(400, "invalid_request_error", str(refused))
        return True

    async def _reply(self, request: Json, response: "Response") -> bool:
        wait = self.limits.wait()
        if wait is not None:
            await response.limited(wait)
            return True
        number = self._number(request["messages"])
        turns = self._script.turns_for(json.dumps(request["messages"][0], ensure_ascii=False))
        if number >= len(turns):
            raise Refused(f"script ended: it has {len(turns)} turns")
        turn = turns[number]
        fault = self._next_fault(turn, number, request["messages"])
        await asyncio.sleep(turn.latency)
        if fault and fault.response:
            await response.fault(fault.response, fault.seconds)
            return True
        usage = self._usage(turn, number, request)
        self.limits.use(usage)
        if not request.get("stream") or (fault and fault.plain):
            await response.json(200, message(turn, number, request["model"], usage))
            return True
        sent = events(turn, number, request["model"], usage)
        plan: list[Step] = [*sent]
        if fault and fault.change:
            plan = fault.change(sent, fault.seconds)
        return await response.stream(plan, turn.pace)

    def _number(self, messages: list[Json]) -> int:
        if self._script.by == "replies":
            return sum(message["role"] == "assistant" for message in messages)
        key = hashlib.sha256(json.dumps(messages).encode()).digest()
        return self._numbers.setdefault(key, len(self._numbers))

    def _next_fault(self, turn: Turn, number: int, messages: list[Json]) -> Fault | None:
        key = hashlib.sha256(json.dumps([number, messages]).encode()).digest()
        attempt = self._attempts[key]
        self._attempts[key] += 1
        return turn.faults[attempt] if attempt < len(turn.faults) else None

    def _usage(self, turn: Turn, number: int, request: Json) -> Json:
        whole = message(turn, number, "", {})["content"]
        estimated = self._cache.usage(request, estimate(whole))
        if turn.usage is None:
            return estimated
        given: Json = {**dict.fromkeys(estimated, 0), **turn.usage}
        if "cache_creation" not in turn.usage:
            given["cache_creation"] = {
                "ephemeral_5m_input_tokens": given["cache_creation_input_tokens"],
                "ephemeral_1h_input_tokens": 0,
            }
        return given


class Response:
    """Writes one HTTP response."""

    def __init__(
        self, writer: asyncio.StreamWriter, request_id: str, head_only: bool, limits: Limits
    ) -> None:
        self._limits = limits
        self._writer = writer
        self._request_id = request_id
        self._head_only = head_only

    async def json(self, status: int, body: Json) -> None:
        """Send a JSON body."""
        await self._whole(status, "application/json", json.dumps(body).encode())

    async def error(self, status: int, kind: str, text: str) -> None:
        """Send an error body."""
        await self.json(status, error_body(kind, text, self._request_id))

    async def fault(self, wanted: ErrorResponse, seconds: float) -> None:
        """Send the error response of a fault."""
        given = wanted.retry_after
        after = given if isinstance(given, str) else f"{seconds:g}"
        extra = {"retry-after": after} if given else {}
        if wanted.body is not None:
            await self._whole(wanted.status, "text/html", wanted.body)
            return
        body = error_body(wanted.type, wanted.message, self._request_id, wanted.error_code)
        await self._whole(wanted.status, "application/json", json.dumps(body).encode(), extra)

    async def limited(self, seconds: float) -> None:
        """Refuse for now."""
        text = "This request would exceed your rate limit"
        body = error_body("rate_limit_error", text, self._request_id)
        after = {"retry-after": f"{seconds:.3f}"}
        await self._whole(429, "application/json", json.dumps(body).encode(), after)

    async def stream(self, plan: list[Step], pace: float) -> bool:
        """Play a plan as chunked server-sent events; False if the connection was reset."""
        started = False
        for step in plan:
            if isinstance(step, Abort):
                self._writer.transport.abort()
                return False
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                continue
            if not started:
                self._head(200, "text/event-stream", {"transfer-encoding": "chunked"})
                started = True
            self._writer.write(b"%x\r\n%s\r\n" % (len(step), step))
            await self._writer.drain()
            if pace:
                await asyncio.sleep(pace)
        if not started:
            self._head(200, "text/event-stream", {"transfer-encoding": "chunked"})
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()
        return True

    async def _whole(
        self, status: int, kind: str, body: bytes, extra: dict[str, str] | None = None
    ) -> None:
        self._head(status, kind, {"content-length": str(len(body)), **(extra or {})})
        self._writer.write(b"" if self._head_only else body)
        await self._writer.drain()

    def _head(self, status: int, kind: str, extra: dict[str, str]) -> None:
        headers = {"content-type": kind, "request-id": self._request_id}
        headers |= {**self._limits.headers, **extra}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._writer.write(f"HTTP/1.1 {status} Scripted\r\n{lines}\r\n".encode())


def _parse_head(raw: bytes) -> _Head:
    first, *rest = raw.decode("latin-1").split("\r\n")
    method, _, target = first.partition(" ")
    pairs = (line.partition(":") for line in rest if ":" in line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return _Head(method, target.partition(" ")[0], headers)


def _parse_body(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def _key_of(head: _Head) -> str:
    bearer = head.headers.get("authorization", "").removeprefix("Bearer ")
    return bearer or head.headers.get("x-api-key", "")


def _count_tokens(request: Json) -> int:
    return estimate({key: request.get(key) for key in ("tools", "system", "messages")})
