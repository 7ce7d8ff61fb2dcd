"""The MCP server: hands work over from any client of the Model Context Protocol (`mcp_tools`)."""

import asyncio
import hmac
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import ValidationError
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from agentflow import __version__
from agentflow.errors import EnvironmentFailure
from agentflow.mcp_stdio import serve
from agentflow.mcp_tools import Desk
from agentflow.world import World

HOST = "127.0.0.1"
PATH = "/mcp"
INSTRUCTIONS = (
    "agentflow lets a backend agent work in a sandbox and verifies the result itself. Hand work over "
    "with `handoff` (a block for services) or `run_task` (a task of this repository). Both return at "
    "once with a run; ask `get_run` until its `state` is not `running`. `done` means verified and "
    "landed: `reply` holds the endpoints and shapes as they were measured. `blocked` holds a "
    "`question`: give a person's answer with `answer`. `stopped`: see `reason` and `hint`."
)
MAX_SESSIONS = 64
"""Open at once over HTTP; each holds a task and its streams."""
IDLE = 30 * 60.0
"""Seconds without a request or an open stream after which a session ends: a client that is told so
(404) begins another, and finds its runs again."""


class Server(MCPServer[Any]):
    """The SDK's server, but what is wrong with arguments is one sentence."""

    async def call_tool(  # pyright: ignore[reportImplicitOverride]
        self, name: str, arguments: dict[str, Any], context: Context | None = None
    ) -> Any:
        """Call a tool. Raises `ToolError`, which the client's model reads."""
        try:
            return await super().call_tool(name, arguments, context)
        except UnexpectedToolError:
            raise
        except ToolError as error:
            if isinstance(error.__cause__, ValidationError):
                raise ToolError(_wrong(name, error.__cause__)) from error.__cause__
            raise


def _wrong(tool: str, error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"]))
    said = (
        first["msg"].replace("Input should be", "must be").replace("Field required", "is missing")
    )
    given = "" if first["type"] == "missing" else f" (given: {first['input']!r:.80})"
    return f"{tool}: {place} {said}{given}. The tool's input schema says what it takes."


def make_server(world: World) -> Server:
    """The server for the repository of a world; it speaks to nobody yet."""
    server = Server("agentflow", instructions=INSTRUCTIONS, version=__version__, log_level="ERROR")
    desk = Desk(world)
    for tool in (desk.handoff, desk.run_task, desk.get_run, desk.answer, desk.list_tasks):
        server.add_tool(tool)
    return server


def serve_stdio(world: World) -> None:
    """Serve one client on standard input and output, until it closes them."""
    server = make_server(world)
    server.streamable_http_app()  # it makes the manager, which alone gives the SDK's inner server
    asyncio.run(serve(server.session_manager.app))


def serve_http(
    world: World, port: int, token: str, announce: Callable[[str], None], idle: float = IDLE
) -> None:
    """Serve clients that know the token, on loopback only; `announce` gets the URL. A session of which
    nothing was heard for `idle` seconds ends.

    Port 0 takes a free one. Raises `EnvironmentFailure` if the port cannot be had.
    """
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen()  # who reads the URL may connect at once
    except OSError as error:
        raise EnvironmentFailure(
            f"cannot listen on {HOST}:{port}: {error.strerror}", hint="Give another --port."
        ) from error
    places = [f"{name}:{listener.getsockname()[1]}" for name in (HOST, "localhost")]
    app = make_server(world).streamable_http_app(
        streamable_http_path=PATH,
        max_sessions=MAX_SESSIONS,
        session_idle_timeout=idle,
        transport_security=TransportSecuritySettings(
            allowed_hosts=places, allowed_origins=[f"http://{place}" for place in places]
        ),
    )
    config = uvicorn.Config(
        Guarded(app, token), log_level="error", access_log=False, timeout_graceful_shutdown=1
    )
    announce(f"http://{places[0]}{PATH}")
    uvicorn.Server(config).run(sockets=[listener])


class Guarded:
    """An application that only those reach who know the token."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; 401 without the token."""
        if scope["type"] == "http":
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(given, self._expected):
                refusal = PlainTextResponse(
                    "the token is missing or wrong", 401, {"WWW-Authenticate": "Bearer"}
                )
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)
