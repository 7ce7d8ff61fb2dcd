"""Schemas without references: what is known of the value at one place."""

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from typing import cast

from agentflow.frozen import record
from agentflow.gates.shapes.shape import DEEPEST, Shape
from agentflow.records import Json


@record
class View:
    """What a schema says of a value, inherited fields included."""

    kinds: frozenset[str] | None = None
    """Names of JSON's types; None if it may be anything."""
    properties: Mapping[str, Json] = field(default_factory=dict[str, Json])
    required: frozenset[str] | None = None
    """None if nothing says what may be left out."""
    open: bool = False
    """Whether it may have fields that were not seen."""
    items: Json | None = None
    enum: tuple[str, ...] = ()


_ANYTHING = View(open=True)
_NULL = frozenset({"null"})


class Resolver:
    """Follows references among shapes, each name once."""

    def __init__(self, shapes: Iterable[Shape]) -> None:
        self._seen: dict[str, View] = {}
        self._known: dict[str, Json] = {}
        for shape in shapes:
            self._known.setdefault(shape.name, shape.schema)

    def view(self, schema: Json, depth: int = 0) -> View:
        """What the schema says; nothing about what is unknown, or nests too deeply."""
        if depth > DEEPEST or not schema:
            return _ANYTHING
        found = self._view(schema, depth + 1)
        partial = schema.get("$comment") == "partial"
        return replace(found, required=frozenset()) if partial else found

    def _view(self, schema: Json, depth: int) -> View:
        if "$ref" in schema:
            return self._named(schema["$ref"], depth)
        if "anyOf" in schema:
            return self._one_of([self.view(each, depth) for each in schema["anyOf"]])
        own = _own(schema)
        for inherited in schema.get("allOf", ()):
            own = _merged(own, self.view(inherited, depth))
        return own

    def _named(self, name: str, depth: int) -> View:
        """Of a shape that holds itself without a field between, nothing is known."""
        if name not in self._seen:
            self._seen[name] = _ANYTHING
            self._seen[name] = self.view(self._known.get(name, {}), depth)
        return self._seen[name]

    def _one_of(self, forms: list[View]) -> View:
        """The kinds of all forms, and all else if only one of them is not null."""
        kinds = frozenset[str]()
        for form in forms:
            if form.kinds is None:
                return _ANYTHING
            kinds |= form.kinds
        solid = [form for form in forms if form.kinds != _NULL]
        return replace(solid[0] if len(solid) == 1 else View(open=True), kinds=kinds)


def _own(schema: Json) -> View:
    given = schema.get("type")
    kinds = [given] if isinstance(given, str) else cast("list[str]", given or [])
    plain = frozenset("number" if kind == "integer" else kind for kind in kinds)
    properties = cast("dict[str, Json]", schema.get("properties", {}))
    required = schema.get("required")
    enum = tuple(map(str, schema.get("enum", ())))
    return View(
        plain or (frozenset({"object"}) if "allOf" in schema else None),
        properties,
        None if required is None else frozenset(required),
        not properties and "allOf" not in schema,
        schema.get("items"),
        enum,
    )


def _merged(own: View, base: View) -> View:
    """Own fields over inherited ones."""
    required = (base.required or frozenset()) - own.properties.keys() | (
        own.required or frozenset()
    )
    return replace(
        own,
        properties={**base.properties, **own.properties},
        required=required,
        open=own.open or base.open,
    )
