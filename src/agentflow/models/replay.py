"""Replaying: recorded replies instead of a model; tools, sandbox and gates are real.

Each request must have the shape of the recorded one. The first that has not ends the run: what the
model would have said to it nobody knows.
"""

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from agentflow.errors import ProviderFailure, UsageError
from agentflow.events import Notice, TextDelta
from agentflow.frozen import record
from agentflow.interfaces import Emit
from agentflow.messages import CallFailed, Reply, Request, ToolCall, Usage
from agentflow.models.recording import FORMAT, VERSION
from agentflow.models.request_shape import PARTS, digest, shape
from agentflow.records import Json
from agentflow.strict_json import parse_object
from agentflow.words import plain

MAX_FILE = 256 << 20
"""Bytes of a recording."""
MADE_BY = "Make one with `agentflow run TASK --record FILE`."
DIFF_LINES = 40
"""Lines of a difference that are shown, each cut to `DIFF_WIDTH` characters."""
DIFF_WIDTH = 200
_NAMES = {"model": "the model", "system": "the system prompt", "tools": "the tools"}


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Header(_Line):
    format: str
    version: int
    model: str
    task: str
    prompt: str
    prompt_sha256: str


class _Usage(_Line):
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    cache_write_1h_tokens: int


class _Reply(_Line):
    stop_reason: str
    content: list[dict[str, Any]]
    usage: _Usage
    discarded: _Usage
    problems: dict[str, str]


class _Request(_Line):
    model: str | None = None
    system: str | None = None
    tools: list[dict[str, Any]] | None = None
    kept: int
    messages: list[dict[str, Any]]


class _Turn(_Line):
    turn: int
    digest: str
    request: _Request
    reply: _Reply


_Kind = TypeVar("_Kind", bound=_Line)


@record
class Recorded:
    """One turn of a recording."""

    asked: Json
    """The request's shape."""
    digest: str
    reply: Reply


@record
class Tape:
    """A whole recording."""

    path: Path
    model: str
    prompt: str
    prompt_sha256: str
    turns: tuple[Recorded, ...]


def read_tape(path: Path) -> Tape:
    """Read a recording; a torn last line, of a run that was killed, is left out.

    Raises `UsageError` naming the line that is no line of a recording, or was changed by hand so
    that request and digest differ.
    """
    header, *lines = [*_lines(path)] or [b"{}"]
    head = _parsed(_Header, header, path, 1)
    if (head.format, head.version) != (FORMAT, VERSION):
        raise UsageError(
            f"--replay: {path} is in the format {head.format} {head.version}, "
            f"and this agentflow reads {FORMAT} {VERSION}"
        )
    turns = list[Recorded]()
    asked: Json = {"messages": []}
    for number, raw in enumerate(lines, 2):
        line = _parsed(_Turn, raw, path, number)
        asked = _whole(asked, line.request)
        if digest(asked) != line.digest:
            raise UsageError(f"--replay: {path}:{number}: the request does not have its digest")
        turns.append(Recorded(asked, line.digest, _reply(line.reply, path, number)))
    return Tape(path, head.model, head.prompt, head.prompt_sha256, tuple(turns))


class ReplayModel:
    """A `Model` that says what was recorded. Needs no key and no network."""

    def __init__(self, tape: Tape, prompt_sha256: str) -> None:
        """`prompt_sha256`: of the prompt file that runs now."""
        self._tape = tape
        self._prompt_sha256 = prompt_sha256
        self._turn = 0

    async def reply(self, request: Request, emit: Emit) -> Reply:
        """Return the next recorded reply.

        Raises `ProviderFailure` for a request that differs from the recorded one, after a notice
        with the difference, and when there are no more replies; `CallFailed` where the recorded run
        went over to another model.
        """
        tape, self._turn = self._tape, self._turn + 1
        if self._turn > len(tape.turns):
            raise ProviderFailure(
                f"the replay has no reply for turn {self._turn}: {tape.path.name} holds "
                f"{len(tape.turns)}",
                hint="The run goes on longer than the recorded one; record it anew.",
            )
        recorded, asked = tape.turns[self._turn - 1], shape(request)
        if self._failed_then(request.model):
            self._turn -= 1
            raise CallFailed(
                f"the replay diverges at turn {self._turn + 1}: {request.model} failed there, and "
                f"{recorded.asked['model']} went on",
                hint=f"Give --fallback-model {recorded.asked['model']}, as the recorded run did.",
                used=Usage(),
                temporary=True,
            )
        if digest(asked) != recorded.digest:
            where, difference = differences(recorded.asked, asked)
            emit(Notice(f"turn {self._turn} differs from the recording in {where}:\n{difference}"))
            raise ProviderFailure(
                f"the replay diverges at turn {self._turn}: {where}{self._because}",
                hint="What the model says to that is not recorded; record it anew with --record.",
            )
        if recorded.reply.text:
            emit(TextDelta(recorded.reply.text))
        return recorded.reply

    def _failed_then(self, model: str) -> bool:
        """Whether at this turn of the recording a model that had answered until then did not, and
        another one did."""
        turns, place = self._tape.turns, self._turn - 1
        earlier = turns[place - 1].asked["model"] if place else self._tape.model
        return model == earlier != turns[place].asked["model"]

    async def close(self) -> None:
        """Nothing is open."""

    @property
    def _because(self) -> str:
        same = self._prompt_sha256 == self._tape.prompt_sha256
        return "" if same else f" (the prompt is not {self._tape.prompt} as it was recorded)"


