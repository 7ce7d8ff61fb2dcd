"""Shapes that an OpenAPI 3 or Swagger 2 document declares: components, and bodies by endpoint."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, cast

from agentflow.gates.shapes.shape import ANY, DEEPEST, MAX_SHAPES, NULL, Direction, Shape, any_of
from agentflow.records import Json
from agentflow.strict_json import parse_object
from agentflow.strict_yaml import Malformed, parse_yaml

MAX_JSON = 1024 * 1024
MAX_YAML = 96 * 1024
"""Characters; this YAML is read at about 100 KB in a second."""
_METHODS = ("get", "post", "put", "patch", "delete")
_KEPT = ("type", "enum", "required")


def openapi_shapes(text: str) -> list[Shape]:
    """The shapes of a document, at most `MAX_SHAPES`; none if it is another one, or too large."""
    head = text.lstrip()[:1]
    if ("openapi" not in text and "swagger" not in text) or len(text) > MAX_JSON:
        return []
    try:
        document = parse_object(text) if head == "{" else _yaml(text)
    except (Malformed, ValueError, RecursionError):
        return []
    if not {"openapi", "swagger"} & document.keys():
        return []
    lines = _Lines(text)
    every = (*_components(document, lines), *_bodies(document, lines))
    return list(islice(every, MAX_SHAPES))


def _yaml(text: str) -> Json:
    return _at(parse_yaml(text).value) if len(text) <= MAX_YAML else {}


class _Lines:
    """The lines at which keys stand first."""

    def __init__(self, text: str) -> None:
        self._first: dict[str, int] = {}
        for number, line in enumerate(text.split("\n"), 1):
            key = line.strip().partition(":")[0].strip("\"' ")
            self._first.setdefault(key, number)

    def of(self, key: str) -> int:
        """From 1; 1 for a key that no line begins with."""
        return self._first.get(key, 1)


def _at(value: Any, *keys: str) -> Json:
    """The object below these keys; empty if there is none."""
    for key in keys:
        value = cast("Json", value).get(key) if isinstance(value, dict) else None
    return cast("Json", value) if isinstance(value, dict) else {}


def _components(document: Json, lines: _Lines) -> Iterator[Shape]:
    for place in (("components", "schemas"), ("definitions",)):
        for name, schema in islice(_at(document, *place).items(), MAX_SHAPES):
            yield Shape(name, _schema(schema, 0), lines.of(name), kind="OpenAPI")


def _bodies(document: Json, lines: _Lines) -> Iterator[Shape]:
    for path, entry in islice(_at(document, "paths").items(), MAX_SHAPES):
        for method in _METHODS:
            operation = _at(entry, method)
            for direction, schema in _of_operation(operation):
                endpoint = f"{method.upper()} {path}"
                found = _schema(schema, 0)
                yield Shape("", found, lines.of(path), "", "OpenAPI", endpoint, direction)


def _of_operation(operation: Json) -> Iterator[tuple[Direction, Any]]:
    request = _content(_at(operation, "requestBody"))
    if request:
        yield "request", request
    parameters = operation.get("parameters")
    for parameter in cast("list[Any]", parameters) if isinstance(parameters, list) else []:
        if isinstance(parameter, dict) and cast("Json", parameter).get("in") == "body":
            yield "request", _at(parameter, "schema")
    for status, response in _at(operation, "responses").items():
        answer = _content(_at({"it": response}, "it"))
        if status.startswith("2") and answer:
            yield "response", answer
            return


def _content(body: Json) -> Json:
    """The schema of a body: of its JSON, or what Swagger 2 says."""
    return _at(body, "content", "application/json", "schema") or _at(body, "schema")


def _schema(schema: Any, depth: int) -> Json:
    """What is compared of a schema, references by plain name."""
    if not isinstance(schema, dict) or depth > DEEPEST:
        return ANY
    given = cast("Json", schema)
    if isinstance(given.get("$ref"), str):
        return {"$ref": given["$ref"].rpartition("/")[2]}
    found: Json = {key: given[key] for key in _KEPT if _is_plain(key, given.get(key))}
    if found.get("type") == "integer":
        found["type"] = "number"
    if isinstance(given.get("properties"), dict):
        properties = cast("Json", given["properties"])
        found["properties"] = {key: _schema(each, depth + 1) for key, each in properties.items()}
        found = {"type": "object", **found}
    if "items" in given:
        found = {**found, "type": "array", "items": _schema(given["items"], depth + 1)}
    for key in ("allOf", "anyOf", "oneOf"):
        if isinstance(given.get(key), list):
            forms = [_schema(each, depth + 1) for each in given[key]]
            found |= {"allOf": forms} if key == "allOf" else any_of(forms)
    return any_of((found, NULL)) if given.get("nullable") is True and found else found


def _is_plain(key: str, value: Any) -> bool:
    if isinstance(value, list):
        return all(isinstance(each, str) for each in cast("list[Any]", value))
    return key == "type" and isinstance(value, str)
