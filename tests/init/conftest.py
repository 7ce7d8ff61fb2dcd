"""Small real repositories, and what `init` proposes for them."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agentflow.configuration import Settings
from agentflow.init.detection import propose
from agentflow.init.files import files_of
from agentflow.init.host import UNCHANGED
from agentflow.init.proposal import GateProposal, Proposal
from agentflow.init.rendering import render
from agentflow.records import Task
from agentflow.settings import load_settings, shared_table
from agentflow.trust import Trust, widening
from agentflow.workspace.repository import Repository, open_repository

MARKED = re.compile(
    r"# ((?:\[\[gates\]\]|\[services\.\w+\]|(?:name|command|cwd|paths|where|fix|ready|env) = ).*)"
)


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine that answers what it is told to."""

    programs: frozenset[str] = frozenset({"make", "cargo", "cargo-clippy", "rustfmt", "go"})
    answers: Mapping[tuple[str, ...], str] = field(default_factory=dict[tuple[str, ...], str])
    """What a tool says with the user's settings."""
    bare: Mapping[tuple[str, ...], str] = field(default_factory=dict[tuple[str, ...], str])
    """What it says without."""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])

    def has(self, program: str) -> bool:
        return program in self.programs or any(command[0] == program for command in self.answers)

    def ask(self, *command: str, changed: Mapping[str, str] = UNCHANGED) -> str:
        return (self.bare if changed else self.answers).get(command, "")


@dataclass(frozen=True, slots=True)
class Proposed:
    """A proposal, its text, and what the project's own loader reads in it."""

    proposal: Proposal
    text: str
    settings: Settings
    everything: Settings
    """What it reads if all marks of proposed gates and services are removed."""

    @property
    def commands(self) -> dict[str, str]:
        """The live gates that run here."""
        return {gate.name: gate.command for gate in self.settings.gates if gate.where == "here"}

    @property
    def notes(self) -> str:
        return "\n".join(self.proposal.notes)

    def gate(self, name: str) -> GateProposal:
        return next(gate for gate in self.proposal.gates if gate.name == name)


def load(text: str) -> Settings:
    """The settings in a configuration whose every wish is granted."""
    trust = Trust(widening(shared_table(text, {})))
    return load_settings({}, {"HOME": "/nonexistent"}, text, Task("T", "", ""), trust)


def make_repository(folder: Path, files: Mapping[str, str | dict[str, object]]) -> Repository:
    """A repository with one commit that holds the files."""
    folder.mkdir(parents=True)
    for path, content in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content)
        file.write_text(text, "utf-8", "surrogateescape")
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    author = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    for command in (
        ("init", "--quiet", "--initial-branch=main"),
        ("add", "--all", "--force"),
        (*author, "commit", "--quiet", "--allow-empty", "--message", "start"),
    ):
        subprocess.run(["git", *command], cwd=folder, env=environment, check=True)
    return open_repository(folder, environment)


Propose = Callable[..., Proposed]


@pytest.fixture
def proposed(tmp_path: Path) -> Propose:
    """What is proposed for a new repository with some files; always valid, comments included."""

    def run(files: Mapping[str, str | dict[str, object]], host: Machine | None = None) -> Proposed:
        repository = make_repository(
            tmp_path / f"repository-{len(list(tmp_path.iterdir()))}", files
        )
        found = files_of(repository, repository.resolve("HEAD"))
        proposal = propose(found, host or Machine())
        text = render(proposal)
        marked = "\n".join(MARKED.sub(r"\1", line) for line in text.splitlines())
        everything = load(marked)
        assert len(everything.gates) == max(len(proposal.gates), 1)
        assert len(everything.services) == len(proposal.services)
        return Proposed(proposal, text, load(text), everything)

    return run
