"""What a plan is checked for: what could not be verified, found or landed is refused early."""

import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path

from agentflow.awaited import beginning, check_known, done_on
from agentflow.environment import Environment
from agentflow.errors import UsageError
from agentflow.frontmatter import read_limited
from agentflow.globs import as_written, literal_prefix, matches
from agentflow.journal import open_regular
from agentflow.mount_plan import MountPlan, plan_mounts, without_denials
from agentflow.nearest import nearest
from agentflow.programs import check_program
from agentflow.prompts.base_tree import is_environment_file
from agentflow.prompts.profile import missing_documents
from agentflow.records import (
    MOUNTING,
    Backend,
    Boundaries,
    BuildCommand,
    Landing,
    Prompt,
    Task,
)
from agentflow.sandbox.hosts import parse_rules
from agentflow.sandbox.policy import Network
from agentflow.setting_tables import DocumentsSetting
from agentflow.settings import CONFIG, how_to_commit
from agentflow.strict_json import parse_object
from agentflow.strict_toml import parse_toml
from agentflow.words import counted, word
from agentflow.workspace.repository import Repository
from agentflow.world import World

CHANGING = frozenset({"Bash", "Edit", "Write"})
"""The tools that can change a file."""
LISTED = 3
"""Paths that a notice names."""
MAX_CONFIG = 1 << 20
"""Bytes that are read of a configuration which is not the base's."""

MAX_EVENT = 32 << 20
"""Bytes of the file in which GitHub describes a job's event; its own limit is 25 MB."""


def check_event(environment: Mapping[str, str], *, allowed: bool) -> None:
    """Refuse a CI job that holds the repository's secrets and serves somebody else's pull request.

    GitHub's variables and the file of the event are documented under "Contexts" and "Webhook events
    and payloads". What cannot be read is taken for foreign.
    """
    if allowed or environment.get("GITHUB_EVENT_NAME") != "pull_request_target":
        return
    try:
        data = read_limited(Path(environment.get("GITHUB_EVENT_PATH", "")), MAX_EVENT)
        head = parse_object(data)["pull_request"]["head"]["repo"]["full_name"]
    except (UsageError, ValueError, KeyError, TypeError):
        head = None
    if head is None or head != environment.get("GITHUB_REPOSITORY"):
        raise UsageError(
            "this job has the secrets of the repository (pull_request_target), and its pull request "
            "comes from another one",
            hint="Use the event pull_request. If the text of a stranger may steer an agent here, "
            + "give --allow-foreign-head.",
        )


def check_network(hosts: Sequence[str], backend: Backend) -> None:
    """Refuse a list of hosts for the agent that cannot be read, or that the sandbox cannot hold to.

    Raises `UsageError` and `EnvironmentFailure`.
    """
    setting = "environment.agent.network"
    parse_rules(hosts, setting)
    if hosts and backend == "landlock":
        from agentflow.sandbox import landlock  # few need it, and it brings ctypes

        landlock.check_network(Network(tuple(hosts), setting=setting))


def check_dependencies(
    task: Task,
    repository: Repository,
    base: str,
    documents: DocumentsSetting,
    *,
    landing: Landing = "branch",
    target: str = "",
    committed: bool = False,
) -> None:
    """Refuse a task whose dependencies did not land in the base; of a document all backend batches
    must have. `target` is the branch that was named for the result; `committed` says that only
    documents count that git has."""
    landed = repository.landed_tasks(base) if task.depends_on else frozenset[str]()
    missing = [name for name in task.depends_on if name not in landed]
    if not missing:
        return
    from agentflow.kept_documents import left_of  # it brings all that reads documents

    def document(name: str, *, committed: bool) -> str | None:
        return left_of(repository, base, name, documents, landed, committed=committed)

    def is_document(name: str) -> bool:  # be it one that git does not have
        return document(name, committed=False) is not None

    left = {name: document(name, committed=committed) for name in missing}
    unlanded = [name for name in missing if left[name] is None]
    for name in unlanded:
        check_known(task, name, repository, base, is_document)
    if unlanded:
        raise _unlanded(task, unlanded, repository, base, landing, target)
    for name, why in left.items():
        if why:
            raise UsageError(
                f"{task.id} depends on {name}, which is not complete in the base {base[:12]}: {why}",
                hint=f"Run it first: agentflow phase-6 {word(name)}\nA batch that is set aside must be taken up, or "
                f"given up: agentflow tasks set {word(name)} --batch N --status SKIPPED\nOr begin from "
                f"a commit that holds all that it landed: agentflow run {word(task.id)} --base REV",
            )


def _unlanded(
    task: Task,
    names: Sequence[str],
    repository: Repository,
    base: str,
    landing: Landing,
    target: str,
) -> UsageError:
    """What is wrong where the base does not hold what these tasks landed, and where that is."""
    for name in names:
        branch = done_on(repository, name)
        if branch:
            return UsageError(
                f"{task.id} depends on {name}, which is done on {branch}, and the base {base[:12]} "
                "does not hold that",
                hint=beginning(task, branch, repository, landing, target),
            )
    named = f" --target {word(target)}" if target else ""
    return UsageError(
        f"{task.id} depends on {', '.join(names)}, which the base {base[:12]} does not hold",
        hint=f"Run it first: agentflow run {' '.join(map(word, names))}{named}. Or begin from a commit that holds "
        f"what it landed: agentflow run {word(task.id)} --base REV{named}",
    )


