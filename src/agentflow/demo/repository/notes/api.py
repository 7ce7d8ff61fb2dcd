"""The API: a request in, a status and a JSON object out. No sockets here."""

import json
from collections.abc import Callable
from urllib.parse import urlsplit

from notes.store import Store

Answer = tuple[int, dict[str, object]]

MAX_TITLE = 100


def error(status: int, code: str, message: str) -> Answer:
    """Make an error in the one format that clients know."""
    return status, {"error": {"code": code, "message": message}}


def list_notes(store: Store, query: str, body: bytes) -> Answer:
    """GET /notes."""
    return 200, {"notes": store.all()}


def add_note(store: Store, query: str, body: bytes) -> Answer:
    """POST /notes."""
    try:
        given = json.loads(body or b"{}")
    except ValueError:
        return error(400, "invalid_json", "the body is not JSON")
    title = given.get("title") if isinstance(given, dict) else None
    if not isinstance(title, str) or not 0 < len(title) <= MAX_TITLE:
        return error(400, "invalid_title", f"title must have 1 to {MAX_TITLE} characters")
    return 201, {"note": store.add(title, str(given.get("text", "")))}


ROUTES: dict[tuple[str, str], Callable[[Store, str, bytes], Answer]] = {
    ("GET", "/notes"): list_notes,
    ("POST", "/notes"): add_note,
}


def handle(store: Store, method: str, target: str, body: bytes) -> Answer:
    """Answer one request."""
    parts = urlsplit(target)
    route = ROUTES.get((method, parts.path))
    if route is None:
        return error(404, "not_found", f"there is no {method} {parts.path}")
    return route(store, parts.query, body)
