"""Messages, replies and events without secrets: the one step before anything is kept or sent on.

What is exempt is named here, and all else is redacted. Opaque things are exempt, which agentflow or
the API made and which must stay as they are: names, hashes, ids, signatures, images. Each function
gives back what it is given if it has been through it before, so the journal, which sees every event
once more, holds exactly what was sent.
"""

import dataclasses
from typing import Any, TypeVar, cast

from agentflow.events import Event
from agentflow.messages import Reply, ToolCall
from agentflow.records import Json
from agentflow.redaction import MARK, Redact

OPAQUE_BLOCK = frozenset({"type", "id", "tool_use_id", "signature", "data", "source"})
"""Keys of a content block. A thinking block is valid only with the very text that was signed, so
one that holds a secret is left out as a whole."""
OPAQUE_EVENT = frozenset({
    "type", "id", "run", "task", "task_sha256", "prompt_sha256", "base", "tip", "ref", "replaced",
    "branch", "version", "outcome", "stop_reason", "commits", "claimed", "gate", "status",
    "fingerprint",
})  # fmt: skip
"""Fields of an event, or of a record in one. Who makes `commits` redacts their subjects."""

_Record = TypeVar("_Record")


HELD = (
    "This call was not run: its input holds what looks like a key, a token or a value that is kept "
    f"secret here (shown as {MARK}). Read secrets from the environment; write none."
)
"""What the model reads instead of a result."""


def redacted_reply(reply: Reply, redact: Redact) -> Reply:
    """The reply as it is journaled, sent back and run; a call whose input held a secret is not run,
    and its `problem` says so."""
    content = tuple(
        redacted_block(block, redact)
        for block in reply.content
        if block["type"] != "thinking" or _is_clean(block, redact)
    )
    calls = tuple(_redacted_call(call, redact) for call in reply.calls)
    return dataclasses.replace(reply, content=content, calls=calls)


def redacted_message(message: Json, redact: Redact) -> Json:
    """One message of a conversation."""
    return {**message, "content": _content(message["content"], redact)}


def redacted_block(block: Json, redact: Redact) -> Json:
    """One content block of a message."""
    shown: Json = {}
    for key, value in block.items():
        if key in OPAQUE_BLOCK or block["type"] == "thinking":
            shown[key] = value
        elif key == "content" and block["type"] == "tool_result":
            shown[key] = _content(value, redact)
        else:
            shown[key] = redacted_json(value, redact)
    return shown


def redacted_event(event: Event, redact: Redact) -> Event:
    """An event as everybody may see it."""
    return _record(event, redact)


def redacted_json(value: Any, redact: Redact) -> Any:
    """A JSON value, every text and key in it redacted; a record in it as in an event."""
    match value:
        case str():
            return redact(value)
        case list() | tuple():
            items = [redacted_json(item, redact) for item in cast("list[Any]", value)]
            return items if isinstance(value, list) else tuple(items)
        case dict():
            fields = cast("dict[Any, Any]", value)
            return {
                redacted_json(key, redact): redacted_json(each, redact)
                for key, each in fields.items()
            }
        case _:
            return _record(value, redact) if dataclasses.is_dataclass(value) else value


def _record(record: _Record, redact: Redact) -> _Record:
    changed: dict[str, Any] = {}
    for field in dataclasses.fields(cast("Any", record)):
        value = getattr(record, field.name)
        if field.name in OPAQUE_EVENT:
            continue
        if field.name == "message" and isinstance(value, dict):
            shown = redacted_message(cast("Json", value), redact)
        else:
            shown = redacted_json(value, redact)
        if shown != value:
            changed[field.name] = shown
    return dataclasses.replace(cast("Any", record), **changed) if changed else record


def _redacted_call(call: ToolCall, redact: Redact) -> ToolCall:
    arguments = redacted_json(call.arguments, redact)
    held = arguments != call.arguments
    return dataclasses.replace(
        call,
        name=redact(call.name),
        arguments=None if held else arguments,
        problem=HELD if held else redact(call.problem),
    )


def _content(content: str | list[Json], redact: Redact) -> str | list[Json]:
    if isinstance(content, str):
        return redact(content)
    return [redacted_block(block, redact) for block in content]


def _is_clean(block: Json, redact: Redact) -> bool:
    text = str(block.get("thinking", ""))
    return redact(text) == text
