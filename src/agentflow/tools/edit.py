"""Edit: replace an exact piece of a file."""

from pydantic import BaseModel, Field

from agentflow.records import Json
from agentflow.tools.tool import STRICT, Content, numbered, short

READ_ONLY = False


class Input(BaseModel):
    """Parameters of Edit."""

    model_config = STRICT
    file_path: str = Field(description="Absolute, or relative to the root", min_length=1)
    old_string: str = Field(description="Exact text to replace; empty creates the file")
    new_string: str = Field(description="Text to put in its place")
    replace_all: bool = Field(False, description="Replace every occurrence")


def shape(arguments: Input, result: Json) -> tuple[Content, bool]:
    """Return where the change is and the lines around the first place."""
    count = result["replacements"]
    places = "" if count == 1 else f", {count} places; the first"
    head = f"Changed {result['path']} at line {result['start']}{places}:"
    return f"{head}\n{numbered(result['snippet'], result['snippet_start'])}", False


def target(arguments: Input) -> str:
    """Return the path."""
    return short(arguments.file_path)
