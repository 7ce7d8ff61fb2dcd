"""Usage and messages as the GenAI semantic conventions of OpenTelemetry write them."""

import json
from typing import Any, cast

from agentflow.messages import Usage
from agentflow.records import Json

PROVIDER = "anthropic"
"""The API that is spoken, whoever serves it."""

Attributes = dict[str, str | bool | int | float | list[str]]
"""Of a span or a measurement."""


def usage_attributes(usage: Usage) -> Attributes:
    """Tokens; those of the input include what was read from the cache and written to it."""
    return {
        "gen_ai.usage.input_tokens": usage.prompt_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cache_read_tokens,
        "gen_ai.usage.cache_creation.input_tokens": (
            usage.cache_write_tokens + usage.cache_write_1h_tokens
        ),
    }


def messages_text(messages: list[Json]) -> str:
    """Messages in the form of the conventions: a role, and parts."""
    return json.dumps([
        {"role": message["role"], "parts": [_part(block) for block in blocks_of(message)]}
        for message in messages
    ])


def blocks_of(message: Json) -> list[Json]:
    """The content blocks of a message; a text is one."""
    content = message["content"]
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return cast("list[Json]", content)


def _part(block: Json) -> Json:
    match block["type"]:
        case "text":
            return {"type": "text", "content": block["text"]}
        case "thinking":
            return {"type": "reasoning", "content": block["thinking"]}
        case "tool_use":
            return {
                "type": "tool_call",
                "id": block["id"],
                "name": block["name"],
                "arguments": block["input"],
            }
        case "tool_result":
            shown: Any = block["content"]
            return {"type": "tool_call_response", "id": block["tool_use_id"], "response": shown}
        case other:
            return {"type": other}
