"""The plan of a run: everything that is decided, checked and refused before any spend."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from agentflow.configuration import Settings
from agentflow.environment import Environment
from agentflow.frozen import record
from agentflow.metered import Fallback
from agentflow.model_choice import choose_model
from agentflow.models.kinds import Kind
from agentflow.mount_plan import MountPlan
from agentflow.order import Order
from agentflow.outline import found_for, settle
from agentflow.plan_checks import (
    check_boundaries,
    check_dependencies,
    check_event,
    check_gates,
    check_means,
    check_network,
    check_verifiable,
    mount_plan,
    tracked_secrets,
    uncommitted,
)
from agentflow.prompts.context import (
    Base,
    Measure,
    Measured,
    gather,
    promises_of,
    refuse_commands,
)
from agentflow.prompts.denials import denial_notices, find_denials
from agentflow.prompts.first_message import Briefing
from agentflow.prompts.render import render
from agentflow.prompts.variables import Commands
from agentflow.records import (
    MOUNTING,
    Boundaries,
    BuildCommand,
    Effort,
    Limits,
    Neighbour,
    Promise,
    Prompt,
    Rendered,
    Skill,
    Task,
)
from agentflow.results import Ledger
from agentflow.sandbox import Choice, choose
from agentflow.sandbox import notices as sandbox_notices
from agentflow.threads import on_this_loop
from agentflow.workspace.land import check_name
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
    """Where `land` is `branch`."""
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
    replay: bool = False
    """Whether the replies are those of a recording."""

    @property
    def lands_on(self) -> str:
        """The branch on which the result lands; empty if on none."""
        if self.settings.land == "current":
            return self.repository.branch
        return self.branch if self.settings.land == "branch" else ""

    @property
    def joins(self) -> bool:
        """Whether the result is merged with what others landed on its branch meanwhile, and judged
        again: where several tasks land, and on a branch that somebody named. Batches of a document
        begin anew from there instead."""
        named = self.settings.land == "branch" and self.settings.target and not self.ledger
        return self.order.shared_target or bool(named)

    def __repr__(self) -> str:  # pyright: ignore[reportImplicitOverride]
        # asyncio writes out what a task returned, when it looks up the name of its signal handler.
        return f"<plan of {self.task.id}>"


async def make_plan(
    order: Order,
    world: World,
    measure: Measure = refuse_commands,
    beside: Sequence[Neighbour] | None = None,
) -> Plan:
    """Decide everything about a run; `measure` runs the commands of `[variables]`.

    `beside` are the tasks that others work on at the same time; None if it runs by itself. Raises
    `UsageError` or `EnvironmentFailure`.
    """
    return await asyncio.to_thread(_make_plan, order, world, on_this_loop(measure), beside)


def _make_plan(
    order: Order,
    world: World,
    measure: Callable[[Commands, Measured], Mapping[str, str]],
    beside: Sequence[Neighbour] | None,
) -> Plan:
    repository = open_repository(world.directory, world.environment)
    task, notices, found = found_for(order, repository, world)
    base, base_paths = found.commit, found.paths
    settings, prompt, planned = settle(order, world, task, found)
    if settings.land == "branch" and settings.target:
        check_name(repository, settings.target)
    check_dependencies(
        task,
        repository,
        base,
        settings.documents,
        landing=settings.land,
        target=settings.target or "",
    )
    check_means(task, prompt)
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
    if not (gates or by_project):
        check_verifiable(repository, base, base_paths, world.directory)
    check_gates(gates, base_paths, world, environment)
    context = gather(
        prompt,
        task,
        boundaries,
        settings,
        found,
        world.environment,
        order.arguments,
        lambda commands: measure(commands, Measured(found, settings, world)),
        beside or (),
    )
    promises = promises_of(prompt, settings, found)
    briefing = Briefing(
        task,
        boundaries,
        gates,
        prompt.profile,
        environment,
        promises,
        beside,
        disputed=context.disputed,
        mounted=sandbox.backend in MOUNTING,
        confined=sandbox.backend != "none",
    )
    rendered = render(prompt, briefing, context.values, context.arguments, context.attachment)
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


def _gates(
    settings: Settings, task: Task, found: Base, environment: Environment
) -> tuple[tuple[BuildCommand, ...], bool]:
    """The configured gates; for a batch in an nx workspace without any, the builds of projects."""
    if settings.commands or not task.tracking_id:
        return settings.commands, False
    from agentflow.gates.nx import is_workspace, planned_builds

    if not is_workspace(found.paths):
        return (), False
    declared = (*task.files, *task.deleted, *task.areas)
    git = found.repository.git
    return planned_builds(git, found.commit, found.paths, declared, environment), True


def _denied(boundaries: Boundaries, globs: Sequence[str]) -> Boundaries:
    return replace(boundaries, deny=tuple(dict.fromkeys((*boundaries.deny, *globs))))


def _limits(limits: Limits, prompt: Prompt) -> Limits:
    """The limits, with no more turns than the prompt wishes."""
    return replace(limits, max_turns=min(limits.max_turns, prompt.max_turns or limits.max_turns))
