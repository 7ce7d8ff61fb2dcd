"""The context of a prompt: what a run finds out for it in the repository, before any spend."""

import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

from agentflow.configuration import Settings
from agentflow.errors import UsageError
from agentflow.frontmatter import check_inside, read_limited
from agentflow.frozen import record
from agentflow.globs import matches
from agentflow.prompts.base_tree import MAX_FILE, BaseTree
from agentflow.prompts.commit_signs import disagreement, disagreement_told
from agentflow.prompts.file_boundaries import Planned, planned_boundaries
from agentflow.prompts.persona import attached_personas, load_personas, persona_notices, texts
from agentflow.prompts.promises import find_promises, intent_document
from agentflow.prompts.reading import stem
from agentflow.prompts.references import attached, find_references, reference_notices
from agentflow.prompts.skills import (
    find_skills,
    missing_skills,
    own_places,
    repository_places,
    shown_to_agent,
    skill_notices,
    skills_section,
)
from agentflow.prompts.variables import (
    MAX_CHANGES,
    Commands,
    Sources,
    argument_values,
    fill,
    find_plan,
    plan_paths,
)
from agentflow.records import MOUNTING, Boundaries, Neighbour, Promise, Prompt, Skill, Task
from agentflow.runs import is_running, list_runs
from agentflow.setting_tables import FileVariable
from agentflow.tasks.task import check_id, find_task, read_task
from agentflow.workspace.repository import Repository
from agentflow.world import World


@record
class Base:
    """A commit of a repository, and where the locks of its tasks are."""

    repository: Repository
    commit: str
    paths: frozenset[str]
    locks: Path


@record
class Measured:
    """Where commands of `[variables]` are run, and under what settings."""

    base: Base
    settings: Settings
    world: World


Measure = Callable[[Commands, Measured], Coroutine[Any, Any, Mapping[str, str]]]
"""Runs commands in a sandbox on a checkout of the base; returns what they print."""


async def refuse_commands(commands: Commands, where: Measured) -> Mapping[str, str]:
    """Runs nothing: for callers that have no sandbox. Raises `UsageError`."""
    raise UsageError(f"[variables] {min(commands)} is a command, and no sandbox is at hand here")


@record
class Context:
    """What rendering adds to a prompt and a task."""

    values: dict[str, str]
    """By the placeholder's name without its signs."""
    arguments: dict[str, str]
    """Values of `$ARGUMENTS` and `$1…`, by the placeholder as written."""
    attachment: str
    """The skills, files and listings that the prompt names; stands after its text."""
    notices: tuple[str, ...]
    skills: tuple[Skill, ...]
    disputed: bool = False
    """Whether the prompt or its persona says of who commits what the profile does not."""


def gather(
    prompt: Prompt,
    task: Task,
    boundaries: Boundaries,
    settings: Settings,
    base: Base,
    environment: Mapping[str, str],
    arguments: str | None,
    measure: Callable[[Commands], Mapping[str, str]],
    beside: Sequence[Neighbour] = (),
) -> Context:
    """Find a prompt's values, references and skills in the base commit; `measure` runs commands.
    `beside` are tasks that others will work on, besides those whose runs are alive.

    `environment` is the user's: it says where the user's own skills are. Raises `UsageError` for
    a configured file that is missing, and for arguments that the prompt does not take.
    """
    tree = _tree(base, settings)
    filled = fill(
        prompt.profile.variables,
        settings.variables,
        Sources(
            task=task,
            boundaries=boundaries,
            tree=tree,
            others=lambda: _others(base, task.id, beside),
            recent=lambda: base.repository.recent(base.commit, MAX_CHANGES),
            measure=measure,
            roots=settings.documents.roots,
        ),
    )
    references = () if prompt.builtin else find_references(prompt.body, tree)
    skills, missing = _skills(
        prompt, tree, environment, mounted=settings.sandbox.backend in MOUNTING
    )
    own = (prompt.body, prompt.path, prompt.lines_above)
    personas = (
        () if prompt.builtin else load_personas(own, base.repository.root, tree, prompt.tools)
    )
    adopted = {each.order.path for each in personas if each.reading}
    named = {each.path: each for each in (*references, *filled.references)}
    files = attached([each for path, each in named.items() if path not in adopted], tree)
    commits = prompt.profile.commits
    disputes = () if prompt.builtin else disagreement(texts(own, personas), commits)
    return Context(
        values=dict(filled.values),
        arguments=argument_values(arguments, prompt.body, prompt.path),
        attachment="\n".join(
            filter(None, (attached_personas(personas), skills_section(skills), files))
        ),
        notices=(
            *reference_notices(references, str(prompt.path), prompt.lines_above),
            *persona_notices(personas, own, prompt.tools),
            *([disagreement_told(disputes, commits)] if disputes else ()),
            *skill_notices(prompt, missing),
            *_unlisted(prompt, settings),
        ),
        skills=skills,
        disputed=bool(disputes),
    )