def check_means(task: Task, prompt: Prompt) -> None:
    """Refuse a task that must change something to a prompt that has no tool to change anything."""
    looks = task.expect == "no-change" or prompt.profile.commits == "none"
    if not looks and CHANGING.isdisjoint(prompt.tools):
        raise UsageError(
            f"{task.id} must change something, and the prompt {prompt.name} has only tools that look "
            f"({', '.join(prompt.tools)})",
            hint="Take another prompt, or say `expect: no-change` in the task.",
        )


def check_documents(prompt: Prompt, base_paths: frozenset[str], repository: Repository) -> None:
    """Refuse a prompt whose documents are neither in the base nor in the work tree."""

    def exists(path: str) -> bool:
        held = path in base_paths or is_directory(path, base_paths)
        return held or Path(repository.root, path).exists()

    missing = missing_documents(prompt.profile, exists)
    if missing:
        raise UsageError(
            f"the prompt {prompt.name} works from {', '.join(missing)}, which is not there",
            hint="Write it, or take another prompt: agentflow prompts list",
        )


def check_verifiable(
    repository: Repository, base: str, base_paths: frozenset[str], directory: Path
) -> None:
    """Refuse a run without any gate, and say what is missing: the configuration, gates in it, or that
    it is committed. `directory` is where the command was given. Raises `UsageError`."""
    commit = how_to_commit(repository.root, directory)
    missing = "no gate is configured, so nothing could be verified"
    changed = {*repository.changed_paths(), *repository.untracked_paths(CONFIG)}
    if _names_gates(repository.root / CONFIG):
        where = f"a run takes the gates of its base {base[:12]}, which has none"
        told, step = (
            (f"the gates of {CONFIG} are not committed: {where}", f"Commit them: {commit}")
            if CONFIG in changed
            else (
                where,
                f"Have `agentflow run` begin from one that has those of {CONFIG}: --base REV",
            )
        )
        raise UsageError(told, hint=f"{step}\nOr give --gate 'test=<command>'.")
    if CONFIG in {*base_paths, *changed}:
        step = f"Add [[gates]] to {CONFIG} and commit it: {commit}\nOr give"
    else:
        step = f"Run `agentflow init` (it writes {CONFIG}) and commit what it wrote, or give"
    raise UsageError(missing, hint=f"{step} --gate 'test=<command>'.")


def _names_gates(file: Path) -> bool:
    """Whether a configuration in the work tree, where anything may stand, names a gate."""
    try:
        with open_regular(file) as opened:
            return bool(parse_toml(opened.read(MAX_CONFIG).decode()).get("gates"))
    except (OSError, ValueError):
        return False


def check_gates(
    gates: tuple[BuildCommand, ...],
    base_paths: frozenset[str],
    world: World,
    environment: Environment,
) -> None:
    """Refuse gates that could not run, commands that nobody can find, and that nothing runs here."""
    if gates and all(gate.where == "ci" for gate in gates):
        raise UsageError(
            "every gate is left to CI, so nothing could be verified here",
            hint="Add one that runs here, without `where`, or give --gate 'test=<command>'.",
        )
    for gate in gates:
        folder = posixpath.normpath(gate.cwd)
        if not (folder == "." or gate.must_fail_on_base or is_directory(folder, base_paths)):
            raise UsageError(
                f"the gate {gate.name!r} runs in {gate.cwd!r}, which is no folder of the base",
                hint="Correct its `cwd`.",
            )
        if gate.tests and not gate.report:
            raise UsageError(
                f"the gate {gate.name!r} names tests, and no report that would show them",
                hint="Let its command write JUnit XML, and name that file as `report`.",
            )
        check_program(gate, base_paths, world.environment.get("PATH"), environment)


def is_directory(path: str, base_paths: frozenset[str]) -> bool:
    """Whether a commit with these files has this folder."""
    return any(known.startswith(f"{path}/") for known in base_paths)


def mount_plan(boundaries: Boundaries, base_paths: frozenset[str], backend: Backend) -> MountPlan:
    """What a back end mounts for boundaries on a commit with these files, and who enforces each."""
    plan = plan_mounts(boundaries, lambda path: is_directory(path, base_paths))
    return plan if backend in MOUNTING else without_denials(plan)


def check_boundaries(
    boundaries: Boundaries, task: Task, base_paths: frozenset[str]
) -> tuple[str, ...]:
    """Name allow globs that match nothing; refuse if none matches anything."""
    idle = [
        glob
        for glob in boundaries.allow
        if not glob.endswith("/")
        and not any(matches(glob, path) for path in (*base_paths, *task.files))
        and not is_directory(literal_prefix(glob), base_paths)
    ]
    if idle and len(idle) == len(boundaries.allow):
        folders = {path.rpartition("/")[0] for path in base_paths}
        raise UsageError(
            f"the boundary {as_written(idle[0])!r} matches nothing in the base"
            + nearest(literal_prefix(idle[0]), folders),
            hint="If the task creates it, write it as a folder with a trailing `/`, or name a "
            + "file of it under `files:`.",
        )
    return tuple(f"the boundary {as_written(glob)!r} matches nothing in the base" for glob in idle)


def tracked_secrets(base_paths: frozenset[str], globs: Sequence[str]) -> tuple[str, ...]:
    """Tell of secret files that git holds: nobody can hide from an agent what its history has."""
    found = sorted(
        path
        for path in base_paths
        if is_environment_file(path) or any(matches(glob, path) for glob in globs)
    )
    if not found:
        return ()
    more = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
    return (
        f"git tracks {', '.join(found[:LISTED])}{more}: the agent and its model's provider can read "
        + "it; take it out of git, and change what it holds",
    )


def uncommitted(repository: Repository, base: str) -> tuple[str, ...]:
    """Tell of changes in the work tree that the run does not see."""
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
