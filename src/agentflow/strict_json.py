"""JSON that was written by somebody we do not trust: one object, bounded, and printable again."""

import json
import math
from itertools import chain
from typing import Any, Never, cast

from agentflow.records import Json

_DEEPEST = 100
"""Levels of one JSON text: far less than what Python's recursion takes, here and in sinks."""
_LONGEST_NUMBER = 300
"""Characters; longer ones do not fit a float, and computing with them could raise anywhere."""


def parse_object(text: str | bytes) -> Json:
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
