"""The part of JSON Schema that is checked, and what is refused because it is not."""

from typing import Any

import pytest

from agentflow.json_schema import MAX_PROBLEMS, check_schema, outline, problems
from agentflow.records import Json
from tests.growth import check_growth

SCHEMA: Json = {
    "type": "object",
    "description": "ignored",
    "required": ["files", "state"],
    "additionalProperties": False,
    "properties": {
        "files": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["path"],
                "properties": {"path": {"type": "string", "minLength": 1}, "size": {"minimum": 0}},
            },
        },
        "state": {"enum": ["pass", "fail", 1]},
        "more": {"anyOf": [{"type": "null"}, {"const": True}, {"type": ["integer", "string"]}]},
    },
}


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"files": [{"path": "a", "size": 0, "x": [1]}], "state": "pass", "more": None}, []),
        ({"files": [{"path": "a"}], "state": 1.0, "more": 3.0}, []),
        ({"files": [{"path": "a"}], "state": True}, ['state is not one of "pass", "fail", 1']),
        ({"files": [{"path": "a"}], "state": 1, "more": 1.5}, ["more fits none of its 3 forms"]),
        ({"files": [{"path": "a"}], "state": 1, "more": False}, ["more fits none of its 3 forms"]),
        ({"files": [{"path": "a"}], "state": 1, "y": 2}, ["y is not allowed"]),
        ({}, ["files is missing", "state is missing"]),
        ({"files": [], "state": "pass"}, ["files has fewer items than 1"]),
        ({"files": {}, "state": "pass"}, ["files is not of type array"]),
        (
            {"files": [{}, {"path": ""}, {"path": 1, "size": -1}, 7], "state": "fail"},
            [
                "files[0].path is missing",
                "files[1].path is shorter than 1",
                "files[2].path is not of type string",
                "files[2].size is less than 0",
                "files[3] is not of type object",
            ],
        ),
        ([], ["the object is not of type object"]),
    ],
)
def test_values_and_what_is_wrong_with_them(value: Any, found: list[str]) -> None:
    check_schema(SCHEMA)
    assert problems(value, SCHEMA) == found


@pytest.mark.parametrize(
    ("schema", "value", "fits"),
    [
        ({"maxLength": 2}, "abc", False),
        ({"maxLength": 2}, [1, 2, 3], True),
        ({"maxItems": 1}, [1, 2], False),
        ({"maximum": 2}, 2, True),
        ({"maximum": 2}, 2.5, False),
        ({"maximum": 0}, True, True),
        ({"type": "integer"}, True, False),
        ({"type": "number"}, False, False),
        ({"type": "boolean"}, False, True),
        ({"const": {"a": 1, "b": [2]}}, {"b": [2], "a": 1}, True),
        ({"additionalProperties": {"type": "string"}}, {"a": 1}, False),
        ({"items": False}, [1], False),
        ({"items": True}, [1], True),
    ],
)
def test_each_keyword(schema: Json, value: Any, fits: bool) -> None:
    check_schema(schema)
    assert (problems(value, schema) == []) is fits


def deep(levels: int) -> Json:
    schema: Json = {}
    for _ in range(levels):
        schema = {"items": schema}
    return schema


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"pattern": "(a+)+"}, "the schema: the keyword 'pattern' is not supported"),
        ({"$ref": "http://x"}, "the schema: the keyword '$ref' is not supported"),
        ({"require": ["a"]}, "'require' is not supported; did you mean 'required'?"),
        ({"properties": {"a": {"oneOf": []}}}, "the schema.properties.a: the keyword 'oneOf'"),
        ({"type": "text"}, "the schema: 'type' holds what it cannot mean"),
        ({"type": []}, "'type' holds"),
        ({"required": "a"}, "'required' holds"),
        ({"required": [1]}, "'required' holds"),
        ({"minLength": "1"}, "'minLength' holds"),
        ({"enum": []}, "'enum' holds"),
        ({"anyOf": [3]}, "the schema.anyOf[0] is no schema"),
        ({"properties": {"a": "string"}}, "the schema.properties.a is no schema"),
        (deep(40), "nests too deeply"),
    ],
)
def test_what_cannot_be_checked_is_refused(schema: Json, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        check_schema(schema)
    assert message in str(caught.value)


def test_problems_are_bounded() -> None:
    many = {"items": {"type": "string"}}
    assert len(problems([1] * 1000, many)) == MAX_PROBLEMS


def test_time_is_bounded() -> None:
    """However many values there are, times however many branches."""

    def made(size: int) -> tuple[list[int], Json]:
        return [size - 1] * 10 * size, {
            "items": {"anyOf": [{"const": number} for number in range(size)]}
        }

    def check(given: tuple[list[int], Json]) -> None:
        assert problems(*given) == ["too large to be checked against its schema"]

    check_growth(check, made, 4000)


def test_the_outline() -> None:
    assert outline(SCHEMA) == (
        "{\n"
        '  "files": [{\n'
        '    "path": string,\n'
        '    "size"?: anything\n'
        "  }, …],\n"
        '  "state": "pass" | "fail" | 1,\n'
        '  "more"?: null or true or integer | string\n'
        "}"
    )
