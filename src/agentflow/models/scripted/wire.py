"""Bytes and objects of the Messages API that do not depend on a script.

Source: the API's streaming page and the response types of `anthropic` 2.11.0.
"""

import base64
import hashlib
import json

from agentflow.records import Json

_PIECE = 24
"""Characters of one delta, about what the API sends."""


def event(data: Json) -> bytes:
    """One server-sent event, named by its `type`."""
    return f"event: {data['type']}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def error_body(kind: str, message: str, request_id: str, code: str | None = None) -> Json:
    """The body of an error response."""
    error: Json = {"type": kind, "message": message}
    if code:
        error["details"] = {"error_code": code}
    return {"type": "error", "error": error, "request_id": request_id}


def sign(thinking: str) -> str:
    """The signature of a thinking block. The real one is secret, this one only a digest."""
    return base64.b64encode(hashlib.sha256(thinking.encode()).digest()).decode()


def pieces(text: str) -> list[str]:
    """The text cut into deltas: at least two where there are two characters."""
    size = max(1, min(_PIECE, len(text) // 2))
    return [text[i : i + size] for i in range(0, len(text), size)]
