"""The plan of a run: everything that is decided, checked and refused before any spend."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from agentflow.boundaries import MountPlan
from agentflow.configuration import Settings
from agentflow.environment import Environment
from agentflow.errors import UsageError
from agentflow.frontmatter import check_inside
from agentflow.frozen import record
from agentflow.metered import Fallback
from agentflow.model_choice import choose_model
from agentflow.models.kinds import Kind
from agentflow.order import Order
from agentflow.plan_checks import (
    check_boundaries,
    check_dependencies,
    check_documents,
    check_event,
    check_gates,
    check_network,
    mount_plan,
    tracked_secrets,
    uncommitted,
)
from agentflow.prompts.context import (
    Base,
    Measure,
    Measured,
    boundaries_of_plan,
    gather,
    promises_of,
    refuse_commands,
)
from agentflow.prompts.denials import denial_notices, find_denials
from agentflow.prompts.file_boundaries import Planned, with_planned
from agentflow.prompts.loader import find_prompt, load_prompt
from agentflow.prompts.profiles import choose_profile, wish
from agentflow.prompts.render import render
from agentflow.prompts.templates import check_template
from agentflow.prompts.variables import Commands
from agentflow.records import (
    MOUNTING,
    Boundaries,
    BuildCommand,
    Effort,
    Ledger,
    Limits,
    Promise,
    Prompt,
    Rendered,
    Skill,
    Task,
)
from agentflow.sandbox import Choice, choose
from agentflow.sandbox import notices as sandbox_notices
from agentflow.settings import CONFIG, load_settings, user_file
from agentflow.tasks.task import FOLDER, check_id, find_task, names_a_file, read_task, text_task
from agentflow.threads import on_this_loop
from agentflow.tools import DEFAULT_TOOLS
from agentflow.trust import read_trust
from agentflow.workspace.repository import Repository, open_repository
from agentflow.workspace.signing import Signing, find_signing
from agentflow.world import World


@record
class Plan:
    """One task, ready to be run."""

    task: Task
    settings: Settings
    repository: Repository
    base: str
    base_paths: frozenset[str]
    prompt: Prompt
    rendered: Rendered
    promises: tuple[Promise, ...]
    """What the intent document says that must be kept, as far as the prompt reads one."""
    boundaries: Boundaries
    mounts: MountPlan
    gates: tuple[BuildCommand, ...]
    environment: Environment
    identity: tuple[str, str]
    """Name and address of whose commits these will be."""
    signing: Signing | None
    model: str
    effort: Effort | None
    fallback: Fallback | None
    """The model that goes on when `model` fails for good."""
    skills: tuple[Skill, ...]
    limits: Limits
    branch: str
    sandbox: Choice
    base_url: str | None
    """None for a cloud, whose client knows it."""
    server: Kind
    order: Order
    notices: tuple[str, ...]
    by_project: bool = False
    """Whether what judges is the build of each nx project that the change concerns; `gates` are
    then those that are known before."""
    ledger: Ledger | None = None
    """For a task that stands in a document with others."""


async def make_plan(order: Order, world: World, measure: Measure = refuse_commands) -> Plan:
    """Decide everything about a run; `measure` runs the commands of `[variables]`.

    Raises `UsageError` or `EnvironmentFailure`.
    """
    return await asyncio.to_thread(_make_plan, order, world, on_this_loop(measure))


def _make_plan(
    order: Order, world: World, measure: Callable[[Commands, Measured], Mapping[str, str]]
) -> Plan:
    repository = open_repository(world.directory, world.environment)
    task, notices = _task(order, repository, world)
    revision = order.base or task.base
    base = repository.resolve(revision) if revision else repository.head
    base_paths = repository.paths(base)
    found = Base(repository, base, base_paths, repository.locks(world.cache))
    settings, prompt, planned = _settle(order, world, task, found)
    check_event(world.environment, allowed=settings.allow_foreign_head)
    sandbox = choose(settings.sandbox.backend)
    own = settings.sandbox.model_copy(update={"backend": sandbox.backend})
    settings = settings.model_copy(update={"sandbox": own})
    boundary_notices = check_boundaries(settings.boundaries, task, base_paths)
    denials = () if prompt.builtin else find_denials(prompt.body)
    boundaries = _denied(settings.boundaries, [denial.glob for denial in denials])
    choice = choose_model(settings, prompt, order.flags)
    environment = settings.surroundings(world.environment)
    check_network(environment.agent_network, sandbox.backend)
    gates, by_project = _gates(settings, task, found, environment)
    check_gates(gates, base_paths, world, environment, by_project=by_project)
    context = gather(
        prompt,
        task,
        boundaries,
        settings,
        found,
        world.environment,
        order.arguments,
        lambda commands: measure(commands, Measured(found, settings, world)),
    )
    promises = promises_of(prompt, settings, found)
    rendered = render(
        prompt,
        task,
        boundaries,
        gates,
        context.values,
        environment,
        context.arguments,
        context.attachment,
        promises=promises,
        disputed=context.disputed,
        mounted=sandbox.backend in MOUNTING,
        confined=sandbox.backend != "none",
    )
    return Plan(
        task=task,
        settings=settings,
        repository=repository,
        base=base,
        base_paths=base_paths,
        prompt=prompt,
        rendered=rendered,
        promises=promises,
        boundaries=boundaries,
        mounts=mount_plan(boundaries, base_paths, sandbox.backend),
        sandbox=sandbox,
        gates=gates,
        by_project=by_project,
        environment=environment,
        identity=repository.identity(settings.commit.name, settings.commit.email),
        signing=find_signing(repository, settings.commit.sign),
        model=choice.model,
        effort=choice.effort,
        fallback=choice.fallback,
        skills=context.skills,
        limits=_limits(settings.limits, prompt),
        branch=settings.target or f"agentflow/{task.id}",
        base_url=choice.base_url,
        server=choice.server,
        order=order,
        notices=(
            *notices,
            *prompt.warnings,
            *planned.notices,
            *choice.notices,
            *context.notices,
            *denial_notices(denials, str(prompt.path), prompt.lines_above),
            *boundary_notices,
            *tracked_secrets(base_paths, settings.secrets.files),
            *uncommitted(repository, base),
            *sandbox_notices(sandbox.backend),
        ),
    )


def _settle(
    order: Order, world: World, task: Task, found: Base
) -> tuple[Settings, Prompt, Planned]:
    """The settings, the prompt that they name, and the boundaries of a plan that they count."""
    repository, base, paths = found.repository, found.commit, found.paths
    config = repository.read(base, CONFIG) if CONFIG in paths else None
    trust = read_trust(repository.common_dir, world.environment)
    settings = load_settings(order.flags, world.environment, config, task, trust)
    check_dependencies(task, repository, base)
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


def _gates(
    settings: Settings, task: Task, found: Base, environment: Environment
) -> tuple[tuple[BuildCommand, ...], bool]:
    """The configured gates; for a batch in an nx workspace without any, the builds of projects."""
    if settings.commands or not task.tracking_id:
        return settings.commands, False
    from agentflow.gates.nx import is_workspace, planned_builds

    if not is_workspace(found.paths):
        return (), False
    declared = (*task.files, *task.deleted)
    git = found.repository.git
    return planned_builds(git, found.commit, found.paths, declared, environment), True


def _task(order: Order, repository: Repository, world: World) -> tuple[Task, tuple[str, ...]]:
    if order.made is not None:
        return order.made, ()
    if order.text is not None:
        return text_task(order.text), ()
    if order.task is None:
        raise UsageError(
            "no task given", hint="Give a task id, a path, --text, or - for standard input."
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

    base = repository.resolve(revision) if revision else repository.head
    held = queue_of_base(repository, base)
    names = [entry.id for entry in held.queue.entries] if held else []
    if held is None or name not in names:
        return read_task(find_task(name, repository.root, names))
    trust = read_trust(repository.common_dir, world.environment)
    config = repository.read(base, CONFIG)
    settings = load_settings({}, world.environment, config, Task("", "", ""), trust)
    return queued_task(held, name, settings.queue)


def _denied(boundaries: Boundaries, globs: Sequence[str]) -> Boundaries:
    return replace(boundaries, deny=tuple(dict.fromkeys((*boundaries.deny, *globs))))


def _prompt(
    settings: Settings, flags: Mapping[str, Any], task: Task, repository: Repository
) -> Prompt:
    """The prompt, with the profile that the caller, the task or the configuration names."""
    path = find_prompt(settings.prompt, repository.root, trusted="prompt" in flags)
    wished = wish(flags.get("profile"), task.profile, settings.profile)
    prompt = load_prompt(path, DEFAULT_TOOLS)
    return choose_profile(prompt, wished, repository.root, DEFAULT_TOOLS)


def _limits(limits: Limits, prompt: Prompt) -> Limits:
    """The limits, with no more turns than the prompt wishes."""
    return replace(limits, max_turns=min(limits.max_turns, prompt.max_turns or limits.max_turns))
