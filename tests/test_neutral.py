"""What reaches a terminal or a CI log cannot command either."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.neutral import json_line, neutral, one_line, stopped_commands
from tests.growth import check_growth, repeated

R = "\ufffd"


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        # escape sequences
        ("\x1b]0;owned\x07text", "text"),
        ("\x1b]0;owned\x1b\\text", "text"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]52;c;ZXZpbA==\x07", ""),
        ("\x1b[2J\x1b[1;31mred\x1b[0m", "red"),
        ("\x1bPpayload\x1b\\x", "x"),
        ("\x1b_payload\x1b\\x", "x"),
        ("\x1bcreset", "reset"),
        ("\x1b(0box", "box"),
        ("\x9b31mred", f"{R}31mred"),
        ("\x1b]0;unfinished", "0;unfinished"),
        ("\x1b\x1b[0m[31mred", f"{R}[31mred"),
        ("\x1b", R),
        # control characters
        ("bell\x07 back\x08 nul\x00 del\x7f", f"bell{R} back{R} nul{R} del{R}"),
        ("over\rwrite", f"over{R}write"),
        ("lines\r\nstay\n\tas they are", "lines\nstay\n\tas they are"),
        # direction, zero width, tags, surrogates, separators
        ("a\u202eb\u2066c\u200bd\ufefe\ufeff", f"a{R}b{R}c{R}d\ufefe{R}"),
        ("tag\U000e0041", f"tag{R}"),
        ("half\udcff", f"half{R}"),
        ("line\u2028paragraph\u2029", f"line{R}paragraph{R}"),
        # commands to a CI system
        ("::set-output name=a::b", ": :set-output name=a::b"),
        ("  ::add-mask::x", "  : :add-mask::x"),
        ("\u00a0::stop-commands::x", "\u00a0: :stop-commands::x"),
        ("a\n::error::x\n", "a\n: :error::x\n"),
        ("\x1b[0m::error::x", ": :error::x"),
        ("a::b std::vector", "a::b std::vector"),
        ("x ##[command]y", "x # #[command]y"),
        ("##vso[task.setvariable]x", "# #vso[task.setvariable]x"),
        ("##VSO[task.setvariable]x", "# #VSO[task.setvariable]x"),
        ("###[group]", "## #[group]"),
        ("##teamcity[x]", "# #teamcity[x]"),
        ("## Heading [link]", "## Heading [link]"),
        # ordinary text
        ("größe 😀 日本", "größe 😀 日本"),
    ],
)
def test_what_commands_is_made_harmless(text: str, safe: str) -> None:
    assert neutral(text) == safe


@given(st.text(st.sampled_from("\x1b\x07\x9b[]0;mP\\:# \n\t\r\u202evsoa")))
def test_nothing_that_commands_is_left(text: str) -> None:
    safe = neutral(text)
    assert not [
        c for c in safe if c not in "\n\t" and unicodedata.category(c) in {"Cc", "Cf", "Cs"}
    ]
    assert not [line for line in safe.split("\n") if line.lstrip().startswith("::")]
    assert "##[" not in safe
    assert neutral(safe) == safe


@pytest.mark.parametrize("piece", ["\n", " ", "\x1b]", "\x1bP", "\x1b[", ":", "#", "\x1b "])
def test_a_long_text_takes_time_in_proportion(piece: str) -> None:
    check_growth(neutral, repeated(piece), 32 * 1024)


def test_one_line_has_a_width() -> None:
    assert one_line("a\n\n  b\t\x1b[31mc") == "a b c"
    assert one_line("x" * 10, 10) == "x" * 10
    assert one_line("x" * 11, 10) == "x" * 9 + "…"
    assert one_line("") == ""


def test_the_lines_around_a_log_name_one_token() -> None:
    assert stopped_commands("abc") == ("::stop-commands::abc", "::abc::")


def test_json_is_one_line_of_ascii() -> None:
    assert json_line({"a": "\ud800\n\u2028é"}) == '{"a": "\\ud800\\n\\u2028\\u00e9"}'
    with pytest.raises(ValueError, match="JSON"):
        json_line(float("nan"))
