"""MCP over standard input and output, where a line that is no message is answered.

The SDK hands such a line on as an exception, which its server drops: whoever wrote it would wait for
ever, and a person who tries the command would see nothing.
"""

from types import TracebackType
from typing import Any, Protocol, Self

from mcp.server import Server
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp.types import INVALID_REQUEST, PARSE_ERROR, ErrorData, JSONRPCError
from pydantic import ValidationError


class _Sender(Protocol):
    async def send(self, item: SessionMessage, /) -> None: ...


class _Receiver(Protocol):
    async def receive(self) -> SessionMessage | Exception: ...
    async def aclose(self) -> None: ...
    async def __anext__(self) -> SessionMessage | Exception: ...


class Answering:
    """The stream of what a client says, without the lines that are no message: they are answered."""

    def __init__(self, heard: _Receiver, said: _Sender) -> None:
        self._heard = heard
        self._said = said

    @property
    def last_context(self) -> Any:
        """Where the newest message was sent, as the SDK's own streams tell it."""
        return getattr(self._heard, "last_context", None)

    async def receive(self) -> SessionMessage:
        """Return the next message."""
        while isinstance(item := await self._heard.receive(), Exception):
            await self._answer(item)
        return item

    async def aclose(self) -> None:
        """End the stream."""
        await self._heard.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage:
        while isinstance(item := await self._heard.__anext__(), Exception):
            await self._answer(item)
        return item

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _answer(self, error: Exception) -> None:
        """Say what is wrong with a line, as JSON-RPC 2.0 has it (5.1); nothing is wrong with an empty
        one."""
        if not isinstance(error, ValidationError):
            return
        first = error.errors(include_url=False)[0]
        if not str(first["input"]).strip():
            return
        code, told = (
            (PARSE_ERROR, f"this line is no JSON: {first['msg'].removeprefix('Invalid JSON: ')}")
            if first["type"] == "json_invalid"
            else (INVALID_REQUEST, "this line is no message of JSON-RPC 2.0")
        )
        answer = JSONRPCError(jsonrpc="2.0", id=None, error=ErrorData(code=code, message=told))
        await self._said.send(SessionMessage(answer))


async def serve(server: Server[Any]) -> None:
    """Serve one client on standard input and output, until it closes them."""
    async with stdio_server() as (heard, said):
        options = server.create_initialization_options()
        await server.run(Answering(heard, said), said, options)
