"""Verification alone: the gates on commits made by anybody. No model, no landing, no marker."""

import asyncio
import dataclasses
from collections.abc import Callable
from pathlib import Path

from agentflow.checkouts import Checkouts
from agentflow.events import Notice
from agentflow.folders import remove_folder, temporary_folder
from agentflow.gates import verify
from agentflow.gates.boundaries import BoundariesGate
from agentflow.gates.build import BuildGate
from agentflow.gates.commit import CommitGate
from agentflow.gates.files import FilesGate
from agentflow.gates.secrets import SecretsGate
from agentflow.gates.setup import SetupGate
from agentflow.gates.tamper import TamperGate
from agentflow.installation import Installation
from agentflow.interfaces import Emit, Gate
from agentflow.provisions import Provisions
from agentflow.records import Backend, Json
from agentflow.redaction import Redact, redactor
from agentflow.results import Candidate, Verdict
from agentflow.sandbox import notices, require
from agentflow.sandbox.traffic import Traffic
from agentflow.subjects import Question, Subject, find_subject
from agentflow.workspace.git import Git
from agentflow.workspace.importer import as_it_is
from agentflow.workspace.lfs import content_stores
from agentflow.workspace.repository import Repository, open_repository
from agentflow.world import World

Passed = Callable[[Repository, Git, Candidate], None]


async def verify_commits(
    question: Question, world: World, emit: Emit, passed: Passed | None = None
) -> Json:
    """Judge the commits as they are; return what was measured as one JSON object. `passed` is called,
    in a thread, if all gates passed and while our repository still holds the commits.

    Settings are those of the branch that the change is for, as it is now, and so is the task if it
    holds it: a change does not choose its own measure. Raises `UsageError` if there is nothing to judge or no gate,
    `EnvironmentFailure`.
    """
    repository = await asyncio.to_thread(open_repository, world.directory, world.environment)
    subject = await asyncio.to_thread(find_subject, question, repository, world)
    backend = await asyncio.to_thread(require, subject.settings.sandbox.backend)
    for text in notices(backend):
        emit(Notice(text))
    folder = await asyncio.to_thread(temporary_folder, world.cache / repository.key, "verify-")
    try:
        verdict, candidate, state = await _judge(subject, repository, world, folder, backend, emit)
        if verdict.passed and passed:
            await asyncio.to_thread(passed, repository, state, candidate)
    finally:
        await asyncio.to_thread(remove_folder, folder)
    return _described(question, subject, candidate, verdict)


async def _judge(
    subject: Subject,
    repository: Repository,
    world: World,
    folder: Path,
    backend: Backend,
    emit: Emit,
) -> tuple[Verdict, Candidate, Git]:
    settings = subject.settings
    checkouts = Checkouts(
        folder,
        repository,
        world,
        backend=backend,
        limits=settings.sandbox.limits,
        readable=settings.readable,
        environment=subject.environment,
        gates=settings.commands,
        traffic=Traffic(settings.sandbox.upload, emit=emit),
    )
    await asyncio.to_thread(checkouts.prepare)
    if subject.brought:
        await asyncio.to_thread(subject.brought.bring, checkouts.state)
    redact = redactor(subject.environment.secrets)
    installation: Installation | None = None
    if subject.environment.setup:
        store = world.cache / subject.home.key / "provisions"
        provisions = Provisions(
            subject.environment.setup,
            store,
            checkouts.state,
            checkouts.toolchain,
            checkouts.setup,
            emit,
            redact,
            secret_files=settings.secrets.files,
        )
        installation = Installation(subject.base, provisions, folder / "provisions")
        checkouts.provide = installation.of
    candidate = await asyncio.to_thread(
        as_it_is,
        checkouts.state,
        subject.base,
        subject.tip,
        settings.boundaries,
        await asyncio.to_thread(content_stores, repository),
    )
    gates = _gates(subject, checkouts, installation, redact)
    return await verify(gates, candidate, emit), candidate, checkouts.state


def _gates(
    subject: Subject, checkouts: Checkouts, installation: Installation | None, redact: Redact
) -> tuple[Gate, ...]:
    settings, task, state = subject.settings, subject.task, checkouts.state
    return (
        CommitGate(task.expect, "orchestrator"),
        BoundariesGate(settings.boundaries),
        FilesGate(state, task.files),
        TamperGate(state, settings.boundaries),
        SecretsGate(state, settings.secrets.allow, subject.environment.secrets),
        *([SetupGate(installation.judge)] if installation else []),
        *(
            BuildGate(command, checkouts.open, state, settings.boundaries, redact)
            for command in settings.commands
        ),
    )


def _described(
    question: Question, subject: Subject, candidate: Candidate, verdict: Verdict
) -> Json:
    reason = "" if verdict.passed or verdict.failures else "no build gate ran here and passed"
    return {
        "type": "verification",
        "what": question.what,
        "task": None if subject.task.id == "-" else subject.task.id,
        "base": subject.base,
        "tip": subject.tip,
        "passed": verdict.passed,
        "exit_code": 0 if verdict.passed else 1,
        "reason": reason,
        "changes": {
            name: getattr(candidate, name) for name in ("files_changed", "insertions", "deletions")
        },
        "gates": [dataclasses.asdict(evidence) for evidence in verdict.evidence],
        "left_to_ci": list(verdict.left_to_ci),
        "notices": list(subject.notices),
    }
