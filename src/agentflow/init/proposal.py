"""What `agentflow init` proposes: frozen records, no I/O."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Literal

from agentflow.frozen import record

Kind = Literal["format", "lint", "typecheck", "build", "test", "other"]
KINDS: tuple[Kind, ...] = ("format", "lint", "typecheck", "build", "test", "other")
"""In the order in which gates run: what is cheap comes first."""

CHANGED = 'git diff -z --name-only --relative --diff-filter=d "${AGENTFLOW_BASE:-HEAD}" -- '
"""Lists the changed files for a formatter, each ended by a NUL byte; paths follow."""


@record
class GateProposal:
    """One `[[gates]]` table, and why."""

    name: str
    kind: Kind
    command: str
    reason: str
    cwd: str = ""
    paths: tuple[str, ...] = ()
    ci: bool = False
    """Left to a CI job."""
    fix: bool = False
    live: bool = True
    """False writes it as a comment: a person has to decide."""


@record
class Install:
    """What one package manager needs."""

    command: str
    reason: str
    key: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    scratch: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    """Of its registry, as far as the repository or the tool says so."""
    unfamiliar: tuple[str, ...] = ()
    """Those that only the repository names, and no tool of this machine."""
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    """For setup, agent and gates."""
    agent_variables: Mapping[str, str] = field(default_factory=dict[str, str])


@record
class ServiceProposal:
    """One `[services.<name>]` table, always written as a comment."""

    name: str
    command: str
    ready: str
    variables: Mapping[str, str]
    reason: str


@record
class Proposal:
    """Everything that was found."""

    gates: tuple[GateProposal, ...] = ()
    installs: tuple[Install, ...] = ()
    services: tuple[ServiceProposal, ...] = ()
    notes: tuple[str, ...] = ()
    """What was seen and became no gate, and why; one sentence each."""
    sources: tuple[str, ...] = ()
    """Folders of code and tests, for the example task."""

    @property
    def live(self) -> tuple[GateProposal, ...]:
        """The gates that are written as such."""
        return tuple(gate for gate in self.gates if gate.live)

    def covers(self, kind: Kind) -> bool:
        """Whether a live gate of this kind runs here."""
        return any(gate.kind == kind and not gate.ci for gate in self.live)


def join(proposals: Iterable[Proposal]) -> Proposal:
    """All proposals as one."""
    every = tuple(proposals)
    return Proposal(
        tuple(gate for each in every for gate in each.gates),
        tuple(install for each in every for install in each.installs),
        tuple(service for each in every for service in each.services),
        tuple(note for each in every for note in each.notes),
        tuple(folder for each in every for folder in each.sources),
    )


def gate_name(*words: str) -> str:
    """A gate's name made of any words, as `configuration.NAME` wants it."""
    joined = "-".join(word for word in words if word)
    return re.sub(r"[^A-Za-z0-9._-]+", "-", joined).strip("-._")[:60] or "gate"


def inside(folder: str, path: str) -> str:
    """A path within a folder of the repository; the root is the empty text."""
    return f"{folder}/{path}" if folder else path
