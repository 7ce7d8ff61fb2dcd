"""Read: a window of a text file with line numbers, an image or a PDF."""

from pydantic import BaseModel, Field

from agentflow.records import Json
from agentflow.tools.tool import STRICT, Content, numbered, short

READ_ONLY = True


class Input(BaseModel):
    """Parameters of Read."""

    model_config = STRICT
    file_path: str = Field(description="Absolute, or relative to the root", min_length=1)
    offset: int | None = Field(None, ge=0, description="First line, from 1")
    limit: int | None = Field(None, ge=1, description="Number of lines")


def shape(arguments: Input, result: Json) -> tuple[Content, bool]:
    """Return numbered lines with a notice if there are more, or a content block."""
    if result["kind"] != "text":
        source = {"type": "base64", "media_type": result["media_type"], "data": result["data"]}
        return [{"type": result["kind"], "source": source}], False
    lines: list[str] = result["lines"]
    if not lines:
        return "(the file is empty)", False
    text = numbered(lines, result["start"])
    if not result["partial"]:
        return text, False
    last = result["start"] + len(lines) - 1
    total = result["total"]
    more = f" Continue with offset={last + 1}." if total is None or last < total else ""
    of = f"of {total}" if total is not None else f"of a file of {result['size']:,} bytes"
    return f"{text}\n\n[PARTIAL view: lines {result['start']}-{last} {of}.{more}]", False


def target(arguments: Input) -> str:
    """Return the path."""
    return short(arguments.file_path)
