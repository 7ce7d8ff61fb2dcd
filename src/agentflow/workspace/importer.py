"""The import: every commit of the agent is walked, then re-created in our repository.

The agent contributes trees and messages; identity, dates, parents and trailers are ours.
"""

import posixpath
from collections.abc import Sequence
from pathlib import Path

from agentflow.boundaries import violation
from agentflow.records import Boundaries, Commits
from agentflow.results import Candidate, Change, Commit, Fault
from agentflow.workspace.export import Export
from agentflow.workspace.git import Git
from agentflow.workspace.lfs import REFUSED, new_contents
from agentflow.workspace.objects import changes_between, commits_between, contents, printable, sizes
from agentflow.workspace.recreate import (
    MAX_STAT,
    Authorship,
    deleted,
    inserted,
    recreate,
    statistics,
)

MAX_BLOB = 10 * 1024 * 1024
MAX_TOTAL = 100 * 1024 * 1024
"""Bytes; of all changed files together, before compression."""
MAX_COMMIT = 1024 * 1024
"""Bytes of a commit itself: its message and names, not its files."""
MAX_COMMITS = 200
MAX_CHANGES = 5000
"""Changed paths of all commits together."""
MAX_LINK = 4096
"""Bytes of a symbolic link's target."""
MAX_PROBLEMS = 50
"""Violations that are listed one by one."""

_GITLINK, _SYMLINK, _ABSENT = "160000", "120000", "000000"


def make_candidate(
    state: Git,
    export: Export,
    base: str,
    boundaries: Boundaries,
    commits: Commits,
    authorship: Authorship,
    lfs_stores: Sequence[Path] = (),
) -> Candidate:
    """Walk every commit between base and head, then re-create them in our repository.

    `lfs_stores` hold contents that a new pointer of Git LFS may name, see `content_stores`. What
    the agent left uncommitted becomes one more commit, unless the agent should commit: then it is
    named in `leftovers`. A violation of policy means that nothing is re-created.
    """
    found = _history_problem(state, base, export.head)
    if found:
        return Candidate(base, base, violations=(found,))
    walked = commits_between(state, base, export.head)
    rest = changes_between(state, export.head, export.tree)
    leftovers: tuple[str, ...] = ()
    if rest and commits == "agent":
        leftovers = tuple(printable(change.path) for change in rest)
    elif rest:
        walked.append(Commit("", export.tree, (export.head,), authorship.rest_message, rest))
    problems = _problems(state, base, walked, boundaries, lfs_stores)
    if problems:
        return Candidate(base, base, violations=_listed(problems), faults=_placed(problems))
    return recreate(state, base, walked, leftovers, authorship)


def as_it_is(
    state: Git,
    base: str,
    head: str,
    boundaries: Boundaries,
    lfs_stores: Sequence[Path] = (),
) -> Candidate:
    """Walk the commits between base and head, made by anybody, and take them as they are."""
    found = _history_problem(state, base, head)
    walked = [] if found else commits_between(state, base, head)
    problems = [Fault(found)] if found else _problems(state, base, walked, boundaries, lfs_stores)
    stat = statistics(state, base, head)
    return Candidate(
        base,
        head,
        tuple(walked),
        violations=_listed(problems),
        faults=_placed(problems),
        files_changed=len(stat),
        insertions=inserted(stat),
        deletions=deleted(stat),
        stat=stat[:MAX_STAT],
    )


def _listed(problems: Sequence[Fault]) -> tuple[str, ...]:
    more = len(problems) - MAX_PROBLEMS
    texts = (problem.text for problem in problems[:MAX_PROBLEMS])
    return (*texts, *([f"and {more} more"] if more > 0 else []))


def _placed(problems: Sequence[Fault]) -> tuple[Fault, ...]:
    return tuple(problem for problem in problems[:MAX_PROBLEMS] if problem.path)


def _history_problem(state: Git, base: str, head: str) -> str | None:
    if base == head:
        return None
    if not state.succeeds("merge-base", "--is-ancestor", base, head):
        return "history was rewritten: the result does not descend from the base"
    names = state.text("rev-list", f"{base}..{head}").split()
    if len(names) > MAX_COMMITS:
        return f"{len(names)} commits; at most {MAX_COMMITS} are taken"
    if max(sizes(state, names).values(), default=0) > MAX_COMMIT:
        return f"a commit's message is longer than {MAX_COMMIT} bytes"
    return None


def _problems(
    state: Git,
    base: str,
    walked: Sequence[Commit],
    boundaries: Boundaries,
    lfs_stores: Sequence[Path],
) -> list[Fault]:
    """Why these commits may not enter the user's repository."""
    changes = [change for commit in walked for change in commit.changes]
    if len(changes) > MAX_CHANGES:
        many = f"{len(changes)} paths changed in all commits; at most {MAX_CHANGES} are taken"
        return [Fault(many)]
    blobs = {change.blob for change in changes if change.mode not in {_ABSENT, _GITLINK}}
    bytes_of = sizes(state, blobs)
    if sum(bytes_of.values()) > MAX_TOTAL:
        return [Fault(f"{sum(bytes_of.values())} bytes changed; at most {MAX_TOTAL} are taken")]
    targets = contents(state, {c.blob for c in changes if _is_short_link(c, bytes_of)})
    outside = new_contents(state, base, walked, lfs_stores)
    problems: dict[Fault, None] = {}
    for commit in walked:
        place = f"{commit.sha[:12]} ({commit.subject[:80]})" if commit.sha else "uncommitted"
        for change in commit.changes:
            reason = (
                violation(boundaries, change.path)
                or _content_problem(change, bytes_of)
                or _link_problem(change, targets, boundaries)
                or (REFUSED if (commit.tree, change.path) in outside else None)
            )
            if reason:
                told = f"{place}: {change.status} {printable(change.path)}: {reason}"
                problems[Fault(told, change.path)] = None
    return list(problems)


def _is_short_link(change: Change, bytes_of: dict[str, int]) -> bool:
    return change.mode == _SYMLINK and bytes_of[change.blob] <= MAX_LINK


def _content_problem(change: Change, bytes_of: dict[str, int]) -> str | None:
    if change.mode == _GITLINK:
        return "is a submodule or a nested repository"
    limit = MAX_LINK if change.mode == _SYMLINK else MAX_BLOB
    size = bytes_of.get(change.blob, 0)
    return f"has {size} bytes; at most {limit} are taken" if size > limit else None


def _link_problem(change: Change, targets: dict[str, bytes], boundaries: Boundaries) -> str | None:
    """Why a symbolic link is refused: it may lead only to what the task itself may change."""
    if change.mode != _SYMLINK:
        return None
    target = targets[change.blob].decode("utf-8", "surrogateescape")
    names = posixpath.join(posixpath.dirname(change.path), target).split("/")
    place = posixpath.normpath("/".join(names))
    onward = target.split("/")
    while onward and onward[0] in {"", ".", ".."}:
        onward.pop(0)
    # A `..` behind a name goes up from wherever another link leads.
    leaves = posixpath.isabs(target) or place.split("/")[0] == ".." or ".." in onward
    if leaves or ".git" in place.lower().split("/"):
        return f"is a link that leaves the repository ({printable(target)})"
    beneath = posixpath.normpath(f"{place}/x")
    reason = violation(boundaries, place) and violation(boundaries, beneath)
    return f"is a link to {printable(place)}: {reason}" if reason else None
