"""What a toolbox may answer. What it says is not trusted: anything else ends its sandbox."""

import json
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, cast

from agentflow.frozen import record
from agentflow.records import Json

Check = Callable[[Any], bool]

MOST = 1 << 63
"""A number has fewer bits than that: longer ones cannot always be printed."""


@record
class Answer:
    """One line of a toolbox."""

    id: int
    """That of the call; 0 for none."""
    error: str | None = None
    result: Json = field(default_factory=dict[str, Any])
    signals: tuple[Json, ...] = ()
    """Each has a `name` and a `text`."""


def read_object(line: bytes) -> Json:
    """Read one JSON object. Raises `ValueError` for anything else."""
    try:
        value = json.loads(line)
    except RecursionError as error:
        raise ValueError("it nests too deeply") from error
    if not isinstance(value, dict):
        raise ValueError(f"{line[:80]!r} is not an object")  # noqa: TRY004  one kind of bad line
    return cast("Json", value)


def read_answer(line: bytes) -> Answer:
    """Read a line that answers a call. Raises `ValueError` for anything else."""
    said = read_object(line)
    if not all(check(said[name]) for name, check in _PARTS.items() if name in said):
        raise ValueError("it is no answer to a call")
    return Answer(
        said.get("id") or 0,
        said.get("error"),
        said.get("result", {}),
        tuple(said.get("signals", ())),
    )


def is_result(tool: str, result: Json) -> bool:
    """Whether it has what a result of the tool must have; tools that are not listed need nothing."""
    if tool == "Read" and result.get("kind") != "text":
        return _has(result, _MEDIA)
    return _has(result, RESULTS.get(tool, {}))


def _has(value: object, fields: Mapping[str, Check]) -> bool:
    if not isinstance(value, dict):
        return False
    found = cast("Json", value)
    return all(name in found and check(found[name]) for name, check in fields.items())


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_text, cast("list[object]", value)))


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < MOST


def _maybe(check: Check) -> Check:
    return lambda value: value is None or check(value)


RESULTS: Mapping[str, Mapping[str, Check]] = {
    "Read": {
        "lines": _texts, "start": _number, "total": _maybe(_number), "partial": _flag,
        "size": _number,
    },
    "Write": {"path": _text, "created": _flag, "bytes": _number},
    "Edit": {
        "path": _text, "replacements": _number, "start": _number, "snippet": _texts,
        "snippet_start": _number,
    },
    "Bash": {
        "exit_code": _maybe(_number), "killed": _maybe(_text), "reason": _maybe(_text),
        "output": _text, "truncated": _flag, "full_output": _maybe(_text), "notes": _texts,
    },
    "Grep": {"lines": _texts, "total": _number, "truncated": _flag, "hint": _text},
    "Glob": {"paths": _texts, "truncated": _flag},
    "Keep": {"path": _text},
}  # fmt: skip
"""By tool, the fields that its result must have."""
_PARTS: Mapping[str, Check] = {
    "id": _maybe(_number),
    "error": _text,
    "result": lambda value: _has(value, {}),
    "signals": lambda value: (
        isinstance(value, list) and all(_has(each, _SIGNAL) for each in cast("list[object]", value))
    ),
}
_SIGNAL: Mapping[str, Check] = {"name": _text, "text": _text}
_MEDIA: Mapping[str, Check] = {
    "kind": lambda value: value in ("image", "document"), "media_type": _text, "data": _text,
}  # fmt: skip
