"""Private clones: a work tree and a git directory that borrow the objects of other repositories.

The git directory lies outside the work tree. The tree's `.git` is a pointer whose target exists
only inside the sandbox, so no program on the host ever acts on the agent's configuration.
"""

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from agentflow.errors import EnvironmentFailure
from agentflow.frozen import record
from agentflow.workspace.git import Git, GitError, isolated
from agentflow.workspace.lfs import place_contents
from agentflow.workspace.refs import is_plain
from agentflow.workspace.repository import Repository

GIT_INSIDE = "/run/agentflow/git"
"""Where the private git directory is mounted."""
OBJECTS_INSIDE = "/run/agentflow/objects"
"""Borrowed object store N is mounted at N below it."""
WORKERS = 0 if (os.cpu_count() or 1) > 2 else 1
"""Of a checkout; 0 is one for each processor. With two processors (git 2.39, 20,000 files) that cost
half as much processor time again, and was no faster where others worked beside it."""
MAX_DOCUMENT = 2 * 1024 * 1024
"""Bytes of one copied document; the largest real plan seen had 1.25 MB."""


@record
class Clone:
    """A private clone on the host."""

    tree: Path
    git_dir: Path
    stores: tuple[Path, ...]
    """Object stores that it borrows from, in the order of their mounts."""
    pointers: int = 0
    """Files of Git LFS whose content is not on this machine: the tree has pointers to it."""


def make_repository(
    folder: Path,
    repository: Repository,
    stores: Sequence[Path],
    branch: str = "main",
    *,
    bare: bool = True,
) -> Git:
    """Make an empty repository of ours that borrows objects; return its git.

    It is as shallow and hashes as the user's repository; its refs are files. Raises `GitError` for what
    is no branch's name.
    """
    git = isolated(folder)
    if not is_plain(branch):
        isolated(repository.root).run("check-ref-format", f"refs/heads/{branch}")
    folder.mkdir(mode=0o700, parents=True)  # it holds what agents wrote, and what was said
    for each in ("objects/info", "objects/pack", "refs/heads", "refs/tags"):
        (folder / each).mkdir(parents=True)
    (folder / "HEAD").write_text(f"ref: refs/heads/{branch}\n", "utf-8")
    (folder / "config").write_text(_config(repository.object_format, bare=bare), "ascii")
    _write_alternates(folder, map(str, stores))
    shallow = repository.common_dir / "shallow"
    if shallow.is_file():
        shutil.copyfile(shallow, folder / "shallow")
    return git


def _config(object_format: str, *, bare: bool) -> str:
    """What `git init` would write, which takes four milliseconds: gitrepository-layout(5)."""
    newer = object_format != "sha1"
    lines = ["[core]", f"\trepositoryformatversion = {int(newer)}", "\tfilemode = true"]
    lines += [f"\tbare = {str(bare).lower()}"]
    lines += ["[extensions]", f"\tobjectformat = {object_format}"] if newer else []
    return "".join(f"{line}\n" for line in lines)


def _write_alternates(git_dir: Path, stores: Iterable[str]) -> None:
    info = git_dir / "objects" / "info"
    lines = "".join(f"{store}\n" for store in stores)
    (info / "alternates").write_text(lines, "utf-8", "surrogateescape")


def make_clone(
    folder: Path,
    repository: Repository,
    stores: Sequence[Path],
    commit: str,
    branch: str,
    *,
    mounted: bool,
    files: str | None = None,
) -> Clone:
    """Check out a commit into `folder/tree`, with its git directory in `folder/git`; with `files`,
    a tree's name, the files are those, as changes that nobody has committed.

    Files of Git LFS have their content, where the user has it. `mounted` says that the clone will
    be used under the paths of the sandbox and not of the host.
    Raises `EnvironmentFailure` if objects are missing or the disk is full.
    """
    tree, git_dir = folder / "tree", folder / "git"
    try:
        git = make_repository(git_dir, repository, stores, branch, bare=False)
        tree.mkdir()
        git.run(
            "-c",
            f"checkout.workers={WORKERS}",
            "reset",
            "--quiet",
            "--hard",
            commit,
            environment=_places(tree, git_dir),
        )
        pointers = place_contents(git, repository, tree, _places(tree, git_dir))
        if files is not None:
            _put(git, files, _places(tree, git_dir))
    except GitError as error:
        raise EnvironmentFailure(
            f"cannot check out {commit[:12]}: {error.said}", hint=error.hint
        ) from error
    if mounted:
        _write_alternates(git_dir, (f"{OBJECTS_INSIDE}/{n}" for n in range(len(stores))))
    (tree / ".git").write_text(f"gitdir: {GIT_INSIDE if mounted else git_dir}\n", "utf-8")
    return Clone(tree, git_dir, tuple(stores), pointers)


def _put(git: Git, files: str, environment: Mapping[str, str]) -> None:
    git.run("read-tree", "--reset", "-u", files, environment=environment)
    git.run("read-tree", "HEAD", environment=environment)
    git.succeeds("update-index", "-q", "--refresh", environment=environment)


def _places(tree: Path, git_dir: Path) -> dict[str, str]:
    return {"GIT_DIR": str(git_dir), "GIT_WORK_TREE": str(tree)}


def copy_documents(
    repository: Repository, clone: Clone, paths: Iterable[str], *, ignored: Sequence[str] = ()
) -> tuple[str, ...]:
    """Copy files that git does not track into the clone, invisible to its commits.

    Returns the paths copied. Left out are links, large files, paths behind a link, and those
    that a `.gitignore` of the base forces back in. `ignored` are further paths that the clone's
    commits shall not see. No process of the agent may run yet.
    """
    copied = [path for path in paths if _copy(repository.root, clone.tree, path)]
    exclude(clone, (*copied, *ignored))
    visible = _visible(clone, copied) if copied else frozenset[str]()
    for path in visible:
        (clone.tree / path).unlink()
    return tuple(path for path in copied if path not in visible)


def exclude(clone: Clone, paths: Iterable[str]) -> None:
    """Make untracked paths invisible to the clone's commits, in addition to earlier ones.

    Only before a process of the agent has run in the clone: later the file could be a link.
    """
    file = clone.git_dir / "info" / "exclude"
    file.parent.mkdir(exist_ok=True)
    with file.open("a", encoding="utf-8") as lines:
        lines.writelines(f"/{_escaped(path)}\n" for path in paths)


def _copy(root: Path, tree: Path, path: str) -> bool:
    """Copy one file; False if it was left out."""
    source, target = root / path, tree / path
    # Exclude files cannot say line ends.
    if not path.isprintable() or source.is_symlink() or not source.is_file():
        return False
    taken = target.is_symlink() or target.exists()
    if taken or source.stat().st_size > MAX_DOCUMENT:
        return False
    if any(
        Path(top / path).parent.resolve() != (top.resolve() / path).parent for top in (root, tree)
    ):
        return False
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        return False
    shutil.copyfile(source, target)
    return True


def _visible(clone: Clone, paths: Sequence[str]) -> frozenset[str]:
    """Which of these untracked paths `git add` would take: a `.gitignore` outranks our list."""
    store = isolated(clone.tree)
    listing = store.text(
        "ls-files",
        "--others",
        "--exclude-standard",
        "-z",
        "--",
        *paths,
        environment=_places(clone.tree, clone.git_dir),
    )
    return frozenset(filter(None, listing.split("\0")))


def _escaped(path: str) -> str:
    """A path as a pattern of git's exclude files."""
    return "".join(f"\\{c}" if c in "\\*?[ " else c for c in path)
