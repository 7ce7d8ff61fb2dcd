"""A handoff block against a repository: what it asks for, where, and the task made of it."""

import hashlib
import os
import select
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from agentflow.errors import UsageError
from agentflow.neutral import one_line
from agentflow.prompts.search import plain_name, search
from agentflow.records import Boundaries, Handed, Json, Task
from agentflow.strict_json import parse_object
from agentflow.tasks.handoff import MAX_HANDOFF, Handoff, read_handoffs
from agentflow.tasks.handoff_questions import Reading, read_against, with_answers
from agentflow.tasks.service_match import DEEPEST, Workspace, boundaries, make_workspace
from agentflow.tasks.task import text_task
from agentflow.workspace.repository import Repository

PROMPTS = ("handoff", "backend-task-handoff-prompt")
"""Prompts for handoffs; without one of them, the configured prompt is taken."""
PATIENCE = 30.0
"""Seconds without a byte, after which standard input is given up."""
LONGEST_WAIT = 600.0
"""Seconds until standard input must have ended, however slowly it drips."""
MAX_MANIFESTS = 300
"""Files that are read for names of packages; the largest public monorepos have about that many."""
MAX_MANIFEST = 1024 * 1024

_SUBMODULE = "160000"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A handoff, ready to be confirmed and run."""

    reading: Reading
    directory: Path
    """The repository that its work is in: this one, or a submodule."""
    submodule: str
    """Its path, or an empty text."""
    task: Task


def read_input(
    descriptor: int, *, patience: float = PATIENCE, longest: float = LONGEST_WAIT
) -> str:
    """Read a text from a pipe or a terminal, to its end.

    Raises `UsageError` if nothing arrives for `patience` seconds, if it has no end after
    `longest` of them, or if it is longer than `MAX_HANDOFF` or not UTF-8. On a terminal it
    waits for as long as the person needs.
    """
    try:
        return decoded(_read_all(descriptor, patience, longest), "standard input")
    except OSError as error:
        raise UsageError(f"cannot read standard input: {error.strerror}") from error


def _read_all(descriptor: int, patience: float, longest: float) -> bytes:
    data, waited, silent = bytearray(), 0.0, 0.0
    patient, step = os.isatty(descriptor), min(patience, 1.0)
    while True:
        if not (patient or select.select([descriptor], [], [], step)[0]):
            silent, waited = silent + step, waited + step
            if silent >= patience or waited >= longest:
                raise UsageError(
                    f"standard input has not ended, and said nothing for {silent:.0f} s",
                    hint="Give the block's file as PATH, or end the input.",
                )
            continue
        silent = 0.0
        piece = os.read(descriptor, 65_536)
        data += piece
        if not piece or len(data) > MAX_HANDOFF:
            return bytes(data)


def decoded(data: bytes, where: str) -> str:
    """The text of UTF-8 bytes. Raises `UsageError` for others."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if len(data) > MAX_HANDOFF:
            raise UsageError(f"{where} is longer than {MAX_HANDOFF} bytes") from error
        raise UsageError(f"{where} is not UTF-8 text (byte {error.start})") from error


def choose_block(text: str, *, where: str, number: int | None = None) -> Handoff:
    """The block that is meant: the only one for a backend, or the one of this number, from 1.

    Raises `UsageError` if there is none, or several and no number.
    """
    blocks = read_handoffs(text, where=where).blocks
    if number is not None:
        if not 0 < number <= len(blocks):
            raise UsageError(f"{where} has no block {number}; it holds {len(blocks)}")
        return blocks[number - 1]
    ours = [block for block in blocks if block.recipient != "frontend"]
    if not ours:
        raise UsageError(f"{where} holds nothing for a backend: its blocks are for a frontend")
    if len(ours) > 1:
        listed = "; ".join(
            f"{position} (line {block.line}): {one_line(block.work or block.trigger, 60)}"
            for position, block in enumerate(blocks[:10], 1)
        )
        raise UsageError(
            f"{where} holds {len(ours)} handoff blocks", hint=f"Say which: --block N. {listed}"
        )
    return ours[0]


