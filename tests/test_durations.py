"""Durations as people write and read them."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.durations import format_duration, parse_duration, write_duration
from agentflow.errors import UsageError
from agentflow.sizes import parse_size, write_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("600", 600.0),
        ("0.5", 0.5),
        ("90s", 90.0),
        ("45m", 2700.0),
        (" 45M ", 2700.0),
        ("1h30m", 5400.0),
        ("1.5h", 5400.0),
        ("2d", 172800.0),
    ],
)
def test_reads_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text, where="x") == seconds


@pytest.mark.parametrize(
    "text", ["", "m", "-5m", "5 m", "5w", "1h:30m", "inf", "nan", "9" * 400, "1e5"]
)
def test_refuses_anything_else_and_names_the_place(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_duration(text, where="--timeout")
    assert caught.value.message == (
        f"--timeout: {text[:40]!r} is not a duration like 45m, 90s or 1h30m"
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 ms"),
        (0.0042, "4 ms"),
        (0.5, "0.5 s"),
        (8.41, "8.4 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (200.0, "3 min 20 s"),
        (3599.7, "1 h 00 min"),
        (3900.0, "1 h 05 min"),
        (90000.0, "25 h 00 min"),
    ],
)
def test_writes_the_two_largest_units(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.text(max_size=12))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    with suppress(UsageError):
        assert parse_duration(text, where="x") >= 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2700, "45m"), (28800.0, "8h"), (5400, "1h30m"), (90, "1m30s"), (0.5, "0.5s"), (0, "0s"),
     (172805.25, "2d5.25s")],
)  # fmt: skip
def test_a_duration_is_written_as_people_write_it(seconds: float, text: str) -> None:
    assert write_duration(seconds) == text


@given(st.integers(0, 10**9))
def test_what_is_written_is_read_as_the_same(number: int) -> None:
    assert parse_duration(write_duration(number / 10), where="") == pytest.approx(number / 10)
    assert parse_size(write_size(number * 1000), where="") == number * 1000


@pytest.mark.parametrize(
    ("size", "text"),
    [(4 << 30, "4GiB"), (20_000_000, "20MB"), (1 << 20, "1MiB"), (1_048_577, "1048577"), (1, "1")],
)
def test_a_size_is_written_as_people_write_it(size: int, text: str) -> None:
    assert write_size(size) == text
