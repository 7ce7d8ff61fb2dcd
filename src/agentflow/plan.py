"""The plan of a run: everything that is decided, checked and refused before any spend."""

import asyncio
import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from agentflow.boundaries import MountPlan, literal_prefix, matches, plan_mounts
from agentflow.configuration import Settings
from agentflow.environment import Environment
from agentflow.errors import UsageError
from agentflow.frontmatter import check_inside
from agentflow.messages import Usage
from agentflow.models import catalog
from agentflow.models.endpoint import ANTHROPIC_URL, endpoint
from agentflow.nearest import nearest
from agentflow.programs import check_program
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
from agentflow.prompts.profile import missing_documents
from agentflow.prompts.render import render
from agentflow.prompts.templates import check_template
from agentflow.prompts.variables import Commands
from agentflow.records import Boundaries, BuildCommand, Limits, Promise, Prompt, Rendered, Task
from agentflow.settings import CONFIG, load_settings, user_file
from agentflow.tasks.task import find_task, read_task, text_task
from agentflow.threads import on_this_loop
from agentflow.tools import DEFAULT_TOOLS
from agentflow.trust import read_trust
from agentflow.words import counted
from agentflow.workspace.repository import Repository, open_repository
from agentflow.workspace.signing import Signing, find_signing
from agentflow.world import World


