"""The reader of server-sent events: the SDK's is the oracle, and what it cannot bound is bounded."""

import re
from collections.abc import Iterable
from itertools import pairwise

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.models.event_stream import EventReader, Oversized

LINES = ("data: a", "data:b", "data", "data: ü", "event: ping", ": note", "id: 1", "odd", "")
ENDS = ("\n", "\r\n")


def read(chunks: Iterable[bytes], **bounds: int) -> list[str]:
    reader = EventReader(**bounds)
    return [data for chunk in chunks for data in reader.feed(chunk)]


def cut(raw: bytes, places: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(raw) + 1) for place in places), len(raw)]
    return [raw[start:end] for start, end in pairwise(edges)]


@given(
    st.lists(st.sampled_from(LINES)),
    st.sampled_from(ENDS),
    st.lists(st.integers(min_value=0, max_value=200), max_size=8),
)
def test_events_are_those_of_the_sdk_however_they_are_cut(
    lines: list[str], end: str, places: list[int]
) -> None:
    from anthropic import Stream

    raw = "".join(f"{line}{end}" for line in lines).encode()
    response = httpx2.Response(200, content=raw)
    theirs = [event.data for event in Stream.raw_events(response) if event.data]
    assert read(cut(raw, places)) == theirs


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_every_end_of_a_line_at_every_place_of_a_cut(end: str) -> None:
    raw = re.sub("\n", end, "data: one\ndata: two\n\nevent: x\ndata: three\n\n").encode()
    for place in range(len(raw) + 1):
        assert read([raw[:place], b"", raw[place:]]) == ["one\ntwo", "three"]


def test_an_event_without_its_end_is_dropped() -> None:
    assert read([b"data: a\n\ndata: b\n"]) == ["a"]


def test_what_is_not_utf_8_is_refused() -> None:
    with pytest.raises(UnicodeDecodeError):
        read([b"data: \xff\n\n"])


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param([b"data: " + b"x" * 95], id="in one chunk"),
        pytest.param([b"data: ", *[b"x"] * 95], id="byte by byte"),
        pytest.param([b":\n" * 51], id="in many lines"),
    ],
)
def test_the_longest_event(chunks: list[bytes]) -> None:
    with pytest.raises(Oversized, match="an event of more than 100 bytes"):
        read(chunks, longest_event=100)
    assert read([b"data: " + b"x" * 92 + b"\n\n"] * 3, longest_event=100) == ["x" * 92] * 3


def test_the_most_lines() -> None:
    assert len(read([b"data: a\n\n" * 50], most_lines=100)) == 50
    with pytest.raises(Oversized, match="a reply of more than 100 lines"):
        read([b"data: a\n\n" * 51], most_lines=100)


def test_an_event_of_many_short_lines_is_read_in_one_pass() -> None:
    reader = EventReader(longest_event=10**9, most_lines=10**9)
    kept = 0
    for _ in range(200):
        assert list(reader.feed(b"data\n" * 1000)) == []
        kept += 1000
    (data,) = reader.feed(b"\n")
    assert data == "\n" * (kept - 1)
