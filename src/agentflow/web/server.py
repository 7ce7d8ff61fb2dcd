"""The server: routes, one guard before all of them, and a listener on this machine."""

import asyncio
import errno
import ipaddress
import secrets
import socket
from collections.abc import Callable, Mapping
from http import HTTPStatus

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route

from agentflow.cluster.database import URL
from agentflow.errors import AgentflowError, EnvironmentFailure, UsageError
from agentflow.pages.dashboard import Page, file_of, frame, problem
from agentflow.web.actions import LocalActions
from agentflow.web.guard import Guard
from agentflow.web.interfaces import Actions, Source
from agentflow.web.live import changes, digests
from agentflow.web.local import LocalSource
from agentflow.web.shared import SharedActions, SharedSource
from agentflow.web.views import Views
from agentflow.world import World

HOST = "127.0.0.1"
Look = Callable[[Mapping[str, str]], Page]


class Dashboard:
    """The application without its guard."""

    def __init__(self, source: Source, actions: Actions, form_token: str) -> None:
        self.is_over = False
        """Whether the server ends: browsers are let go."""
        self._source = source
        views = Views(source, form_token)
        pages: dict[str, Look] = {
            "/": views.overview,
            "/runs": views.runs,
            "/runs/{run}": views.run,
            "/tasks": views.tasks,
            "/costs": views.costs,
        }
        deeds = {
            "cancel": actions.cancel,
            "resume": actions.resume,
            "retry": actions.retry,
            "answer": actions.answer,
        }
        self._deeds = deeds
        self.app = Starlette(
            routes=[
                *(Route(path, self._shown(look)) for path, look in pages.items()),
                Route("/runs/{run}/{deed}", self._do, methods=["POST"]),
                Route("/assets/{name}", _asset),
            ],
            exception_handlers={AgentflowError: self._refused, HTTPException: self._unknown},
        )

    def _shown(self, look: Look) -> Callable[[Request], object]:
        """A page, or for whoever asks for events, the page's regions when they change."""

        async def endpoint(request: Request) -> Response:
            query = {**request.query_params, **request.path_params}
            if request.headers.get("accept", "").startswith("text/event-stream"):
                events = changes(
                    lambda: look(query), digests(query.get("have", "")), lambda: self.is_over
                )
                return StreamingResponse(events, media_type="text/event-stream")
            page = await asyncio.to_thread(look, query)
            return HTMLResponse(frame(page, self._source.name))

        return endpoint

    async def _do(self, request: Request) -> Response:
        """Do what a form asks for, then show the run."""
        name, deed = request.path_params["run"], self._deeds.get(request.path_params["deed"])
        board = await asyncio.to_thread(self._source.board)
        if deed is None or name not in {row.run for row in board.rows}:
            raise HTTPException(404)
        run = await deed(name, request.state.form)
        await asyncio.to_thread(self._source.forget)
        return RedirectResponse(f"/runs/{run}", 303)

    async def _refused(self, request: Request, error: Exception) -> Response:
        """An expected failure, as the command line would have said it."""
        if not isinstance(error, AgentflowError):
            raise error
        missing = isinstance(error, UsageError) and request.method == "GET"
        back = f"/runs/{request.path_params['run']}" if request.method == "POST" else "/"
        page = problem("That did not work", error.message, error.hint, back)
        return HTMLResponse(frame(page, self._source.name), 404 if missing else 409)

    async def _unknown(self, request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        said = HTTPStatus(error.status_code).phrase
        page = problem(said, "There is nothing at this address.", "", "/")
        return HTMLResponse(frame(page, self._source.name), error.status_code, error.headers)


async def _asset(request: Request) -> Response:
    found = file_of(request.path_params["name"])
    if found is None:
        raise HTTPException(404)
    return Response(found[0], media_type=found[1])


def serve(world: World, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve the repository of a world until the process is interrupted; `announce` gets the URL
    with its token.

    Port 0 takes a free one. Raises `UsageError` for a host that is no address of one interface,
    `EnvironmentFailure` if the port cannot be had.
    """
    token, form_token = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    source, actions = _seen(world)
    listener = _listener(_address(host), port)
    place = _place(host, listener.getsockname()[1])
    dashboard = Dashboard(source, actions, form_token)
    config = uvicorn.Config(
        Guard(dashboard.app, _places(host, place), token, form_token),
        log_level="error", access_log=False, timeout_graceful_shutdown=3, server_header=False,
        lifespan="off", ws="none",
    )  # fmt: skip
    announce(f"http://{place}/?token={token}")
    _Server(config, dashboard).run(sockets=[listener])


def _seen(world: World) -> tuple[Source, Actions]:
    """What is shown and changed: submitted runs too, if it is said where their database is."""
    source, actions = LocalSource(world), LocalActions(world)
    if not world.environment.get(URL):
        return source, actions
    return SharedSource(source, world), SharedActions(actions, world)


class _Server(uvicorn.Server):
    """Tells the dashboard when it ends: what browsers wait for has no end of its own."""

    def __init__(self, config: uvicorn.Config, dashboard: Dashboard) -> None:
        super().__init__(config)
        self._dashboard = dashboard

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # pyright: ignore[reportImplicitOverride]
        """End, browsers first."""
        self._dashboard.is_over = True
        await super().shutdown(sockets)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Raises `UsageError`."""
    try:
        address = ipaddress.ip_address({"localhost": HOST}.get(host, host))
    except ValueError as error:
        raise UsageError(
            f"--host: {host!r} is no IP address", hint=f"For example {HOST}."
        ) from error
    if address.is_unspecified:
        raise UsageError(
            f"--host: {host} is every address of this machine", hint="Name the one to listen on."
        )
    return address


def _listener(address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> socket.socket:
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((str(address), port))
        listener.listen()  # who reads the URL may connect at once
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRNOTAVAIL:
            raise UsageError(f"--host: {address} is no address of this machine") from error
        raise EnvironmentFailure(
            f"cannot listen on {address} port {port}: {error.strerror}", hint="Give another --port."
        ) from error
    return listener


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _places(host: str, place: str) -> list[str]:
    """How browsers may call the server: a name that anybody can point here is not among them."""
    port = place.rpartition(":")[2]
    on_loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    return [place, *([f"localhost:{port}"] if on_loopback else [])]
