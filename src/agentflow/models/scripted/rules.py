"""What the scripted model refuses because the API refuses it.

Source: the API's reference and error messages as of version 2026-10-21. The wording follows the
API where it is known.
"""

import re
from collections.abc import Iterator
from typing import Any

from agentflow.models.scripted.cache import as_blocks
from agentflow.models.scripted.faults import UNKNOWN_BLOCK
from agentflow.models.scripted.wire import sign
from agentflow.records import Json

MAX_BREAKPOINTS = 4
_REMOVED = ("temperature", "top_p", "top_k")
_EFFORTS = (None, "low", "medium", "high", "xhigh", "max")
_ROLES = ("user", "assistant")
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_BLOCKS = {
    "user": {"text", "image", "document", "tool_result"},
    "assistant": {"text", "tool_use", "thinking", "redacted_thinking", UNKNOWN_BLOCK},
}


class Refused(Exception):
    """The message of an `invalid_request_error`."""


def check(body: Any, *, counting: bool = False) -> Json:
    """Return the request. Raises `Refused` for what the API answers with 400.

    `counting`: a request for a token count, which has no `max_tokens`.
    """
    _need(isinstance(body, dict), "the request body is not a JSON object")
    request: Json = {"max_tokens": 1, **body} if counting else body
    try:
        _check_scalars(request)
        _check_tools(request.get("tools") or [])
        _check_messages(request.get("messages"))
        _check_pairs(request["messages"])
        _check_breakpoints(request)
    except (AttributeError, KeyError, TypeError) as error:
        raise Refused(f"the request has a value of the wrong type: {error}") from error
    return request


def _need(holds: object, message: str) -> None:
    if not holds:
        raise Refused(message)


def _check_scalars(request: Json) -> None:
    model = request.get("model")
    _need(isinstance(model, str) and model, "model: Field required")
    tokens = request.get("max_tokens")
    _need(tokens is not None, "max_tokens: Field required")
    _need(type(tokens) is int, "max_tokens: Input should be a valid integer")
    _need(request["max_tokens"] > 0, "max_tokens: Input should be greater than 0")
    for name in _REMOVED:
        _need(name not in request, f"{name}: not supported on API version 2026-10-21")
    output: Json = request.get("output_config") or {}
    _need(
        output.get("effort") in _EFFORTS,
        f"output_config.effort: Input should be one of {_EFFORTS[1:]}",
    )
    for place, block in enumerate(as_blocks(request.get("system") or [])):
        _check_text(block, f"system.{place}")


def _check_tools(tools: list[Json]) -> None:
    names: set[str] = set()
    for place, tool in enumerate(tools):
        name = tool.get("name")
        _need(
            isinstance(name, str) and _TOOL_NAME.fullmatch(name),
            f"tools.{place}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'",
        )
        schema = tool.get("input_schema")
        _need(isinstance(schema, dict), f"tools.{place}.input_schema: Field required")
        _need(
            tool["input_schema"].get("type") == "object",
            f"tools.{place}.input_schema.type: Input should be 'object'",
        )
        _need(name not in names, "tools: Tool names must be unique.")
        names.add(tool["name"])


def _check_messages(messages: Any) -> None:
    _need(isinstance(messages, list), "messages: Field required")
    _need(messages, "messages: at least one message is required")
    for place, message in enumerate(messages):
        role = message.get("role")
        _need(
            role in _ROLES,
            f"messages.{place}.role: Input should be 'user' or 'assistant', not {role!r}",
        )
        _need(
            message.get("content"),
            f"messages.{place}: all messages must have non-empty content",
        )
        for index, block in enumerate(as_blocks(message["content"])):
            _check_block(block, message["role"], f"messages.{place}.content.{index}")
    _need(messages[0]["role"] == "user", 'messages: first message must use the "user" role')


