"""The service, as a WSGI application."""

import json
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from notes.store import Store

Answer = tuple[int, Any]
Query = dict[str, list[str]]


def error(status: int, code: str) -> Answer:
    return status, {"error": code}


def list_notes(store: Store, query: Query, body: bytes) -> Answer:
    return 200, {"notes": store.all()}


def add_note(store: Store, query: Query, body: bytes) -> Answer:
    try:
        title = json.loads(body)["title"].strip()
    except (ValueError, KeyError, TypeError, AttributeError):
        return error(400, "invalid_title")
    return (201, store.add(title)) if title else error(400, "invalid_title")


ROUTES: dict[str, Callable[[Store, Query, bytes], Answer]] = {
    "GET /notes": list_notes,
    "POST /notes": add_note,
}


def application(store: Store) -> Callable[..., Iterable[bytes]]:
    """The WSGI application over a store."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        route = ROUTES.get(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
        query = parse_qs(environ.get("QUERY_STRING", ""))
        status, data = route(store, query, body) if route else error(404, "not_found")
        phrase = HTTPStatus(status).phrase
        start_response(f"{status} {phrase}", [("Content-Type", "application/json")])
        return [json.dumps(data).encode()]

    return answer
