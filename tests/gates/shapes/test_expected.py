"""What the contract of a handoff expects."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.gates.shapes.expected import LONGEST, MAX_ATTEMPTS, MAX_CONTRACT, expected_shapes
from tests.growth import check_growth, repeated


def test_types_and_examples_become_schemas() -> None:
    request, response = expected_shapes(
        'POST /v1/mails {"to": "a@b", "n": 1, "tags": ["x"], "kind": "number | null"}\n'
        '-> 201 { id: string, state?: "sent" | "late"; at: Date | null, items: { id: number }[] }'
    )

    assert (request.endpoint, request.direction, request.line) == ("POST /v1/mails", "request", 1)
    assert request.schema == {
        "type": "object",
        "properties": {
            "to": {"type": "string"},
            "n": {"type": "number"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "kind": {"anyOf": [{"type": "number"}, {"type": "null"}]},
        },
    }
    assert (response.endpoint, response.direction, response.line) == (
        "POST /v1/mails",
        "response",
        2,
    )
    assert response.schema["required"] == ["id", "at", "items"]
    assert response.schema["properties"] == {
        "id": {"type": "string"},
        "state": {"type": "string", "enum": ["sent", "late"]},
        "at": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "items": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"id": {"type": "number"}},
                "required": ["id"],
            },
        },
    }


@pytest.mark.parametrize(
    ("text", "name", "direction", "fields"),
    [
        ('`{ "to": string, tags?: string[] }` in @acme/types', "", "", ["to", "tags"]),
        ("GET /v1/mails/{id} gives `{ id, name, … }`", "", "response", ["id", "name"]),
        ("class CreateMailDto { to: string }", "CreateMailDto", "request", ["to"]),
        ("It's a MailResponse: { to: string }[]", "MailResponse", "response", ["to"]),
        ('Expected response:\n```json\n{"read": true, // new\n}\n```', "", "response", ["read"]),
        ("The body is { a: (x: string) => void; b(): string; [k: string]: any }", "", "request", ["a"]),
    ],
)  # fmt: skip
def test_name_and_way_stand_before_it(
    text: str, name: str, direction: str, fields: list[str]
) -> None:
    (shape,) = expected_shapes(text)

    assert (shape.name, shape.direction) == (name, direction)
    assert list(shape.schema["properties"]) == fields


@pytest.mark.parametrize(
    "text", ["", "{}", "align @acme/types", "/v1/mails/{id}", "${name}", "{ it is prose }", "{ a:"]
)
def test_what_is_no_shape_is_passed_over(text: str) -> None:
    assert expected_shapes(text) == []


@given(st.text(alphabet="{}[]()<>:?,|&\"'`ab1 \n-/", max_size=200))
def test_no_contract_crashes(text: str) -> None:
    for shape in expected_shapes(text):
        assert shape.schema["properties"]


@pytest.mark.parametrize(
    ("piece", "size"),
    [
        ("{", LONGEST), ("{a:1}|", LONGEST), ("-> {a:", LONGEST), ('{"a":', LONGEST),
        ("{a: ((", LONGEST), ("POST /a {b: c}\n", 2 * LONGEST),
    ],
)  # fmt: skip
def test_time_grows_with_the_length_only(piece: str, size: int) -> None:
    check_growth(expected_shapes, repeated(piece), size)


def test_a_shape_is_read_as_far_as_it_may_be_long_and_so_are_so_many() -> None:
    start, end = "{ a: string; ", "}"
    blanks = LONGEST - len(start + end)
    assert expected_shapes(start + " " * blanks + end)
    assert not expected_shapes(start + " " * (blanks + 1) + end)
    assert expected_shapes("{} " * (MAX_ATTEMPTS - 1) + start + end)
    assert not expected_shapes("{} " * MAX_ATTEMPTS + start + end)
    assert not expected_shapes(" " * MAX_CONTRACT + start + end)