def read_workspace(repository: Repository, commit: str) -> Workspace:
    """What services are matched to, as of a commit."""
    modes = repository.modes(commit)
    submodules = [path for path, mode in modes.items() if mode == _SUBMODULE]
    manifests = [
        path
        for path in sorted(modes)
        if path.rpartition("/")[2] in {"package.json", "project.json"}
        and path.count("/") <= DEEPEST
        and "node_modules/" not in path
    ]
    packages: dict[str, str] = {}
    for path in manifests[:MAX_MANIFESTS]:
        name = _package_name(repository, commit, path)
        if name:
            packages.setdefault(name, path.rpartition("/")[0])
    return make_workspace(repository.root.name, modes, submodules, packages)


def _package_name(repository: Repository, commit: str, path: str) -> str | None:
    size = repository.size(commit, path)
    if size is None or size > MAX_MANIFEST:
        return None
    try:
        name = parse_object(repository.read(commit, path) or "").get("name")
    except ValueError:
        return None
    return name if isinstance(name, str) and 0 < len(name) <= 200 else None


def read_in(
    repository: Repository,
    handoff: Handoff,
    base: str | None,
    services: Sequence[str],
    answers: Mapping[str, str],
) -> Reading:
    """A handoff against a repository's base; `services` replace those that the block names."""
    commit = repository.resolve(base) if base else repository.head
    said = {
        **answers,
        **({"services": ", ".join(f"`{name}`" for name in services)} if services else {}),
    }
    return read_against(with_answers(handoff, said), read_workspace(repository, commit))


def prepare(repository: Repository, reading: Reading, base: str | None) -> Prepared:
    """Make the task of a handoff that leaves nothing open.

    Raises `UsageError` if its folders lie in several repositories, or in a submodule that is not
    checked out, and for a `base` together with a submodule.
    """
    commit = repository.resolve(base) if base else repository.head
    modules = [path for path, mode in repository.modes(commit).items() if mode == _SUBMODULE]
    owners = {folder: _owner(folder, modules) for folder in reading.folders}
    distinct = sorted(set(owners.values()))
    if len(distinct) > 1:
        raise UsageError(
            "the handoff needs changes in several repositories: "
            + ", ".join(owner or "this one" for owner in distinct),
            hint="Hand it over once for each of them: --service NAME.",
        )
    owner = distinct[0] if distinct else ""
    directory = repository.root / owner
    if owner and not (directory / ".git").exists():
        raise UsageError(
            f"the submodule {owner} is not checked out", hint=f"git submodule update --init {owner}"
        )
    if owner and base:
        raise UsageError(f"--base is a commit of this repository, and the work is in {owner}")
    limits = boundaries(folder.removeprefix(owner).strip("/") for folder in owners)
    return Prepared(reading, directory, owner, _task(reading, limits, directory))


def _owner(folder: str, modules: Sequence[str]) -> str:
    return next((each for each in modules if folder == each or folder.startswith(f"{each}/")), "")


def _task(reading: Reading, limits: Boundaries, root: Path) -> Task:
    handoff = reading.handoff
    title = one_line(
        handoff.work.strip().split("\n")[0].lstrip("-*# \t0123456789.") or "Handoff", 80
    )
    places = "\n".join(f"- `{folder or '.'}`" for folder in reading.folders)
    task = text_task(
        f"# {title}\n\nA handoff from another team:\n\n{handoff.text}\n\n## Where\n\n{places}\n"
    )
    digest = hashlib.sha256(task.text.encode()).hexdigest()
    return replace(
        task,
        id=f"HANDOFF-{digest[:8]}",
        title=title,
        boundaries=limits,
        prompt=_prompt(root),
        contract=_contract(handoff),
        handed=Handed(
            tuple((each.name, each.folder or "") for each in reading.matches),
            tuple((each.method, each.path) for each in handoff.endpoints),
        ),
    )


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


def describe_json(prepared: Prepared) -> Json:
    """What is confirmed before anything is spent, as data."""
    reading, handoff = prepared.reading, prepared.reading.handoff
    return {
        "type": "handoff",
        "task": prepared.task.id,
        "directory": str(prepared.directory),
        "services": {each.name: each.folder for each in reading.matches},
        "packages": dict(reading.packages),
        "trigger": handoff.trigger,
        "work": handoff.work,
        "contract": handoff.contract,
        "endpoints": [[each.method, each.path] for each in handoff.endpoints],
        "other": [[each.name, each.text] for each in handoff.other],
        "allow": list(prepared.task.boundaries.allow),
        "problems": [{"line": each.line, "message": each.message} for each in handoff.problems],
    }
