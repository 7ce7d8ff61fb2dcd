"""Landing: verified commits enter the user's repository, and one ref moves by compare-and-swap."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from agentflow.errors import Conflict, EnvironmentFailure
from agentflow.records import Candidate, Landed, Landing
from agentflow.workspace.git import Git, GitError
from agentflow.workspace.repository import Repository


def pin_base(repository: Repository, run: str, base: str) -> None:
    """Keep the base alive until the run is pruned."""
    repository.git.run("update-ref", f"refs/agentflow/base/{run}", base)


def branch_tip(repository: Repository, branch: str) -> str | None:
    """The commit that a local branch names, or None without such a branch."""
    try:
        return repository.git.text("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}")
    except GitError:
        return None


def check_target(
    repository: Repository, landing: Landing, branch: str, base: str, *, replaceable: str | None
) -> None:
    """Refuse before any spend what landing would refuse at the end.

    `replaceable` is a tip of the branch that may be replaced. Raises `Conflict`.
    """
    if landing == "none":
        return
    if landing == "current":
        _current_branch(repository, base)
        return
    if not repository.git.succeeds("check-ref-format", f"refs/heads/{branch}"):
        raise Conflict(f"{branch!r} is not a valid branch name")
    tip = branch_tip(repository, branch)
    if tip not in {None, base, replaceable}:
        raise Conflict(
            f"the branch {branch} exists and is not the base ({base[:12]})",
            hint=f"Give --base {branch} to build on it, --fresh to replace a branch that "
            + "agentflow made, or --target for another name.",
        )
    _not_checked_out(repository, branch)


def _not_checked_out(repository: Repository, branch: str) -> None:
    listing = repository.git.text("worktree", "list", "--porcelain").splitlines()
    if f"branch refs/heads/{branch}" in listing:
        raise Conflict(
            f"the branch {branch} is checked out in a work tree",
            hint="Use --land current to move the branch that you are on, or --target another.",
        )


def _current_branch(repository: Repository, base: str) -> str:
    """The full name of the branch that HEAD is on. Raises `Conflict` if it is not at the base."""
    try:
        ref = repository.git.text("symbolic-ref", "--quiet", "HEAD")
    except GitError as error:
        raise Conflict("--land current needs a branch, but HEAD is detached") from error
    if repository.git.text("rev-parse", "--verify", "HEAD") != base:
        raise Conflict(
            f"{ref.removeprefix('refs/heads/')} is not at the base {base[:12]}",
            hint="Run the task again from where the branch is now.",
        )
    return ref


def keep_verified(repository: Repository, state: Git, run: str, candidate: Candidate) -> str:
    """Bring the verified commits into the user's repository, on a ref of the run; return it."""
    ref = f"refs/agentflow/verified/{run}"
    try:
        repository.git.run(
            "-c",
            "protocol.file.allow=always",
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            "--no-auto-maintenance",
            str(state.directory),
            f"+refs/agentflow/candidate:{ref}",
        )
    except GitError as error:
        raise EnvironmentFailure(f"cannot store the verified commits: {error.said}") from error
    if repository.git.text("rev-parse", ref) != candidate.tip:
        raise EnvironmentFailure(f"{ref} does not name the verified commit")
    return ref


def land(
    repository: Repository,
    candidate: Candidate,
    landing: Landing,
    branch: str,
    run: str,
    *,
    replaceable: str | None = None,
) -> Landed:
    """Move the target from its old value to the verified tip.

    Raises `Conflict` if the target moved, is checked out elsewhere or cannot take it; the
    verified commits then stay on the run's ref.
    """
    verified = f"refs/agentflow/verified/{run}"
    if landing == "none" or candidate.tip == candidate.base:
        return Landed(None, candidate.tip)
    try:
        if landing == "current":
            landed = _land_current(repository, candidate)
        else:
            landed = _land_branch(repository, candidate, branch, run, replaceable)
    except Conflict as conflict:
        conflict.hint = f"{conflict.hint} The verified commits are on {verified}.".strip()
        raise
    with suppress(GitError):
        repository.git.run("update-ref", "-d", verified, candidate.tip)
    return landed


def _land_branch(
    repository: Repository, candidate: Candidate, branch: str, run: str, replaceable: str | None
) -> Landed:
    ref = f"refs/heads/{branch}"
    _not_checked_out(repository, branch)
    old = branch_tip(repository, branch)
    if old not in {None, candidate.base, replaceable}:
        raise Conflict(f"the branch {branch} moved to {old[:12] if old else 'nothing'} meanwhile")
    kept = None
    if old is not None and old != candidate.base:
        kept = f"{ref}@{run}"
        repository.git.run("update-ref", kept, old)
    _swap(repository, ref, candidate.tip, old or "0" * len(candidate.tip), run)
    return Landed(ref, candidate.tip, kept)


def _swap(repository: Repository, ref: str, new: str, old: str, run: str) -> None:
    try:
        repository.git.run("update-ref", "-m", f"agentflow: {run}", ref, new, old)
    except GitError as error:
        raise Conflict(f"{ref} could not be moved: {error.said}") from error


def _land_current(repository: Repository, candidate: Candidate) -> Landed:
    """Move the checked-out branch, index and files together, under the index lock.

    `read-tree -m -u` refuses to overwrite a local change or an untracked file.
    """
    ref = _current_branch(repository, candidate.base)
    index = repository.git_dir / "index"
    lock = repository.git_dir / "index.lock"
    _copy_to_lock(index, lock)
    try:
        _merge_files(repository, candidate.base, candidate.tip, lock)
        try:
            _swap(repository, ref, candidate.tip, candidate.base, "landed")
        except Conflict:
            _merge_files(repository, candidate.tip, candidate.base, lock)
            raise
        os.replace(lock, index)  # noqa: PTH105 - the pair of names reads as one step
    except BaseException:
        lock.unlink(missing_ok=True)
        raise
    return Landed(ref, candidate.tip)


def _copy_to_lock(index: Path, lock: Path) -> None:
    try:
        with lock.open("xb") as file, index.open("rb") as source:
            shutil.copyfileobj(source, file)
    except FileExistsError as error:
        raise Conflict(
            f"another git process holds {lock}", hint="Wait for it, or remove the file if it died."
        ) from error


def _merge_files(repository: Repository, old: str, new: str, lock: Path) -> None:
    try:
        repository.git.run(
            "read-tree", "-m", "-u", old, new, environment={"GIT_INDEX_FILE": str(lock)}
        )
    except GitError as error:
        raise Conflict(
            f"your working tree cannot take the change: {error.said}",
            hint="Commit or stash what is in the way, or use --land branch.",
        ) from error
