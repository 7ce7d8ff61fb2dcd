"""Types as TypeScript writes them, turned into JSON Schema; examples in JSON as well."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from agentflow.gates.shapes.lexer import Cursor, Unreadable, tokens_of
from agentflow.gates.shapes.shape import (
    ANY,
    BOOLEAN,
    DEEPEST,
    NULL,
    NUMBER,
    OBJECT,
    STRING,
    any_of,
    array_of,
    object_of,
)
from agentflow.records import Json

NAMED: Mapping[str, Json] = {
    **dict.fromkeys(
        ("string", "String", "Date", "uuid", "UUID", "datetime", "date", "str"), STRING
    ),
    **dict.fromkeys(("number", "Number", "integer", "int", "float", "bigint"), NUMBER),
    **dict.fromkeys(("boolean", "Boolean", "bool", "true", "false"), BOOLEAN),
    **dict.fromkeys(("null", "undefined", "None", "void"), NULL),
    **dict.fromkeys(("any", "unknown", "never", "keyof", "typeof"), ANY),
    **dict.fromkeys(("object", "Record", "Map", "Object"), OBJECT),
}
"""The schemas of types by their names; a `Date` travels as text."""
_LISTS = frozenset({"Array", "ReadonlyArray", "Set"})
_BARE = frozenset({"string", "number", "boolean", "integer"})


def read_type(cursor: Cursor, depth: int = 0) -> Json:
    """Read a type and go past it. Raises `Unreadable` for what is none, or nests too deeply."""
    if depth > DEEPEST:
        raise Unreadable("too deep")
    cursor.skip("|")
    forms = [_joined(cursor, depth)]
    while cursor.skip("|"):
        forms.append(_joined(cursor, depth))
    return any_of(forms)


def _joined(cursor: Cursor, depth: int) -> Json:
    parts = [_listed(cursor, depth)]
    while cursor.skip("&"):
        parts.append(_listed(cursor, depth))
    return parts[0] if len(parts) == 1 else {"allOf": parts}


def _listed(cursor: Cursor, depth: int) -> Json:
    schema = _single(cursor, depth)
    while cursor.text == "[" and not cursor.token.new_line:
        schema = array_of(schema) if not cursor.skip_group() else ANY
    return schema


def _single(cursor: Cursor, depth: int) -> Json:
    token = cursor.token
    if token.kind == "text":
        cursor.take()
        return {"type": "string", "enum": [token.value]}
    if token.kind == "number":
        cursor.take()
        return NUMBER
    reader = _named if token.kind == "name" else _BRACKETS.get(token.text)
    if reader is None:
        raise Unreadable(token.text)
    return reader(cursor, depth + 1)


def _tuple(cursor: Cursor, depth: int) -> Json:
    cursor.expect("[")
    forms = list[Json]()
    while not cursor.skip("]"):
        if not cursor.skip(",", "...", "\u2026"):
            forms.append(read_type(cursor, depth + 1))
    return array_of(forms[0] if forms else ANY)


def _grouped(cursor: Cursor, depth: int) -> Json:
    start = cursor.at
    cursor.skip_group()
    if cursor.skip("=>"):
        read_type(cursor, depth + 1)
        return ANY
    end, cursor.at = cursor.at, start + 1
    schema = read_type(cursor, depth + 1)
    cursor.at = end
    return schema


def _named(cursor: Cursor, depth: int) -> Json:
    name = cursor.take().text
    if name == "readonly":
        return read_type(cursor, depth + 1)
    while cursor.skip("."):
        name = cursor.take().text
    inner = _arguments(cursor, depth)
    if name in _LISTS:
        return array_of(inner[0] if inner else ANY)
    if not inner or name in NAMED:
        return NAMED.get(name, {"$ref": name})
    return _AROUND.get(name, _unknown)(inner[0])


def _arguments(cursor: Cursor, depth: int) -> list[Json]:
    inner = list[Json]()
    if cursor.skip("<"):
        while not cursor.skip(">"):
            inner.append(read_type(cursor, depth + 1))
            cursor.skip(",")
    return inner


def _unknown(inner: Json) -> Json:
    del inner
    return ANY


def _same(inner: Json) -> Json:
    return inner


def _partial(inner: Json) -> Json:
    return {"allOf": [{**inner, "$comment": "partial"}]}


_AROUND: dict[str, Callable[[Json], Json]] = {
    "Partial": _partial,
    **dict.fromkeys(("Promise", "Readonly", "Required", "Observable"), _same),
}
"""What generic types make of their first argument."""


def read_members(cursor: Cursor, depth: int = 0) -> Json:
    """Read `{ name?: type; … }` and go past it. Raises `Unreadable` for anything else.

    A name without a type is a field of any type; `…` makes no difference.
    """
    cursor.expect("{")
    properties: Json = {}
    required = list[str]()
    while not cursor.skip("}"):
        if cursor.skip(",", ";", "...", "\u2026"):
            continue
        name, optional, schema = _member(cursor, depth)
        if name:
            properties[name] = schema
            required += [] if optional or name in required else [name]
    return object_of(properties, required)


def _member(cursor: Cursor, depth: int) -> tuple[str, bool, Json]:
    if cursor.text == "readonly" and cursor.after.kind in {"name", "text"}:
        cursor.take()
    if cursor.text == "[":
        cursor.skip_group()
        cursor.expect(":")
        read_type(cursor, depth + 1)
        return "", True, ANY
    token = cursor.take()
    if token.kind not in {"name", "text"} or not token.value:
        raise Unreadable(token.text)
    optional = cursor.skip("?") or token.value.endswith("?")
    name = token.value.removesuffix("?")
    if cursor.text == "(":
        cursor.skip_group()
        name = ""
    if cursor.skip(":"):
        schema = read_type(cursor, depth + 1)
        return name, optional or cursor.skip("?"), schema
    if cursor.text not in {",", ";", "}"} and not cursor.token.new_line:
        raise Unreadable(cursor.text)
    return name, optional, ANY


def schema_of_example(value: Any, depth: int = 0) -> Json:
    """The schema of a JSON value that stands for many; words such as `number` name a type.

    Raises `Unreadable` if it nests too deeply.
    """
    if depth > DEEPEST:
        raise Unreadable("too deep")
    if isinstance(value, dict):
        members = cast("Json", value).items()
        return object_of({key: schema_of_example(each, depth + 1) for key, each in members}, None)
    if isinstance(value, list):
        first = cast("list[Any]", value)[:1]
        return array_of(schema_of_example(first[0], depth + 1) if first else ANY)
    if isinstance(value, str):
        return _said(value)
    if isinstance(value, bool):
        return BOOLEAN
    return NUMBER if isinstance(value, int | float) else ANY


def _said(text: str) -> Json:
    if len(text) > 80 or not any(word in text for word in _BARE):
        return STRING
    cursor = Cursor(tokens_of(text))
    try:
        schema = read_type(cursor)
    except Unreadable:
        return STRING
    known = all(token.text in {*NAMED, "|", "[", "]", ""} for token in tokens_of(text))
    return schema if cursor.ended and known else STRING


_BRACKETS: dict[str, Callable[[Cursor, int], Json]] = {
    "{": read_members,
    "[": _tuple,
    "(": _grouped,
}
