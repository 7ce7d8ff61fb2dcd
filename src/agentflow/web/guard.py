"""Who is heard: a browser that was given the token, that calls the server by its own name, and of
whose pages none but ours may change anything."""

import hmac
import secrets
from collections.abc import Iterable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.requests import Request, cookie_parser
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with none at all, browsers hide a form's Origin too
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
WELCOME = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>agentflow</title>
<link rel="icon" href="/assets/icon.svg" type="image/svg+xml"><meta http-equiv="refresh" content="0;url=/"></head><body><p><a href="/">agentflow</a></p></body></html>
"""
"""A page, not a redirect: a browser that comes from elsewhere sends no strict cookie along that."""
CLOSED = "Open the URL that `agentflow ui` printed: this browser has not shown its token.\n"
MAX_FIELDS = 20
MAX_FORM = 1 << 20
"""Bytes."""


class Guard:
    """An application that only its own user's browser reaches.

    Answers 421 to another Host (DNS rebinding), 401 without the token or the cookie that it was
    traded for, 403 to a POST that comes from another page or lacks the pages' own secret. What a
    POST brought is in `request.state.form`.
    """

    def __init__(self, app: ASGIApp, places: Iterable[str], token: str, form_token: str) -> None:
        """`places`: each `host:port` that is this server; `form_token`: in every form of ours."""
        self._app = app
        self._places = frozenset(places)
        self._token = token
        self._form_token = form_token
        self._session = secrets.token_urlsafe(32)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        request = Request(scope, receive)
        refusal = self._refusal(request)
        if refusal is None and request.method == "POST":
            refusal = await self._read_form(request)
        await (refusal or self._app)(scope, receive, send_guarded)

    def _refusal(self, request: Request) -> Response | None:
        hosts = request.headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self._places:
            return PlainTextResponse("this is not the server that was asked for\n", 421)
        if request.method == "GET" and request.url.path == "/" and "token" in request.query_params:
            return self._welcome(request.query_params, hosts[0])
        given = cookie_parser(request.headers.get("cookie", "")).get(self._cookie(hosts[0]), "")
        if not same(given, self._session):
            return PlainTextResponse(CLOSED, 401)
        return None

    def _welcome(self, query: QueryParams, host: str) -> Response:
        """Trade the token for a cookie, so that it stands in no address any more."""
        if not same(query["token"], self._token):
            return PlainTextResponse(CLOSED, 401)
        response = HTMLResponse(WELCOME)
        response.set_cookie(self._cookie(host), self._session, httponly=True, samesite="strict")
        return response

    @staticmethod
    def _cookie(host: str) -> str:
        """Cookies know no ports, so that the port is in their name."""
        return f"agentflow-{host.rpartition(':')[2]}"

    async def _read_form(self, request: Request) -> Response | None:
        headers = request.headers
        if not _is_own(headers):
            return PlainTextResponse("this came from another page\n", 403)
        fields = await _fields(request)
        if fields is None:
            return PlainTextResponse("that is too long\n", 413)
        if not same(fields.pop("form_token", ""), self._form_token):
            return PlainTextResponse("this form is not of this server: load the page again\n", 403)
        state: MutableMapping[str, Any] = request.scope.setdefault("state", {})
        state["form"] = fields
        return None


def same(given: str, expected: str) -> bool:
    """Whether two secrets are equal; how far they are is not told by the time it takes."""
    return hmac.compare_digest(given.encode(), expected.encode())


def _is_own(headers: Headers) -> bool:
    """Whether a browser says that one of our pages sent this; a client that is none says nothing,
    and needs the secrets anyway."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    return origin in {None, f"http://{headers['host']}"} and site in {None, "same-origin"}


async def _fields(request: Request) -> dict[str, str] | None:
    """Of a form as browsers send it; nothing of anything else, None if it is too long."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind != "application/x-www-form-urlencoded":
        return {}
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_FORM:
            return None
    try:
        text = body.decode("ascii")
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError:
        return {}
