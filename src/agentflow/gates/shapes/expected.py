"""The shapes that the contract of a handoff expects: JSON examples, and types as TypeScript's."""

import json
import re
from collections.abc import Iterator

from agentflow.gates.shapes.lexer import Cursor, Unreadable, tokens_of
from agentflow.gates.shapes.shape import Direction, Shape
from agentflow.gates.shapes.type_syntax import read_members, schema_of_example
from agentflow.records import Json

MAX_CONTRACT = 200_000
"""Characters that are read; the whole block of a handoff is smaller in the field."""
LONGEST = 8_000
"""Characters of one shape."""
MAX_ATTEMPTS = 100
"""Braces that are tried."""

_OPENING = re.compile(r"(?<![\w/$-])\{")
"""Not `/v1/mails/{id}` and not `${name}`."""
_ENDPOINT = re.compile(
    r"\b(GET|POST|PUT|PATCH|DELETE)[`*]{0,3}[ \t]{1,4}[`*]{0,3}(/[^\s`,;)?]{0,300})"
)
_NAME = re.compile(
    r"\b(?:interface|type|class)[ \t]+([A-Za-z_]\w{0,100})"
    r"|\b([A-Z]\w{0,100}(?:Dto|DTO|Request|Response|Input|Output|Payload|Model))\b"
)
_WAY = re.compile(
    r"(?P<response>\b(?:responses?|returns?|answers?|replies|receives?)\b|->|=>|\u2192)"
    r"|(?P<request>\b(?:requests?|body|payload|sends?|accepts?|posts?)\b)",
    re.IGNORECASE,
)


def expected_shapes(text: str) -> list[Shape]:
    """Every object that a contract describes, with the endpoint, the way and the name before it.

    What is no object with fields is passed over.
    """
    text = text[:MAX_CONTRACT]
    found = list[Shape]()
    endpoint, last = "", 0
    for start, end, schema in _objects(text):
        before = text[last:start]
        endpoints = list(_ENDPOINT.finditer(before))
        endpoint = " ".join(endpoints[-1].groups()) if endpoints else endpoint
        near = before[endpoints[-1].end() :] if endpoints else before
        name = _last_name(near)
        line = text.count("\n", 0, start) + 1
        way = _way(near, name, endpoint)
        found.append(Shape(name, schema, line, endpoint=endpoint, direction=way))
        last = end
    return found


def _objects(text: str) -> Iterator[tuple[int, int, Json]]:
    position = 0
    for _ in range(MAX_ATTEMPTS):
        opening = _OPENING.search(text, position)
        if opening is None:
            return
        start = opening.start()
        found = _example(text[start : start + LONGEST]) or _typed(text[start : start + LONGEST])
        position = start + (found[0] if found else 1)
        if found and found[1].get("properties"):
            yield start, position, found[1]


def _example(text: str) -> tuple[int, Json] | None:
    """How long the JSON object at the beginning is, and its schema."""
    try:
        value, length = json.JSONDecoder().raw_decode(text)
        return length, schema_of_example(value)
    except (ValueError, RecursionError):
        return None


def _typed(text: str) -> tuple[int, Json] | None:
    tokens = tokens_of(text)
    cursor = Cursor(tokens)
    try:
        schema = read_members(cursor)
    except (Unreadable, RecursionError):
        return None
    return tokens[cursor.at - 1].start + 1, schema


def _last_name(text: str) -> str:
    names = [next(filter(None, match.groups())) for match in _NAME.finditer(text[-300:])]
    return names[-1] if names else ""


def _way(near: str, name: str, endpoint: str) -> Direction:
    """By the last word before it, by its name, by the method."""
    ways = [match.lastgroup for match in _WAY.finditer(near[-300:])]
    if name.endswith(("Response", "Output")):
        return "response"
    if name.endswith(("Request", "Input", "Payload")) or name.startswith(("Create", "Update")):
        return "request"
    if ways:
        return "request" if ways[-1] == "request" else "response"
    if endpoint.startswith(("GET ", "DELETE ")):
        return "response"
    return "request" if endpoint else ""
