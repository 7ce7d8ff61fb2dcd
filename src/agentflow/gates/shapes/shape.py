"""A shape: a named JSON Schema with its place, and the few schemas that all readers build.

The keywords are those of JSON Schema 2020-12. `$ref` holds the plain name of another shape, and
`$comment` within `allOf` says `partial` where every inherited field becomes optional. `default`
marks what a reader may leave out and a writer always fills.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

from agentflow.frozen import record
from agentflow.records import Json

Direction = Literal["request", "response", ""]
"""Which way a shape travels; empty if nothing says it."""

DEEPEST = 40
"""Levels of a type, a call chain or a schema that are followed."""
MAX_SHAPES = 500
"""Of one file."""
STRING: Json = {"type": "string"}
NUMBER: Json = {"type": "number"}
BOOLEAN: Json = {"type": "boolean"}
NULL: Json = {"type": "null"}
OBJECT: Json = {"type": "object"}
ANY: Json = {}


@record
class Shape:
    """One object that is expected or declared."""

    name: str
    """Empty for an expected shape that nothing names."""
    schema: Json
    line: int
    """From 1."""
    path: str = ""
    """The file that declares it."""
    kind: str = ""
    """How it is declared: `OpenAPI`, `class`, `zod`, `Pydantic`, `interface`, `enum`."""
    endpoint: str = ""
    """`METHOD /path`, or empty."""
    direction: Direction = ""


def array_of(items: Json) -> Json:
    """The schema of a list."""
    return {"type": "array", "items": items}


def object_of(properties: Json, required: Sequence[str] | None) -> Json:
    """The schema of an object; `required` is None where nothing says what may be left out."""
    schema: Json = {"type": "object", "properties": properties}
    return schema if required is None else {**schema, "required": list(required)}


def filled(schema: Json) -> Json:
    """The schema of a field that has a default."""
    return {**schema, "default": True}


def any_of(forms: Iterable[Json]) -> Json:
    """The schema of one of several forms; what may be anything wins."""
    listed = list(forms)
    if len(listed) == 1:
        return listed[0]
    if not listed or ANY in listed:
        return ANY
    if all(form.get("enum") for form in listed):
        return {"type": "string", "enum": [value for form in listed for value in form["enum"]]}
    return {"anyOf": listed}
