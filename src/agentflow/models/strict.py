"""What a server may send, checked before anything relies on it.

A server is not trusted: a field of the wrong type would otherwise end the process. All functions
raise `ValueError`, `TypeError` or `KeyError` with a reason for people.
"""

import json
import math
from itertools import chain
from typing import Any, Never, cast

from agentflow.records import Json

_MOST_BLOCKS = 10_000
_LONGEST_LABEL = 200
"""Characters of an identifier, a name, a type or a stop reason."""
_DEEPEST = 100
"""Levels of one JSON text: far less than what Python's recursion takes, here and in sinks."""
_LONGEST_NUMBER = 300
"""Characters; longer ones do not fit a float, and computing with them could raise anywhere."""


def parse_object(text: str) -> Json:
    """Parse one JSON object, strictly. Raises `ValueError` with a reason for people.

    Refuses what is nested deeper than 100 levels, and numbers that do not fit a float.
    """
    try:
        value = json.loads(
            text, parse_constant=_refuse_constant, parse_float=_float, parse_int=_int
        )
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not _is_shallow(value):
        raise ValueError("nested too deeply")
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004  # as for all other bad text
    return value  # pyright: ignore[reportUnknownVariableType]  # keys of JSON objects are text


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


def _refuse_constant(name: str) -> Never:
    raise ValueError(f"{name} is not JSON")


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number


def _int(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise ValueError("a number is too large")
    return int(text)


def _is_shallow(value: Any) -> bool:
    level: list[Any] = [value]
    for _ in range(_DEEPEST + 1):
        objects = [cast("Json", item) for item in level if isinstance(item, dict)]
        lists = [cast("list[Any]", item) for item in level if isinstance(item, list)]
        if not objects and not lists:
            return True
        level = [*chain.from_iterable(lists), *chain(*(item.values() for item in objects))]
    return False
