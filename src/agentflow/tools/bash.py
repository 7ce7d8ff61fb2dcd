"""Bash: one command in a new shell."""

import shlex

from pydantic import BaseModel, Field

from agentflow.records import Json
from agentflow.tools.tool import STRICT, Content, clean_terminal, short

READ_ONLY = False
DEFAULT_TIMEOUT = 120_000
MAX_TIMEOUT = 600_000
"""Milliseconds; a longer wish is cut down, as in other harnesses."""

BENIGN_ONE = frozenset({"grep", "egrep", "fgrep", "rg", "find", "diff", "cmp", "test", "["})
"""Programs whose exit code 1 is an answer: no match, a difference, false."""


class Input(BaseModel):
    """Parameters of Bash."""

    model_config = STRICT
    command: str = Field(min_length=1)
    timeout: int | None = Field(None, gt=0, description="Milliseconds, at most 600000")
    description: str | None = Field(None, description="What it does, in 5 to 10 words")


def request(arguments: Input) -> Json:
    """Return the toolbox's arguments; its timeout is in seconds."""
    return {"command": arguments.command, "timeout": _milliseconds(arguments) / 1000}


def shape(arguments: Input, result: Json) -> tuple[Content, bool]:
    """Return the output, then how the command ended where that is not plain success."""
    notes = list[str]()
    if result["truncated"]:
        path = result["full_output"]
        notes.append(f"[Output cut. All of it: Read {path}]" if path else "[Output cut.]")
    killed, code = result["killed"], result["exit_code"]
    if killed:
        notes.append(f"The command was killed: {result['reason']}")
    elif code:
        notes.append(f"Exit code {code}")
    notes.extend(result.get("notes", ()))
    output = clean_terminal(result["output"]).rstrip()
    # A failure says so first: what comes last is cut first by whoever shows only a part.
    parts = [output, *notes] if killed is None and not code else [*notes, output]
    text = "\n".join(part for part in parts if part) or "(no output)"
    return text, bool(killed) or (code != 0 and not _is_benign(arguments.command, code))


def target(arguments: Input) -> str:
    """Return the command on one line."""
    return short(arguments.command)


def _milliseconds(arguments: Input) -> int:
    return min(arguments.timeout or DEFAULT_TIMEOUT, MAX_TIMEOUT)


def _is_benign(command: str, code: int) -> bool:
    """Tell whether a plain command, without pipes or lists, answers with exit code 1."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="();<>|&\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t", True, ""
    try:
        words = list(lexer)
    except ValueError:
        return False
    plain = not any(set(word) <= set("();<>|&\n") for word in words if word)
    return code == 1 and plain and bool(words) and words[0] in BENIGN_ONE
