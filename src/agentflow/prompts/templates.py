"""Templates: a repository's prompt that ends in `.md.j2`, rendered where the user allows it.

It is rendered by Jinja2's immutable sandbox in a process of its own, without a loader, with the
context's plain values only, bounded in time, memory and output. What is inserted is never read as a
template.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from agentflow.errors import UsageError
from agentflow.neutral import one_line
from agentflow.records import Json, Prompt
from agentflow.strict_json import parse_object

ENDING = ".md.j2"
"""What the name of such a file ends with."""
TIMEOUT = 5.0
"""Seconds of wall clock."""
MAX_OUTPUT = 1 << 20
"""Characters of the rendered text."""

_CHILD = Path(__file__).with_name("template_child.py")
_MAX_ANSWER = 8 << 20


def is_template(prompt: Prompt) -> bool:
    """Whether the prompt's file asks to be rendered."""
    return not prompt.builtin and prompt.path.name.endswith(ENDING)


def check_template(prompt: Prompt, config: Path, *, allowed: bool) -> None:
    """Refuse a template, with `UsageError`, unless the user allows them in their `config`."""
    if is_template(prompt) and not allowed:
        raise UsageError(
            f"{prompt.path} is a template, and templates of a repository are not rendered",
            hint=f"Set `templates = true` in {config} if you trust it to, or take a prompt that "
            + "ends in .md.",
        )


def render_template(prompt: Prompt, context: Mapping[str, object]) -> str:
    """The prompt's body, rendered. `context` holds what JSON can say.

    Raises `UsageError` naming the file, for a template that fails or takes too much of anything.
    """
    asked = json.dumps({"template": prompt.body, "context": context, "limit": MAX_OUTPUT})
    with tempfile.TemporaryFile() as output:
        try:
            ended = subprocess.run(
                [sys.executable, "-I", str(_CHILD)],
                input=asked.encode(),
                stdout=output,
                stderr=subprocess.DEVNULL,
                env={},
                cwd="/",
                timeout=TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise _failure(prompt, f"it takes longer than {TIMEOUT:g} s") from error
        output.seek(0)
        data = output.read(_MAX_ANSWER)
    answer = _answer(data)
    if ended.returncode < 0:
        raise _failure(prompt, "it uses up what it is given of processor time or memory")
    text, problem = answer.get("text"), answer.get("error")
    if ended.returncode or not isinstance(text, str):
        raise _failure(prompt, str(problem or "it broke the process that renders it"))
    if any("\ud800" <= sign <= "\udfff" for sign in text):
        raise _failure(prompt, "it renders to half a surrogate pair, which is no text")
    return text


def _answer(data: bytes) -> Json:
    try:
        return parse_object(data)
    except ValueError:
        return {}


def _failure(prompt: Prompt, why: str) -> UsageError:
    return UsageError(
        f"{prompt.path}: the template cannot be rendered: {one_line(why, 300)}",
        hint="Line numbers are those of the text below its header. The values that it may use are "
        + "listed in docs/rendering.md.",
    )
