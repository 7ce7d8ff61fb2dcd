"""Write: create a file or replace it as a whole."""

from pydantic import BaseModel, Field

from agentflow.records import Json
from agentflow.tools.tool import STRICT, Content, short

READ_ONLY = False


class Input(BaseModel):
    """Parameters of Write."""

    model_config = STRICT
    file_path: str = Field(description="Absolute, or relative to the root", min_length=1)
    content: str = Field(description="The whole new content")


def shape(arguments: Input, result: Json) -> tuple[Content, bool]:
    """Return what was written."""
    verb = "Created" if result["created"] else "Replaced"
    return f"{verb} {result['path']} ({result['bytes']:,} bytes).", False


def target(arguments: Input) -> str:
    """Return the path."""
    return short(arguments.file_path)
