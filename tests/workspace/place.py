"""A user's repository, the agent's clone of it, and our repository between them. No sandbox."""

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from agentflow.records import Boundaries, Commits
from agentflow.results import Candidate
from agentflow.workspace.clone import Clone, make_clone, make_repository
from agentflow.workspace.export import EXPORT_SCRIPT, Export, import_pack
from agentflow.workspace.git import Git
from agentflow.workspace.importer import make_candidate
from agentflow.workspace.recreate import Authorship
from agentflow.workspace.repository import Repository, open_repository

AUTHORSHIP = Authorship(
    name="Ada",
    email="ada@example.com",
    seconds=1_750_000_000,
    trailers=("Agentflow-Task: TASK-1", "Agentflow-Run: TASK-1-x", "Assisted-by: agentflow:m"),
    rest_message="TASK-1: Say hello",
)


def environment(home: Path) -> dict[str, str]:
    """What git of a user, or of an agent, sees."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "GIT_AUTHOR_NAME": "agent",
        "GIT_AUTHOR_EMAIL": "agent@sandbox.invalid",
        "GIT_COMMITTER_NAME": "agent",
        "GIT_COMMITTER_EMAIL": "agent@sandbox.invalid",
        "GIT_CONFIG_NOSYSTEM": "1",
    }


def shell(folder: Path, script: str, **variables: str) -> str:
    """Run a script with a fresh home; return what it printed."""
    home = folder.parent / "home"
    home.mkdir(exist_ok=True)
    ended = subprocess.run(
        ["bash", "-euc", script],
        cwd=folder,
        env={**environment(home), **variables},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr.decode("utf-8", "replace")
    return ended.stdout.decode("utf-8", "surrogateescape").strip()


@dataclass
class Place:
    """Everything of one test, in one folder."""

    folder: Path
    root: Path = field(init=False)

    def __post_init__(self) -> None:
        self.root = self.folder / "user"

    def user(self, script: str, **variables: str) -> str:
        """Run a script in the user's work tree."""
        return shell(self.root, script, **variables)

    def repository(self) -> Repository:
        """The user's repository as agentflow opens it."""
        return open_repository(self.root, {"PATH": os.environ["PATH"], "HOME": str(self.folder)})

    def borrow(self) -> "Work":
        """Our repository and the agent's clone, both at HEAD."""
        repository = self.repository()
        stores = repository.object_stores
        base = repository.resolve("HEAD")
        state = make_repository(self.folder / "state.git", repository, stores)
        clone = make_clone(
            self.folder / "agent", repository, stores, base, "agentflow/TASK-1", mounted=False
        )
        return Work(self.folder, repository, base, state, clone)


@dataclass
class Work:
    """One run's repositories."""

    folder: Path
    repository: Repository
    base: str
    state: Git
    clone: Clone

    def agent(self, script: str, **variables: str) -> str:
        """Run a script in the agent's work tree."""
        return shell(self.clone.tree, script, **variables)

    def export(self) -> Path:
        """Export the agent's clone; return the folder."""
        folder = self.folder / "export"
        folder.mkdir(exist_ok=True)
        self.agent(
            EXPORT_SCRIPT,
            AGENTFLOW_TREE=str(self.clone.tree),
            AGENTFLOW_EXPORT=str(folder),
            AGENTFLOW_SCRATCH=str(folder),
            AGENTFLOW_BASE=self.base,
        )
        return folder

    def imported(self) -> Export:
        """The agent's clone, exported and indexed."""
        return import_pack(self.state, self.export())

    def collect(
        self,
        script: str = "true",
        *,
        allow: tuple[str, ...] = (),
        deny: tuple[str, ...] = (),
        commits: Commits = "orchestrator",
    ) -> Candidate:
        """Let the agent run a script; import what it left."""
        self.agent(script)
        return make_candidate(
            self.state, self.imported(), self.base, Boundaries(allow, deny), commits, AUTHORSHIP
        )

    def candidate(self, tree_script: str) -> Candidate:
        """A candidate with one commit of what a script does."""
        candidate = self.collect(tree_script)
        assert candidate.violations == ()
        return candidate


def make_place(folder: Path, *, object_format: str = "sha1") -> Place:
    """Make the user's repository, on `main`, with two commits."""
    place = Place(folder)
    place.root.mkdir()
    place.user(
        f"""
        git init -q -b main --object-format={object_format} .
        git config user.name Ada; git config user.email ada@example.com
        mkdir app docs tests
        echo one > app/main.py; echo test > tests/test_main.py; echo doc > docs/guide.md
        git add -A; git commit -qm 'feat: start'
        echo two >> app/main.py; git commit -qam 'feat: two'
        """
    )
    return place
