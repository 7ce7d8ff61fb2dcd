"""Pushing verified commits, fast-forward only, and to no branch that nobody named."""

import re

from agentflow.errors import Conflict, EnvironmentFailure, UsageError
from agentflow.globs import matches
from agentflow.neutral import neutral
from agentflow.words import word
from agentflow.workspace.git import GitError, by_gitpython
from agentflow.workspace.repository import Repository

PROTECTED = (
    "main",
    "master",
    "trunk",
    "develop",
    "production",
    "release",
    "release/**",
    "stable/**",
)
"""Branches that are pushed to only if the caller named them, beside the remote's default one."""
TIMEOUT = 300.0
"""Seconds of one talk with a remote."""


def remote_url(repository: Repository, remote: str) -> str:
    """A remote's address, without a name and a password in it. Raises `UsageError` without one."""
    try:
        return _without_login(repository.git.text("remote", "get-url", "--", remote))
    except GitError as error:
        raise UsageError(f"there is no remote {remote!r}", hint="Look: git remote -v") from error


def default_branch(repository: Repository, remote: str) -> str | None:
    """The remote's default branch, as it says now. Raises `EnvironmentFailure` if it cannot be asked."""
    listing = _talk(repository, "ls-remote", "--symref", "--", remote, "HEAD")
    found = re.search(r"^ref: refs/heads/(\S+)\tHEAD$", listing, re.MULTILINE)
    return found[1] if found else None


def remote_tip(repository: Repository, remote: str, branch: str) -> str | None:
    """The commit of a remote's branch, if it is here: as the remote says now, else as it was when it
    was fetched last. Raises `EnvironmentFailure` if it cannot be asked."""
    ref = f"refs/heads/{branch}"
    listing = _talk(repository, "ls-remote", "--", remote, ref)
    said = [
        sha
        for sha, _, name in (line.partition("\t") for line in listing.splitlines())
        if name == ref
    ]
    for name in (*said, f"refs/remotes/{remote}/{branch}"):
        commit = f"{name}^{{commit}}"
        if repository.git.succeeds("cat-file", "-e", commit):
            return repository.git.text("rev-parse", "--verify", commit)
    return None


def push(repository: Repository, remote: str, tip: str, branch: str, *, named: bool) -> None:
    """Push a commit to a branch of a remote; no hook runs.

    `named` says that the caller named this very branch. Raises `Conflict` for a protected branch that
    nobody named, and if the branch holds what the commit does not; `EnvironmentFailure`.
    """
    default = default_branch(repository, remote)
    guarded = branch == default or any(matches(glob, branch.lower()) for glob in PROTECTED)
    if guarded and not named:
        raise Conflict(
            f"{branch} is a protected or default branch of {remote}, and nobody named it",
            hint=f"To push there: --target {word(branch)}",
        )
    _talk(repository, "push", "--quiet", "--no-verify", "--", remote, f"{tip}:refs/heads/{branch}")


def _talk(repository: Repository, *arguments: str) -> str:
    try:
        return by_gitpython(repository.git).text(*arguments, timeout=TIMEOUT)
    except GitError as error:
        lines = _without_login(neutral(error.said)).splitlines()
        said = "\n".join(line for line in lines if not line.startswith("hint: "))[-600:]
        if "[rejected]" in said or "[remote rejected]" in said:
            raise Conflict(
                f"the remote refused the push: {said}",
                hint="Where the branch there is an older result that nobody needs, remove it there first.",
            ) from error
        raise EnvironmentFailure(f"git {arguments[0]} failed: {said}") from error


def _without_login(text: str) -> str:
    return re.sub(r"(?<=://)[^/@\s]+@", "", text)
