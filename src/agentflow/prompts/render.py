"""Rendering: a prompt and a task become the system prompt and the first message.

Our own texts are Jinja2 templates. A repository's prompt is data: only the placeholders that its
profile lists are filled, in one pass, and every other byte stays as it is.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from agentflow.environment import Environment as Surroundings
from agentflow.errors import UsageError
from agentflow.json_schema import outline
from agentflow.prompts.profile import VARIABLES
from agentflow.prompts.templates import is_template, render_template
from agentflow.prompts.variables import ALONE, NONE, SOURCES
from agentflow.records import (
    WORKSPACE,
    Boundaries,
    BuildCommand,
    Json,
    Neighbour,
    Promise,
    Prompt,
    Rendered,
    Task,
)

DEFAULTS = {**{f"${name}": NONE for name in SOURCES}, "$PARALLEL_AGENTS": ALONE}
"""Values of placeholders where nothing is known: they say so."""
LISTED_NEIGHBOURS = 40
"""Tasks of others that the first message lists."""
LISTED_PROMISES = 100
"""Promises that the first message lists."""
_NONE: Mapping[str, str] = {}
_BARE = Surroundings()
_BOX = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+\[[ xX]\]\s", re.MULTILINE)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - the output is Markdown for a model, not HTML
        keep_trailing_newline=True,
    )
    environment.filters["listed"] = _listed
    return environment


def _listed(names: Iterable[str], sign: str = "") -> str:
    return ", ".join(f"`{sign}{name}`" for name in names)


def render(
    prompt: Prompt,
    task: Task,
    boundaries: Boundaries,
    gates: Sequence[BuildCommand],
    variables: Mapping[str, str] = _NONE,
    around: Surroundings = _BARE,
    arguments: Mapping[str, str] = _NONE,
    attachment: str = "",
    *,
    promises: Sequence[Promise] = (),
    disputed: bool = False,
    mounted: bool = True,
    confined: bool = True,
    beside: Sequence[Neighbour] | None = None,
) -> Rendered:
    """Fill a prompt with one task's context.

    `variables` are values by the placeholder's name without its signs; `around` is what stands
    beside the checkout; `arguments` are values by the placeholder as written; `attachment`, in
    which nothing is filled, follows the prompt's text; `promises` are listed in the message;
    `disputed` has the first message say that it decides who commits; `mounted` says that the
    repository is at `WORKSPACE`, and not somewhere on this machine; `confined` that the network is
    none, or the proxy's, and not this machine's; `beside` are the tasks that others work on at the
    same time, None if nobody coordinates them.
    Raises `UsageError` if the profile names a placeholder that has no value.
    """
    profile = prompt.profile
    context = {
        "task": task,
        "text": _without_title(task),
        "boundaries": boundaries,
        "gates": gates,
        "commits": profile.commits,
        "disputed": disputed,
        "completion": profile.completion,
        "schema": outline(profile.output_schema) if profile.output_schema else "",
        "checklist": _BOX.search(task.text) is not None,
        "workspace": WORKSPACE if mounted else "",
        "promises": promises[:LISTED_PROMISES],
        "more_promises": max(0, len(promises) - LISTED_PROMISES),
        "hosts": around.agent_network,
        "confined": confined,
        "setup": around.setup,
        "services": around.services,
        "coordinated": beside is not None,
        "beside": (beside or ())[:LISTED_NEIGHBOURS],
        "more_beside": max(0, len(beside or ()) - LISTED_NEIGHBOURS),
    }
    values = {**arguments, **_values(prompt, task, boundaries, variables)}
    if is_template(prompt):
        marks = _marks(values, f"{prompt.sha256}{task.text}")
        marked = replace(prompt, body=substitute(prompt.body, marks))
        body = render_template(marked, plain_context(context, around))
        values = {mark: values[name] for name, mark in marks.items()}
    elif prompt.builtin:
        # First, while the text is still ours alone: no value must ever be read as a template.
        body = _environment().from_string(prompt.body).render(context).strip("\n") + "\n"
    else:
        body = prompt.body
    system = substitute(body, values)
    if attachment:
        system = f"{system}{'' if system.endswith(chr(10)) else chr(10)}\n{attachment}"
    first = _environment().get_template("first_message.md.j2").render(context).strip("\n") + "\n"
    if prompt.initial_prompt:
        first = f"{substitute(prompt.initial_prompt, values)}\n\n---\n\n{first}"
    return Rendered(system, first)


def _marks(names: Iterable[str], seed: str) -> dict[str, str]:
    """For each placeholder a text that stands in its place while a template is rendered, so that
    what the template inserts is not searched for placeholders. Nobody can write one: it holds a
    digest of what they would have to write it in."""
    secret = hashlib.sha256(seed.encode("utf-8", "surrogatepass")).hexdigest()
    return {name: f"\u2063{secret}:{number}\u2063" for number, name in enumerate(names)}


def plain_context(context: Mapping[str, Any], around: Surroundings) -> Json:
    """The context of built-in prompts as text, numbers and lists: what a repository's template may
    know. No path of this machine, and of variables only their names."""
    task, boundaries = context["task"], context["boundaries"]
    shared = ("text", "commits", "completion", "schema", "checklist", "workspace")
    gate_fields = ("name", "command", "cwd", "where", "must_fail_on_base", "fix", "tests")
    return {
        **{name: context[name] for name in shared},
        "task": {"id": task.id, "title": task.title, "text": task.text, "files": task.files},
        "boundaries": asdict(boundaries),
        "gates": [{name: getattr(gate, name) for name in gate_fields} for gate in context["gates"]],
        "promises": [asdict(promise) for promise in context["promises"]],
        "setup": around.setup
        and {"command": around.setup.command, "provides": list(around.setup.provides)},
        "services": [
            {"name": service.name, "variables": sorted(service.variables)}
            for service in around.services
        ],
    }


def _without_title(task: Task) -> str:
    """The task's text without a heading that only repeats the title."""
    first, _, rest = task.text.partition("\n")
    return rest.strip("\r\n") if first.lstrip("# ").strip() == task.title else task.text


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
        "$FILE_BOUNDARIES": "\n".join(f"- `{glob}`" for glob in boundaries.allow)
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
