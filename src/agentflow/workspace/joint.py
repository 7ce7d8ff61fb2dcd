"""A joint repository: a superproject's files with those of its submodules in place of the pointers."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from agentflow.frozen import record
from agentflow.workspace.clone import make_repository
from agentflow.workspace.git import Git
from agentflow.workspace.repository import Repository
from agentflow.workspace.signing import Draft, identity_variables, make_commit


@record
class Joined:
    """One repository's commits before and after its part of the work."""

    repository: Repository
    path: str
    """Where it is in the superproject; empty for that itself."""
    base: str
    tip: str


def make_joint(folder: Path, home: Repository, joined: Sequence[Joined]) -> tuple[str, str]:
    """Make a repository at `folder` that borrows the objects of all; return its two commits: all bases,
    and all tips. Its branch is at the first one, and nothing is checked out."""
    stores = dict.fromkeys([
        *home.object_stores,
        *(s for j in joined for s in j.repository.object_stores),
    ])
    git = make_repository(folder / ".git", home, tuple(stores))
    root = next((each for each in joined if not each.path), None)
    inner = [each for each in joined if each.path]
    before = _tree(git, root.base if root else home.head, {j.path: j.base for j in inner})
    after = _tree(git, root.tip if root else home.head, {j.path: j.tip for j in inner})
    base = _commit(git, before, ())
    tip = _commit(git, after, (base,))
    git.run("update-ref", "refs/heads/main", base)
    git.run("config", "core.bare", "false")
    return base, tip


def _tree(git: Git, commit: str, parts: Mapping[str, str]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
        git.run("read-tree", commit, environment=index)
        for path, part in parts.items():
            removed = f"0 {'0' * len(part)}\t{path}\0".encode("utf-8", "surrogateescape")
            git.run("update-index", "-z", "--index-info", stdin=removed, environment=index)
            git.run("read-tree", "-i", f"--prefix={path}/", part, environment=index)
        return git.text("write-tree", environment=index)


def _commit(git: Git, tree: str, parents: tuple[str, ...]) -> str:
    identity = identity_variables("agentflow", "agentflow@localhost", 0)
    return make_commit(git, Draft(tree, parents, "all parts together\n", identity))
