"""Decoding: one misreading is undone where it is certain, and nothing else is touched."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.prompts.decoding import Decoded, decode

CLEAN = "# Überblick\r\n\n- ⚠️ **CRITICAL**: 🔴 café → naïve “quoted” — ✅ done\n"


@pytest.mark.parametrize("encoding", ["mac_roman", "cp1252"])
def test_a_misreading_is_undone_and_said(encoding: str) -> None:
    text = CLEAN if encoding == "mac_roman" else "Überblick: café → “a — ✅ é\r\n"
    damaged = text.encode().decode(encoding)
    assert damaged != text
    decoded = decode(damaged.encode())
    assert decoded == Decoded(text, encoding)
    assert "was read as" in decoded.warning


def test_of_two_explanations_the_one_in_prose_is_taken() -> None:
    damaged = "café".encode().decode("cp1252")
    assert damaged.encode("mac_roman").decode("utf-8") == "caf\u0329"
    assert decode(damaged.encode()) == Decoded("café", "cp1252")


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        CLEAN,
        "é alone",
        "√ alone",
        "the text `Ã©` should be é",
        "\u201aö†Ô∏è beside an é that is right: ⚠",
        "\x80\x81",
        "\ufffd",
    ],
)
def test_what_is_not_certain_stays(text: str) -> None:
    assert decode(text.encode()) == Decoded(text)
    assert decode(text.encode()).warning == ""


def test_a_byte_order_mark_is_no_text() -> None:
    assert decode(b"\xef\xbb\xbfa") == Decoded("a")
    assert decode("\ufeffé x".encode().decode("mac_roman").encode()) == Decoded("é x", "mac_roman")
    with pytest.raises(UnicodeDecodeError):
        decode(b"a\xff")


@given(st.text())
def test_a_repair_can_always_be_taken_back(text: str) -> None:
    try:
        data = text.encode()
    except UnicodeEncodeError:
        return
    decoded = decode(data)
    if not decoded.repaired:
        assert decoded.text == text.removeprefix("\ufeff")
        return
    again = decoded.text.encode().decode(decoded.repaired)
    assert text.removeprefix("\ufeff").endswith(again)
