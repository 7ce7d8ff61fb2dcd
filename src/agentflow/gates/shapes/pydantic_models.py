"""Shapes that Pydantic models declare, read from the syntax tree; nothing is imported or run.

Sources: Pydantic 2, "Fields" (`Field`, aliases), "Unions", and its table of conversions.
"""

import ast
import re
from collections.abc import Iterable

from agentflow.gates.shapes.lexer import MAX_SOURCE
from agentflow.gates.shapes.shape import (
    ANY,
    BOOLEAN,
    DEEPEST,
    MAX_SHAPES,
    NULL,
    NUMBER,
    OBJECT,
    STRING,
    Shape,
    any_of,
    array_of,
    filled,
    object_of,
)
from agentflow.records import Json

_NAMED: dict[str, Json] = {
    **dict.fromkeys(
        ("str", "datetime", "date", "time", "UUID", "UUID4", "EmailStr", "HttpUrl", "AnyUrl",
         "bytes", "Path"),
        STRING,
    ),
    **dict.fromkeys(("int", "float", "PositiveInt", "NonNegativeInt", "PositiveFloat"), NUMBER),
    **dict.fromkeys(("bool", "StrictBool"), BOOLEAN),
    **dict.fromkeys(("dict", "Dict", "Mapping"), OBJECT),
    **dict.fromkeys(("list", "List", "Sequence", "set", "tuple"), array_of(ANY)),
    **dict.fromkeys(("Any", "object", "Decimal"), ANY),
    "None": NULL,
}  # fmt: skip
_LISTS = frozenset({"list", "List", "Sequence", "set", "Set", "frozenset"})
_ENUMS = frozenset({"Enum", "StrEnum"})
_NO_DATA = frozenset({"BaseSettings"})


def pydantic_shapes(text: str) -> list[Shape]:
    """The models and enums of a source text, at most `MAX_SHAPES`; none if it is no Python."""
    if len(text) > MAX_SOURCE or "class" not in text:
        return []
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    models, found = {"BaseModel"}, list[Shape]()
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and len(found) < MAX_SHAPES:
            bases = [_name(base) for base in node.bases]
            if _ENUMS & set(bases):
                found.append(Shape(node.name, _enum(node), node.lineno, kind="enum"))
            elif _is_model(bases, models):
                models.add(node.name)
                found.append(Shape(node.name, _model(node, bases), node.lineno, kind="Pydantic"))
    return found


def _is_model(bases: Iterable[str], models: set[str]) -> bool:
    """Whether one of the bases is a model; of an imported one the name tells."""
    return any(
        base in models or re.search(r"(?:Base|Schema|Model|Request|Response)\Z", base)
        for base in bases
        if base not in _NO_DATA
    )


def _name(node: ast.expr) -> str:
    """The last part of a name; empty for anything else."""
    if isinstance(node, ast.Subscript):
        node = node.value
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Constant) and node.value is None:
        return "None"
    return node.id if isinstance(node, ast.Name) else ""


def _enum(node: ast.ClassDef) -> Json:
    values = [
        each.value.value
        for each in node.body
        if isinstance(each, ast.Assign)
        and isinstance(each.value, ast.Constant)
        and isinstance(each.value.value, str)
    ]
    return {"type": "string", "enum": values} if values else ANY


def _model(node: ast.ClassDef, bases: list[str]) -> Json:
    camel = _is_camel(node)
    properties: Json = {}
    required = list[str]()
    for each in node.body:
        if not isinstance(each, ast.AnnAssign) or not isinstance(each.target, ast.Name):
            continue
        given = _name(each.annotation)
        if each.target.id.startswith("_") or given == "ClassVar":
            continue
        name = _alias(each) or (_to_camel(each.target.id) if camel else each.target.id)
        schema, is_required = _schema(each.annotation, 0), _is_required(each.value)
        properties[name] = schema if is_required else filled(schema)
        required += [name] if is_required else []
    found = object_of(properties, required)
    inherited: list[Json] = [
        {"$ref": base} for base in bases if base not in {"BaseModel", "Generic"}
    ]
    return {**found, "allOf": inherited} if inherited else found


def _is_camel(node: ast.ClassDef) -> bool:
    return any(
        isinstance(part, ast.keyword)
        and part.arg == "alias_generator"
        and _name(part.value) == "to_camel"
        for each in node.body
        if isinstance(each, ast.Assign)
        for part in ast.walk(each.value)
    )


def _to_camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


def _keywords(value: ast.expr | None) -> dict[str | None, ast.expr]:
    calls = value.keywords if isinstance(value, ast.Call) and _name(value.func) == "Field" else []
    return {each.arg: each.value for each in calls}


def _alias(each: ast.AnnAssign) -> str:
    keywords = _keywords(each.value)
    alias = keywords.get("serialization_alias") or keywords.get("alias")
    if isinstance(alias, ast.Constant) and isinstance(alias.value, str):
        return alias.value
    return ""


def _is_required(value: ast.expr | None) -> bool:
    """Whether a field has no default: none at all, an ellipsis, or a `Field` without one."""
    if value is None or _is_ellipsis(value):
        return True
    if not (isinstance(value, ast.Call) and _name(value.func) == "Field"):
        return False
    if value.args:
        return _is_ellipsis(value.args[0])
    return not {"default", "default_factory"} & _keywords(value).keys()


def _is_ellipsis(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is ...


def _schema(node: ast.expr, depth: int) -> Json:
    if depth > DEEPEST:
        return ANY
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return any_of((_schema(node.left, depth + 1), _schema(node.right, depth + 1)))
    if isinstance(node, ast.Subscript):
        return _generic(node, depth + 1)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return {"$ref": node.value} if node.value.isidentifier() else ANY
    name = _name(node)
    return _NAMED.get(name, {"$ref": name})


def _generic(node: ast.Subscript, depth: int) -> Json:
    name = _name(node.value)
    inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if name in {"Optional", "Union"}:
        forms = [_schema(each, depth) for each in inner]
        return any_of((*forms, NULL) if name == "Optional" else forms)
    if name == "Annotated":
        return _schema(inner[0], depth)
    if name in _LISTS:
        return array_of(_schema(inner[0], depth))
    if name == "Literal":
        values = [each.value for each in inner if isinstance(each, ast.Constant)]
        texts = [value for value in values if isinstance(value, str)]
        return {"type": "string", "enum": texts} if texts and texts == values else ANY
    return _NAMED.get(name, ANY)
