"""Task runners of a repository's root: make and just."""

from agentflow.init.files import Files
from agentflow.init.host import Host
from agentflow.init.proposal import GateProposal, Kind, Proposal

RUNNERS: dict[str, tuple[str, ...]] = {
    "make": ("GNUmakefile", "makefile", "Makefile"),
    "just": ("justfile", "Justfile", ".justfile"),
}
"""For each program its files, in the order in which it looks for them."""
TARGETS: dict[Kind, tuple[str, ...]] = {
    "lint": ("lint",),
    "typecheck": ("typecheck", "type-check", "types"),
    "test": ("test", "tests", "check"),
}
"""For each kind of gate the names of targets that measure it, the usual one first."""
INSTALLING = ("deps", "dependencies", "install-deps", "setup", "bootstrap", "vendor")
"""Names of targets that install what is needed."""


def detect(files: Files, host: Host, found: Proposal) -> Proposal:
    """What the targets propose, beside what was found already."""
    gates: list[GateProposal] = []
    notes: list[str] = []
    for program, names in RUNNERS.items():
        path = files.first(*names)
        targets = _targets(files.text(path))
        installing = [name for name in INSTALLING if name in targets]
        if installing and not any(install.command for install in found.installs):
            notes.append(
                f"{path} has a target `{installing[0]}`: if it installs what the gates need, write "
                + "it as `setup` of [environment], with the folders that it makes as `provides`"
            )
        for kind, wanted in TARGETS.items():
            target = next((name for name in wanted if name in targets), "")
            if target:
                gates.append(_gate(program, path, target, kind, host, found))
    return Proposal(tuple(gates), notes=tuple(notes))


def _targets(text: str) -> frozenset[str]:
    """The words before a colon, which is no assignment, on lines that are not indented."""
    found: set[str] = set()
    for line in text.splitlines():
        head, colon, rest = line.partition(":")
        if colon and not rest.startswith("=") and not line[0].isspace():
            found.update(head.removeprefix("@").split())
    return frozenset(found)


def _gate(
    program: str, path: str, target: str, kind: Kind, host: Host, found: Proposal
) -> GateProposal:
    reason, live = f"{path} has a target `{target}`", True
    if found.covers(kind):
        reason, live = f"{reason}: instead of the gate above, if it does more", False
    elif not host.has(program):
        reason, live = f"{reason}; but {program} is not on PATH", False
    return GateProposal(target, kind, f"{program} {target}", reason, live=live)
