"""Expected and declared shapes, brought together and compared."""

import pytest

from agentflow.gates.shapes.declared import declared_shapes
from agentflow.gates.shapes.expected import expected_shapes
from agentflow.gates.shapes.matching import Match, Matcher
from agentflow.gates.shapes.shape import Shape
from tests.growth import check_growth


def matched(contract: str, *declared: Shape) -> list[Match]:
    (expected,) = expected_shapes(contract)
    return Matcher(declared).matches(expected)


def found(contract: str, source: str, path: str = "a.ts") -> list[str]:
    (match,) = matched(contract, *declared_shapes(path, source))
    return list(match.differences)


@pytest.mark.parametrize(
    ("contract", "members", "differences"),
    [
        ("{ to: string, tags?: string[] }", "to: string; tags?: string[]; more: number", []),
        ("{ to: string, n: number }", "n: number", ["missing field to"]),
        ("{ to: string }", "to: number", ["to is number, expected string"]),
        ("{ a: string, tags?: string[] }", "a: string; tags: string[]",
         ["tags is required, expected optional"]),
        ("{ a: string, b: string }", "a: string; b?: string", ["b is optional, expected required"]),
        ("{ a: string[] }", "a: string", ["a is string, expected array"]),
        ("{ a: string[] }", "a: number[]", ["a[] is number, expected string"]),
        ("{ a: { b: string, c: string } }", "a: Inner", ["missing field a.c"]),
        ("{ a: 'x' | 'y', b: string }", "a: 'x' | 'z'; b: any",
         ["a does not accept 'y'", "a may be 'z', which is not expected"]),
        ('{ "a": 1, "b": null }', "a?: number; b: string", []),
        ("request { a: string, b: string }", "a: string | number; b?: string", []),
        ("sends { a: string | number }", "a: string", ["a is string, expected number or string"]),
        ("returns { a: string }", "a: string | number", ["a is number or string, expected string"]),
        ("returns { a: string }", "a: string | null", ["a may be null, expected string"]),
        ("returns { a?: string }", "a: string", []),
    ],
)  # fmt: skip
def test_differences_name_the_field(contract: str, members: str, differences: list[str]) -> None:
    (expected,) = expected_shapes(contract)
    inner = "interface Inner { b: string }\n"
    shapes = declared_shapes("a.ts", f"{inner}interface MailDto {{ {members} }}")
    named = Shape("MailDto", expected.schema, 1, direction=expected.direction)

    (match,) = Matcher(shapes).matches(named)

    assert list(match.differences) == differences


def test_inherited_fields_count_and_unknown_bases_may_hold_anything() -> None:
    known = "class BaseDto { id: string }\nclass MailDto extends BaseDto { to: string }"
    partial = known.replace("extends BaseDto", "extends PartialType(BaseDto)")
    unknown = "class MailDto extends FromElsewhere { to: string }"
    contract = "MailDto { id: string, to: string, x: string }"

    assert found(contract, known) == ["missing field x"]
    assert found(contract, partial) == ["id is optional, expected required", "missing field x"]
    assert found(contract, unknown) == []


def test_what_a_writer_always_fills_is_there_in_a_response() -> None:
    model = "class Mail(BaseModel):\n  a: int = 1\n  b: str\n"
    assert found("returns { a: number, b: string }", model, "a.py") == []
    assert found("{ a: number, b: string }", model, "a.py") == ["a is optional, expected required"]


def test_the_best_one_is_chosen_by_endpoint_by_name_by_fields() -> None:
    api = declared_shapes(
        "api.json",
        '{"openapi": "3", "paths": {"/api/v1/mails/{mailId}": {"get": {"responses": {"200":'
        ' {"content": {"application/json": {"schema": {"type": "object", "properties":'
        ' {"to": {"type": "integer"}}}}}}}}}}}',
    )
    code = declared_shapes(
        "a.ts",
        "class CreateMailDto { to: string; body: string }\n"
        "class MailResponse { to: string; body: string }\nclass OtherDto { x: string }",
    )

    both = matched("GET /v1/mails/:id returns { to: string, body: string }", *api, *code)
    request = matched("POST /v1/mails { to: string, body: string }", *api, *code)
    named = matched("OtherDto { to: string, body: string }", *code)
    nothing = matched("{ total: number, page: number }", *code)

    assert [match.declared.name for match in both] == ["", "MailResponse"]
    assert both[0].differences == ("to is number, expected string", "missing field body")
    assert [match.declared.name for match in request] == ["CreateMailDto"]
    assert [match.declared.name for match in named] == ["OtherDto"]
    assert nothing == []


def test_shapes_that_hold_each_other_are_compared_in_bounded_time() -> None:
    def made(size: int) -> str:
        members = ",".join(
            f'"A{i}": {{"allOf": [{{"$ref": "#/A{i + 1}"}}, {{"$ref": "#/A{(i + 2) % size}"}}],'
            f'"properties": {{"a": {{"$ref": "#/A{i}"}}}}}}'
            for i in range(size)
        )
        return f'{{"openapi": "3", "components": {{"schemas": {{{members}}}}}}}'

    def match(text: str) -> None:
        shapes = declared_shapes("a.json", text)
        matched("A0 { a: { a: { a: { a: string } } } }", *shapes)
        matched("{ a: { a: { a: { a: string } } } }", *shapes)

    check_growth(match, made, 400)
