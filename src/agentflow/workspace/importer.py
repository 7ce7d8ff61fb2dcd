"""The import: only git objects leave the sandbox, and every commit is walked and re-created.

The agent contributes trees and messages; identity, dates, parents and trailers are ours.
"""

import contextlib
import os
import posixpath
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agentflow.boundaries import violation
from agentflow.errors import EnvironmentFailure
from agentflow.records import Boundaries, Candidate, Change, Commit, Commits
from agentflow.workspace.git import Git, GitError

EXPORT_INSIDE = "/run/agentflow/export"
"""Where the folder that receives the pack is mounted."""

MAX_PACK = 200 * 1024 * 1024
MAX_BLOB = 10 * 1024 * 1024
"""Bytes."""
MAX_COMMITS = 200
MAX_CHANGES = 5000
"""Changed paths of all commits together."""

EXPORT_SCRIPT = r"""
set -eu
cd "$AGENTFLOW_TREE"
head=$(git rev-parse --verify 'HEAD^{commit}')
GIT_INDEX_FILE="$AGENTFLOW_SCRATCH/agentflow-export-index"
export GIT_INDEX_FILE
rm -f "$GIT_INDEX_FILE"
git read-tree "$head"
git -c core.fsmonitor=false -c advice.addEmbeddedRepo=false add -A
tree=$(git write-tree)
rm -f "$GIT_INDEX_FILE"
printf '%s\n%s\n' "$head" "$tree" > "$AGENTFLOW_EXPORT/tips"
printf '%s\n%s\n^%s\n' "$head" "$tree" "$AGENTFLOW_BASE" |
  git pack-objects --quiet --revs --stdout > "$AGENTFLOW_EXPORT/pack"
"""
"""Run in a fresh sandbox when all processes of the agent are dead: writes the commit that HEAD
names, the tree of the files as they lie there, and all objects that the base does not have."""

_NAME = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_FORGEABLE = re.compile(
    r"^(?:agentflow-[a-z]+|signed-off-by|reviewed-by|acked-by|approved-by|tested-by):.*$\n?",
    re.IGNORECASE | re.MULTILINE,
)
_GITLINK, _SYMLINK, _ABSENT = "160000", "120000", "000000"


@dataclass(frozen=True, slots=True)
class Export:
    """What the agent's clone holds, by name; its objects are in our repository."""

    head: str
    tree: str
    """The tree of all files that are not ignored, committed or not."""


@dataclass(frozen=True, slots=True)
class Authorship:
    """What every re-created commit gets."""

    name: str
    email: str
    seconds: int
    """Unix time, from the journal, so that the same run makes the same commits."""
    trailers: tuple[str, ...]
    rest_message: str
    """The message of the commit that agentflow makes of what an agent left uncommitted."""


def import_pack(state: Git, folder: Path) -> Export:
    """Index the exported pack strictly into our repository.

    Raises `EnvironmentFailure` if the export is missing, malformed or too large.
    """
    tips = _read_regular(folder / "tips", 1000).decode("ascii", "replace").split()
    if len(tips) != 2 or not all(_NAME.fullmatch(tip) for tip in tips):
        raise EnvironmentFailure("the agent's clone could not be exported: no valid tips")
    pack = _read_regular(folder / "pack", MAX_PACK)
    try:
        state.run(
            "index-pack",
            "--stdin",
            "--strict",
            "--fix-thin",
            f"--max-input-size={MAX_PACK}",
            stdin=pack,
        )
        for tip, kind in zip(tips, ("commit", "tree"), strict=True):
            if state.text("cat-file", "-t", tip) != kind:
                raise EnvironmentFailure(f"the exported {kind} {tip[:12]} is none")
    except GitError as error:
        raise EnvironmentFailure(f"the exported objects are invalid: {error.said}") from error
    return Export(*tips)


