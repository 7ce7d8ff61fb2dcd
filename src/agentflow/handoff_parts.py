"""The parts of a handoff: its work in each repository as a task of its own.

Folders of a submodule belong to the submodule's repository. Where a block needs several
repositories, its parts are linked: verified together, and landed in this order.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from agentflow.errors import UsageError
from agentflow.frozen import record
from agentflow.handoffs import SUBMODULE
from agentflow.neutral import one_line
from agentflow.prompts.search import plain_name, search
from agentflow.records import Handed, Json, Task
from agentflow.tasks.handoff import Handoff
from agentflow.tasks.handoff_questions import Reading
from agentflow.tasks.service_match import boundaries
from agentflow.tasks.task import text_task
from agentflow.words import word
from agentflow.workspace.repository import Repository

PROMPTS = ("handoff", "backend-task-handoff-prompt")
"""Prompts for handoffs; without one of them, the configured prompt is taken."""


@record
class Part:
    """The work of a handoff in one repository."""

    directory: Path
    submodule: str
    """Its path; empty for the repository that the block was handed to."""
    task: Task

    @property
    def place(self) -> str:
        """The repository, for people."""
        return self.submodule or "this repository"


@record
class Prepared:
    """A handoff that leaves nothing open, ready to be confirmed and run."""

    id: str
    """See `handoff_id`."""
    reading: Reading
    parts: tuple[Part, ...]
    """What callers share comes first: it lands first."""


def handoff_id(handoff: Handoff) -> str:
    """`HANDOFF-` and eight hexadecimal digits: the same for the same block, before any answer."""
    return f"HANDOFF-{hashlib.sha256(handoff.text.encode()).hexdigest()[:8]}"


def prepare(repository: Repository, reading: Reading, base: str | None, name: str) -> Prepared:
    """Make the tasks of a handoff that leaves nothing open; `name` is its id.

    Raises `UsageError` for a submodule that is not checked out, and for a `base` together with one.
    """
    commit = repository.resolve(base) if base else repository.head
    modules = [path for path, mode in repository.modes(commit).items() if mode == SUBMODULE]
    owners = {folder: _owner(folder, modules) for folder in reading.folders}
    for owner in filter(None, sorted(set(owners.values()))):
        if not (repository.root / owner / ".git").exists():
            raise UsageError(
                f"the submodule {owner} is not checked out",
                hint=f"git submodule update --init {word(owner)}",
            )
        if base:
            raise UsageError(f"--base is a commit of this repository, and the work is in {owner}")
    places = _in_order(reading, owners)
    parts = tuple(
        _part(repository, reading, owners, owner, f"{name}-{number}" if len(places) > 1 else name)
        for number, owner in enumerate(places, 1)
    )
    return Prepared(name, reading, parts)


def _owner(folder: str, modules: Sequence[str]) -> str:
    """The submodule that a folder lies in; empty for this repository."""
    return next((each for each in modules if folder == each or folder.startswith(f"{each}/")), "")


def _in_order(reading: Reading, owners: dict[str, str]) -> list[str]:
    """The repositories, those of shared packages first: before all others those that hold no service
    besides. A block may name such a package among its services."""
    shared = set(reading.packages.values())
    of_packages = {owners[folder] for folder in shared}
    of_services = {owners[folder] for folder in owners.keys() - shared}

    def rank(owner: str) -> tuple[bool, bool, str]:
        return owner not in of_packages, owner in of_services, owner

    return sorted(set(owners.values()), key=rank) or [""]


def _words(reading: Reading) -> str:
    places = "\n".join(f"- `{folder or '.'}`" for folder in reading.folders)
    return (
        f"# {title_of(reading.handoff)}\n\nA handoff from another team:\n\n{reading.handoff.text}"
        f"\n\n## Where\n\n{places}\n"
    )


def title_of(handoff: Handoff) -> str:
    """One line of what is asked for."""
    return one_line(
        handoff.work.strip().split("\n")[0].lstrip("-*# \t0123456789.") or "Handoff", 80
    )


def _part(
    repository: Repository, reading: Reading, owners: dict[str, str], owner: str, name: str
) -> Part:
    directory, handoff = repository.root / owner, reading.handoff
    folders = [folder for folder in owners if owners[folder] == owner]
    inside = {folder: folder.removeprefix(owner).strip("/") for folder in folders}
    others = sorted({each for each in owners.values() if each != owner})
    task = text_task(_words(reading) + _elsewhere(owner, inside, others))
    services = ((each.name, each.folder) for each in reading.matches if each.folder in inside)
    return Part(
        directory,
        owner,
        replace(
            task,
            id=name,
            title=title_of(handoff),
            boundaries=boundaries(inside.values()),
            prompt=_prompt(directory),
            contract=_contract(handoff),
            handed=Handed(
                tuple((each, inside[folder or ""]) for each, folder in services),
                tuple((each.method, each.path) for each in handoff.endpoints),
            ),
        ),
    )


def _elsewhere(owner: str, inside: dict[str, str], others: Sequence[str]) -> str:
    """What an agent must know whose work tree is not the one that the block speaks of."""
    if not (owner or others):
        return ""
    here = ", ".join(f"`{folder or '.'}` is `{own or '.'}` here" for folder, own in inside.items())
    told = f"\nYou work in the repository `{owner or '.'}` alone: {here}."
    if others:
        told += (
            " The work in "
            + ", ".join(f"`{each or '.'}`" for each in others)
            + " is another part of this handoff, which somebody else does: leave it out."
        )
    return f"{told}\n"


def _contract(handoff: Handoff) -> str:
    """The words on shapes, with the block's endpoint before them if it has just this one."""
    words = handoff.contract or handoff.context
    if words and len(handoff.endpoints) == 1:
        endpoint = handoff.endpoints[0]
        return f"{endpoint.method} {endpoint.path}\n{words}"
    return words


def _prompt(root: Path) -> str | None:
    return next(
        (
            name
            for name in PROMPTS
            if any(plain_name(each.name) == name for each in search(root, (), name))
        ),
        None,
    )


def describe_json(prepared: Prepared, part: Part) -> Json:
    """What is confirmed of a part before anything is spent, as data."""
    reading, handoff = prepared.reading, prepared.reading.handoff
    return {
        "type": "handoff",
        "task": part.task.id,
        "directory": str(part.directory),
        "services": {each.name: each.folder for each in reading.matches},
        "packages": dict(reading.packages),
        "trigger": handoff.trigger,
        "work": handoff.work,
        "contract": handoff.contract,
        "endpoints": [[each.method, each.path] for each in handoff.endpoints],
        "other": [[each.name, each.text] for each in handoff.other],
        "allow": list(part.task.boundaries.allow),
        "problems": [{"line": each.line, "message": each.message} for each in handoff.problems],
    }
