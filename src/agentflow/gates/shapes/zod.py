"""Shapes that zod schemas declare: `const mail = z.object({ to: z.string().optional() })`.

Source of the methods' meaning: zod's documentation, versions 3 and 4.
"""

import re
from bisect import bisect_right
from collections.abc import Callable

from agentflow.gates.shapes.lexer import Cursor, Unreadable, tokens_of
from agentflow.gates.shapes.shape import (
    ANY,
    BOOLEAN,
    DEEPEST,
    MAX_SHAPES,
    NULL,
    NUMBER,
    STRING,
    Shape,
    any_of,
    array_of,
    filled,
    object_of,
)
from agentflow.records import Json

_MADE: dict[str, Json] = {
    **dict.fromkeys(
        ("string", "email", "uuid", "url", "date", "datetime", "cuid", "ulid", "nanoid", "iso"),
        STRING,
    ),
    **dict.fromkeys(("number", "int", "float", "int32", "bigint"), NUMBER),
    "boolean": BOOLEAN,
    "null": NULL,
    "record": {"type": "object"},
}
_UNKNOWN = frozenset({"transform", "pipe", "keyof", "pick", "omit"})
"""Methods after which nothing is known of the value."""


def zod_shapes(text: str) -> list[Shape]:
    """The objects that a source text gives names to, at most `MAX_SHAPES`."""
    if "zod" not in text and "z." not in text:
        return []
    starts = [match.end() for match in re.finditer(r"\n", text)]
    cursor, found = Cursor(tokens_of(text)), list[Shape]()
    while not cursor.ended and len(found) < MAX_SHAPES:
        token = cursor.take()
        if token.text not in {"const", "let", "var"} or cursor.token.kind != "name":
            continue
        name = cursor.take().text
        if not cursor.skip("=") or cursor.after.text != ".":
            continue
        before = cursor.at
        try:
            schema, _ = _expression(cursor, 0)
        except Unreadable:
            cursor.at = max(before, cursor.at)
            continue
        if schema != ANY and schema != {"$ref": ""}:
            line = bisect_right(starts, token.start) + 1
            found.append(Shape(name, schema, line, kind="zod"))
    return found


def _expression(cursor: Cursor, depth: int) -> tuple[Json, bool]:
    """A schema, and whether its value may be left out."""
    if depth > DEEPEST or cursor.token.kind != "name":
        raise Unreadable(cursor.text)
    name, optional = cursor.take().text, False
    if name == "z" and cursor.skip("."):
        if cursor.skip("coerce"):
            cursor.expect(".")
        optional = cursor.text == "optional"
        schema = _made(cursor, depth)
    else:
        schema = {"$ref": name}
        if cursor.text == "(":
            cursor.skip_group()
            schema = ANY
    schema, left_out = _chained(cursor, schema, depth)
    return schema, optional or left_out


def _made(cursor: Cursor, depth: int) -> Json:
    """What `z.name(…)` makes."""
    name = cursor.take().text
    if cursor.text != "(":
        return _MADE.get(name, ANY)
    end = cursor.closing()
    cursor.take()
    try:
        return _made_of(cursor, name, end, depth + 1)
    finally:
        cursor.at = end + 1


def _made_of(cursor: Cursor, name: str, end: int, depth: int) -> Json:
    if name in {"enum", "literal"}:
        values = _texts(cursor, end)
        return {"type": "string", "enum": values} if values else ANY
    if name in _INNER:
        return _INNER[name](cursor, depth)
    return _MADE.get(name, ANY)


def _texts(cursor: Cursor, end: int) -> list[str]:
    values = list[str]()
    while cursor.at < end:
        token = cursor.take()
        values += [token.value] if token.kind == "text" else []
    return values


def _union(cursor: Cursor, depth: int) -> Json:
    cursor.expect("[")
    forms = list[Json]()
    while not cursor.skip("]"):
        forms.append(_expression(cursor, depth)[0])
        cursor.skip(",")
    return any_of(forms)


def _members(cursor: Cursor, depth: int) -> Json:
    if cursor.text != "{":
        return ANY
    end = cursor.closing()
    cursor.take()
    properties: Json = {}
    required, bases = list[str](), list[Json]()
    while cursor.at < end:
        if cursor.skip(","):
            continue
        if cursor.skip("..."):
            bases.append({"$ref": ""})
            _to_comma(cursor, end)
            continue
        name = cursor.take()
        schema, optional = _member_value(cursor, end, depth)
        properties[name.value] = schema
        required += [] if optional else [name.value]
    cursor.at = end + 1
    found = object_of(properties, required)
    return {**found, "allOf": bases} if bases else found


def _member_value(cursor: Cursor, end: int, depth: int) -> tuple[Json, bool]:
    if not cursor.skip(":"):
        return ANY, False
    try:
        found = _expression(cursor, depth)
    except Unreadable:
        found = ANY, False
    _to_comma(cursor, end)
    return found


def _to_comma(cursor: Cursor, end: int) -> None:
    while cursor.at < end and cursor.text != ",":
        if cursor.text in {"(", "[", "{"}:
            cursor.skip_group()
        else:
            cursor.take()


def _chained(cursor: Cursor, schema: Json, depth: int) -> tuple[Json, bool]:
    optional = False
    while cursor.skip("."):
        name = cursor.take().text
        start = cursor.at + 1
        if cursor.text == "(":
            cursor.skip_group()
        end, cursor.at = cursor.at, start
        if name in {"optional", "nullish", "default"}:
            optional = True
        if name in {"nullable", "nullish"}:
            schema = any_of((schema, NULL))
        schema = filled(schema) if name == "default" else _after(cursor, name, schema, depth)
        cursor.at = end
    return schema, optional


def _after(cursor: Cursor, name: str, schema: Json, depth: int) -> Json:
    """The schema after a method whose argument the cursor stands at."""
    if name == "array":
        return array_of(schema)
    if name == "partial":
        return {"allOf": [{**schema, "$comment": "partial"}]}
    if name in {"extend", "safeExtend"}:
        return {"allOf": [schema, _members(cursor, depth + 1)]}
    if name in {"merge", "and"}:
        return {"allOf": [schema, _expression(cursor, depth + 1)[0]]}
    return {"$ref": ""} if name in _UNKNOWN else schema


def _array(cursor: Cursor, depth: int) -> Json:
    return array_of(_expression(cursor, depth)[0])


def _nullable(cursor: Cursor, depth: int) -> Json:
    return any_of((_expression(cursor, depth)[0], NULL))


def _plain(cursor: Cursor, depth: int) -> Json:
    return _expression(cursor, depth)[0]


def _enum_of_code(cursor: Cursor, depth: int) -> Json:
    del depth
    return {"$ref": cursor.text}


_INNER: dict[str, Callable[[Cursor, int], Json]] = {
    **dict.fromkeys(("object", "strictObject", "looseObject"), _members),
    "optional": _plain,
    "nullable": _nullable,
    "array": _array,
    "union": _union,
    "nativeEnum": _enum_of_code,
}
"""Readers of the arguments of what holds other schemas."""
