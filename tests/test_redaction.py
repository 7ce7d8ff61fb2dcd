"""No text shows a secret value, in whatever clothes."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.redaction import LONGEST_GAP, MARK, redactor, value_redactor

KEY = "s3cr3t/with+signs"
AWS = "AKIA" + "Q3EGRZ5KLMNOP7WT"
GITHUB = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
BODY = "\n".join("MIIEpAIBAAKCAQEA" + letter * 48 for letter in "abcdefgh")
BEGIN, END = "-----BEGIN RSA " + "PRIVATE KEY-----", "-----END RSA " + "PRIVATE KEY-----"


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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"id={AWS}\n", "id=[redacted]\n"),
        (f"two: {GITHUB} {GITHUB}", "two: [redacted] [redacted]"),
        (f"{BEGIN}\n{BODY}\n{END}\nmore", f"{BEGIN}[redacted]{END}\nmore"),
        (f"{BEGIN}\n{BODY}"[:110], f"{BEGIN}\n[redacted]\nMIIEpAIBAAKCA"),
        ("the id AKIAIOSFODNN7EXAMPLE of the documents", None),
        (f"if line == '{BEGIN}':\n    return parse()\nelif line == '{END}':", None),
        ("a commit 0123456789abcdef0123456789abcdef01234567", None),
        ("token = 'Zk8s0Q2mX7pLr4Tn9bVc'", None),
    ],
)
def test_a_key_of_a_known_format_is_taken_out(text: str, shown: str | None) -> None:
    assert redactor([])(text) == (text if shown is None else shown)


def test_a_private_key_is_seen_with_line_numbers() -> None:
    lines = f"{BEGIN}\n{BODY}\n{END}\nmore".split("\n")
    text = "\n".join(f"{number:6d}\t{line}" for number, line in enumerate(lines, 1))
    assert redactor([])(text) == f"     1\t{BEGIN}[redacted]{END}\n    11\tmore"


@pytest.mark.parametrize(("gap", "seen"), [(LONGEST_GAP, MARK), (LONGEST_GAP + 1, "B" * 40)])
def test_a_private_key_without_an_end_goes_as_far_as_line_follows_line(gap: int, seen: str) -> None:
    text = BEGIN + "\n" + "A" * 64 + " " * gap + "B" * 40
    assert redactor([])(text) == f"{BEGIN}\n{MARK}{' ' * gap}{seen}"


def test_values_alone_can_be_asked_for() -> None:
    assert value_redactor(["s3cret"])(f"s3cret {AWS}") == f"{MARK} {AWS}"


PIECES = st.sampled_from([
    *(KEY, AWS, GITHUB, BEGIN, END, BODY, MARK, "acted", "[", "]", " ", "\n", "x", "1", "-"),
])


@given(st.lists(PIECES, max_size=12).map("".join))
def test_what_was_redacted_stays_as_it_is(text: str) -> None:
    redact = redactor([KEY, "acted", "x1-x"])
    shown = redact(text)
    assert redact(shown) == shown
    assert KEY not in shown