def _read_regular(path: Path, limit: int) -> bytes:
    """Read a file that a hostile process may have put there: no links, no devices, bounded."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise EnvironmentFailure(f"the export has no {path.name}: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
            raise EnvironmentFailure(f"the export's {path.name} is no file of up to {limit} bytes")
        return file.read(limit)


def make_candidate(
    state: Git,
    export: Export,
    base: str,
    boundaries: Boundaries,
    commits: Commits,
    authorship: Authorship,
) -> Candidate:
    """Walk every commit between base and head, then re-create them in our repository.

    What the agent left uncommitted becomes one more commit, unless the agent should commit: then
    it is named in `leftovers`. A violation of policy means that nothing is re-created.
    """
    found = _history_problem(state, base, export.head)
    if found:
        return Candidate(base, base, violations=(found,))
    walked = [_commit(state, name) for name in _names(state, base, export.head)]
    rest = changes_between(state, export.head, export.tree)
    changes = [change for commit in walked for change in commit.changes]
    problems = [
        f"{commit.sha[:12]} ({commit.subject}): {problem}"
        for commit in walked
        for problem in _problems(state, commit.changes, boundaries)
    ]
    if commits != "agent":
        problems += [f"uncommitted: {p}" for p in _problems(state, rest, boundaries)]
        changes += rest
    if len(changes) > MAX_CHANGES:
        problems.append(f"more than {MAX_CHANGES} paths changed")
    if problems:
        return Candidate(base, base, violations=tuple(problems[:50]))
    leftovers = tuple(change.path for change in rest) if commits == "agent" else ()
    if rest and commits != "agent":
        walked.append(Commit("", export.tree, (export.head,), authorship.rest_message, rest))
    return _recreate(state, base, walked, leftovers, authorship)


def _history_problem(state: Git, base: str, head: str) -> str | None:
    if not state.succeeds("merge-base", "--is-ancestor", base, head):
        return "history was rewritten: the result does not descend from the base"
    count = int(state.text("rev-list", "--count", f"{base}..{head}"))
    return f"{count} commits; at most {MAX_COMMITS} are taken" if count > MAX_COMMITS else None


def _names(state: Git, base: str, head: str) -> list[str]:
    return state.text("rev-list", "--topo-order", "--reverse", f"{base}..{head}").split()


def _commit(state: Git, name: str) -> Commit:
    tree, parents, message = state.text(
        "log", "-1", "--no-show-signature", "--encoding=UTF-8", "--format=%T%x00%P%x00%B", name
    ).split("\0", 2)
    parent_names = tuple(parents.split())
    changes = tuple(
        change
        for parent in parent_names or (None,)
        for change in changes_between(state, parent, name)
    )
    return Commit(name, tree, parent_names, message, changes)


def changes_between(state: Git, old: str | None, new: str) -> tuple[Change, ...]:
    """The paths in which two trees differ; None stands for the empty tree."""
    options = ("-r", "-z", "--no-renames", "--no-commit-id", "--raw", "--no-abbrev")
    ends = (old, new) if old else ("--root", new)
    fields = state.text("diff-tree", *options, *ends).split("\0")
    changes: list[Change] = []
    for meta, path in zip(fields[0::2], fields[1::2], strict=False):
        _, mode, _, blob, letter = meta.removeprefix(":").split(" ")
        changes.append(Change(letter, path, mode, blob))
    return tuple(changes)


def _problems(state: Git, changes: Sequence[Change], boundaries: Boundaries) -> list[str]:
    """Why these changes may not enter the user's repository."""
    sizes = _sizes(state, {c.blob for c in changes if c.mode not in {_ABSENT, _GITLINK}})
    problems: list[str] = []
    for change in changes:
        reason = violation(boundaries, change.path)
        if change.mode == _GITLINK:
            reason = reason or "is a submodule (gitlink)"
        elif change.mode == _SYMLINK:
            reason = reason or _link_problem(state, change)
        elif sizes.get(change.blob, 0) > MAX_BLOB:
            reason = reason or f"has {sizes[change.blob]} bytes; at most {MAX_BLOB} are taken"
        if reason:
            problems.append(f"{change.status} {printable(change.path)}: {reason}")
    return problems


def _link_problem(state: Git, change: Change) -> str | None:
    target = state.text("cat-file", "blob", change.blob)
    place = posixpath.normpath(posixpath.join(posixpath.dirname(change.path), target))
    names = place.split("/")
    if posixpath.isabs(target) or names[0] == ".." or ".git" in names:
        return f"is a link that leaves the repository ({printable(target)})"
    return None


