"""Private clones: a work tree and a git directory that borrow the objects of other repositories.

The git directory lies outside the work tree. The tree's `.git` is a pointer whose target exists
only inside the sandbox, so no program on the host ever acts on the agent's configuration.
"""

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agentflow.errors import EnvironmentFailure
from agentflow.workspace.git import Git, GitError, isolated
from agentflow.workspace.repository import Repository

GIT_INSIDE = "/run/agentflow/git"
"""Where the private git directory is mounted."""
OBJECTS_INSIDE = "/run/agentflow/objects"
"""Borrowed object store N is mounted at N below it."""
MAX_DOCUMENT = 2 * 1024 * 1024
"""Bytes of one copied document; the largest real plan seen had 1.25 MB."""


@dataclass(frozen=True, slots=True)
class Clone:
    """A private clone on the host."""

    tree: Path
    git_dir: Path
    stores: tuple[Path, ...]
    """Object stores that it borrows from, in the order of their mounts."""


def make_repository(folder: Path, stores: Sequence[Path], object_format: str) -> Git:
    """Make an empty bare repository of ours that borrows objects; return its git."""
    folder.mkdir(parents=True)
    git = isolated(folder)
    git.run("init", "--quiet", "--bare", "--template=", f"--object-format={object_format}")
    info = folder / "objects" / "info"
    info.mkdir(exist_ok=True)
    (info / "alternates").write_text("".join(f"{store}\n" for store in stores), "utf-8")
    return git


def make_clone(
    folder: Path,
    repository: Repository,
    stores: Sequence[Path],
    commit: str,
    branch: str,
    *,
    mounted: bool,
) -> Clone:
    """Check out a commit into `folder/tree`, with its git directory in `folder/git`.

    `mounted` says that the clone will be used under the paths of the sandbox and not of the host.
    Raises `EnvironmentFailure` if objects are missing or the disk is full.
    """
    tree, git_dir = folder / "tree", folder / "git"
    git = make_repository(git_dir, stores, repository.object_format)
    tree.mkdir()
    shallow = repository.common_dir / "shallow"
    if shallow.is_file():
        shutil.copyfile(shallow, git_dir / "shallow")
    try:
        git.run("config", "core.bare", "false")
        git.run("update-ref", f"refs/heads/{branch}", commit)
        git.run("symbolic-ref", "HEAD", f"refs/heads/{branch}")
        git.run(
            "reset",
            "--quiet",
            "--hard",
            environment={"GIT_DIR": str(git_dir), "GIT_WORK_TREE": str(tree)},
        )
    except GitError as error:
        raise EnvironmentFailure(f"cannot check out {commit[:12]}: {error.said}") from error
    inside = [f"{OBJECTS_INSIDE}/{n}" for n in range(len(stores))] if mounted else stores
    alternates = git_dir / "objects" / "info" / "alternates"
    alternates.write_text("".join(f"{store}\n" for store in inside), "utf-8")
    (tree / ".git").write_text(f"gitdir: {GIT_INSIDE if mounted else git_dir}\n", "utf-8")
    return Clone(tree, git_dir, tuple(stores))


def copy_documents(
    repository: Repository, clone: Clone, paths: Iterable[str], *, ignored: Sequence[str] = ()
) -> tuple[str, ...]:
    """Copy files that git does not track into the clone, invisible to its commits.

    Returns the paths copied. Links, large files and paths behind a link are left out. `ignored`
    are further paths that its commits shall not see.
    """
    copied: list[str] = []
    top = clone.tree.resolve()
    for path in paths:
        source, target = repository.root / path, clone.tree / path
        if source.is_symlink() or not source.is_file() or target.exists():
            continue
        if source.stat().st_size > MAX_DOCUMENT:
            continue
        # No process of the agent runs yet: nobody can swap a directory between look and use.
        if not target.parent.resolve().is_relative_to(top):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        copied.append(path)
    exclude = clone.git_dir / "info" / "exclude"
    exclude.parent.mkdir(exist_ok=True)
    exclude.write_text("".join(f"/{_escaped(path)}\n" for path in (*copied, *ignored)), "utf-8")
    return tuple(copied)


def _escaped(path: str) -> str:
    """A path as a pattern of git's exclude files."""
    return "".join(f"\\{c}" if c in "\\*?[!# " else c for c in path)
