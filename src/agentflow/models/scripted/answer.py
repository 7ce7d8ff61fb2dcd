"""One turn of a script as a reply of the Messages API, whole or as a stream of events."""

import json

from agentflow.frozen import record
from agentflow.models.scripted.script import Turn
from agentflow.models.scripted.wire import event, pieces, sign
from agentflow.records import Json


@record
class Block:
    """One content block: how it starts, grows, and what it is in the end."""

    start: Json
    deltas: tuple[Json, ...]
    whole: Json


def blocks(turn: Turn, number: int) -> list[Block]:
    """The content blocks of turn `number` (from 0)."""
    found: list[Block] = []
    if turn.thinking:
        signature = sign(turn.thinking)
        found.append(
            Block(
                {"type": "thinking", "thinking": "", "signature": ""},
                (
                    *({"type": "thinking_delta", "thinking": p} for p in pieces(turn.thinking)),
                    {"type": "signature_delta", "signature": signature},
                ),
                {"type": "thinking", "thinking": turn.thinking, "signature": signature},
            )
        )
    if turn.text:
        found.append(
            Block(
                {"type": "text", "text": ""},
                tuple({"type": "text_delta", "text": piece} for piece in pieces(turn.text)),
                {"type": "text", "text": turn.text},
            )
        )
    for position, call in enumerate(turn.calls):
        head: Json = {
            "type": "tool_use",
            "id": f"toolu_{number:04}_{position:02}",
            "name": call.tool,
        }
        found.append(
            Block(
                {**head, "input": {}},
                tuple(
                    {"type": "input_json_delta", "partial_json": piece}
                    for piece in ("", *(() if call.json == "{}" else pieces(call.json)))
                ),
                {**head, "input": _parsed(call.json)},
            )
        )
    return found


def message(turn: Turn, number: int, model: str, usage: Json) -> Json:
    """The whole reply, as it is sent when no stream was asked for."""
    return {
        "id": f"msg_{number:04}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [block.whole for block in blocks(turn, number)],
        "stop_reason": turn.stop_reason,
        "stop_sequence": None,
        "usage": usage,
    }


def events(turn: Turn, number: int, model: str, usage: Json) -> list[bytes]:
    """The whole reply as a stream of events."""
    start: Json = {**message(turn, number, model, usage), "content": [], "stop_reason": None}
    start["usage"] = {**usage, "output_tokens": min(1, usage["output_tokens"])}
    sent: list[Json] = [{"type": "message_start", "message": start}]
    for index, block in enumerate(blocks(turn, number)):
        sent.append({"type": "content_block_start", "index": index, "content_block": block.start})
        if index == 0:
            sent.append({"type": "ping"})
        sent.extend(
            {"type": "content_block_delta", "index": index, "delta": delta}
            for delta in block.deltas
        )
        sent.append({"type": "content_block_stop", "index": index})
    final = {key: value for key, value in usage.items() if key != "cache_creation"}
    delta = {"stop_reason": turn.stop_reason, "stop_sequence": None}
    sent.extend((
        {"type": "message_delta", "delta": delta, "usage": final},
        {"type": "message_stop"},
    ))
    return [event(data) for data in sent]


def _parsed(text: str) -> Json:
    """What a message that is not streamed shows of an input; it cannot show broken JSON."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return dict(value) if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownArgumentType]
