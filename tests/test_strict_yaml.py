"""YAML that somebody else wrote."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.strict_yaml import Malformed, parse_yaml


def test_plain_data_is_read_with_the_line_of_each_value() -> None:
    document = parse_yaml("a: no\nb:\n  - 1\n  - {c: 2.5}\nd: |\n  x\n  y\n\ne: [true, ~, 010]\n")
    assert document.value == {
        "a": "no",
        "b": [1, {"c": 2.5}],
        "d": "x\ny\n",
        "e": [True, None, "010"],
    }
    assert document.line(("b", 1, "c")) == 4
    assert document.line(("e", 2)) == 9
    assert document.line(("b", 1, "x", "y")) == 4
    assert document.line(("nowhere",)) == 1


@pytest.mark.parametrize(
    "text", ["2026-01-01", "on", "yes", "1_000", "0x10", "12:30:00", "<<", "=", ".inf", "1" * 40]
)
def test_what_the_core_schema_does_not_know_is_text(text: str) -> None:
    assert parse_yaml(f"a: {text}").value == {"a": text}


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("a: &x 1\nb: *x", 2, "aliases (*name) are not accepted"),
        ("a: 1\nb: 2\na: 3", 3, "the key 'a' stands twice"),
        ("a: 1\nb: !!python/object:os.system x", 2, "is not accepted here"),
        ("a: !!timestamp 2026-01-01", 1, "is not accepted here"),
        ("a: !!set {b}", 1, "is not accepted here"),
        (f"a: !!int {'9' * 5000}", 1, "is not accepted here"),
        ("? [a]\n: 1", 1, "a key must be text"),
        ("a: 1\n---\nb: 2", 2, "another document"),
        ("a: [", 1, "expected the node content"),
        ("a: 1\nb: \x01", 2, "U+0001"),
        ('a: 1\nb: "\\ud800"', 2, "half a character"),
        ("[" * 5000, 1, "it nests too deeply"),
    ],
)
def test_anything_else_is_refused_with_its_line(text: str, line: int, problem: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse_yaml(text)
    assert caught.value.line == line
    assert problem in caught.value.problem


@given(st.text() | st.text("ab: -[]{}&*!|>'\"\n#~1"))
def test_no_text_does_anything_but_be_read_or_refused(text: str) -> None:
    with suppress(Malformed):
        assert parse_yaml(text).line(("a",)) >= 1
