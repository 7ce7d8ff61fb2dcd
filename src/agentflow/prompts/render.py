"""Rendering: a prompt and a task become the system prompt and the first message.

A prompt is data: only the placeholders that its profile lists are filled, in one pass, and every
other byte stays as it is. A repository's Jinja2 template is rendered elsewhere (`templates`).
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace

from agentflow.errors import UsageError
from agentflow.globs import as_written
from agentflow.prompts.first_message import LISTED_PROMISES, Briefing, first_message
from agentflow.prompts.profile import VARIABLES
from agentflow.prompts.templates import is_template, render_template
from agentflow.prompts.variables import ALONE, NONE, SOURCES
from agentflow.records import WORKSPACE, Boundaries, Json, Prompt, Rendered, Task

DEFAULTS = {**{f"${name}": NONE for name in SOURCES}, "$PARALLEL_AGENTS": ALONE}
"""Values of placeholders where nothing is known: they say so."""
_NONE: Mapping[str, str] = {}


def render(
    prompt: Prompt,
    briefing: Briefing,
    variables: Mapping[str, str] = _NONE,
    arguments: Mapping[str, str] = _NONE,
    attachment: str = "",
) -> Rendered:
    """Fill a prompt with one task's context.

    `variables` are values by the placeholder's name without its signs; `arguments` are values by
    the placeholder as written; `attachment`, in which nothing is filled, follows the prompt's text.
    Raises `UsageError` if the profile names a placeholder that has no value.
    """
    task = briefing.task
    values = {**arguments, **_values(prompt, task, briefing.boundaries, variables)}
    body = f"{prompt.body.strip(chr(10))}\n" if prompt.builtin else prompt.body
    if is_template(prompt):
        marks = _marks(values, f"{prompt.sha256}{task.text}")
        marked = replace(prompt, body=substitute(prompt.body, marks))
        body = render_template(marked, plain_context(briefing))
        values = {mark: values[name] for name, mark in marks.items()}
    system = substitute(body, values)
    if attachment:
        system = f"{system}{'' if system.endswith(chr(10)) else chr(10)}\n{attachment}"
    first = first_message(briefing)
    if prompt.initial_prompt:
        first = f"{substitute(prompt.initial_prompt, values)}\n\n---\n\n{first}"
    return Rendered(system, first)


def _marks(names: Iterable[str], seed: str) -> dict[str, str]:
    """For each placeholder a text that stands in its place while a template is rendered, so that
    what the template inserts is not searched for placeholders. Nobody can write one: it holds a
    digest of what they would have to write it in."""
    secret = hashlib.sha256(seed.encode("utf-8", "surrogatepass")).hexdigest()
    return {name: f"\u2063{secret}:{number}\u2063" for number, name in enumerate(names)}


def plain_context(briefing: Briefing) -> Json:
    """What a repository's template may know, as text, numbers and lists: no path of this machine,
    and of variables only their names."""
    task, around = briefing.task, briefing.around
    gate_fields = ("name", "command", "cwd", "where", "must_fail_on_base", "fix", "tests")
    return {
        "text": briefing.text,
        "commits": briefing.profile.commits,
        "completion": briefing.profile.completion,
        "schema": briefing.schema,
        "checklist": briefing.has_checklist,
        "workspace": WORKSPACE if briefing.mounted else "",
        "task": {"id": task.id, "title": task.title, "text": task.text, "files": task.files},
        "boundaries": asdict(briefing.boundaries),
        "gates": [{name: getattr(gate, name) for name in gate_fields} for gate in briefing.gates],
        "promises": [asdict(promise) for promise in briefing.promises[:LISTED_PROMISES]],
        "setup": around.setup
        and {"command": around.setup.command, "provides": list(around.setup.provides)},
        "services": [
            {"name": service.name, "variables": sorted(service.variables)}
            for service in around.services
        ],
    }


def substitute(text: str, values: Mapping[str, str]) -> str:
    """Replace each placeholder, as written, by its value; values are not looked at again.

    A placeholder that is part of a longer name or of another notation (`{{…}}`, `${…}`) is left
    alone.
    """
    if not values:
        return text
    names = sorted(values, key=len, reverse=True)
    pattern = re.compile("|".join(_bounded(name) for name in names))
    return pattern.sub(lambda found: values[found[0]], text)


def _bounded(name: str) -> str:
    """The placeholder as an expression that does not match inside a longer word."""
    before = r"(?<!\w)" if name[0].isalnum() else r"(?<![{$])" if name[0] == "{" else ""
    after = r"(?!\w)" if name[-1].isalnum() else r"(?!\})" if name[-1] == "}" else ""
    return before + re.escape(name) + after


def _values(
    prompt: Prompt, task: Task, boundaries: Boundaries, variables: Mapping[str, str]
) -> dict[str, str]:
    """The value of each placeholder that is filled in this prompt."""
    fixed = {
        "{TASK_ID}": task.known_as,
        "TASK-XXX": task.id,
        "$TASK_DESCRIPTION": task.text,
        "$FILE_BOUNDARIES": "\n".join(f"- `{as_written(glob)}`" for glob in boundaries.allow)
        or "- every path that does not control git, CI, editors or agents",
    }
    found: dict[str, str] = {}
    for name in (*VARIABLES, *prompt.profile.variables):
        value = fixed.get(name, variables.get(name.strip("${}<>"), DEFAULTS.get(name)))
        if value is None:
            raise UsageError(
                f"{prompt.path}: the placeholder {name} has no source",
                hint=f"Known placeholders: {', '.join((*fixed, *DEFAULTS))}. Give others a value "
                + "under [variables] in the configuration.",
            )
        found[name] = value
    return found