def differences(recorded: Json, asked: Json) -> tuple[str, str]:
    """What two shapes differ in, in words, and how: a short unified difference.

    Of the messages only the first one that differs is told.
    """
    found = [(_NAMES[name], _pair(recorded, asked, name)) for name in PARTS]
    told = [(where, pair) for where, pair in found if pair[0] != pair[1]]
    before, after = recorded["messages"], asked["messages"]
    pairs = enumerate(zip(before, after, strict=False))
    place = next((n for n, (old, new) in pairs if old != new), None)
    if place is not None:
        pair = (_lines_of(before[place]), _lines_of(after[place]))
        told.append((f"message {place + 1}", pair))
    elif len(before) != len(after):
        pair = ([f"{len(before)} messages"], [f"{len(after)} messages"])
        told.append(("the number of messages", pair))
    where = " and ".join(name for name, _ in told)
    lines = [line for _, (old, new) in told for line in _difference(old, new)]
    if len(lines) > DIFF_LINES:
        lines = [*lines[:DIFF_LINES], f"… {len(lines) - DIFF_LINES} more lines"]
    return where, "\n".join(line[:DIFF_WIDTH] for line in lines)


def _difference(old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    found = difflib.unified_diff(old, new, "recorded", "now", lineterm="", n=1)
    return (line for line in found if not line.startswith("@@"))


def _pair(recorded: Json, asked: Json, name: str) -> tuple[list[str], list[str]]:
    if name != "tools":
        return str(recorded[name]).split("\n"), str(asked[name]).split("\n")
    tools = ({tool["name"]: digest(tool) for tool in each["tools"]} for each in (recorded, asked))
    old, new = ([f"{name} {mark[:12]}" for name, mark in each.items()] for each in tools)
    return old, new


def _lines_of(message: Json) -> list[str]:
    """A message's shape as lines for people."""
    if "blocks" not in message:
        return [f"{message['role']} {message['sha256'][:12]}"]
    lines = list[str]()
    for block in message["blocks"]:
        if block["type"] == "text":
            lines += block["text"].split("\n")
        elif block["type"] == "tool_result":
            kind = "an error" if block["is_error"] else " and ".join(block["kinds"])
            lines.append(f"the result of {block['tool_use_id']}: {kind}")
        else:
            lines.append(block["type"])
    return lines


def _lines(path: Path) -> list[bytes]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise UsageError(f"--replay: cannot read {path}: {error.strerror}", hint=MADE_BY) from error
    if len(data) > MAX_FILE:
        raise UsageError(f"--replay: {path} has more than {MAX_FILE:,} bytes")
    return data.split(b"\n")[:-1]


def _parsed(kind: type[_Kind], raw: bytes, path: Path, number: int) -> _Kind:
    try:
        return kind.model_validate(parse_object(raw))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        reason = f"{'.'.join(map(str, first['loc']))}: {plain(first['msg'])}"
    except (ValueError, RecursionError) as error:
        reason = str(error)
    raise UsageError(
        f"--replay: {path}:{number}: not a line of a recording ({reason[:200]})",
        hint=MADE_BY,
    )


def _whole(before: Json, news: _Request) -> Json:
    """The shape of a request, from that of the one before and what is new."""
    parts = {name: value for name in PARTS if (value := getattr(news, name)) is not None}
    return {**before, **parts, "messages": [*before["messages"][: news.kept], *news.messages]}


def _reply(line: _Reply, path: Path, number: int) -> Reply:
    try:
        calls = tuple(
            ToolCall(block["id"], block["name"], None, line.problems[block["id"]])
            if block["id"] in line.problems
            else ToolCall(block["id"], block["name"], dict(block["input"]))
            for block in line.content
            if block["type"] == "tool_use"
        )
        usage, discarded = (Usage(**dict(each)) for each in (line.usage, line.discarded))
        reply = Reply(tuple(line.content), line.stop_reason, usage, calls, discarded)
        _ = reply.text
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"--replay: {path}:{number}: a content block of the reply is malformed"
        ) from error
    return reply
