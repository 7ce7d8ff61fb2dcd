"""The script: what the scripted model answers, turn by turn.

model: claude-sonnet-5-5        # for display
by: requests                    # optional: turn n answers the nth request that is not a repetition
conversations:                  # optional: other turns where the first message holds these words
  "Task TASK-2": [{text: …}]
limits: {requests: 10}          # optional: what one minute bears, see `limits.py`
turns:
  - thinking: "…"               # optional
    text: "…"                   # optional
    calls:                      # optional; `raw` instead of `input` for text that is not JSON
      - {tool: Read, input: {file_path: a.py}}
    stop_reason: tool_use       # default: tool_use with calls, otherwise end_turn
    usage: {input_tokens: 10, output_tokens: 5}    # default: estimated, see `cache`
    latency: 0.05               # seconds before the first byte
    pace: 0.01                  # seconds between two pieces of the stream
    faults: [overloaded, cut]   # one for each attempt at this turn, then the real answer
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

import yaml

from agentflow.errors import UsageError
from agentflow.frozen import record
from agentflow.models.scripted.faults import Fault, find_fault
from agentflow.models.scripted.limits import LIMITS
from agentflow.nearest import nearest
from agentflow.records import Json

_NUMBER = (int, float)
_TURN_KEYS: dict[str, tuple[type, ...]] = {
    "thinking": (str,),
    "text": (str,),
    "calls": (list,),
    "stop_reason": (str,),
    "usage": (dict,),
    "latency": _NUMBER,
    "pace": _NUMBER,
    "faults": (list,),
}
_CALL_KEYS: dict[str, tuple[type, ...]] = {"tool": (str,), "input": (dict,), "raw": (str,)}
_SCRIPT_KEYS: dict[str, tuple[type, ...]] = {
    "model": (str,),
    "by": (str,),
    "turns": (list,),
    "conversations": (dict,),
    "limits": (dict,),
}
_LIMIT_KEYS: dict[str, tuple[type, ...]] = dict.fromkeys(LIMITS, (int,))
_BY = ("replies", "requests")
_USAGE_KEYS: dict[str, tuple[type, ...]] = {
    "input_tokens": (int,),
    "output_tokens": (int,),
    "cache_read_input_tokens": (int,),
    "cache_creation_input_tokens": (int,),
    "cache_creation": (dict,),
}
_WORDS = {str: "text", list: "a list", dict: "a mapping", int: "a number", float: "a number"}


@record
class Call:
    """One tool call of a turn."""

    tool: str
    json: str
    """The input as it goes over the wire; not always valid."""


@record
class Turn:
    """One reply. All times in seconds."""

    thinking: str = ""
    text: str = ""
    calls: tuple[Call, ...] = ()
    stop_reason: str = "end_turn"
    usage: Json | None = None
    """As on the wire; None means estimated."""
    latency: float = 0.0
    pace: float = 0.0
    faults: tuple[Fault, ...] = ()


@record
class Script:
    """All replies."""

    turns: tuple[Turn, ...]
    model: str = "scripted"
    by: str = "replies"
    """Turn n answers a request that holds n assistant messages; with `requests`, for conversations
    that are shortened, the nth (from 0) list of messages that was not asked before."""
    conversations: Mapping[str, tuple[Turn, ...]] = field(
        default_factory=dict[str, "tuple[Turn, ...]"]
    )
    """Other turns, by words of the first message."""
    limits: Mapping[str, int] = field(default_factory=dict[str, int])
    """What one minute bears, by the kinds in `limits.LIMITS`."""

    def turns_for(self, first: str) -> tuple[Turn, ...]:
        """The turns of a conversation, by the text of its first message."""
        found = (turns for words, turns in self.conversations.items() if words in first)
        return next(found, self.turns)


def load_script(source: Path | str) -> Script:
    """Read a script from a file (`Path`) or from its text (`str`), in YAML or JSON.

    Raises `UsageError` naming the file, the turn and the key.
    """
    where = str(source) if isinstance(source, Path) else "script"
    try:
        text = source.read_text("utf-8") if isinstance(source, Path) else source
        data = yaml.safe_load(text)
    except OSError as error:
        raise UsageError(f"{where}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(
            f"{where}: neither YAML nor JSON: {' '.join(str(error).split())}"
        ) from error
    return read_script(data, where)


def read_script(data: object, where: str = "script") -> Script:
    """Turn plain data into a script.

    Raises `UsageError` naming `where`, the turn and the key.
    """
    fields = _fields(data, _SCRIPT_KEYS, where)
    if not fields.get("turns"):
        raise UsageError(f"{where}: turns: at least one turn is needed")
    turns = _turns(fields["turns"], where)
    conversations = {
        str(words): _turns(said, f"{where}, {words}")
        for words, said in fields.get("conversations", {}).items()
    }
    limits = _fields(fields.get("limits", {}), _LIMIT_KEYS, f"{where}, limits")
    by = fields.get("by", _BY[0])
    if by not in _BY:
        raise UsageError(f"{where}: by: expected {' or '.join(_BY)}")
    return Script(turns, fields.get("model", "scripted"), by, conversations, limits)


def _turns(said: list[object], where: str) -> tuple[Turn, ...]:
    return tuple(read_turn(turn, f"{where}, turn {n}") for n, turn in enumerate(said, 1))


def read_turn(data: object, where: str) -> Turn:
    """Turn plain data into one reply. Raises `UsageError` naming `where` and the key."""
    fields = _fields(data, _TURN_KEYS, where)
    calls = tuple(
        _call(call, f"{where}, call {number}")
        for number, call in enumerate(fields.get("calls", ()), 1)
    )
    for key in ("latency", "pace"):
        if fields.get(key, 0) < 0:
            raise UsageError(f"{where}: {key}: may not be negative")
    usage = fields.get("usage")
    return Turn(
        fields.get("thinking", ""),
        fields.get("text", ""),
        calls,
        fields.get("stop_reason", "tool_use" if calls else "end_turn"),
        None if usage is None else _fields(usage, _USAGE_KEYS, f"{where}, usage"),
        fields.get("latency", 0.0),
        fields.get("pace", 0.0),
        tuple(_faults(fields.get("faults", ()), where)),
    )


def _faults(names: Iterable[object], where: str) -> Iterable[Fault]:
    for name in names:
        try:
            yield find_fault(str(name))
        except UsageError as error:
            raise UsageError(f"{where}: faults: {error.message}", error.hint) from error


def _call(data: object, where: str) -> Call:
    fields = _fields(data, _CALL_KEYS, where)
    if "tool" not in fields:
        raise UsageError(f"{where}: tool: the name is missing")
    if "input" in fields and "raw" in fields:
        raise UsageError(f"{where}: give either input or raw")
    written = json.dumps(fields.get("input", {}), ensure_ascii=False)
    return Call(fields["tool"], fields.get("raw", written))


def _fields(data: object, keys: dict[str, tuple[type, ...]], where: str) -> dict[str, Any]:
    """The mapping, if it has only known keys with values of the right kinds."""
    if not isinstance(data, dict):
        raise UsageError(f"{where}: expected a mapping with {', '.join(keys)}")
    fields: dict[str, Any] = {}
    for key, value in data.items():  # pyright: ignore[reportUnknownVariableType]  # checked here
        name = str(key)  # pyright: ignore[reportUnknownArgumentType]
        if name not in keys:
            raise UsageError(
                f"{where}: unknown key {name!r}{nearest(name, keys)}",
                hint=f"Known keys: {', '.join(keys)}.",
            )
        if isinstance(value, bool) or not isinstance(value, keys[name]):
            raise UsageError(f"{where}: {name}: expected {_WORDS[keys[name][0]]}")
        fields[name] = value
    return fields
