"""What a tool is to the host: its schema, and how its raw result becomes text for the model."""

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from agentflow.frozen import record
from agentflow.records import Json

STRICT = ConfigDict(extra="forbid", frozen=True, validate_by_name=True, validate_by_alias=True)
"""Unknown parameters are errors: a call that is understood in part does something else."""

Content = str | list[Json]

ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
"""ECMA-48 control sequences: colours, cursor movements, window titles."""
CONTROLS = re.compile(r"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")


def _as_given(arguments: BaseModel) -> Json:
    return arguments.model_dump(by_alias=True, exclude_none=True)


@record
class Tool:
    """One entry of the registry."""

    name: str
    input: type[BaseModel]
    read_only: bool
    shape: Callable[[Any, Json], tuple[Content, bool]]
    """The validated input and the toolbox's result to content and whether it is an error."""
    target: Callable[[Any], str]
    """The validated input to a few words for the console."""
    request: Callable[[Any], Json] = _as_given
    """The validated input to the arguments of the toolbox."""

    @property
    def schema(self) -> Json:
        """The tool as the Messages API takes it: one object for all who ask, so not to be changed."""
        return _schema(self)


@functools.cache
def _schema(tool: Tool) -> Json:
    description = Path(__file__).with_name(f"{tool.name.lower()}.md")
    return {
        "name": tool.name,
        "description": description.read_text("utf-8").strip(),
        "input_schema": _plain(tool.input.model_json_schema(by_alias=True)),
    }


def _plain(schema: Json) -> Json:
    """Drop what only costs tokens: titles, null defaults and the null of optional fields."""
    properties: Json = {}
    for name, field in schema["properties"].items():
        kinds: list[Json] = [k for k in field.pop("anyOf", []) if k != {"type": "null"}]
        merged: Json = {**kinds[0], **field} if kinds else field
        properties[name] = {
            key: value
            for key, value in merged.items()
            if key != "title" and not (key == "default" and value is None)
        }
    return {
        "type": "object",
        "properties": properties,
        "required": schema.get("required", []),
        "additionalProperties": False,
    }


def clean(text: str) -> str:
    """Remove NUL and replace lone surrogates: the API refuses both."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def clean_terminal(text: str) -> str:
    """Also remove control sequences, and mark other control characters."""
    return CONTROLS.sub("\N{REPLACEMENT CHARACTER}", ESCAPES.sub("", clean(text)))


def numbered(lines: list[str], start: int) -> str:
    """Return the lines as `cat -n` prints them."""
    return "\n".join(f"{number:6d}\t{line}" for number, line in enumerate(lines, start))


def short(text: str, limit: int = 80) -> str:
    """Return the text on one line, cut for the console."""
    line = " ".join(clean_terminal(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
