"""From raw events to a reply, without a server."""

import json
from collections.abc import Iterable
from typing import cast

import pytest

from agentflow.events import Event, TextDelta
from agentflow.messages import Reply, ToolCall, Usage
from agentflow.models.accumulator import Accumulator, BrokenStream, ErrorEvent
from agentflow.records import Json

START: Json = {"type": "message_start", "message": {"usage": {"input_tokens": 7}}}


def block(index: int, start: Json, *deltas: Json, ended: bool = True) -> list[Json]:
    """The events of one content block."""
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        *([{"type": "content_block_stop", "index": index}] if ended else []),
    ]


def tool(index: int, *pieces: str, ended: bool = True) -> list[Json]:
    """The events of a tool call."""
    start: Json = {"type": "tool_use", "id": f"t{index}", "name": "Read", "input": {}}
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    return block(index, start, *deltas, ended=ended)


def text(index: int, *pieces: str, ended: bool = True) -> list[Json]:
    """The events of a text block."""
    deltas = [{"type": "text_delta", "text": piece} for piece in pieces]
    return block(index, {"type": "text", "text": ""}, *deltas, ended=ended)


def end(reason: str | None, **usage: int) -> list[Json]:
    """The last two events."""
    return [
        {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage},
        {"type": "message_stop"},
    ]


def accumulate(events: Iterable[Json], emitted: list[Event] | None = None) -> Reply:
    """Feed all events and return the reply."""
    accumulator = Accumulator((emitted if emitted is not None else []).append)
    for event in events:
        accumulator.feed(json.dumps(event))
    return accumulator.reply()


def test_thinking_text_and_parallel_calls_arrive_whole() -> None:
    emitted: list[Event] = []
    reply = accumulate(
        [
            START,
            *block(
                0,
                {"type": "thinking", "thinking": "", "signature": ""},
                {"type": "thinking_delta", "thinking": "let me "},
                {"type": "thinking_delta", "thinking": "see"},
                {"type": "signature_delta", "signature": "sig="},
            ),
            *text(1, "two ", "files"),
            *tool(2, "", '{"file_path"', ': "a.py"}'),
            *tool(3, ""),
            *end("tool_use", output_tokens=9),
        ],
        emitted,
    )
    assert reply == Reply(
        content=(
            {"type": "thinking", "thinking": "let me see", "signature": "sig="},
            {"type": "text", "text": "two files"},
            {"type": "tool_use", "id": "t2", "name": "Read", "input": {"file_path": "a.py"}},
            {"type": "tool_use", "id": "t3", "name": "Read", "input": {}},
        ),
        stop_reason="tool_use",
        usage=Usage(7, 9),
        calls=(ToolCall("t2", "Read", {"file_path": "a.py"}), ToolCall("t3", "Read", {})),
    )
    assert emitted == [TextDelta("two "), TextDelta("files")]


def test_interleaved_calls_keep_their_arguments() -> None:
    first, second = tool(0, '{"a":', "1}"), tool(1, '{"b":', "2}")
    mixed = [event for pair in zip(first, second, strict=True) for event in pair]
    reply = accumulate([START, *mixed, *end("tool_use")])
    assert [call.arguments for call in reply.calls] == [{"a": 1}, {"b": 2}]


def test_unknown_blocks_deltas_and_events_come_back_as_they_were() -> None:
    redacted = {"type": "redacted_thinking", "data": "opaque=="}
    novel = {"type": "hologram", "shape": {"sides": 6}}
    reply = accumulate([
        START,
        {"type": "weather_report"},
        *block(0, redacted),
        *block(1, novel, {"type": "hologram_delta", "side": 1}),
        *end("end_turn"),
    ])
    assert reply.content == (redacted, novel)


def test_citations_and_the_input_of_server_tools_are_kept() -> None:
    cited = block(0, {"type": "text", "text": "", "citations": None})
    cited[1:1] = [
        {"type": "content_block_delta", "index": 0, "delta": delta}
        for delta in (
            {"type": "text_delta", "text": "so"},
            {"type": "citations_delta", "citation": {"url": "u"}},
        )
    ]
    server = block(
        1,
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
        {"type": "input_json_delta", "partial_json": '{"query": "q"}'},
    )
    reply = accumulate([START, *cited, *server, *end("end_turn")])
    assert reply.content == (
        {"type": "text", "text": "so", "citations": [{"url": "u"}]},
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}},
    )
    assert reply.calls == ()


