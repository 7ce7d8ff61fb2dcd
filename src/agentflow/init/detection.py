"""Detection: the projects in a repository, and everything that they propose together."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from agentflow.init import hooks, make, node, node_project, python, python_project, services
from agentflow.init.compiled import detect_cargo, detect_go, detect_java
from agentflow.init.example import sources
from agentflow.init.files import Files
from agentflow.init.host import Host
from agentflow.init.proposal import KINDS, GateProposal, Proposal, gate_name, inside, join

MANIFESTS: dict[str, tuple[str, ...]] = {
    "node": (node_project.MANIFEST,),
    "python": python_project.MANIFESTS,
    "go": ("go.mod",),
    "cargo": ("Cargo.toml",),
    "java": ("pom.xml", "build.gradle", "build.gradle.kts"),
}
"""For each ecosystem the files that make a folder a project."""
LOCKS = frozenset({
    *(lock for manager in node_project.MANAGERS for lock in manager.locks), *python_project.LOCKS,
    "go.mod", "Cargo.lock",
})  # fmt: skip
"""Files that make a folder within a project a project of its own."""
IGNORED = frozenset({
    "node_modules", "vendor", "third_party", "example", "examples", "fixture", "fixtures",
    "__fixtures__", "testdata", "template", "templates", "doc", "docs", "test", "tests", "dist",
    "build", "samples",
})  # fmt: skip
"""Folders whose projects are not the repository's own."""
MAX_DEPTH = 3
MAX_PROJECTS = 6
"""Of one ecosystem."""
_ORDINARY = re.compile(r"[A-Za-z0-9._@+-][A-Za-z0-9._@+/ -]*")


def propose(files: Files, host: Host) -> Proposal:
    """Everything that a repository's files propose for it."""
    ids = hooks.pre_commit_ids(files)
    detectors: dict[str, Callable[[str], Proposal]] = {
        "node": lambda folder: node.detect(files, folder, host),
        "python": lambda folder: python.detect(files, folder, host, ids),
        "go": lambda folder: detect_go(files, folder, host),
        "cargo": lambda folder: detect_cargo(files, folder, host),
        "java": lambda folder: detect_java(files, folder),
    }
    found: list[tuple[str, Proposal]] = []
    for ecosystem, detect in detectors.items():
        folders = projects(files, ecosystem)
        found += [(ecosystem, _bounded(detect(folder), folder)) for folder in folders]
    found.append(("make", make.detect(files, host, join(each for _, each in found))))
    found.append(("hook", hooks.detect(files, join(each for _, each in found))))
    found.append(("service", services.detect(files)))
    everything = join(each for _, each in found)
    gates = sorted(_named(found), key=lambda gate: (gate.ci, KINDS.index(gate.kind)))
    notes = (*_unreadable(files), *everything.notes)
    return replace(everything, gates=tuple(gates), notes=notes, sources=sources(files))


def projects(files: Files, ecosystem: str) -> tuple[str, ...]:
    """The folders of an ecosystem's projects, outer ones first; the root is the empty text."""
    folders = {
        folder
        for path in files
        for folder, _, name in [path.rpartition("/")]
        if name in MANIFESTS[ecosystem] and _is_own(folder)
    }
    kept: list[str] = []
    for folder in sorted(folders, key=lambda folder: (folder.count("/") + bool(folder), folder)):
        within = any(not outer or folder.startswith(f"{outer}/") for outer in kept)
        if not within or any(inside(folder, lock) in files for lock in LOCKS):
            kept.append(folder)
    if ecosystem == "python" and not kept and _has_python_tests(files):
        kept = [""]
    return tuple(kept[:MAX_PROJECTS])


def _is_own(folder: str) -> bool:
    names = folder.split("/") if folder else []
    return (
        len(names) <= MAX_DEPTH
        and not IGNORED.intersection(names)
        and not any(name.startswith(".") for name in names)
        and (not folder or bool(_ORDINARY.fullmatch(folder)))
    )


def _has_python_tests(files: Files) -> bool:
    return any(re.fullmatch(r"(?:.*/)?(?:test_[^/]*|[^/]*_test)\.py", path) for path in files)


def _bounded(proposal: Proposal, folder: str) -> Proposal:
    """The proposal of a project that is not the whole repository: its gates run if it changed."""
    if not folder:
        return proposal
    gates = (replace(gate, paths=(f"{folder}/**",)) for gate in proposal.gates)
    return replace(proposal, gates=tuple(gates))


def _named(found: Iterable[tuple[str, Proposal]]) -> Iterator[GateProposal]:
    """All gates, each with a name of its own."""
    used: set[str] = set()
    for ecosystem, proposal in found:
        for gate in proposal.gates:
            names = [gate.name, gate_name(ecosystem, gate.name)]
            names += [gate_name(names[1], str(number)) for number in range(2, 2 + len(used))]
            name = next(name for name in names if name not in used)
            used.add(name)
            yield replace(gate, name=name)


def _unreadable(files: Files) -> Iterator[str]:
    for ecosystem, names in MANIFESTS.items():
        for folder in projects(files, ecosystem):
            for path in (
                inside(folder, name) for name in names if name.endswith((".json", "toml"))
            ):
                problem = files.problem(path)
                if problem:
                    yield f"{path} {problem}; nothing in it was used"
