"""Types as text, and documents made of shapes."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agentflow.gates.shapes.api_document import Operation, api_document, named_twice
from agentflow.gates.shapes.expected import expected_shapes
from agentflow.gates.shapes.openapi import openapi_shapes
from agentflow.gates.shapes.resolving import Resolver
from agentflow.gates.shapes.shape import Shape, array_of, object_of
from agentflow.gates.shapes.type_text import type_text
from agentflow.gates.shapes.typescript import typescript_shapes
from agentflow.records import Json

LEAVES = st.sampled_from([
    {"type": "string"}, {"type": "number"}, {"type": "boolean"}, {"type": "object"}, {},
    {"type": "string", "enum": ["a", 'b c']},
    {"anyOf": [{"type": "string"}, {"type": "null"}]},
])  # fmt: skip
NAMES = st.sampled_from(["to", "x-y", "camelCase", "Kebab-Case", "id", "ünï"])


def objects(fields: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    def made(drawn: dict[str, tuple[Json, bool]]) -> Json:
        properties = {name: schema for name, (schema, _) in drawn.items()}
        return object_of(properties, [name for name, (_, needed) in drawn.items() if needed])

    return st.dictionaries(NAMES, st.tuples(fields, st.booleans()), min_size=1, max_size=4).map(
        made
    )


SCHEMAS = objects(
    st.recursive(LEAVES, lambda each: st.one_of(each.map(array_of), objects(each)), max_leaves=6)
)


@given(SCHEMAS)
def test_what_is_written_is_read_again(schema: Json) -> None:
    text = type_text(schema, Resolver([]))
    (found,) = expected_shapes(f"POST /v1/mails {text}")
    assert found.schema == schema


def test_references_are_written_out_and_a_shape_that_holds_itself_ends() -> None:
    shapes = typescript_shapes(
        "interface Node { id: string; next: Node | null; tags: Tag[] } enum Tag { A = 'a' }"
    )
    text = type_text({"$ref": "Node"}, Resolver(shapes))
    assert text.startswith("{ id: string, next: ")
    assert 'tags: "a"[]' in text
    assert "unknown" in text


def test_a_document_holds_what_its_operations_refer_to_and_is_read_as_such() -> None:
    source = (
        "export class MailDto { to: string; box?: Partial<BoxDto> }\n"
        "export class BoxDto { id: number; kept: Kept }\n"
        "export class OtherDto { x: string }\n"
    )
    declared = typescript_shapes(source)
    mail = declared[0]
    operations = [Operation("POST", "/boxes/:box/mails", mail, None)]

    document: Any = api_document("Mails", "1", operations, declared)

    assert list(document["paths"]) == ["/boxes/{box}/mails"]
    assert list(document["components"]["schemas"]) == ["MailDto"]
    box = document["components"]["schemas"]["MailDto"]["properties"]["box"]
    assert box == {
        "allOf": [{"type": "object", "properties": {"id": {"type": "number"}, "kept": {}}}]
    }
    found = openapi_shapes(json.dumps(document))
    assert [(each.endpoint, each.direction) for each in found if each.endpoint] == [
        ("POST /boxes/{box}/mails", "request")
    ]


def test_a_name_that_means_two_things_is_told() -> None:
    first = Shape("A", object_of({"x": {}}, None), 1, "a.ts")
    second = Shape("A", object_of({"y": {}}, None), 2, "b.ts")
    operations = [Operation("GET", "/a", None, second)]
    document: Any = api_document("", "", operations, [first, second])
    assert list(document["components"]["schemas"]["A"]["properties"]) == ["y"]
    assert list(named_twice(operations, [first, second])) == [
        "A is declared in several ways: a.ts:1, b.ts:2"
    ]
