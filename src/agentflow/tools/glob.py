"""Glob: find files by name."""

from pydantic import BaseModel, Field

from agentflow.records import Json
from agentflow.tools.tool import STRICT, Content, short

READ_ONLY = True


class Input(BaseModel):
    """Parameters of Glob."""

    model_config = STRICT
    pattern: str = Field(min_length=1, description="Such as `**/*.py` or `src/*.{ts,tsx}`")
    path: str | None = Field(None, description="Directory to start from; default: the root")


def shape(arguments: Input, result: Json) -> tuple[Content, bool]:
    """Return the paths, one a line."""
    paths: list[str] = result["paths"]
    text = "\n".join(paths) or "No files found."
    if result["truncated"]:
        text += f"\n[The newest {len(paths)} only: use a narrower pattern.]"
    return text, False


def target(arguments: Input) -> str:
    """Return the pattern and where it starts."""
    return short(arguments.pattern + (f" in {arguments.path}" if arguments.path else ""))
