"""The outline of a run: which task, settings, prompt and boundaries an order means.

All that can be said before it is known what other tasks did.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentflow.configuration import Settings
from agentflow.errors import UsageError
from agentflow.frontmatter import check_inside
from agentflow.frozen import record
from agentflow.order import Order
from agentflow.plan_checks import check_documents
from agentflow.prompts.context import Base, boundaries_of_plan
from agentflow.prompts.file_boundaries import Planned, with_planned
from agentflow.prompts.loader import find_prompt, load_prompt
from agentflow.prompts.profiles import choose_profile, wish
from agentflow.prompts.templates import check_template
from agentflow.records import Prompt, Task
from agentflow.settings import CONFIG, load_settings, user_file
from agentflow.tasks.task import (
    FOLDER,
    before_init,
    check_id,
    find_task,
    names_a_file,
    read_task,
    text_task,
)
from agentflow.tools import DEFAULT_TOOLS
from agentflow.trust import read_trust
from agentflow.workspace.repository import Repository
from agentflow.world import World


@record
class Outline:
    """What is known of a run before its base is."""

    task: Task
    settings: Settings
    notices: tuple[str, ...]


def make_outline(order: Order, world: World, repository: Repository) -> Outline:
    """Decide what does not depend on other tasks' work: the task, its settings and boundaries.

    Raises `UsageError`.
    """
    task, notices, found = found_for(order, repository, world)
    settings, _, _ = settle(order, world, task, found)
    return Outline(task, settings, notices)


def found_for(
    order: Order, repository: Repository, world: World
) -> tuple[Task, tuple[str, ...], Base]:
    """The task that an order names, notices, and the commit to start from. Raises `UsageError`."""
    task, notices = _task(order, repository, world)
    revision = task.base if order.base is None else order.base
    base = repository.head if revision is None else repository.resolve(revision)
    locks = repository.locks(world.cache)
    return task, notices, Base(repository, base, repository.paths(base), locks)


def settle(order: Order, world: World, task: Task, found: Base) -> tuple[Settings, Prompt, Planned]:
    """The settings, the prompt that they name, and the boundaries of a plan that they count."""
    repository, paths = found.repository, found.paths
    config = repository.read(found.commit, CONFIG) if CONFIG in paths else None
    trust = read_trust(repository.common_dir, world.environment)
    settings = load_settings(order.flags, world.environment, config, task, trust)
    prompt = _prompt(settings, order.flags, task, repository)
    check_template(prompt, user_file(world.environment), allowed=settings.templates)
    check_documents(prompt, paths, repository)
    if task.boundaries.allow or order.flags.get("allow"):
        return settings, prompt, Planned()
    planned = boundaries_of_plan(prompt, task, settings, found)
    if planned.allow:
        wishes = with_planned(task, planned)
        settings = load_settings(order.flags, world.environment, config, wishes, trust)
    return settings, prompt, planned


def _task(order: Order, repository: Repository, world: World) -> tuple[Task, tuple[str, ...]]:
    if order.made is not None:
        return order.made, ()
    if order.text is not None:
        return text_task(order.text), ()
    if order.task is None:
        raise UsageError(
            "no task given",
            hint=f"{before_init(repository.root)}Give a task id, a path, --text, or - for standard input.",
        )
    if names_a_file(order.task):
        return read_task(find_task(order.task, repository.root))
    if not Path(repository.root, FOLDER, f"{check_id(order.task)}.md").is_file():
        return _from_queue(order.task, order.base, repository, world)
    return read_task(check_inside(find_task(order.task, repository.root), repository.root))


def _from_queue(
    name: str, revision: str | None, repository: Repository, world: World
) -> tuple[Task, tuple[str, ...]]:
    """The task of an entry of the base's queue. Raises `UsageError` for an id that nobody knows."""
    from agentflow.task_queues import (
        queue_of_base,
        queued_task,
    )  # 14 ms that task files do not need

    base = repository.head if revision is None else repository.resolve(revision)
    held = queue_of_base(repository, base)
    names = [entry.id for entry in held.queue.entries] if held else []
    if held is None or name not in names:
        return read_task(find_task(name, repository.root, names))
    trust = read_trust(repository.common_dir, world.environment)
    config = repository.read(base, CONFIG)
    settings = load_settings({}, world.environment, config, Task("", "", ""), trust)
    return queued_task(held, name, settings.queue)


def _prompt(
    settings: Settings, flags: Mapping[str, Any], task: Task, repository: Repository
) -> Prompt:
    """The prompt, with the profile that the caller, the task or the configuration names."""
    path = find_prompt(settings.prompt, repository.root, trusted="prompt" in flags)
    wished = wish(flags.get("profile"), task.profile, settings.profile)
    prompt = load_prompt(path, DEFAULT_TOOLS)
    return choose_profile(prompt, wished, repository.root, DEFAULT_TOOLS)