@dataclass(frozen=True, slots=True)
class Order:
    """What the caller asked for."""

    task: str | None = None
    """An id or a path."""
    text: str | None = None
    """Free text instead of a task file."""
    base: str | None = None
    fresh: bool = False
    resume: bool = False
    flags: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Settings given as flags."""
    arguments: str | None = None
    """For a prompt that is a command file; None means that none were given."""


@dataclass(frozen=True, slots=True)
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
    limits: Limits
    branch: str
    base_url: str
    fresh: bool
    notices: tuple[str, ...]


async def make_plan(order: Order, world: World, measure: Measure = refuse_commands) -> Plan:
    """Decide everything about a run; `measure` runs the commands of `[variables]`.

    Raises `UsageError` or `EnvironmentFailure`.
    """
    return await asyncio.to_thread(_make_plan, order, world, on_this_loop(measure))


def _make_plan(
    order: Order, world: World, measure: Callable[[Commands, Measured], Mapping[str, str]]
) -> Plan:
    repository = open_repository(world.directory, world.environment)
    task, notices = _task(order, repository)
    revision = order.base or task.base
    base = repository.resolve(revision) if revision else repository.head
    base_paths = repository.paths(base)
    config = repository.read(base, CONFIG) if CONFIG in base_paths else None
    trust = read_trust(repository.common_dir, world.environment)
    settings = load_settings(order.flags, world.environment, config, task, trust)
    _check_dependencies(task, repository, base)
    prompt = _prompt(settings.prompt, task, repository, trusted="prompt" in order.flags)
    check_template(prompt, user_file(world.environment), allowed=settings.templates)
    _check_documents(prompt, base_paths, repository)
    found = Base(repository, base, base_paths, repository.locks(world.cache))
    planned = Planned()
    if not (task.boundaries.allow or order.flags.get("allow")):
        planned = boundaries_of_plan(prompt, task, settings, found)
    if planned.allow:
        wishes = with_planned(task, planned)
        settings = load_settings(order.flags, world.environment, config, wishes, trust)
    gates = settings.commands
    boundary_notices = _check_boundaries(settings.boundaries, task, base_paths)
    denials = () if prompt.builtin else find_denials(prompt.body)
    boundaries = _denied(settings.boundaries, [denial.glob for denial in denials])
    base_url = settings.base_url or ANTHROPIC_URL
    model = _model(settings, prompt, order.flags, base_url)
    environment = settings.surroundings(world.environment)
    _check_gates(gates, base_paths, world, environment)
    context = gather(
        prompt,
        task,
        boundaries,
        settings,
        found,
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
        promises,
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
        mounts=plan_mounts(boundaries, lambda path: _is_directory(path, base_paths)),
        gates=gates,
        environment=environment,
        identity=repository.identity(settings.commit.name, settings.commit.email),
        signing=find_signing(repository, settings.commit.sign),
        model=model,
        limits=_limits(settings.limits, prompt),
        branch=settings.target or f"agentflow/{task.id}",
        base_url=base_url,
        fresh=order.fresh,
        notices=(
            *notices,
            *prompt.warnings,
            *planned.notices,
            *context.notices,
            *denial_notices(denials, prompt.name),
            *boundary_notices,
            *_uncommitted(repository, base),
        ),
    )


def _task(order: Order, repository: Repository) -> tuple[Task, tuple[str, ...]]:
    if order.text is not None:
        return text_task(order.text), ()
    if order.task is None:
        raise UsageError(
            "no task given", hint="Give a task id, a path, --text, or - for standard input."
        )
    found = find_task(order.task, repository.root)
    if "/" not in order.task and not order.task.endswith(".md"):
        check_inside(found, repository.root)
    return read_task(found)


def _denied(boundaries: Boundaries, globs: Sequence[str]) -> Boundaries:
    return replace(boundaries, deny=tuple(dict.fromkeys((*boundaries.deny, *globs))))


def _check_dependencies(task: Task, repository: Repository, base: str) -> None:
    """Refuse a task whose dependencies did not land in the base."""
    landed = repository.landed_tasks(base) if task.depends_on else frozenset[str]()
    missing = [name for name in task.depends_on if name not in landed]
    if missing:
        raise UsageError(
            f"{task.id} depends on {', '.join(missing)}, which the base {base[:12]} does not hold",
            hint="Run it first, or give a --base that holds its landed commits.",
        )


def _prompt(name: str, task: Task, repository: Repository, *, trusted: bool) -> Prompt:
    """The prompt, with the profile of another one if the task asks for that."""
    prompt = load_prompt(find_prompt(name, repository.root, trusted=trusted), DEFAULT_TOOLS)
    if task.profile is None:
        return prompt
    other = load_prompt(find_prompt(task.profile, repository.root), DEFAULT_TOOLS)
    return replace(prompt, profile=other.profile)


def _check_documents(prompt: Prompt, base_paths: frozenset[str], repository: Repository) -> None:
    """Refuse a prompt whose documents are neither in the base nor in the work tree."""

    def exists(path: str) -> bool:
        held = path in base_paths or _is_directory(path, base_paths)
        return held or Path(repository.root, path).exists()

    missing = missing_documents(prompt.profile, exists)
    if missing:
        raise UsageError(
            f"the prompt {prompt.name} works from {', '.join(missing)}, which is not there",
            hint="Write it, or take another prompt: agentflow prompts list.",
        )


def _check_gates(
    gates: tuple[BuildCommand, ...],
    base_paths: frozenset[str],
    world: World,
    environment: Environment,
) -> None:
    """Refuse a run that could not be verified, and commands that nobody can find."""
    if not gates:
        raise UsageError(
            "no gate is configured, so nothing could be verified",
            hint=f"Run `agentflow init`, give --gate 'test=<command>', or add [[gates]] to {CONFIG} "
            + "and commit it.",
        )
    for gate in gates:
        folder = posixpath.normpath(gate.cwd)
        if not (folder == "." or gate.must_fail_on_base or _is_directory(folder, base_paths)):
            raise UsageError(
                f"the gate {gate.name!r} runs in {gate.cwd!r}, which is no folder of the base",
                hint="Correct its `cwd`.",
            )
        check_program(gate, base_paths, world.environment.get("PATH"), environment)


def _is_directory(path: str, base_paths: frozenset[str]) -> bool:
    return any(known.startswith(f"{path}/") for known in base_paths)


def _check_boundaries(
    boundaries: Boundaries, task: Task, base_paths: frozenset[str]
) -> tuple[str, ...]:
    """Name allow globs that match nothing; refuse if none matches anything."""
    idle = [
        glob
        for glob in boundaries.allow
        if not glob.endswith("/")
        and not any(matches(glob, path) for path in (*base_paths, *task.files))
        and not _is_directory(literal_prefix(glob), base_paths)
    ]
    if idle and len(idle) == len(boundaries.allow):
        folders = {path.rpartition("/")[0] for path in base_paths}
        raise UsageError(
            f"the boundary {idle[0]!r} matches nothing in the base"
            + nearest(literal_prefix(idle[0]), folders),
            hint="If the task creates it, write it as a folder with a trailing `/`, or name a "
            + "file of it under `files:`.",
        )
    return tuple(f"the boundary {glob!r} matches nothing in the base" for glob in idle)


def _model(settings: Settings, prompt: Prompt, flags: Mapping[str, Any], base_url: str) -> str:
    """The model's id: what the settings say, else the prompt."""
    foreign = endpoint(base_url) != "anthropic"
    name = settings.model or prompt.model or catalog.DEFAULT
    model = catalog.resolve(name, allow_unknown=foreign)
    allowed = {catalog.resolve(each, allow_unknown=foreign) for each in settings.models}
    if allowed and model not in allowed and "model" not in flags:
        raise UsageError(
            f"the model {name!r} is not among those that your configuration allows: "
            + ", ".join(settings.models),
            hint="Give --model to decide it for this run.",
        )
    unpriced = catalog.cost(model, Usage(input_tokens=1), settings.prices) is None
    if settings.max_cost is not None and unpriced:
        raise UsageError(
            f"the price of {model} is unknown, so a limit of ${settings.max_cost:.2f} cannot hold",
            hint="Add [prices] for it to your config.toml, or limit turns instead.",
        )
    return model


def _limits(limits: Limits, prompt: Prompt) -> Limits:
    """The limits, with no more turns than the prompt wishes."""
    return replace(limits, max_turns=min(limits.max_turns, prompt.max_turns or limits.max_turns))


def _uncommitted(repository: Repository, base: str) -> tuple[str, ...]:
    changed = repository.changed_paths()
    new = repository.untracked_paths(CONFIG)
    notices: list[str] = []
    if CONFIG in (*changed, *new):
        notices.append(f"{CONFIG} is not as in the base {base[:12]}; the base's is used")
    if changed:
        notices.append(
            f"{counted(len(changed), 'uncommitted change')} in your work tree not part of the "
            + f"base {base[:12]}; your files stay as they are"
        )
    return tuple(notices)
