"""Grep: search file contents."""

from typing import Literal

from pydantic import BaseModel, Field

from agentflow.records import Json
from agentflow.tools.tool import STRICT, Content, short

READ_ONLY = True


class Input(BaseModel):
    """Parameters of Grep."""

    model_config = STRICT
    pattern: str = Field(min_length=1, description="Regular expression, as in ripgrep")
    path: str | None = Field(None, description="File or directory; default: the root")
    glob: str | None = Field(
        None, description="Only files like `*.ts`, `src/**/*.{js,jsx}`, `!*.md`"
    )
    type: str | None = Field(None, description="Only files of a type: py, ts, js, go, rust, …")
    output_mode: Literal["files_with_matches", "content", "count"] | None = Field(
        None, description="Default: files_with_matches"
    )
    ignore_case: bool | None = Field(None, alias="-i", description="Ignore case")
    line_numbers: bool | None = Field(None, alias="-n", description="content only; default true")
    after: int | None = Field(None, alias="-A", ge=0, description="Lines after; content only")
    before: int | None = Field(None, alias="-B", ge=0, description="Lines before")
    context: int | None = Field(None, alias="-C", ge=0, description="Lines around")
    multiline: bool | None = Field(None, description="A match may span lines; `.` matches them")
    head_limit: int | None = Field(None, ge=0, description="Lines to show; default 250, 0 for all")
    offset: int | None = Field(None, ge=0, description="Lines to skip")


def shape(arguments: Input, result: Json) -> tuple[Content, bool]:
    """Return the lines, with a notice if there are more."""
    lines: list[str] = result["lines"]
    total, skipped = result["total"], arguments.offset or 0
    if not lines:
        none = f"Nothing beyond offset {skipped}: {total} lines." if total else "No matches."
        return f"{none} {result['hint']}".rstrip(), False
    text = "\n".join(lines)
    if not result["truncated"]:
        return text, False
    last = skipped + len(lines)
    return f"{text}\n[Lines {skipped + 1}-{last} of {total}; continue with offset={last}.]", False


def target(arguments: Input) -> str:
    """Return the pattern and where it is searched."""
    where = (
        " in " + (arguments.path or arguments.glob or "")
        if arguments.path or arguments.glob
        else ""
    )
    return short(arguments.pattern + where)