@pytest.mark.parametrize(
    ("pieces", "reason"),
    [
        pytest.param(('{"command": ', "}{"), "Expecting value", id="broken"),
        pytest.param(('{"a": 1} {"b": 2}',), "Extra data", id="two objects"),
        pytest.param(("[1]",), "not a JSON object", id="a list"),
        pytest.param(('"text"',), "not a JSON object", id="a string"),
        pytest.param(('{"a": NaN}',), "NaN is not JSON", id="not a number"),
        pytest.param(('{"a": "\\ud83d"}',), "half a surrogate pair", id="half a character"),
        pytest.param(('{"a":' * 100_000,), "nested too deeply", id="too deep"),
        pytest.param(
            ('{"a":' + "[" * 900 + "]" * 900 + "}",), "nested too deeply", id="too deep for sinks"
        ),
        pytest.param(
            ('{"a":' + "[" * 100 + "]" * 100 + "}",), "nested too deeply", id="101 levels"
        ),
        pytest.param(('{"a": -1e999}',), "a number is too large", id="not finite"),
        pytest.param(('{"a": ' + "9" * 400 + "}",), "a number is too large", id="no float"),
    ],
)
def test_bad_arguments_become_a_problem_that_the_model_reads(
    pieces: tuple[str, ...], reason: str
) -> None:
    reply = accumulate([START, *tool(0, *pieces), *end("tool_use")])
    (call,) = reply.calls
    assert call.arguments is None
    assert reason in call.problem
    assert reply.content == ({"type": "tool_use", "id": "t0", "name": "Read", "input": {}},)


def test_arguments_may_have_a_hundred_levels() -> None:
    nested = '{"a":' + "[" * 99 + "]" * 99 + "}"
    (call,) = accumulate([START, *tool(0, nested), *end("tool_use")]).calls
    assert call.arguments == json.loads(nested)


@pytest.mark.parametrize("reason", ["max_tokens", "model_context_window_exceeded", "refusal"])
@pytest.mark.parametrize(
    "last",
    [
        pytest.param(tool(1, '{"file_path": "a", "content": "half of'), id="half an input"),
        pytest.param(tool(1, '{"file_path": "a"}', ended=False), id="an input that never ended"),
        pytest.param(tool(1, ""), id="no input yet"),
        pytest.param(
            block(1, {"type": "thinking", "thinking": "", "signature": ""}), id="unsigned thinking"
        ),
        pytest.param(text(1, "", ended=False), id="empty text"),
    ],
)
def test_a_reply_that_was_cut_off_keeps_whole_blocks_only(last: list[Json], reason: str) -> None:
    reply = accumulate([START, *tool(0, '{"a": 1}'), *last, *end(reason)])
    assert reply.content == ({"type": "tool_use", "id": "t0", "name": "Read", "input": {"a": 1}},)
    assert reply.calls == (ToolCall("t0", "Read", {"a": 1}),)


def test_text_that_was_cut_off_is_kept() -> None:
    reply = accumulate([START, *text(0, "so far", ended=False), *end("max_tokens")])
    assert reply.content == ({"type": "text", "text": "so far"},)


def test_blank_text_is_dropped_because_the_api_refuses_it() -> None:
    assert accumulate([START, *text(0, " \n"), *end("end_turn")]).content == ()


def test_a_character_split_over_two_pieces_is_joined() -> None:
    emitted: list[Event] = []
    reply = accumulate([START, *text(0, "a\ud83d", "\ude00b"), *end("end_turn")], emitted)
    assert reply.content == ({"type": "text", "text": "a😀b"},)
    assert emitted == [TextDelta("a\ufffd"), TextDelta("\ufffdb")]


def test_counts_are_cumulative_and_split_by_lifetime() -> None:
    start: Json = {
        "type": "message_start",
        "message": {
            "usage": {
                "input_tokens": 10,
                "output_tokens": 1,
                "cache_read_input_tokens": 30,
                "cache_creation_input_tokens": 50,
                "cache_creation": {
                    "ephemeral_5m_input_tokens": 20,
                    "ephemeral_1h_input_tokens": 30,
                },
                "service_tier": "standard",
            }
        },
    }
    reply = accumulate([start, *end("end_turn", output_tokens=40, input_tokens=11)])
    assert reply.usage == Usage(11, 40, 30, 20, 30)


def test_cache_writes_without_a_split_count_as_short_ones() -> None:
    reply = accumulate([START, *end("end_turn", cache_creation_input_tokens=5)])
    assert reply.usage == Usage(input_tokens=7, cache_write_tokens=5)


def test_a_missing_message_start_is_forgiven() -> None:
    events = [*text(0, "hi"), *end("end_turn", input_tokens=3)]
    assert accumulate(events).usage == Usage(input_tokens=3)


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([], id="nothing"),
        pytest.param([START, *text(0, "x"), end("end_turn")[0]], id="no message_stop"),
        pytest.param([START, *text(0, "x"), *end(None)], id="no stop_reason"),
        pytest.param(
            [START, *tool(0, "{}", ended=False), *end("tool_use")], id="a call that never ended"
        ),
    ],
)
def test_a_reply_that_is_not_complete_is_refused(events: list[Json]) -> None:
    with pytest.raises(BrokenStream):
        accumulate(events)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param('{"type": "content_bl', id="not JSON"),
        pytest.param("[DONE]", id="another API's end"),
        pytest.param("[]", id="a list"),
        pytest.param("{}", id="no type"),
        pytest.param('{"type": "content_block_stop", "index": 4}', id="an unknown block"),
        pytest.param('{"type": "message_start", "message": 1}', id="a number for an object"),
        pytest.param("[" * 100_000, id="too deep"),
    ],
)
def test_malformed_events_break_the_stream(data: str) -> None:
    with pytest.raises(BrokenStream, match="malformed"):
        Accumulator(list[Event]().append).feed(data)


