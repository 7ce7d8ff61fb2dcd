"""Schemas as TypeScript writes types, on one line: what `type_syntax.py` reads."""

import json
import re

from agentflow.gates.shapes.resolving import Resolver, View
from agentflow.records import Json

DEEPEST = 8
"""Levels that are written out; what lies deeper is `unknown`."""
MAX_FIELDS = 200
"""Of one object."""

_NAME = re.compile(r"[A-Za-z_$][\w$]*")


def type_text(schema: Json, resolver: Resolver, depth: int = 0) -> str:
    """The type of a schema, with the shapes in place to which it refers."""
    view = resolver.view(schema)
    kinds = None if view.kinds is None else view.kinds - {"null"}
    if kinds is None or depth > DEEPEST:
        return "unknown"
    if view.enum:
        words = [json.dumps(value, ensure_ascii=False) for value in view.enum]
    elif view.properties:
        words = [_object(view, resolver, depth)]
    elif view.items is not None:
        inner = type_text(view.items, resolver, depth + 1)
        words = [f"({inner})[]" if " | " in inner else f"{inner}[]"]
    else:
        words = ["unknown[]" if kind == "array" else kind for kind in sorted(kinds)]
    null = ["null"] if "null" in (view.kinds or ()) else []
    return " | ".join((*words, *null))


def _object(view: View, resolver: Resolver, depth: int) -> str:
    fields = [
        f"{_key(name)}{_mark(view, name)}: {type_text(schema, resolver, depth + 1)}"
        for name, schema in list(view.properties.items())[:MAX_FIELDS]
    ]
    return f"{{ {', '.join(fields)} }}"


def _mark(view: View, name: str) -> str:
    return "?" if view.required is not None and name not in view.required else ""


def _key(name: str) -> str:
    return name if _NAME.fullmatch(name) else json.dumps(name, ensure_ascii=False)
