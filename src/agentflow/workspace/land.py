"""Landing: verified commits enter the user's repository, and one ref moves by compare-and-swap."""

import time
from contextlib import suppress
from pathlib import PurePosixPath

from agentflow.disk import FREE, check_room
from agentflow.errors import Conflict, EnvironmentFailure, UsageError
from agentflow.records import Landing
from agentflow.results import Candidate, Landed
from agentflow.words import word
from agentflow.workspace.current import current_branch, land_current
from agentflow.workspace.git import Git, GitError, by_gitpython
from agentflow.workspace.refs import CANDIDATE, is_plain
from agentflow.workspace.repository import Repository

RENAME = "Give --target another name."
PAUSES = (0.1, 0.4, 1.5, None)
"""Seconds to wait before storing is tried again. Who works in the repository meanwhile can make it
fail: a work tree that is just being added names no commit yet, and git then trusts no object."""

IN_THE_WAY = (
    "Give --base {0} to build on it, or --target for another name. --fresh replaces a "
    "branch that a run made which is still known here; another one you can remove (git branch -D {0})"
)
"""What to do about a branch that a run would have to replace, before the run exists."""
ELSEWHERE = "Or let it land elsewhere: `agentflow run` and `agentflow land` take --target"
"""What commands that land can be given: a run that goes on cannot."""


def pin_base(repository: Repository, run: str, base: str) -> None:
    """Keep the base alive until the run is pruned."""
    repository.git.run("update-ref", base_ref(run), base)


def base_ref(run: str) -> str:
    """The ref, in the user's repository, that keeps a run's base alive."""
    return f"refs/agentflow/base/{run}"


def branch_tip(repository: Repository, branch: str) -> str | None:
    """The commit that a local branch names, or None without such a branch."""
    try:
        return repository.git.text("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}")
    except GitError:
        return None


def check_target(
    repository: Repository,
    landing: Landing,
    branch: str,
    base: str,
    *,
    replaceable: str | None,
    hint: str = IN_THE_WAY,
) -> None:
    """Refuse before any spend what landing would refuse at the end.

    `replaceable` is a tip of the branch that may be replaced; `hint` says what to do about another,
    with `{0}` for the branch. Raises `Conflict`, and `UsageError` for what is no branch's name.
    """
    if landing == "none":
        return
    if landing == "current":
        _not_checked_out(repository, current_branch(repository, base), ours=True)
        return
    tip = _check_name(repository, branch)
    if tip not in {None, base, replaceable}:
        raise Conflict(
            f"the branch {branch} exists and is not the base ({base[:12]})",
            hint=hint.format(word(branch)),
        )
    _not_checked_out(repository, f"refs/heads/{branch}")


def target_tip(repository: Repository, landing: Landing, branch: str) -> str | None:
    """Where the target is now; None for a branch that does not exist."""
    return repository.resolve("HEAD") if landing == "current" else branch_tip(repository, branch)


def check_name(repository: Repository, branch: str) -> None:
    """Raise `UsageError` for a name that no branch can have anywhere, and for a ref's: a branch of that
    name would lie beside the one that is meant."""
    if branch.startswith("refs/"):
        short = branch.removeprefix("refs/heads/")
        told = (
            f"Give its short name: {short}"
            if short != branch
            else "Give --target the name of a branch."
        )
        raise UsageError(f"{branch} is a ref, not a branch's name", hint=told)
    if is_plain(branch):
        return
    try:
        # The command also expands `@{-1}`: only what it leaves as it is names a branch.
        is_valid = repository.git.text("check-ref-format", "--branch", branch) == branch
    except GitError:
        is_valid = False
    if not is_valid:
        raise UsageError(f"{branch!r} is not a valid branch name", hint=RENAME)


def _check_name(repository: Repository, branch: str) -> str | None:
    """Return the branch's tip, if it is there. Raise `Conflict` for a name that no branch can have here,
    `UsageError` for one that none can have anywhere."""
    check_name(repository, branch)
    git = repository.git
    form = "--format=%(refname:lstrip=2)%00%(objectname)%00%(symref)"
    listing = git.text("for-each-ref", form, f"refs/heads/{branch}")
    found = [line.split("\0") for line in listing.splitlines()]
    taken = [*_above(repository, branch), *(name for name, _, _ in found if name != branch)]
    if taken:
        raise Conflict(
            f"the branch {branch} cannot be made beside the branch {taken[0]}",
            hint=f"Rename that one: git branch -m {word(taken[0])} NAME\n{ELSEWHERE}.",
        )
    if any(link for _, _, link in found):
        raise Conflict(
            f"the branch {branch} is only another name of a branch",
            hint=f"Remove that name: git symbolic-ref -d refs/heads/{word(branch)}\n{ELSEWHERE}.",
        )
    return found[0][1] if found else None