def test_an_error_event_is_told_apart() -> None:
    error = {"type": "overloaded_error", "message": "busy", "details": {"error_code": "c"}}
    with pytest.raises(ErrorEvent) as caught:
        accumulate([START, {"type": "error", "error": error}])
    told = (caught.value.kind, caught.value.message, caught.value.code)
    assert told == ("overloaded_error", "busy", "c")


def started(**fields: object) -> Json:
    """The start of a call of `Read`, with other fields."""
    start: Json = {"type": "tool_use", "id": "t0", "name": "Read", "input": {}, **fields}
    return {"type": "content_block_start", "index": 0, "content_block": start}


def counted(**usage: object) -> Json:
    """A count of tokens."""
    return {"type": "message_delta", "delta": {}, "usage": usage}


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(started(id=["x"]), id="a list for an id"),
        pytest.param(started(id=None), id="no id"),
        pytest.param(started(id=""), id="an empty id"),
        pytest.param(started(id="\ud800"), id="half a character in an id"),
        pytest.param(started(id="x" * 201), id="a long id"),
        pytest.param(started(name=["x"]), id="a list for a name"),
        pytest.param(started(name=5), id="a number for a name"),
        pytest.param(started(name="\x1b]0;P\x07"), id="control characters in a name"),
        pytest.param(started(input=[1]), id="a list for an input"),
        pytest.param(started(input="x"), id="text for an input"),
        pytest.param(block(0, {"text": "x"})[0], id="no type"),
        pytest.param(block(0, {"type": "text", "text": 5})[0], id="a number for text"),
        pytest.param(block(0, {"type": "text"})[0], id="no text"),
        pytest.param(block(0, {"type": "thinking", "thinking": 5})[0], id="a number for thinking"),
        pytest.param(block(0, {"type": "text", "text": "", "citations": 5})[0], id="citations"),
        pytest.param(block(0, {"type": "z", "k": ["\ud800"]})[0], id="half a character"),
        pytest.param({**started(), "index": "z"}, id="text for an index"),
        pytest.param({**started(), "index": True}, id="a truth for an index"),
        pytest.param({**started(), "index": -1}, id="an index below zero"),
        pytest.param(end({"a": 1})[0], id="an object for a stop reason"),  # pyright: ignore[reportArgumentType]  # that is the test
        pytest.param(end(5)[0], id="a number for a stop reason"),  # pyright: ignore[reportArgumentType]  # that is the test
        pytest.param(end("a\nb")[0], id="two lines for a stop reason"),
        pytest.param(counted(output_tokens=10**400), id="too many digits"),
        pytest.param(counted(output_tokens=10**13), id="too many tokens"),
        pytest.param(counted(output_tokens=-1), id="tokens below zero"),
        pytest.param(counted(input_tokens="1"), id="text for tokens"),
        pytest.param(counted(cache_creation={"ephemeral_1h_input_tokens": []}), id="a list"),
        pytest.param({"type": "error", "error": "boo"}, id="text for an error"),
    ],
)
def test_a_hostile_field_breaks_the_stream(event: Json) -> None:
    accumulator = Accumulator(list[Event]().append)
    with pytest.raises(BrokenStream, match="malformed"):
        accumulator.feed(json.dumps(event))


def test_a_call_without_an_id_breaks_the_stream() -> None:
    event = block(0, {"type": "tool_use", "name": "Read", "input": {}})[0]
    with pytest.raises(BrokenStream, match="malformed"):
        Accumulator(list[Event]().append).feed(json.dumps(event))


ODD: tuple[object, ...] = (None, True, -1, 5, 0.5, "", "z", "\ud800", [], [1], {}, {"type": []})


def variants(value: object) -> Iterable[object]:
    """The value with each part of it, in turn, replaced by each odd value, or left out."""
    yield from ODD
    if isinstance(value, dict):
        for key, part in cast("Json", value).items():
            yield {k: v for k, v in cast("Json", value).items() if k != key}
            yield from ({**value, key: odd} for odd in variants(part))


def test_no_odd_field_anywhere_raises_anything_else() -> None:
    cited = block(
        0,
        {"type": "text", "text": "a", "citations": []},
        {"type": "text_delta", "text": "b"},
        {"type": "citations_delta", "citation": {"url": "u"}},
    )
    thought = block(
        2,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "a"},
    )
    last = end("tool_use", output_tokens=1, cache_creation_input_tokens=2)
    events = [START, *cited, *tool(1, '{"a": 1}'), *thought, *last]
    for place, event in enumerate(events):
        for odd in variants(event):
            try:
                reply = accumulate([*events[:place], odd, *events[place + 1 :]])  # pyright: ignore[reportArgumentType]  # that is the test
            except BrokenStream:
                continue
            json.dumps(reply.content, ensure_ascii=False).encode()
            assert all({type(call.id), type(call.name)} == {str} for call in reply.calls)
