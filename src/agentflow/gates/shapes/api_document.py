"""Declared shapes as an OpenAPI document (3.1, whose schemas are JSON Schema 2020-12)."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from agentflow.frozen import record
from agentflow.gates.shapes.resolving import Resolver
from agentflow.gates.shapes.shape import Shape
from agentflow.records import Json

VERSION = "3.1.0"
COMPONENTS = "#/components/schemas/"

_PARAMETER = re.compile(r":([A-Za-z_]\w*)|<(?:\w+:)?(\w+)>")
_KEPT = ("type", "enum", "required")
_UNSAID = {"2XX": {"description": "not declared in a form that was read"}}


@record
class Operation:
    """One endpoint, and the shapes that were found for its bodies."""

    method: str
    path: str
    request: Shape | None = None
    response: Shape | None = None
    declared: str = ""
    """Where a document declares the endpoint itself, as `file:line`; empty if none does."""


def api_document(
    title: str, version: str, operations: Sequence[Operation], declared: Sequence[Shape]
) -> Json:
    """The document of these operations. Its components are the shapes that they refer to, by name;
    of several of one name that of the operation's own file, else the first."""
    names = _Names(declared)
    paths: Json = {}
    for each in operations:
        path = _PARAMETER.sub(lambda found: f"{{{found[1] or found[2]}}}", each.path)
        paths.setdefault(path, {})[each.method.lower()] = _operation(each, names)
    return {
        "openapi": VERSION,
        "info": {"title": title, "version": version},
        "paths": paths,
        "components": {"schemas": names.components},
    }


def _operation(each: Operation, names: "_Names") -> Json:
    found: Json = {}
    if each.request:
        found["requestBody"] = {"required": True, **_content(each.request, names)}
    described = {"description": "success"}
    found["responses"] = (
        {"2XX": {**described, **_content(each.response, names)}} if each.response else _UNSAID
    )
    return found


def _content(shape: Shape, names: "_Names") -> Json:
    return {"content": {"application/json": {"schema": names.schema_of(shape)}}}


class _Names:
    """The components of a document, found while its schemas are written."""

    def __init__(self, declared: Sequence[Shape]) -> None:
        self._declared = declared
        self.components: Json = {}

    def schema_of(self, shape: Shape) -> Json:
        """The shape's schema: by its name if it has one."""
        nearest = sorted(self._declared, key=lambda each: each.path != shape.path)
        known: dict[str, Json] = {}
        for each in nearest:
            known.setdefault(each.name, each.schema)
        return self._named(shape.name, known) if shape.name else self._plain(shape.schema, known)

    def _named(self, name: str, known: Mapping[str, Json]) -> Json:
        if name not in known:
            return {}
        if name not in self.components:
            self.components[name] = {}
            self.components[name] = self._plain(known[name], known)
        return {"$ref": f"{COMPONENTS}{name}"}

    def _plain(self, schema: Json, known: Mapping[str, Json]) -> Json:
        """The schema without the marks that only our readers and comparisons know."""
        if schema.get("$comment") == "partial":
            return self._partial(schema, known)
        if "$ref" in schema:
            return self._named(schema["$ref"], known)
        inner: Callable[[Any], Json] = lambda each: self._plain(cast("Json", each), known)  # noqa: E731
        found: Json = {key: schema[key] for key in _KEPT if key in schema}
        if "properties" in schema:
            found["properties"] = {k: inner(v) for k, v in schema["properties"].items()}
        if "items" in schema:
            found["items"] = inner(schema["items"])
        for key in ("allOf", "anyOf"):
            if key in schema:
                found[key] = [inner(each) for each in schema[key]]
        return found

    def _partial(self, schema: Json, known: Mapping[str, Json]) -> Json:
        """Everything that it holds, and none of it required."""
        resolver = Resolver(Shape(name, each, 1) for name, each in known.items())
        fields = resolver.view(schema).properties.items()
        return {
            "type": "object",
            "properties": {key: self._plain(each, known) for key, each in fields},
        }


def named_twice(operations: Sequence[Operation], declared: Sequence[Shape]) -> Iterator[str]:
    """The names of the operations' shapes that several files declare in different ways."""
    wanted = {s.name for each in operations for s in (each.request, each.response) if s and s.name}
    for name in sorted(wanted):
        places = {str(shape.schema): shape for shape in declared if shape.name == name}
        if len(places) > 1:
            listed = ", ".join(f"{shape.path}:{shape.line}" for shape in places.values())
            yield f"{name} is declared in several ways: {listed}"