def _above(repository: Repository, branch: str) -> list[str]:
    """The branches whose names are the first parts of a branch's name: it cannot be beside them."""
    names = [str(parent) for parent in PurePosixPath(branch).parents][:-1]
    wanted = "".join(f"refs/heads/{name}\n" for name in names).encode()
    listing = repository.git.text("cat-file", "--batch-check", stdin=wanted) if names else ""
    return [
        n
        for n, line in zip(names, listing.splitlines(), strict=True)
        if not line.endswith(" missing")
    ]


def checked_out_in(repository: Repository, branch: str) -> list[str]:
    """The folders of the work trees that have the branch."""
    blocks = repository.git.text("worktree", "list", "--porcelain").split("\n\n")
    return [
        lines[0].removeprefix("worktree ")
        for lines in (block.splitlines() for block in blocks)
        if f"branch refs/heads/{branch}" in lines
    ]


def _not_checked_out(repository: Repository, ref: str, *, ours: bool = False) -> None:
    """Raise `Conflict` if a work tree has the branch; `ours` excepts the one that we are in."""
    for place in checked_out_in(repository, ref.removeprefix("refs/heads/")):
        if ours and place == str(repository.root):
            continue
        raise Conflict(
            f"the branch {ref.removeprefix('refs/heads/')} is checked out in {place}",
            hint=f"Check out another branch there. {ELSEWHERE}; to move the branch that you are on: "
            + "`agentflow run` with --land current. `git worktree prune` forgets work trees that are gone.",
        )


def keep_verified(repository: Repository, state: Git, run: str, candidate: Candidate) -> str:
    """Bring the verified commits into the user's repository, on a ref of the run; return it."""
    ref = f"refs/agentflow/verified/{run}"
    for pause in PAUSES:
        try:
            _fetch(repository, state, f"+{CANDIDATE}:{ref}")
            break
        except GitError as error:
            if pause is None:
                said = f"cannot store the verified commits: {error.said}"
                raise EnvironmentFailure(said, hint=error.hint) from error
            time.sleep(pause)
    if repository.git.text("rev-parse", ref) != candidate.tip:
        raise EnvironmentFailure(f"{ref} does not name the verified commit")
    return ref


def _fetch(repository: Repository, state: Git, refspec: str) -> None:
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
        refspec,
    )


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

    Raises `Conflict` if the target moved, is checked out elsewhere or cannot take it, and
    `EnvironmentFailure` if the disk takes no more; the verified commits then stay on the run's ref.
    """
    verified = f"refs/agentflow/verified/{run}"
    if landing == "none" or candidate.tip == candidate.base:
        return Landed(None, candidate.tip)
    try:
        before = landing == "branch" and _landed_before(repository, candidate, branch, run)
        if before:
            landed = before
        elif landing == "current":
            landed = Landed(land_current(repository, candidate, run), candidate.tip)
        else:
            landed = _land_branch(repository, candidate, branch, run, replaceable)
    except Conflict as conflict:
        conflict.hint = f"{conflict.hint}\nThe verified commits are on {verified}.".strip()
        raise
    except OSError as error:
        raise EnvironmentFailure(
            f"cannot land in {repository.git_dir}: {error.strerror}", hint=FREE
        ) from error
    forget_verified(repository, run, candidate.tip)
    return landed


def forget_verified(repository: Repository, run: str, tip: str) -> None:
    """Let go of the run's own ref to verified commits, as a branch has them now."""
    with suppress(GitError):
        repository.git.run("update-ref", "-d", f"refs/agentflow/verified/{run}", tip)


def _landed_before(
    repository: Repository, candidate: Candidate, branch: str, run: str
) -> Landed | None:
    """What a process of this run did that died right after it. The commits name the run, so nobody
    else can have brought them there."""
    ref = f"refs/heads/{branch}"
    if not repository.git.succeeds("merge-base", "--is-ancestor", candidate.tip, ref):
        return None
    kept = f"{ref}@{run}"
    replaced = repository.git.succeeds("rev-parse", "--verify", "--quiet", kept)
    return Landed(ref, candidate.tip, kept if replaced else None)


def _land_branch(
    repository: Repository, candidate: Candidate, branch: str, run: str, replaceable: str | None
) -> Landed:
    ref = f"refs/heads/{branch}"
    _not_checked_out(repository, ref)
    old = branch_tip(repository, branch)
    if old not in {None, candidate.base, replaceable}:
        raise Conflict(
            f"the branch {branch} moved to {old[:12] if old else 'nothing'} meanwhile",
            hint=f"Rename it: git branch -m {word(branch)} NAME",
        )
    kept = f"{ref}@{run}" if old not in {None, candidate.base} else None
    nothing = "0" * len(candidate.tip)
    changes = [f"update {ref} {candidate.tip} {old or nothing}"]
    if kept:
        changes.append(f"create {kept} {old}")
    try:
        by_gitpython(repository.git).run(
            "update-ref",
            "--no-deref",
            "-m",
            f"agentflow: {run}",
            "--stdin",
            stdin="".join(f"{change}\n" for change in changes).encode(),
        )
    except GitError as error:
        check_room(repository.git_dir)
        raise Conflict(f"{ref} could not be moved: {error.said}") from error
    return Landed(ref, candidate.tip, kept)
