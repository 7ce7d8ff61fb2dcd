"""What is wrong with values that somebody wrote: one sentence, in words of ours."""

import re
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from agentflow.nearest import nearest
from agentflow.words import plain

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PATTERNS = {
    "^/": "it must begin with `/`",
    r"^[A-Za-z_][A-Za-z0-9_]*$": "it must be a variable's name: letters, digits and `_`",
}
_NO_NAME = "it must be a name of letters, digits, `.`, `_` and `-`"
_EMPTY, _MISSING = "it is empty", "it is missing"
_LIST = "it must be a list"
_KEYS = "it must hold keys and their values"
_WHOLE, _NUMBER, _TRUTH = (
    "it must be a whole number",
    "it must be a number",
    "it must be true or false",
)
_TOLD: dict[str, Callable[[dict[str, Any]], str]] = {
    "missing": lambda _: _MISSING,
    "string_type": lambda _: "it must be a text",
    "string_too_short": lambda _: _EMPTY,
    "too_short": lambda _: _EMPTY,
    "string_pattern_mismatch": lambda of: _PATTERNS.get(of["pattern"], _NO_NAME),
    "literal_error": lambda of: f"it must be {of['expected']}",
    "finite_number": lambda _: "it must be a finite number",
    "greater_than": lambda of: f"it must be more than {of['gt']:.15g}",
    "greater_than_equal": lambda of: f"it must be {of['ge']:.15g} or more",
    "less_than_equal": lambda of: f"it must be {of['le']:.15g} or less",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), lambda _: _WHOLE),
    **dict.fromkeys(("float_type", "float_parsing"), lambda _: _NUMBER),
    **dict.fromkeys(("bool_type", "bool_parsing"), lambda _: _TRUTH),
    **dict.fromkeys(("tuple_type", "list_type"), lambda _: _LIST),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), lambda _: _KEYS),
}
"""By the kind of an error."""


def what_is_wrong(error: ValidationError, model: type[BaseModel], values: Any) -> tuple[str, str]:
    """The first wrong key of `values`, with the keys around it and dots between, and what is wrong
    with what it holds. An unknown key is a wrong value of the table that it stands in."""
    errors = error.errors(include_url=False)
    first = _most_telling(errors)
    place = [part for part, _ in _place(first, values)]
    shown = [name for _, name in _place(first, values)]
    if first["type"] == "extra_forbidden":
        key = str(place[-1])
        known = _keys(model, place[:-1])
        beside = [str(each["loc"][-1]) for each in errors if _stands_beside(each, first)]
        near = nearest(key, [each for each in beside if each in known]) or nearest(key, known)
        told = f"unknown key {key!r}{near} (known: {', '.join(known)})"
        return ".".join(shown[:-1]), told
    told = in_words(first)
    given = "" if told in {_EMPTY, _MISSING} else f" (given: {first['input']!r:.80})"
    return ".".join(shown), told + given


def in_words(error: ErrorDetails) -> str:
    """What is wrong with one value."""
    tell = _TOLD.get(error["type"])
    return tell(error.get("ctx", {})) if tell else plain(error["msg"])


def _most_telling(errors: list[ErrorDetails]) -> ErrorDetails:
    """Of what is wrong in the first wrong place: where several forms are accepted, each complains."""
    here = [each for each in errors if each["loc"][:2] == errors[0]["loc"][:2]]

    def rank(each: ErrorDetails) -> int:
        if each["type"] == "extra_forbidden":
            return 0
        return 3 if each["type"].endswith("_type") else 2 if each["type"] == "missing" else 1

    return min(here, key=rank)


def _stands_beside(each: ErrorDetails, unknown: ErrorDetails) -> bool:
    """Whether a key is missing where an unknown one stands: that is likely what it should be."""
    return each["type"] == "missing" and each["loc"][:-1] == unknown["loc"][:-1]


def _place(error: ErrorDetails, values: Any) -> Iterator[tuple[str | int, str]]:
    """Keys and positions that lead to a value, and how they are shown; not the names that the library
    gives to forms of a value."""
    for part in error["loc"]:
        if _holds(values, part):
            values = values[part]
        elif error["type"] != "missing" or part != error["loc"][-1]:
            continue
        name = values.get("name") if isinstance(part, int) and _holds(values, "name") else None
        named = isinstance(name, str) and _NAME.fullmatch(name)
        yield part, str(name if named else part)


def _holds(values: Any, part: str | int) -> bool:
    if isinstance(values, dict):
        return part in values
    return isinstance(values, list) and isinstance(part, int)


def _keys(model: type[BaseModel], place: Iterable[str | int]) -> list[str]:
    """The keys that are known in a place of a model's values."""
    kinds: list[Any] = [model]
    for part in place:
        kinds = [inner for kind in kinds for inner in _below(kind, part)]
    return [key for kind in kinds if _is_model(kind) for key in kind.model_fields]


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _below(kind: Any, part: str | int) -> list[Any]:
    if _is_model(kind):
        field = kind.model_fields.get(part)
        return _forms(field.annotation) if field else []
    inside = get_args(kind)
    return _forms(inside[1 if get_origin(kind) is dict else 0]) if inside else []


def _forms(annotation: Any) -> list[Any]:
    """The types that a value may have."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _forms(inside[0])
    if origin is None or (isinstance(origin, type) and origin is not types.UnionType):
        return [annotation]
    return [form for each in inside for form in _forms(each)]
