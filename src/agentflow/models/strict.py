"""What a server may send, checked before anything relies on it.

A server is not trusted: a field of the wrong type would otherwise end the process. All functions
raise `ValueError`, `TypeError` or `KeyError` with a reason for people.
"""

import json

from agentflow.records import Json

_MOST_BLOCKS = 10_000
_LONGEST_LABEL = 200
"""Characters of an identifier, a name, a type or a stop reason."""


def label(value: object) -> str:
    """An identifier, name, type or stop reason: short printable text."""
    if isinstance(value, str) and 0 < len(value) <= _LONGEST_LABEL and value.isprintable():
        return value
    raise ValueError("an identifier, name, type or stop reason is not short printable text")


def place(index: object) -> int:
    """The index of a block."""
    if type(index) is int and 0 <= index < _MOST_BLOCKS:
        return index
    raise ValueError("the index of a block is not a small number")


def encodable(value: Json) -> Json:
    """The value itself, which half a surrogate pair in it would keep out of every file."""
    json.dumps(value, ensure_ascii=False).encode()
    return value


def block_start(start: Json) -> Json:
    """A block's start, whose fields that we use have the types that we rely on."""
    start = dict(encodable(start))
    kind = label(start["type"])
    if kind == "tool_use":
        label(start["id"])
        label(start["name"])
    text = {name: start.get(name) or "" for name in ("thinking", "signature")}
    if kind == "text":
        text["text"] = start["text"]
    if not all(isinstance(value, str) for value in text.values()):
        raise TypeError("the text of a block is not text")
    if not isinstance(start.get("citations") or [], list):
        raise TypeError("the citations of a block are not a list")
    if kind == "tool_use" or "input" in start:
        start["input"] = start.get("input") or {}
        if not isinstance(start["input"], dict):
            raise TypeError("the input of a call is not an object")
    return start
