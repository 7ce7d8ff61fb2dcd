"""No text shows a secret value, in whatever clothes."""

import base64

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
