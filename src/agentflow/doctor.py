"""The doctor: whether a run could start here, check by check, with the line that mends it."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

from agentflow.canaries import Prove, outdated, prove
from agentflow.configuration import Settings
from agentflow.errors import AgentflowError, EnvironmentFailure, UsageError
from agentflow.frozen import record
from agentflow.globs import as_written, matches
from agentflow.models.endpoint import ANTHROPIC_URL, endpoint, find_key, key_name
from agentflow.models.kinds import find_kind
from agentflow.plan_checks import mount_plan
from agentflow.programs import first_word
from agentflow.reaching import connect, first_address
from agentflow.records import Backend, Task
from agentflow.sandbox import CANARY, Choice, bubblewrap, choose, notices
from agentflow.settings import CONFIG, how_to_commit, load_settings, shared_table
from agentflow.trust import Trust, read_trust, widening
from agentflow.workspace.git import isolated
from agentflow.workspace.repository import Repository, open_repository
from agentflow.world import World

Status = Literal["ok", "warning", "missing", "wrong"]
"""`missing` can be got or set; `wrong` is there and must be corrected."""

LITTLE, TOO_LITTLE = 2 * 1024**3, 200 * 1024**2
"""Free bytes: below the first there is a warning, below the second no run."""


@record
class Check:
    """One thing that a run needs."""

    name: str
    status: Status
    detail: str
    remedy: str = ""
    """The line that mends it; empty if all is well."""


Choose = Callable[[Backend], Choice]
"""Finds the back end that holds here."""


def examine(
    world: World,
    sandbox: Choose = choose,
    proofs: Prove = prove,
    version: Callable[[], str] = bubblewrap.version,
) -> tuple[Check, ...]:
    """Look at everything that a run needs. Sends no request and no key anywhere.

    A run could start if no check is `missing` or `wrong`: see `is_good`.
    """
    checks = [_git(world), *_disk("cache", world.cache)]
    try:
        repository = open_repository(world.directory, world.environment)
        head = repository.resolve("HEAD")
    except AgentflowError as error:
        contained = _containment(None, sandbox, proofs, version)
        return (*checks, *contained, Check("repository", *_missing(error)))
    checks += [Check("repository", "ok", str(repository.root)), *_disk("disk", repository.root)]
    text = repository.read(head, CONFIG)
    found = list(_configuration(repository, world, text))
    settings = next((each for each in found if isinstance(each, Settings)), None)
    checks += [each for each in found if isinstance(each, Check)]
    checks += _containment(settings, sandbox, proofs, version)
    if settings is not None:
        checks += _boundaries(settings, repository.paths(head), sandbox)
        checks += _gates(settings, repository, head, world)
        checks += _server(settings, world)
    return tuple(checks)


def is_good(checks: Iterable[Check]) -> bool:
    """Whether a run could start."""
    return all(check.status in {"ok", "warning"} for check in checks)


def _containment(
    settings: Settings | None, sandbox: Choose, proofs: Prove, version: Callable[[], str]
) -> Iterator[Check]:
    """Whether there is a sandbox, and whether each of its promises holds."""
    whole = _sandbox(settings, sandbox)
    yield whole
    if whole.status != "ok":
        return
    if told := outdated(version()):
        yield Check("bubblewrap", "warning", told, "Get 0.12 or later where you can.")
    try:
        tried = proofs()
    except AgentflowError as error:
        yield Check("promises", *_missing(error))
        return
    for proof in tried:
        status: Status = "wrong" if proof.broken else "ok"
        yield Check(proof.promise, status, proof.broken or proof.holds, proof.remedy)


def _boundaries(settings: Settings, paths: frozenset[str], sandbox: Choose) -> Iterator[Check]:
    """Who enforces the boundaries that the configuration has for every task."""
    backend = sandbox(settings.sandbox.backend).backend
    labels = mount_plan(settings.boundaries, paths, backend).labels
    if labels:
        detail = ", ".join(f"{as_written(glob)} {label}" for glob, label in labels)
        yield Check("boundaries", "ok", detail)


def _missing(error: AgentflowError) -> tuple[Status, str, str]:
    return "missing", error.message, error.hint


def _git(world: World) -> Check:
    try:
        version = isolated(world.directory).text("version").removeprefix("git version ")
    except AgentflowError as error:
        return Check("git", *_missing(error))
    return Check("git", "ok", version)


def _sandbox(settings: Settings | None, sandbox: Choose) -> Check:
    if settings is not None and settings.sandbox.backend == "none":
        detail = "your configuration turns it off: an agent gets all your rights"
        return Check("sandbox", "warning", detail, "Remove `sandbox` from your configuration.")
    found = sandbox(settings.sandbox.backend if settings is not None else "auto")
    if found.problem:
        return Check("sandbox", "missing", found.problem, found.remedy)
    if found.backend == "landlock":
        detail = f"Landlock holds, with fewer promises: {'; '.join(notices('landlock')[1:])}"
        why, _, remedy = found.passed_over.partition("; ")
        return Check("sandbox", "warning", f"{detail}. {why}" if why else detail, remedy)
    return Check("sandbox", "ok", f"bubblewrap holds: {len(CANARY)} attempts to leave failed")


def _disk(name: str, folder: Path) -> Iterator[Check]:
    """Whether a folder can be written to, and what is free there."""
    try:
        if name == "cache":
            folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        free = shutil.disk_usage(folder).free
    except OSError as error:
        remedy = f"See to it that {folder} can be written."
        yield Check(name, "missing", f"cannot write to {folder}: {error.strerror}", remedy)
        return
    detail = f"{folder}: {free / 1024**3:,.1f} GiB free"
    if free >= LITTLE:
        yield Check(name, "ok", detail)
    else:
        status: Status = "missing" if free < TOO_LITTLE else "warning"
        yield Check(name, status, detail, "Free disk space.")


def _configuration(
    repository: Repository, world: World, text: str | None
) -> Iterator[Check | Settings]:
    """What the settings are, if they are valid; and whether what they ask for was granted."""
    environment = world.environment
    try:
        wanted = widening(shared_table(text, environment))
        # granted for the look at all the other settings; the check of trust comes below
        settings = load_settings({}, environment, text, Task("-", "", ""), Trust(wanted))
        settings.surroundings(environment)
        trust = read_trust(repository.common_dir, environment)
    except AgentflowError as error:
        yield Check("config", "wrong", error.message, error.hint)
        return
    yield settings
    yield _gate_count(settings, text, repository, world.directory)
    try:
        trust.check(wanted, CONFIG)
    except UsageError as error:
        yield Check("trust", "missing", error.message, "agentflow trust")
    else:
        yield Check("trust", "ok", "granted" if wanted else "nothing asks for it")


def _gate_count(
    settings: Settings, text: str | None, repository: Repository, directory: Path
) -> Check:
    here = [gate.name for gate in settings.gates if gate.where == "here"]
    if here:
        return Check("config", "ok", f"valid; gates: {', '.join(here)}")
    if text is None and (repository.root / CONFIG).is_file():
        remedy = how_to_commit(repository.root, directory)
        return Check("config", "missing", f"{CONFIG} is not in the last commit", remedy)
    remedy = f"Add [[gates]] to {CONFIG}." if text is not None else "agentflow init"
    return Check("config", "missing", "no gate is configured that runs here", remedy)


def _paths(settings: Settings, paths: Collection[str]) -> Iterator[Check]:
    """Paths that settings name, and the last commit does not have."""
    keys = settings.environment.key
    if keys and not any(matches(glob, path) for glob in keys for path in paths):
        detail = f"environment.key, {', '.join(keys)}, matches no file of the last commit"
        remedy = "Correct `key`: until then, setup runs again for every change."
        yield Check("config", "warning", detail, remedy)
    for gate in settings.gates:
        if gate.cwd and not any(path.startswith(f"{gate.cwd.rstrip('/')}/") for path in paths):
            detail = f"{gate.name} starts in {gate.cwd!r}, which the last commit does not have"
            yield Check("config", "warning", detail, "Correct `cwd`, or commit the folder.")


def _gates(settings: Settings, repository: Repository, head: str, world: World) -> Iterator[Check]:
    """The programs that gates, setup and services start with."""
    paths = repository.paths(head)
    yield from _paths(settings, paths)
    lines = {gate.name: gate.command for gate in settings.gates if gate.where == "here"}
    lines |= {"setup": settings.environment.setup} if settings.environment.setup else {}
    lines |= {name: service.command for name, service in settings.services.items()}
    found: dict[str, None] = {}
    for name, line in lines.items():
        word = first_word(line)
        provided = any(matches(glob, word) for glob in settings.environment.provides if word)
        if not word or provided or word.removeprefix("./") in paths:
            continue
        if not _exists(word, world.environment):
            detail = f"{name} runs {word!r}, which is neither on PATH nor in the repository"
            yield Check("toolchain", "missing", detail, f"Install {word}.")
        elif shutil.which(word, path=world.environment.get("PATH", os.defpath)):
            found[word] = None
    if found:
        yield Check("toolchain", "ok", f"found: {', '.join(found)}")


def _exists(word: str, environment: Mapping[str, str]) -> bool:
    """Whether bash knows the word: a program, a keyword, a command of its own."""
    command = ["bash", "--noprofile", "--norc", "-c", 'type -t -- "$1"', "bash", word]
    path = {"PATH": environment.get("PATH", os.defpath)}
    try:
        ended = subprocess.run(
            command, env=path, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except OSError:
        return shutil.which(word, path=path["PATH"]) is not None
    return ended.returncode == 0


def _server(settings: Settings, world: World) -> Iterator[Check]:
    url = settings.base_url or ANTHROPIC_URL
    if find_kind(url, settings.server).cloud:
        yield Check(
            "server", "ok", f"{settings.server}: credentials are looked for when a run starts"
        )
        return
    try:
        variable = key_name(url, settings.key_variable)
        key = find_key(url, world.environment, settings.key_variable)
    except (UsageError, EnvironmentFailure) as error:
        yield Check("key", *_missing(error))
    else:
        told = f"{variable} is set" if key else "a server on this machine needs none"
        yield Check("key", "ok", told)
    try:
        endpoint(url)
    except UsageError as error:
        yield Check("server", *_missing(error))
        return
    host, port, way = first_address(url, world.environment)
    problem = connect(host, port)
    if problem:
        remedy = "Check the network, a proxy's variables, and base_url in your configuration."
        yield Check("server", "missing", f"{host}:{port}{way} does not answer: {problem}", remedy)
    else:
        yield Check("server", "ok", f"{host}:{port}{way} accepts connections")