def _sizes(state: Git, blobs: set[str]) -> dict[str, int]:
    listing = state.text(
        "cat-file",
        "--batch-check=%(objectname) %(objectsize)",
        stdin="".join(f"{blob}\n" for blob in sorted(blobs)).encode(),
    )
    return {name: int(size) for name, size in (line.split() for line in listing.splitlines())}


def printable(path: str) -> str:
    """A path that is safe to print: plain if it can be, else quoted."""
    return path if path.isprintable() else ascii(path)


def clean_message(message: str) -> str:
    """The agent's message without control characters and without trailers that it cannot vouch
    for: our own, and the words of reviewers."""
    kept = "".join(c for c in message if c == "\n" or (c.isprintable() and c != "\ufffd"))
    return _FORGEABLE.sub("", kept)[:8000].strip() or "Change without a message"


def _recreate(
    state: Git,
    base: str,
    walked: Sequence[Commit],
    leftovers: tuple[str, ...],
    authorship: Authorship,
) -> Candidate:
    environment = {
        f"GIT_{role}_{key}": value
        for role in ("AUTHOR", "COMMITTER")
        for key, value in (
            ("NAME", authorship.name),
            ("EMAIL", authorship.email),
            ("DATE", f"{authorship.seconds} +0000"),
        )
    }
    renamed: dict[str, str] = {}
    created: list[Commit] = []
    tip = base
    for commit in walked:
        parents = tuple(renamed.get(parent, parent) for parent in commit.parents)
        message = _with_trailers(state, clean_message(commit.message), authorship.trailers)
        arguments = [argument for parent in parents for argument in ("-p", parent)]
        tip = state.text(
            "commit-tree",
            commit.tree,
            *arguments,
            stdin=message.encode(),
            environment=environment,
        )
        renamed[commit.sha] = tip
        created.append(Commit(tip, commit.tree, parents, message, commit.changes))
    state.run("update-ref", "refs/agentflow/candidate", tip)
    files, insertions, deletions = _statistics(state, base, tip)
    renamed.pop("", None)
    return Candidate(
        base,
        tip,
        tuple(created),
        renamed,
        leftovers,
        files_changed=files,
        insertions=insertions,
        deletions=deletions,
    )


def _with_trailers(state: Git, message: str, trailers: Sequence[str]) -> str:
    options = [option for trailer in trailers for option in ("--trailer", trailer)]
    return state.text("interpret-trailers", *options, stdin=f"{message}\n".encode()) + "\n"


def _statistics(state: Git, base: str, tip: str) -> tuple[int, int, int]:
    """Changed files, inserted and deleted lines between two commits."""
    rows = [
        line.split("\t")
        for line in state.text("diff", "--numstat", "--no-renames", base, tip).splitlines()
    ]
    inserted, deleted = (
        sum(int(row[column]) for row in rows if row[column].isdigit()) for column in (0, 1)
    )
    return len(rows), inserted, deleted


def with_files_of(state: Git, tip: str, base: str, paths: Sequence[str]) -> str:
    """Make a commit like `tip` in which `paths` are as in `base`, absent ones included."""
    folder = Path(state.directory)
    index = folder / "base-files-index"
    environment: Mapping[str, str] = {"GIT_INDEX_FILE": str(index)}
    state.run("read-tree", tip, environment=environment)
    # Mode 0 removes a path; the object's name is then ignored but must be there.
    lines = {path: f"0 {'0' * len(tip)}\t{path}" for path in paths}
    listing = state.text("ls-tree", "-r", "-z", "--full-tree", base, "--", *paths)
    for entry in filter(None, listing.split("\0")):
        meta, path = entry.split("\t", 1)
        mode, _, blob = meta.split(" ")
        lines[path] = f"{mode} {blob}\t{path}"
    state.run(
        "update-index",
        "-z",
        "--index-info",
        stdin="".join(f"{line}\0" for line in lines.values()).encode("utf-8", "surrogateescape"),
        environment=environment,
    )
    tree = state.text("write-tree", environment=environment)
    with contextlib.suppress(FileNotFoundError):
        index.unlink()
    identity = {
        f"GIT_{role}_{key}": value
        for role in ("AUTHOR", "COMMITTER")
        for key, value in (("NAME", "agentflow"), ("EMAIL", "agentflow@localhost"))
    }
    return state.text("commit-tree", tree, "-p", tip, "-m", "base's tests", environment=identity)
