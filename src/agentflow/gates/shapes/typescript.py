"""Shapes that TypeScript declares: DTO classes with class-validator, interfaces, types, enums.

Sources of the decorators' meaning: class-validator (`IsOptional`, `IsString`, `each`) and
`@nestjs/swagger` (`ApiProperty`, `ApiPropertyOptional`, `PartialType`).
"""

import re
from bisect import bisect_right
from collections.abc import Iterator

from agentflow.gates.shapes.lexer import Cursor, Token, Unreadable, tokens_of
from agentflow.gates.shapes.shape import (
    ANY,
    BOOLEAN,
    MAX_SHAPES,
    NUMBER,
    STRING,
    Shape,
    array_of,
    filled,
    object_of,
)
from agentflow.gates.shapes.type_syntax import read_members, read_type
from agentflow.records import Json

_VALIDATED: dict[str, Json] = {
    **dict.fromkeys(
        ("IsString", "IsEmail", "IsUUID", "IsUrl", "IsDateString", "IsISO8601", "IsNumberString"),
        STRING,
    ),
    **dict.fromkeys(("IsNumber", "IsInt"), NUMBER),
    "IsBoolean": BOOLEAN,
}
"""What a value must be at run time, by the decorator."""
_OPTIONAL = frozenset({"IsOptional", "ApiPropertyOptional"})
_MODIFIERS = frozenset({"public", "readonly", "declare", "override", "abstract"})
_HIDDEN = frozenset({"private", "protected", "static", "get", "set", "async"})
_NAMED_LIKE_DATA = re.compile(
    r"(?:Dto|DTO|Request|Response|Input|Output|Payload|Body|Query|Params|Result|Model|Schema)\Z"
)
_DATA_SIGNS = re.compile(
    r"\A(?:Is[A-Z]|Api(?:Property|HideProperty)|Validate|Min|Max|Length|Type\Z)"
)


def typescript_shapes(text: str) -> list[Shape]:
    """The shapes of a source text, at most `MAX_SHAPES`; what cannot be read is passed over."""
    starts = [match.end() for match in re.finditer(r"\n", text)]
    cursor, found = Cursor(tokens_of(text)), list[Shape]()
    while not cursor.ended and len(found) < MAX_SHAPES:
        token = cursor.take()
        reader = _READERS.get(token.text) if token.kind == "name" else None
        if reader is None or cursor.token.kind != "name":
            continue
        name, before = cursor.take().text, cursor.at
        try:
            kind, schema = reader(cursor, name)
        except Unreadable:
            cursor.at = max(before, cursor.at)
            continue
        if kind:
            found.append(Shape(name, schema, bisect_right(starts, token.start) + 1, kind=kind))
    return found


def _interface(cursor: Cursor, name: str) -> tuple[str, Json]:
    del name
    _skip_generics(cursor)
    bases = list[Json]()
    if cursor.skip("extends"):
        while cursor.text != "{":
            bases.append(read_type(cursor))
            cursor.skip(",")
    return "interface", _with_bases(_body_of_interface(cursor), bases)


def _body_of_interface(cursor: Cursor) -> Json:
    end = cursor.closing()
    try:
        return read_members(cursor)
    finally:
        cursor.at = end + 1


def _alias(cursor: Cursor, name: str) -> tuple[str, Json]:
    del name
    _skip_generics(cursor)
    cursor.expect("=")
    schema = read_type(cursor)
    return ("interface" if "properties" in schema or "allOf" in schema else "enum"), schema


def _enum(cursor: Cursor, name: str) -> tuple[str, Json]:
    del name
    values = list[str]()
    tokens = iter(_group(cursor, "{"))
    for token in tokens:
        if token.text == "=" and (value := next(tokens, None)) and value.kind == "text":
            values.append(value.value)
    return "enum", {"type": "string", "enum": values} if values else NUMBER


def _group(cursor: Cursor, bracket: str) -> list[Token]:
    if cursor.text != bracket:
        raise Unreadable(cursor.text)
    return cursor.skip_group()


def _skip_generics(cursor: Cursor) -> None:
    if not cursor.skip("<"):
        return
    while not cursor.skip(">"):
        if not cursor.skip(",", "extends", "="):
            read_type(cursor)


