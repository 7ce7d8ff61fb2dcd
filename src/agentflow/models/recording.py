"""Recordings: a run's replies in a file, so that the run can be repeated without a model.

JSON lines. The first is the header; each further one is a reply and the request that it answered:

    {"format": "agentflow-recording", "version": 1, "model": …, "task": …, "prompt": …,
     "prompt_sha256": …}
    {"turn": 1, "digest": SHA-256 of the request's shape,
     "request": {"model"?: …, "system"?: …, "tools"?: …, "kept": n, "messages": […]},
     "reply": {"stop_reason": …, "content": […], "usage": {…}, "discarded": {…}, "problems": {…}}}

A request is told as its shape (`request_shape`), and as what is new in it: the parts that changed,
and the messages after the first `kept` ones of the request before. `problems` says of calls whose
input was no JSON why, by their ids.
"""

import os
from dataclasses import asdict
from pathlib import Path

from agentflow.disk import check_new
from agentflow.errors import EnvironmentFailure
from agentflow.interfaces import Emit, Model
from agentflow.journal import encoded
from agentflow.messages import Reply, Request
from agentflow.models.request_shape import PARTS, digest, shape
from agentflow.records import Json
from agentflow.redacted import redacted_json, redacted_reply
from agentflow.redaction import Redact

FORMAT = "agentflow-recording"
VERSION = 1


class Recording:
    """A file that replies are written to, each before the run goes on."""

    def __init__(self, path: Path, header: Json) -> None:
        """The file is made with the first reply, for its owner only.

        Raises `UsageError` if it is there already, or cannot be there.
        """
        self.path = path
        self._header: Json = {"format": FORMAT, "version": VERSION, **header}
        self._turn = 0
        self._last: Json = {"messages": []}
        self._file: int | None = None
        check_new(path)

    def add(self, asked: Json, reply: Reply) -> None:
        """Write a reply and the shape of its request. Raises `EnvironmentFailure`."""
        self._turn += 1
        self._write({
            "turn": self._turn,
            "digest": digest(asked),
            "request": _news(self._last, asked),
            "reply": {
                "stop_reason": reply.stop_reason,
                "content": list(reply.content),
                "usage": asdict(reply.usage),
                "discarded": asdict(reply.discarded),
                "problems": {c.id: c.problem for c in reply.calls if c.arguments is None},
            },
        })
        self._last = asked

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
        self._file = None

    def _write(self, line: Json) -> None:
        try:
            if self._file is None:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
                self._file = os.open(self.path, flags, 0o600)
                self._append(self._file, self._header)
            self._append(self._file, line)
        except OSError as error:
            raise EnvironmentFailure(
                f"--record: cannot write {self.path}: {error.strerror}"
            ) from error

    def _append(self, file: int, line: Json) -> None:
        data = (encoded(line) + "\n").encode("utf-8", "backslashreplace")
        while data:
            data = data[os.write(file, data) :]


class RecordingModel:
    """A `Model` whose replies are written to a recording, redacted."""

    def __init__(self, model: Model, recording: Recording, redact: Redact) -> None:
        self._model = model
        self._recording = recording
        self._redact = redact

    async def reply(self, request: Request, emit: Emit) -> Reply:
        """Return one finished reply, as it was written down."""
        reply = redacted_reply(await self._model.reply(request, emit), self._redact)
        self._recording.add(redacted_json(shape(request), self._redact), reply)
        return reply

    async def close(self) -> None:
        """Close model and file."""
        self._recording.close()
        await self._model.close()


def _news(before: Json, asked: Json) -> Json:
    """What a request has that the one before had not."""
    earlier, messages = before["messages"], asked["messages"]
    pairs = zip(earlier, messages, strict=False)
    kept = next((n for n, (old, new) in enumerate(pairs) if old != new), len(earlier))
    kept = min(kept, len(messages))
    parts: Json = {name: asked[name] for name in PARTS if before.get(name) != asked[name]}
    return {**parts, "kept": kept, "messages": messages[kept:]}
