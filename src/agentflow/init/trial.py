"""The trial: the proposed setup and gates on a checkout of HEAD, as runs will have them."""

import asyncio
import tomllib
from dataclasses import replace
from pathlib import Path

from agentflow.checkouts import Checkouts
from agentflow.configuration import Settings
from agentflow.events import BaseCheckFinished, BaseCheckStarted
from agentflow.folders import remove_folder, temporary_folder
from agentflow.gates.command import Change, Commands
from agentflow.init.proposal import Proposal
from agentflow.init.rendering import render
from agentflow.interfaces import Emit
from agentflow.provisions import Provisions
from agentflow.records import Backend
from agentflow.redaction import redactor
from agentflow.results import Evidence
from agentflow.sandbox import require
from agentflow.sandbox.traffic import Traffic
from agentflow.workspace.repository import Repository
from agentflow.world import World


async def try_gates(
    repository: Repository, world: World, proposal: Proposal, emit: Emit
) -> tuple[Evidence, ...]:
    """Install what the proposal says, and run each of its live gates once on HEAD.

    What is installed is kept for later runs. Raises `EnvironmentFailure` without a sandbox, or if
    the setup fails.
    """
    backend = await asyncio.to_thread(require, "auto")
    settings = Settings.model_validate(tomllib.loads(render(proposal)))
    folder = await asyncio.to_thread(temporary_folder, world.cache / repository.key, "init-")
    try:
        return await _try(repository, world, settings, folder, backend, emit)
    finally:
        await asyncio.to_thread(remove_folder, folder)


async def _try(
    repository: Repository,
    world: World,
    settings: Settings,
    folder: Path,
    backend: Backend,
    emit: Emit,
) -> tuple[Evidence, ...]:
    environment = settings.surroundings(world.environment)
    checkouts = Checkouts(
        folder,
        repository,
        world,
        backend=backend,
        limits=settings.sandbox.limits,
        environment=environment,
        gates=settings.commands,
        traffic=Traffic(settings.sandbox.upload),
    )
    await asyncio.to_thread(checkouts.prepare)
    redact = redactor(environment.secrets)
    base = repository.resolve("HEAD")
    if environment.setup:
        store = world.cache / repository.key / "provisions"
        provisions = Provisions(
            environment.setup,
            store,
            checkouts.state,
            checkouts.toolchain,
            checkouts.setup,
            emit,
            redact,
            secret_files=settings.secrets.files,
        )
        checkouts.provide = provisions.of
        await provisions.of(base)
    commands = Commands(checkouts.open, checkouts.state, redact)
    found: list[Evidence] = []
    for gate in settings.commands:
        if gate.where == "here":
            emit(BaseCheckStarted(gate.name))
            started = world.clock()
            measured = await commands.run(gate, base, Change(base, base))
            found.append(replace(measured, seconds=round(world.clock() - started, 3)))
            emit(BaseCheckFinished(found[-1], cached=False))
    return tuple(found)
