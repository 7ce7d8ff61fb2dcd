"""stream-json: durable events as the field's line types, one JSON object a line.

`system` (init), `assistant`, `user` and `result` are shaped as other tools print them; everything
else is `agentflow.*`.
"""

import dataclasses
from typing import Protocol

from agentflow.events import (
    AssistantMessage,
    Event,
    RunFinished,
    RunResumed,
    RunStarted,
    UserMessage,
)
from agentflow.neutral import json_line
from agentflow.records import Json


class Stream(Protocol):
    """Where lines go."""

    def write(self, text: str, /) -> int: ...
    def flush(self) -> None: ...


class StreamJsonSink:
    """Writes a line for each durable event. The last line, the result, is the report's."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._run = ""

    def __call__(self, event: Event, /) -> None:
        """Write the event's line."""
        if not event.durable or isinstance(event, RunFinished):
            return
        if isinstance(event, RunStarted | RunResumed):
            self._run = event.run
        self._stream.write(json_line({**project(event), "session_id": self._run}) + "\n")
        self._stream.flush()


def project(event: Event) -> Json:
    """Return a durable event as the line that other tools would print for it."""
    match event:
        case RunStarted():
            fields = dataclasses.asdict(event)
            return {"type": "system", "subtype": "init", **fields}
        case AssistantMessage():
            return {
                "type": "assistant",
                "message": {**event.message, "stop_reason": event.stop_reason},
                "usage": dataclasses.asdict(event.usage),
                "cost_usd": event.cost,
            }
        case UserMessage():
            return {"type": "user", "message": event.message}
        case _:
            return {"type": event.type, **dataclasses.asdict(event)}
