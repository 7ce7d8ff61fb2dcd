"""Profiles by name: what a flag, a task or the configuration says of a prompt's profile.

First wins: `--profile`, the task's `profile:`, the prompt's own `agentflow:` block, the
configuration's `profile`, a sign in the prompt (`detection.py`). A name is one of `NAMES`, else
that of a prompt whose profile is taken, or its path.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from agentflow.errors import UsageError
from agentflow.frozen import record
from agentflow.nearest import nearest
from agentflow.prompts.detection import DOCUMENTS, OWN, SIGNS
from agentflow.prompts.loader import find_prompt, load_prompt
from agentflow.prompts.search import search
from agentflow.records import Profile, Prompt

NAMES = ("default", *dict.fromkeys(sign.name for sign in SIGNS))
"""Profiles that have a name of their own; they come before prompts of the same name."""


@record
class Wish:
    """A profile that somebody named."""

    name: str
    by: str
    """Who, for people."""
    overrides: bool = True
    """Whether it counts more than the prompt's own `agentflow:` block."""
    trusted: bool = False
    """Whether the user said it: a path may then lead anywhere."""


def wish(flag: str | None, task: str | None, configured: str | None) -> Wish | None:
    """The wish that counts, if there is any."""
    if flag is not None:
        return Wish(flag, "`--profile`", trusted=True)
    if task is not None:
        return Wish(task, "the task's `profile:`")
    if configured is not None:
        return Wish(configured, "`profile` in the configuration", overrides=False)
    return None


def choose_profile(
    prompt: Prompt, wished: Wish | None, root: Path, known_tools: Sequence[str]
) -> Prompt:
    """The prompt with the profile that is wished for.

    Placeholders that its text names are filled as before. Raises `UsageError` naming the nearest
    profile or prompt, and for a prompt that cannot be read.
    """
    if wished is None or (prompt.profile_name == OWN and not wished.overrides):
        return prompt
    if wished.name in NAMES:
        name, profile = wished.name, _named(wished.name, prompt)
    else:
        other = load_prompt(_find(wished, root), known_tools)
        name, profile = other.name, other.profile
    variables = dict.fromkeys((*profile.variables, *prompt.profile.variables))
    profile = replace(profile, variables=tuple(variables))
    return replace(prompt, profile=profile, profile_name=name, profile_sign=wished.by)


def _named(name: str, prompt: Prompt) -> Profile:
    """A profile of the table of signs; of several the first whose text the prompt shows."""
    rows = [sign for sign in SIGNS if sign.name == name]
    shown = (row for row in rows if all(_shows(each, prompt.body) for each in row.body))
    row = next(shown, rows[-1] if rows else None)
    found = row.profile if row else Profile()
    named = DOCUMENTS if found.completion == "report" else ()
    documents = tuple(path for path in named if path in prompt.body)
    own = prompt.profile.documents if prompt.profile_name == OWN else ()
    return replace(found, documents=tuple(dict.fromkeys((*own, *documents))))


def _shows(expression: str, body: str) -> bool:
    return re.search(expression, body, re.IGNORECASE | re.MULTILINE) is not None


def _find(wished: Wish, root: Path) -> Path:
    try:
        return find_prompt(wished.name, root, trusted=wished.trusted)
    except UsageError as error:
        if "/" in wished.name or wished.name.endswith((".md", ".toml")):
            raise
        known = [*NAMES, *(each.name for each in search(root, ()))]
        raise UsageError(
            f"there is no profile {wished.name!r}{nearest(wished.name, known)}",
            hint=f"Profiles: {', '.join(NAMES)}; or a prompt whose profile is taken.",
        ) from error