def _class(cursor: Cursor, name: str) -> tuple[str, Json]:
    _skip_generics(cursor)
    bases = list[Json]()
    if cursor.skip("extends"):
        bases.append(_base(cursor))
    while cursor.text != "{":
        if cursor.ended:
            raise Unreadable("class")
        cursor.take()
    end = cursor.closing()
    cursor.take()
    properties: Json = {}
    required, signs = list[str](), set[str]()
    try:
        for field in _fields(cursor, end):
            signs |= field.signs
            if field.name:
                properties[field.name] = field.schema
                required += [] if field.optional else [field.name]
    finally:
        cursor.at = end + 1
    is_data = _NAMED_LIKE_DATA.search(name) or any(map(_DATA_SIGNS.search, signs))
    schema = _with_bases(object_of(properties, required), bases)
    return ("class" if is_data and (properties or bases) else ""), schema


def _base(cursor: Cursor) -> Json:
    """What is inherited; of other calls than `PartialType` nothing is known."""
    base = cursor.take().text
    if cursor.text != "(":
        return {"$ref": base}
    inner = cursor.skip_group()
    if base == "PartialType" and len(inner) == 1:
        return {"$ref": inner[0].text, "$comment": "partial"}
    return {"$ref": ""}


def _with_bases(schema: Json, bases: list[Json]) -> Json:
    return {**schema, "allOf": bases} if bases else schema


class _Field:
    """One member of a class; without a name it is none that travels."""

    def __init__(self) -> None:
        self.name = ""
        self.schema = ANY
        self.optional = False
        self.signs = set[str]()
        self.arguments: dict[str, list[Token]] = {}


def _fields(cursor: Cursor, end: int) -> Iterator[_Field]:
    while cursor.at < end:
        if cursor.skip(";", ","):
            continue
        yield _field(cursor, end)


def _field(cursor: Cursor, end: int) -> _Field:
    field = _Field()
    while cursor.skip("@"):
        _decorator(cursor, field)
    hidden = _skip_modifiers(cursor)
    name = cursor.take()
    if name.kind not in {"name", "text"}:
        _skip_rest(cursor, end)
        return field
    field.optional = cursor.skip("?") or bool(_OPTIONAL & field.signs)
    cursor.skip("!")
    if cursor.text in {"(", "<"}:
        _skip_method(cursor, end)
        return field
    if cursor.skip(":"):
        field.schema = read_type(cursor)
    field.name = "" if hidden or "ApiHideProperty" in field.signs else name.value
    _apply(field)
    if cursor.text == "=":
        field.optional, field.schema = True, filled(field.schema)
        _skip_rest(cursor, end)
    return field


def _decorator(cursor: Cursor, field: _Field) -> None:
    name = cursor.take().text
    while cursor.skip("."):
        name = cursor.take().text
    field.signs.add(name)
    if cursor.text == "(":
        field.arguments[name] = cursor.skip_group()


def _skip_modifiers(cursor: Cursor) -> bool:
    """Go past them; whether one of them says that the member does not travel."""
    hidden = False
    while cursor.text in _MODIFIERS | _HIDDEN and cursor.after.kind in {"name", "text"}:
        hidden = cursor.take().text in _HIDDEN or hidden
    return hidden


def _skip_method(cursor: Cursor, end: int) -> None:
    while cursor.at < end and cursor.text != "(":
        cursor.take()
    cursor.skip_group()
    while cursor.at < end and not cursor.skip(";"):
        if cursor.text == "{":
            cursor.skip_group()
            return
        cursor.take()


def _skip_rest(cursor: Cursor, end: int) -> None:
    """Go past a first value: to its semicolon, or to a line that begins another member."""
    while cursor.at < end and not cursor.skip(";"):
        if cursor.text in {"(", "[", "{"}:
            cursor.skip_group()
        else:
            cursor.take()
        if cursor.token.new_line and (cursor.token.kind == "name" or cursor.text == "@"):
            return


def _apply(field: _Field) -> None:
    """What the decorators say of the field."""
    for sign, arguments in field.arguments.items():
        words = [token.text for token in arguments]
        values = [token.value for token in arguments if token.kind == "text"]
        each = "each" in words and "true" in words
        if sign in _VALIDATED:
            field.schema = array_of(_VALIDATED[sign]) if each else _VALIDATED[sign]
        elif sign == "IsIn" and values and words[0] == "[":
            among: Json = {"type": "string", "enum": values}
            field.schema = array_of(among) if each else among
        elif (
            sign == "IsArray" and field.schema.get("type") != "array" and "$ref" not in field.schema
        ):
            field.schema = array_of(ANY)
        elif sign == "ApiProperty" and _says_optional(words):
            field.optional = True


def _says_optional(words: list[str]) -> bool:
    position = words.index("required") if "required" in words else len(words)
    return words[position + 1 : position + 3] == [":", "false"]


_READERS = {"class": _class, "interface": _interface, "type": _alias, "enum": _enum}
