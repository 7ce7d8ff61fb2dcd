"""Landing on the current branch: branch, index and files move together, or nothing does."""

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from agentflow.disk import check_room
from agentflow.errors import Conflict
from agentflow.results import Candidate, Change
from agentflow.workspace.git import Git, GitError, by_gitpython
from agentflow.workspace.objects import changes_between
from agentflow.workspace.repository import Repository

_HINT = "Commit, move or stash what is in the way. Or have `agentflow run` make a branch: --land branch."


def current_branch(repository: Repository, base: str) -> str:
    """The full name of the branch that HEAD is on. Raises `Conflict` if it is not at the base."""
    try:
        ref = repository.git.text("symbolic-ref", "--quiet", "HEAD")
    except GitError as error:
        raise Conflict(
            "--land current needs a branch, but HEAD is detached",
            hint="Check one out: git switch NAME\nOr have `agentflow run` make one: --land branch.",
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
        by_gitpython(repository.git).run("update-ref", "-m", f"agentflow: {run}", ref, new, old)
    except GitError as error:
        check_room(repository.git_dir)
        raise Conflict(f"{ref} could not be moved: {error.said}") from error


def land_current(repository: Repository, candidate: Candidate, run: str) -> str:
    """Move the checked-out branch, index and files to the tip; return the branch's full name.

    Everything happens under the index lock, in an index of our own that replaces the user's at the
    end. A process of this run that died meanwhile left its lock, which names the run, or at least
    that index, if somebody removed the lock: then what it began is brought to its end. Raises
    `Conflict`, with nothing changed, if a local change or a file that git does not track would be
    lost; `EnvironmentFailure` if the disk takes no more: then the next call brings it to its end.
    """
    git_dir = repository.git_dir
    lock, own = git_dir / "index.lock", git_dir / f"agentflow-index-{run}"
    held = _is_ours(lock, run)
    begun = held or own.exists()
    try:
        landed = _holding_branch(repository, candidate.tip)
        if landed and not (begun and repository.resolve("HEAD") == candidate.tip):
            own.unlink(missing_ok=True)
            return landed
        ref = landed or current_branch(repository, candidate.base)
        if not held:
            _lock_index(git_dir / "index", lock, run)
            held = True
        _copy_index(git_dir / "index", own)
        left = _to_be_done(repository, candidate, own if begun else None, landed=bool(landed))
        if not landed:
            _refuse_to_overwrite(repository, left)
            _merge_files(repository, candidate.base, candidate.tip, own)
            _swap_or_go_back(repository, candidate, ref, own, run)
        own.replace(git_dir / "index")
        _harden(repository, candidate)
    except Conflict:
        own.unlink(missing_ok=True)
        raise
    finally:
        _written(lock, run).unlink(missing_ok=True)
        if held:
            lock.unlink(missing_ok=True)
    return ref


def _swap_or_go_back(
    repository: Repository, candidate: Candidate, ref: str, own: Path, run: str
) -> None:
    try:
        swap(repository, ref, candidate.tip, candidate.base, run)
    except Conflict:
        _merge_files(repository, candidate.tip, candidate.base, own)
        raise


def _holding_branch(repository: Repository, tip: str) -> str | None:
    """The branch that HEAD is on, if it has the commit, which names its run: then it has landed."""
    git = repository.git
    if not git.succeeds("merge-base", "--is-ancestor", tip, "HEAD"):
        return None
    return git.text("symbolic-ref", "--quiet", "HEAD") if _on_branch(git) else None


def _on_branch(git: Git) -> bool:
    return git.succeeds("symbolic-ref", "--quiet", "HEAD")


def _is_ours(lock: Path, run: str) -> bool:
    """Whether the index lock was left by a process of this run."""
    try:
        with lock.open("rb") as file:
            return file.read(1000) == _words(run)
    except OSError:
        return False


def _words(run: str) -> bytes:
    return f"agentflow {run}\n".encode()


def _lock_index(index: Path, lock: Path, run: str) -> None:
    """Take the lock as git does; instead of an index it holds the run's name."""
    if not index.is_file():
        raise Conflict(f"your work tree has no index ({index})", hint="Run `git reset` first.")
    # Linked into place, so that nobody ever finds a lock of ours without its words.
    written = _written(lock, run)
    written.write_bytes(_words(run))
    try:
        lock.hardlink_to(written)
    except FileExistsError as error:
        raise Conflict(
            f"another git process holds {lock}",
            hint="Wait for it, or remove the file if the process died.",
        ) from error


def _written(lock: Path, run: str) -> Path:
    return lock.with_name(f"agentflow-lock-{run}")


def _copy_index(index: Path, own: Path) -> None:
    shutil.copyfile(index, own)
    # Git believes an entry's timestamp only if the index was written later than the file.
    status = index.stat()
    os.utime(own, ns=(status.st_atime_ns, status.st_mtime_ns))


def _to_be_done(
    repository: Repository, candidate: Candidate, begun: Path | None, *, landed: bool
) -> Sequence[Change]:
    """The changes that no dead process has made to the files already.

    Those that one has made are entered into the index that was `begun`, as the user's git reads
    the files: `read-tree` takes a file that is as the tip wants it for no local change. Once the
    branch has the tip, so has the index, whatever the user did to the files since.
    """
    git = repository.git
    changes = changes_between(git, candidate.base, candidate.tip)
    if begun is None:
        return changes
    environment = {"GIT_INDEX_FILE": str(begun)}
    paths = "".join(f"{change.path}\0" for change in changes).encode("utf-8", "surrogateescape")
    git.run(
        "update-index", "--add", "--remove", "-z", "--stdin", stdin=paths, environment=environment
    )
    listing = git.text("diff-index", "--cached", "--name-only", "--no-renames", "-z", candidate.tip,
                       environment=environment)  # fmt: skip
    differing = set(listing.split("\0"))
    left = [change for change in changes if change.path in differing]
    for change in left:  # as it was, or the user's own: `read-tree` decides
        to = candidate.tip if landed else candidate.base
        if not landed:
            _remove_if_torn(repository, change, candidate.tip)
        git.run("reset", "--quiet", to, "--", change.path, environment=environment)
    return left


def _remove_if_torn(repository: Repository, change: Change, tip: str) -> None:
    """Remove a file that holds no more than the beginning of what it is to hold: git writes files
    in place, and died amid this one."""
    path = repository.root / change.path
    if change.status == "D" or path.is_symlink() or not path.is_file():
        return
    whole = repository.git.run("cat-file", "--filters", f"{tip}:{change.path}")
    if path.stat().st_size < len(whole) and whole.startswith(path.read_bytes()):
        path.unlink()


def _merge_files(repository: Repository, old: str, new: str, index: Path) -> None:
    environment = {"GIT_INDEX_FILE": str(index)}
    # A touched file with its old content is no local change; exit code 1 says that others are.
    repository.git.succeeds("update-index", "-q", "--refresh", environment=environment)
    try:
        repository.git.run("read-tree", "-m", "-u", old, new, environment=environment)
    except GitError as error:
        check_room(repository.root)  # a full disk is no conflict, and may have cut this short
        raise Conflict(
            f"your work tree cannot take the change: {error.said.removeprefix('error: ')}",
            hint=_HINT,
        ) from error


def _harden(repository: Repository, candidate: Candidate) -> None:
    """Wait until the disk has index and files: git does not, and a power cut would leave files
    empty that the run calls landed."""
    changes = changes_between(repository.git, candidate.base, candidate.tip)
    files = [repository.root / change.path for change in changes]
    for path in (*files, repository.git_dir / "index"):
        if path.is_file() and not path.is_symlink():
            with suppress(FileNotFoundError, PermissionError), path.open("rb") as file:
                os.fsync(file)


def _refuse_to_overwrite(repository: Repository, changes: Sequence[Change]) -> None:
    """Raise `Conflict` if a new file would replace one that git does not track.

    `read-tree` sees to that itself, except for ignored files: those it overwrites.
    """
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
