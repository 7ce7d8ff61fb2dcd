"""Folding: what a formatter changed in a candidate becomes part of its last commit."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from agentflow.boundaries import violation
from agentflow.frozen import record
from agentflow.records import Boundaries
from agentflow.results import Candidate, Change, Commit
from agentflow.workspace.export import Export
from agentflow.workspace.git import Git
from agentflow.workspace.importer import MAX_BLOB, MAX_CHANGES, MAX_TOTAL
from agentflow.workspace.lfs import REFUSED, new_contents
from agentflow.workspace.objects import changes_between, commits_between, printable, sizes
from agentflow.workspace.recreate import Authorship, recreate, with_files_of

_DELETED = "000000"
_FILES = frozenset({"100644", "100755"})


@record
class Folded:
    """A candidate with the changes that could be taken."""

    candidate: Candidate
    taken: tuple[str, ...] = ()
    """Paths, printable."""
    left_out: tuple[str, ...] = ()
    """Paths, printable, each with the reason."""


def fold(
    state: Git,
    candidate: Candidate,
    export: Export,
    boundaries: Boundaries,
    authorship: Authorship,
    lfs_stores: Sequence[Path] = (),
) -> Folded:
    """Amend the candidate's last commit by the exported tree's changes, the allowed ones.

    `lfs_stores` are as in `make_candidate`. Only plain files are taken. The message stays as it is.
    """
    last = candidate.commits[-1]
    changes = changes_between(state, last.tree, export.tree)
    mended = Commit("", export.tree, (last.sha,), "", changes)
    outside = {path for _, path in new_contents(state, candidate.base, [mended], lfs_stores)}
    reasons = [
        (change, reason or (REFUSED if change.path in outside else ""))
        for change, reason in _reasons(state, changes, boundaries)
    ]
    reasons = _without_displacing(reasons)
    taken = [change.path for change, reason in reasons if not reason]
    left_out = tuple(f"{printable(change.path)}: {reason}" for change, reason in reasons if reason)
    if not taken:
        return Folded(candidate, (), left_out)
    with_changes = with_files_of(state, last.sha, export.tree, taken)
    tree = state.text("rev-parse", f"{with_changes}^{{tree}}")
    amended = recreate(
        state, candidate.base, [replace(last, tree=tree)], candidate.leftovers, authorship
    )
    changes = commits_between(state, candidate.base, amended.tip)[-1].changes
    commit = replace(amended.commits[0], changes=changes)
    new = replace(
        candidate,
        tip=amended.tip,
        commits=(*candidate.commits[:-1], commit),
        claimed={
            claimed: amended.tip if name == last.sha else name
            for claimed, name in candidate.claimed.items()
        },
        files_changed=amended.files_changed,
        insertions=amended.insertions,
        deletions=amended.deletions,
        stat=amended.stat,
    )
    return Folded(new, tuple(map(printable, taken)), left_out)


def _reasons(
    state: Git, changes: Sequence[Change], boundaries: Boundaries
) -> list[tuple[Change, str]]:
    """Each change with the reason why it is not taken; empty if it is."""
    if len(changes) > MAX_CHANGES:
        return [(changes[0], f"and {len(changes) - 1} more are too many to take")]
    bytes_of = sizes(state, {change.blob for change in changes if change.mode in _FILES})
    if sum(bytes_of.values()) > MAX_TOTAL:
        return [(changes[0], "with all others it is too large to take")]
    return [(change, _reason(change, bytes_of, boundaries)) for change in changes]


def _without_displacing(reasons: list[tuple[Change, str]]) -> list[tuple[Change, str]]:
    """The same, with a reason also for each file that could only stand if something went that is
    left out: where a file was, a folder's file cannot be, and the other way round."""
    kept = {change.path for change, reason in reasons if reason}
    above = {str(folder) for path in kept for folder in PurePosixPath(path).parents}

    def displaces(change: Change) -> bool:
        folders = map(str, PurePosixPath(change.path).parents)
        return change.mode != _DELETED and (change.path in above or not kept.isdisjoint(folders))

    told = "stands in the place of what is left out"
    return [(change, reason or (told if displaces(change) else "")) for change, reason in reasons]


def _reason(change: Change, bytes_of: dict[str, int], boundaries: Boundaries) -> str:
    if change.mode not in {*_FILES, _DELETED}:
        return "is no plain file"
    if bytes_of.get(change.blob, 0) > MAX_BLOB:
        return f"is larger than {MAX_BLOB} bytes"
    return violation(boundaries, change.path) or ""
