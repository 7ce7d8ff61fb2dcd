"""JSON Schema, the part that an agent's answer needs, checked in bounded time.

Schemas come from prompt files of a repository, so nothing here follows a reference, loads an
address or runs an expression of theirs. A keyword that is not in the tables is refused when the
prompt is loaded: ignored, it would let through what its author meant to refuse.
Source of the keywords: JSON Schema 2020-12, core and validation vocabularies.
"""

import json
from collections.abc import Callable, Container, Iterator
from itertools import islice
from typing import Any, cast

from agentflow.nearest import nearest
from agentflow.records import Json

DEEPEST = 30
"""Levels of a schema."""
MAX_STEPS = 100_000
"""Values compared with a schema in one check; under a second."""
MAX_PROBLEMS = 20

ANNOTATIONS = frozenset({
    "$schema", "$id", "$comment", "title", "description", "default", "examples", "format",
    "deprecated",
})  # fmt: skip
"""Keywords that say nothing about which values are valid."""

_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: _is_integer(value),
}

_LIMITS: dict[str, tuple[str, Callable[[Any], Any], Callable[[Any, Any], bool], str]] = {
    "minLength": ("string", len, lambda value, bound: value >= bound, "is shorter than {}"),
    "maxLength": ("string", len, lambda value, bound: value <= bound, "is longer than {}"),
    "minItems": ("array", len, lambda value, bound: value >= bound, "has fewer items than {}"),
    "maxItems": ("array", len, lambda value, bound: value <= bound, "has more items than {}"),
    "minimum": ("number", lambda x: x, lambda value, bound: value >= bound, "is less than {}"),
    "maximum": ("number", lambda x: x, lambda value, bound: value <= bound, "is more than {}"),
}
"""For each limit the type that it is about, what is measured, the test, and the problem."""

_Reader = Callable[[Any], Iterator[tuple[str, Any]]]


def _is_integer(value: Any) -> bool:
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return whole and not isinstance(value, bool)


def check_schema(schema: Json) -> None:
    """Raise `ValueError` naming place and keyword of what cannot be checked here."""
    _check(schema, "the schema", 0)


def _check(schema: Any, place: str, depth: int) -> None:
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict) or depth > DEEPEST:
        raise ValueError(f"{place} {'nests too deeply' if depth > DEEPEST else 'is no schema'}")
    for keyword, given in cast("Json", schema).items():
        if keyword in ANNOTATIONS:
            continue
        if keyword not in _SHAPES:
            raise ValueError(
                f"{place}: the keyword {keyword!r:.60} is not supported{nearest(keyword, _SHAPES)}"
            )
        if not _SHAPES[keyword](given):
            raise ValueError(f"{place}: {keyword!r} holds what it cannot mean")
        for name, inner in _PARTS.get(keyword, _no_parts)(given):
            _check(inner, f"{place}.{keyword}{name}", depth + 1)


def _no_parts(given: Any) -> Iterator[tuple[str, Any]]:
    del given
    return iter(())


def _by_name(given: Any) -> Iterator[tuple[str, Any]]:
    return ((f".{name:.60}", inner) for name, inner in given.items())


def _by_number(given: Any) -> Iterator[tuple[str, Any]]:
    return ((f"[{number}]", inner) for number, inner in enumerate(given))


_PARTS: dict[str, _Reader] = {
    "properties": _by_name,
    "anyOf": _by_number,
    "items": lambda given: iter((("", given),)),
    "additionalProperties": lambda given: iter((("", given),)),
}
"""The schemas within a keyword's value."""


def _is_types(given: Any) -> bool:
    return _is_texts(given if isinstance(given, list) else [given], _TYPES) and given != []


def _is_texts(given: Any, among: Container[str] | None = None) -> bool:
    return isinstance(given, list) and all(
        isinstance(text, str) and (among is None or text in among)
        for text in cast("list[Any]", given)
    )


def _is_filled(given: Any) -> bool:
    return isinstance(given, list) and given != []


_SHAPES: dict[str, Callable[[Any], bool]] = {
    "type": _is_types,
    "enum": _is_filled,
    "const": lambda given: True,
    "required": _is_texts,
    "properties": _TYPES["object"],
    "anyOf": _is_filled,
    "items": lambda given: isinstance(given, dict | bool),
    "additionalProperties": lambda given: isinstance(given, dict | bool),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), _is_integer),
    **dict.fromkeys(("minimum", "maximum"), _TYPES["number"]),
}
"""What each supported keyword may hold."""


