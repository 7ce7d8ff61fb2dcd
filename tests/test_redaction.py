"""No text shows a secret value, in whatever clothes."""

import base64
import json

import pytest

from agentflow.redaction import redactor

KEY = "s3cr3t/with+signs"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"token={KEY}!", "token=[redacted]!"),
        ("https://u:s3cr3t%2Fwith%2Bsigns@host/", "https://u:[redacted]@host/"),
        (base64.b64encode(KEY.encode()).decode(), "[redacted]"),
        ("nothing here", "nothing here"),
    ],
)
def test_a_value_is_taken_out(text: str, shown: str) -> None:
    assert redactor([KEY])(text).rstrip("=") == shown


def test_the_longest_value_goes_first() -> None:
    assert redactor(["abcd", "abcdefgh"])("abcdefgh abcd") == "[redacted] [redacted]"


def test_values_of_several_lines_are_found_line_by_line() -> None:
    assert redactor(["first line\nsecond line"])("> second line") == "> [redacted]"


@pytest.mark.parametrize("values", [[], [""], ["abc"]])
def test_short_values_leave_the_text_alone(values: list[str]) -> None:
    assert redactor(values)("abc and more") == "abc and more"


@pytest.mark.parametrize("before", ["", "u", "us", "user:"])
@pytest.mark.parametrize("after", ["", "\n", "@host", "ab"])
def test_a_value_within_base64_is_taken_out(before: str, after: str) -> None:
    """`Authorization: Basic` holds name and password together."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        shown = redactor([KEY])(encode(f"{before}{KEY}{after}".encode()).decode())
        assert "[redacted]" in shown
        # at most the characters at the edges are left, each part of another byte
        assert len(shown.replace("[redacted]", "")) <= 2 * len(before + after) + 8


def test_a_value_within_json_is_taken_out() -> None:
    value = 'pa"ss\\wörd'
    for text in (json.dumps({"k": value}), json.dumps({"k": value}, ensure_ascii=False)):
        assert redactor([value])(text) == '{"k": "[redacted]"}'