def _check_block(block: Json, role: str, where: str) -> None:
    kind = block.get("type")
    _need(
        kind in _BLOCKS[role],
        f"{where}: Input tag {kind!r} is not expected in a message of role {role!r}",
    )
    if kind == "text":
        _check_text(block, where)
    elif kind == "tool_use":
        _need(isinstance(block.get("id"), str) and block["id"], f"{where}.id: Field required")
        _need(isinstance(block.get("name"), str), f"{where}.name: Field required")
        _need(
            isinstance(block.get("input"), dict),
            f"{where}.input: Input should be a valid dictionary",
        )
    elif kind == "tool_result":
        _need(isinstance(block.get("tool_use_id"), str), f"{where}.tool_use_id: Field required")
    elif kind == "thinking":
        _need(
            block.get("signature") == sign(str(block.get("thinking"))),
            f"{where}: Invalid `signature` in `thinking` block",
        )


def _check_text(block: Json, where: str) -> None:
    text = block.get("text")
    _need(isinstance(text, str), f"{where}.text: Field required")
    _need(str(text).strip(), f"{where}: text content blocks must contain non-whitespace text")


def _check_pairs(messages: list[Json]) -> None:
    """Every call is answered in the next user message, first thing, once, and nothing else is."""
    open_calls: list[str] = []
    for place, (role, blocks) in enumerate(_merged(messages)):
        if role == "user":
            _check_results(blocks, open_calls, place)
            open_calls = []
        else:
            open_calls = [block["id"] for block in blocks if block["type"] == "tool_use"]
            _need(
                len(open_calls) == len(set(open_calls)),
                f"messages.{place}: `tool_use` ids must be unique",
            )
    _need(not open_calls, _unanswered(len(messages) - 1, open_calls))


def _check_results(blocks: list[Json], open_calls: list[str], place: int) -> None:
    kinds = [block["type"] == "tool_result" for block in blocks]
    answered = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
    for name in answered:
        _need(
            name in open_calls,
            f"messages.{place}: unexpected `tool_use_id` found in `tool_result` blocks: {name}. "
            + "Each `tool_result` block must have a corresponding `tool_use` block in the "
            + "previous message.",
        )
        _need(
            answered.count(name) == 1,
            f"messages.{place}: each tool_use must have a single result. Found multiple "
            + f"`tool_result` blocks with id: {name}",
        )
    missing = [name for name in open_calls if name not in answered]
    _need(not missing, _unanswered(place - 1, missing))
    _need(
        kinds == sorted(kinds, reverse=True),
        f"messages.{place}: `tool_result` blocks must come first in their message",
    )


def _unanswered(place: int, names: list[str]) -> str:
    return (
        f"messages.{place}: `tool_use` ids were found without `tool_result` blocks immediately "
        f"after: {', '.join(names)}. Each `tool_use` block must have a corresponding "
        "`tool_result` block in the next message."
    )


def _merged(messages: list[Json]) -> Iterator[tuple[str, list[Json]]]:
    """The messages, neighbours of one role combined as the API does."""
    role, blocks = "", list[Json]()
    for message in messages:
        if message["role"] != role and blocks:
            yield role, blocks
            blocks = []
        role = message["role"]
        blocks = [*blocks, *as_blocks(message["content"])]
    yield role, blocks


def _check_breakpoints(request: Json) -> None:
    places: list[Json] = [
        *(request.get("tools") or ()),
        *as_blocks(request.get("system") or []),
        *(block for message in request["messages"] for block in as_blocks(message["content"])),
        request,
    ]
    marks = [place["cache_control"] for place in places if place.get("cache_control")]
    _need(
        len(marks) <= MAX_BREAKPOINTS,
        f"A maximum of {MAX_BREAKPOINTS} blocks with cache_control may be provided. "
        + f"Found {len(marks)}.",
    )
    for mark in marks:
        _need(
            mark.get("type") == "ephemeral" and mark.get("ttl", "5m") in {"5m", "1h"},
            "cache_control: Input should be of type 'ephemeral' with ttl '5m' or '1h'",
        )
    hours = [mark.get("ttl") == "1h" for mark in marks]
    _need(
        hours == sorted(hours, reverse=True),
        "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block",
    )