def _unlisted(prompt: Prompt, settings: Settings) -> tuple[str, ...]:
    """Placeholders that are configured and stand in the text, and that the profile does not list."""
    known = {name.strip("${}<>") for name in prompt.profile.variables}
    names = [name for name in settings.variables if name not in known]
    found = [name for name in names if re.search(rf"\${name}(?!\w)", prompt.body)]
    return tuple(
        f"{prompt.path} holds ${name}, which [variables] sets and the prompt's profile does not list: "
        f"it stays as it is. List it in the header: `agentflow: {{variables: [${name}]}}`"
        for name in found
    )


def _skills(
    prompt: Prompt, tree: BaseTree, environment: Mapping[str, str], *, mounted: bool
) -> tuple[tuple[Skill, ...], str]:
    """A prompt's skills, and what is to be said of those that are missing."""
    if not prompt.skills:
        return (), ""
    places = (*repository_places(tree), *own_places(environment))
    found, missing = find_skills(prompt.skills, places)
    return shown_to_agent(found, mounted=mounted), missing_skills(missing, places)


def boundaries_of_plan(prompt: Prompt, task: Task, settings: Settings, base: Base) -> Planned:
    """What the task's implementation plan says about file boundaries, if there is a plan."""
    said = settings.variables.get("IMPLEMENTATION_PLAN")
    roots = settings.documents.roots
    likely = any(path in base.paths for path in plan_paths(task, roots, base.paths))
    if not (likely if said is None else isinstance(said, FileVariable)):
        return Planned()
    tree = _tree(base, settings)
    path = said.path if isinstance(said, FileVariable) else find_plan(task, tree, roots)
    text = tree.text(path) if path else None
    if path is None or text is None:
        return Planned()
    return planned_boundaries(text, path, (prompt.name, stem(prompt.path)), base.paths)


def promises_of(prompt: Prompt, settings: Settings, base: Base) -> tuple[Promise, ...]:
    """The promises of the prompt's intent document; as in the work tree if git does not know it."""
    path = intent_document(prompt.profile)
    if path is None:
        return ()
    if path in base.paths:
        return find_promises(_tree(base, settings).text(path) or "")
    file = Path(base.repository.root, path)
    if not file.is_file():
        return ()
    data = read_limited(check_inside(file, base.repository.root), MAX_FILE)
    return find_promises(data.decode("utf-8", "replace"))


def _tree(base: Base, settings: Settings) -> BaseTree:
    repository = base.repository
    return BaseTree(
        paths=base.paths,
        links=repository.links(base.commit),
        size=lambda path: repository.size(base.commit, path),
        read=lambda path: repository.read(base.commit, path),
        is_secret=lambda path: any(matches(glob, path) for glob in settings.secrets.files),
    )


def _others(
    base: Base, own: str, beside: Sequence[Neighbour]
) -> Sequence[tuple[str, Boundaries | None]]:
    """The tasks that others work on: those that will be, and those that are."""
    known = {each.task for each in beside}
    alive = _alive(base.repository.root, base.locks, own)
    return [
        *((each.task, Boundaries(each.allow)) for each in beside),
        *(each for each in alive if each[0] not in known),
    ]


def _alive(root: Path, locks: Path, own: str) -> Sequence[tuple[str, Boundaries | None]]:
    """The other tasks of a work tree that a process is at work on."""
    unfinished = {run["task"] for run in list_runs(root) if run["outcome"] == "unfinished"} - {own}
    tasks = [task for task in sorted(unfinished) if _is_id(task) and is_running(locks, task)]
    return [(task, _boundaries(root, task)) for task in tasks]


def _is_id(task: str) -> bool:
    try:
        return check_id(task) == task
    except UsageError:
        return False


def _boundaries(root: Path, task: str) -> Boundaries | None:
    """What a task's file says, or None if it cannot be read."""
    try:
        return read_task(check_inside(find_task(task, root), root))[0].boundaries
    except UsageError:
        return None
