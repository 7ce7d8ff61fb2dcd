"""Objects of a repository of ours, read in bulk: commits, changed paths, sizes, contents."""

import functools
import io
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from agentflow.results import Change, Commit
from agentflow.workspace.git import Git

NAME = r"[0-9a-f]{40}(?:[0-9a-f]{24})?"
"""A pattern of an object's full name."""
_DIFF = ("-r", "-z", "--no-renames", "--raw", "--no-abbrev")


def commits_between(state: Git, base: str, head: str) -> list[Commit]:
    """Every commit of `base..head`, parents first, each with its changes against every parent."""
    return _commits(state, f"{base}..{head}")


def commit_at(state: Git, name: str) -> Commit:
    """One commit, with its changes against every parent."""
    return _commits(state, "--no-walk", name)[0]


def _commits(state: Git, *revisions: str) -> list[Commit]:
    fields = state.text(
        "log",
        "-z",
        "--topo-order",
        "--reverse",
        "--no-show-signature",
        "--encoding=UTF-8",
        "--format=format:%H%x00%T%x00%P%x00%B",
        *revisions,
    ).split("\0")
    columns = (fields[column::4] for column in range(4))
    rows = list(zip(*columns, strict=False))
    changes = _changes(
        state.text(
            "diff-tree",
            "--stdin",
            "--root",
            "-m",
            *_DIFF,
            stdin="".join(f"{row[0]}\n" for row in rows).encode(),
        )
    )
    return [
        Commit(name, tree, tuple(parents.split()), message, tuple(changes.get(name, ())))
        for name, tree, parents, message in rows
    ]


@functools.lru_cache(maxsize=64)
def changes_between(state: Git, old: str, new: str) -> tuple[Change, ...]:
    """The paths in which two trees differ; both are given by their hashes, or those of commits.

    Remembered: half of the gates ask it of the same two.
    """
    return tuple(_changes(state.text("diff-tree", *_DIFF, old, new)).get("", ()))


def _changes(output: str) -> Mapping[str, list[Change]]:
    """Changes by commit; those of a comparison without a commit are under the empty name."""
    found: defaultdict[str, list[Change]] = defaultdict(list)
    commit = ""
    fields = iter(output.split("\0"))
    for field in filter(None, fields):
        if not field.startswith(":"):
            commit = field
            continue
        _, mode, _, blob, letter = field.removeprefix(":").split(" ")
        found[commit].append(Change(letter, next(fields), mode, blob))
    return found


def sizes(state: Git, names: Iterable[str]) -> dict[str, int]:
    """The size in bytes of each named object."""
    listing = state.text(
        "cat-file", "--batch-check=%(objectname) %(objectsize)", stdin=_lines(names)
    )
    return {name: int(size) for name, size in (line.split() for line in listing.splitlines())}


def blobs_at(state: Git, commit: str, paths: Collection[str]) -> dict[str, str]:
    """The names of the files at these paths of a commit, those that are there."""
    listing = state.text("ls-tree", "-r", "-z", "--full-tree", commit) if paths else ""
    entries = (entry.split("\t", 1) for entry in listing.split("\0") if entry)
    return {path: meta.split()[2] for meta, path in entries if path in paths and " blob " in meta}


def contents(state: Git, names: Iterable[str]) -> dict[str, bytes]:
    """The content of each named blob."""
    stream = io.BytesIO(state.run("cat-file", "--batch", stdin=_lines(names)))
    found: dict[str, bytes] = {}
    while header := stream.readline():
        name, _, size = header.split()
        found[name.decode()] = stream.read(int(size))
        stream.read(1)
    return found


def _lines(names: Iterable[str]) -> bytes:
    return "".join(f"{name}\n" for name in sorted(set(names))).encode()


def printable(path: str) -> str:
    """A path that is safe to print: plain if it can be, else quoted."""
    return path if path.isprintable() else ascii(path)
