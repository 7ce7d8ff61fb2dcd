"""What of a request must be the same for a recorded reply to fit it. Pure.

Compared word for word, but for what differs from run to run (`transient`, names of commits and
runs): the model, the system prompt, the tools, and what agentflow tells the agent. Of a tool's
result only what kind it is and whether it is an error: the same call to the same files prints other
times and paths. Of the model's own messages, their digest. Not compared: `max_tokens` and effort.
"""

import hashlib
import json
import re
from typing import cast

from agentflow.messages import Request
from agentflow.records import Json
from agentflow.transient import without_transients

PARTS = ("model", "system", "tools")
"""The parts besides the messages, as a shape names them."""

_RUN = re.compile(r"\b[A-Za-z0-9][\w.-]*-\d{8}T\d{6}-[0-9a-f]{4}\b")
_COMMIT = re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{7,40}\b")


def shape(request: Request) -> Json:
    """What is compared: `model`, `system`, `tools` and `messages`, one shape for each message."""
    return {
        "model": request.model,
        "system": plain(request.system),
        "tools": request.tools,
        "messages": [_message(message) for message in request.messages],
    }


def digest(value: object) -> str:
    """SHA-256 of a JSON value, whatever the order of its keys."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def plain(text: str) -> str:
    """A text without what differs from run to run."""
    return _COMMIT.sub("<commit>", without_transients(_RUN.sub("<run>", text)))


def _message(message: Json) -> Json:
    role, content = message["role"], message["content"]
    if role == "assistant":
        return {"role": role, "sha256": digest(content)}
    if isinstance(content, str):
        return {"role": role, "blocks": [{"type": "text", "text": plain(content)}]}
    blocks = cast("list[Json]", content)
    return {"role": role, "blocks": [_block(block) for block in blocks]}


def _block(block: Json) -> Json:
    if block["type"] == "text":
        return {"type": "text", "text": plain(block["text"])}
    if block["type"] != "tool_result":
        return {"type": block["type"]}
    content = block["content"]
    kinds = ["text"] if isinstance(content, str) else [each["type"] for each in content]
    return {
        "type": "tool_result",
        "tool_use_id": block["tool_use_id"],
        "kinds": kinds,
        "is_error": bool(block.get("is_error")),
    }