class _Steps:
    """Counts down, so that a large schema against a large value comes to an end."""

    def __init__(self) -> None:
        self.left = MAX_STEPS

    def take(self, number: int = 1) -> None:
        self.left -= number
        if self.left < 0:
            raise ValueError("too large to be checked against its schema")


def problems(value: Any, schema: Json) -> list[str]:
    """In which places the value does not match, at most `MAX_PROBLEMS` of them; empty if it does.

    The schema must have passed `check_schema`.
    """
    try:
        return list(islice(_compare(value, schema, "", _Steps()), MAX_PROBLEMS))
    except ValueError as error:
        return [str(error)]


def _compare(value: Any, schema: Any, place: str, steps: _Steps) -> Iterator[str]:
    steps.take()
    where = place.lstrip(".") or "the object"
    if isinstance(schema, bool):
        yield from () if schema else (f"{where} is not allowed",)
        return
    wrong = [*_kind_problems(value, schema, steps), *_limit_problems(value, schema)]
    if "anyOf" in schema and not _fits_one(value, schema["anyOf"], place, steps):
        wrong.append(f"fits none of its {len(schema['anyOf'])} forms")
    yield from (f"{where} {problem}" for problem in wrong)
    if isinstance(value, dict):
        yield from _compare_members(cast("Json", value), schema, place, steps)
    if isinstance(value, list) and "items" in schema:
        for number, item in enumerate(cast("list[Any]", value)):
            yield from _compare(item, schema["items"], f"{place}[{number}]", steps)


def _kind_problems(value: Any, schema: Json, steps: _Steps) -> Iterator[str]:
    """Why the value itself is not one of those that `type`, `enum` and `const` name."""
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(_TYPES[kind](value) for kind in kinds):
        yield f"is not of type {' or '.join(kinds)}"
        return
    for allowed in (schema.get("enum"), [schema["const"]] if "const" in schema else None):
        steps.take(len(allowed or ()))
        if allowed and _canonical(value) not in {_canonical(each) for each in allowed}:
            yield f"is not one of {', '.join(_canonical(each)[:60] for each in allowed[:20])}"


def _limit_problems(value: Any, schema: Json) -> Iterator[str]:
    for keyword, (kind, measure, holds, text) in _LIMITS.items():
        if keyword in schema and _TYPES[kind](value) and not holds(measure(value), schema[keyword]):
            yield text.format(schema[keyword])


def _canonical(value: Any) -> str:
    """The same text for equal JSON values; unlike in Python, `1` is not `true`."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _fits_one(value: Any, forms: list[Any], place: str, steps: _Steps) -> bool:
    return any(next(_compare(value, form, place, steps), None) is None for form in forms)


def _compare_members(value: Json, schema: Json, place: str, steps: _Steps) -> Iterator[str]:
    steps.take(len(schema.get("required", ())))
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{f'{place}.{name}'.lstrip('.')} is missing"
    known: Json = schema.get("properties", {})
    for name, member in value.items():
        inner = known.get(name, schema.get("additionalProperties", True))
        yield from _compare(member, inner, f"{place}.{name:.60}", steps)


def outline(schema: Json) -> str:
    """The schema in short: a sketch of a valid value, `?` behind the names of optional members."""
    return _sketch(schema, "")


def _sketch(schema: Any, indent: str) -> str:
    fields = cast("Json", schema if isinstance(schema, dict) else {})
    if "anyOf" in fields:
        return " or ".join(_sketch(form, indent) for form in fields["anyOf"])
    if "properties" in fields:
        return _sketch_members(fields, indent)
    if "items" in fields:
        return f"[{_sketch(fields['items'], indent)}, …]"
    if "enum" in fields or "const" in fields:
        return " | ".join(map(_canonical, fields.get("enum", (fields.get("const"),))))
    kinds = fields.get("type", "anything")
    return kinds if isinstance(kinds, str) else " | ".join(kinds)


def _sketch_members(schema: Json, indent: str) -> str:
    deeper = f"{indent}  "
    required = schema.get("required", ())
    lines = [
        f"{deeper}{_canonical(name)}{'' if name in required else '?'}: {_sketch(inner, deeper)}"
        for name, inner in schema["properties"].items()
    ]
    return "\n".join(("{", *(f"{line}," for line in lines[:-1]), *lines[-1:], f"{indent}}}"))
