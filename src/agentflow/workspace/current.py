"""Landing on the current branch: branch, index and files move together, or nothing does."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from agentflow.errors import Conflict
from agentflow.records import Candidate
from agentflow.workspace.git import Git, GitError
from agentflow.workspace.objects import changes_between
from agentflow.workspace.repository import Repository

_HINT = "Commit, move or stash what is in the way, or use --land branch."


def current_branch(repository: Repository, base: str) -> str:
    """The full name of the branch that HEAD is on. Raises `Conflict` if it is not at the base."""
    try:
        ref = repository.git.text("symbolic-ref", "--quiet", "HEAD")
    except GitError as error:
        raise Conflict(
            "--land current needs a branch, but HEAD is detached", hint="Use --land branch."
        ) from error
    if repository.git.text("rev-parse", "--verify", "HEAD") != base:
        raise Conflict(
            f"{ref.removeprefix('refs/heads/')} is not at the base {base[:12]}",
            hint="Run the task again from where the branch is now.",
        )
    return ref


def swap(repository: Repository, ref: str, new: str, old: str, run: str) -> None:
    """Move a ref from its old value. Raises `Conflict` if it has another one."""
    try:
        repository.git.run("update-ref", "-m", f"agentflow: {run}", ref, new, old)
    except GitError as error:
        raise Conflict(f"{ref} could not be moved: {error.said}") from error


def land_current(repository: Repository, candidate: Candidate, run: str) -> str:
    """Move the checked-out branch, index and files to the tip; return the branch's full name.

    Everything happens under the index lock. Raises `Conflict`, with nothing changed, if a local
    change or a file that git does not track would be lost.
    """
    ref = current_branch(repository, candidate.base)
    index = repository.git_dir / "index"
    lock = repository.git_dir / "index.lock"
    _lock_index(index, lock)
    try:
        _refuse_to_overwrite(repository, candidate)
        _merge_files(repository, candidate.base, candidate.tip, lock)
        try:
            swap(repository, ref, candidate.tip, candidate.base, run)
        except Conflict:
            _merge_files(repository, candidate.tip, candidate.base, lock)
            raise
        lock.replace(index)
    except BaseException:
        lock.unlink(missing_ok=True)
        raise
    return ref


def _lock_index(index: Path, lock: Path) -> None:
    """Take the lock as git does, with a copy of the index in it."""
    if not index.is_file():
        raise Conflict(f"your work tree has no index ({index})", hint="Run `git reset` first.")
    try:
        with lock.open("xb") as file:
            try:
                with index.open("rb") as source:
                    shutil.copyfileobj(source, file)
            except BaseException:
                lock.unlink()
                raise
    except FileExistsError as error:
        raise Conflict(
            f"another git process holds {lock}",
            hint="Wait for it, or remove the file if the process died.",
        ) from error
    # Git believes an entry's timestamp only if the index was written later than the file.
    status = index.stat()
    os.utime(lock, ns=(status.st_atime_ns, status.st_mtime_ns))


def _merge_files(repository: Repository, old: str, new: str, lock: Path) -> None:
    environment = {"GIT_INDEX_FILE": str(lock)}
    # A touched file with its old content is no local change; exit code 1 says that others are.
    repository.git.succeeds("update-index", "-q", "--refresh", environment=environment)
    try:
        repository.git.run("read-tree", "-m", "-u", old, new, environment=environment)
    except GitError as error:
        raise Conflict(
            f"your work tree cannot take the change: {error.said.removeprefix('error: ')}",
            hint=_HINT,
        ) from error


def _refuse_to_overwrite(repository: Repository, candidate: Candidate) -> None:
    """Raise `Conflict` if a new file would replace one that git does not track.

    `read-tree` sees to that itself, except for ignored files: those it overwrites.
    """
    changes = changes_between(repository.git, candidate.base, candidate.tip)
    added = [change.path for change in changes if change.status == "A"]
    if not added:
        return
    tracked = frozenset(repository.git.text("ls-files", "-z").split("\0"))
    found = _in_the_way(repository.root, added, tracked)
    folders = [path for path in added if _is_folder(repository.root / path)]
    found += _untracked(repository.git, folders) if folders else []
    if found:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        raise Conflict(f"{found[0]}{more} would be overwritten and is not in git", hint=_HINT)


def _in_the_way(root: Path, added: Sequence[str], tracked: frozenset[str]) -> list[str]:
    """Files, not folders, that lie where an added path or a folder above it will be."""
    found: dict[str, None] = {}
    for path in added:
        above = [str(parent) for parent in PurePosixPath(path).parents][:-1]
        for place in (*above, path):
            taken = os.path.lexists(root / place) and not _is_folder(root / place)
            if taken and place not in tracked:
                found[place] = None
    return list(found)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _untracked(git: Git, folders: Sequence[str]) -> list[str]:
    listing = git.text("ls-files", "--others", "-z", "--", *folders)
    return [path for path in listing.split("\0") if path]
