"""A handoff block against a repository: read, chosen, and what it leaves open."""

import os
import select
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from agentflow.errors import UsageError
from agentflow.journal import open_regular
from agentflow.neutral import one_line
from agentflow.strict_json import parse_object
from agentflow.tasks.handoff import MAX_HANDOFF, Handoff, read_handoffs
from agentflow.tasks.handoff_questions import Reading, read_against, with_answers
from agentflow.tasks.service_match import DEEPEST, Workspace, make_workspace
from agentflow.workspace.repository import Repository

PATIENCE = 30.0
"""Seconds without a byte, after which standard input is given up."""
SOON = 1.0
"""Seconds after which it is told that standard input has not ended."""
LONGEST_WAIT = 600.0
"""Seconds until standard input must have ended, however slowly it drips."""
MAX_MANIFESTS = 300
"""Files that are read for names of packages; the largest public monorepos have about that many."""
MAX_MANIFEST = 1024 * 1024

SUBMODULE = "160000"
"""The mode by which a tree holds another repository's commit."""


def read_input(
    descriptor: int,
    tell: Callable[[], None],
    *,
    soon: float = SOON,
    patience: float = PATIENCE,
    longest: float = LONGEST_WAIT,
) -> str:
    """Read a text from a pipe or a terminal, to its end; `tell` is called once if a pipe has none
    after `soon` seconds.

    Raises `UsageError` if nothing arrives for `patience` seconds, if it has no end after
    `longest` of them, or if it is longer than `MAX_HANDOFF` or not UTF-8. On a terminal it
    waits for as long as the person needs.
    """
    try:
        found = _read_all(descriptor, tell, soon, patience, longest)
        return decoded(found, "standard input")
    except OSError as error:
        raise UsageError(f"cannot read standard input: {error.strerror}") from error


def _read_all(
    descriptor: int, tell: Callable[[], None], soon: float, patience: float, longest: float
) -> bytes:
    data, begun = bytearray(), time.monotonic()
    patient, heard = os.isatty(descriptor), begun
    told = patient
    while True:
        now = time.monotonic()
        left = min(heard + patience, begun + longest) - now
        if not patient and left <= 0:
            silent = (
                f", and said nothing for {now - heard:.0f} s" if now - heard >= patience else ""
            )
            raise UsageError(
                f"standard input has not ended after {now - begun:.0f} s{silent}",
                hint="Give the block's file as PATH, or end the input.",
            )
        if not told and now >= begun + soon:
            told = True
            tell()
        if not told:
            left = min(left, begun + soon - now)
        if not (patient or select.select([descriptor], [], [], left)[0]):
            continue
        heard = time.monotonic()
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
    submodules = [path for path, mode in modes.items() if mode == SUBMODULE]
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
    for path in submodules[:MAX_MANIFESTS]:
        name = _package_of(repository.root / path)
        if name:
            packages.setdefault(name, path)
    return make_workspace(repository.root.name, modes, submodules, packages)


def _package_name(repository: Repository, commit: str, path: str) -> str | None:
    size = repository.size(commit, path)
    if size is None or size > MAX_MANIFEST:
        return None
    return _name_in((repository.read(commit, path) or "").encode())


def _package_of(submodule: Path) -> str | None:
    """The name of the package that a submodule is, as its work tree says."""
    try:
        with open_regular(submodule / "package.json") as file:
            return _name_in(file.read(MAX_MANIFEST + 1))
    except OSError:
        return None


def _name_in(manifest: bytes) -> str | None:
    try:
        name = parse_object(manifest).get("name")
    except (ValueError, RecursionError):
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
