"""Substitution: a commit like another one in which some files have other contents."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from agentflow.workspace.git import Git

_IDENTITY = {
    f"GIT_{role}_{key}": value
    for role in ("AUTHOR", "COMMITTER")
    for key, value in (
        ("NAME", "agentflow"),
        ("EMAIL", "agentflow@localhost"),
        ("DATE", "@0 +0000"),
    )
}
_REGULAR = frozenset({"100644", "100755"})


def with_contents(state: Git, tip: str, files: Mapping[str, bytes]) -> str:
    """Make a commit like `tip`, and its child, in which the files at these paths hold these bytes.

    A file keeps its mode; what is new, or was a link, becomes an ordinary file. The same arguments
    make the same commit. No ref names it. Raises `GitError` for a path that no tree can hold.
    """
    modes = _modes(state, tip)
    # Not `--index-info`: that skips a path which no tree can hold, and succeeds.
    entries = [
        word
        for path, content in files.items()
        for word in ("--cacheinfo", f"{modes.get(path, '100644')},{_blob(state, content)},{path}")
    ]
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
        state.run("read-tree", tip, environment=index)
        state.run("update-index", "--add", "--replace", *entries, environment=index)
        tree = state.text("write-tree", environment=index)
    return state.text(
        "commit-tree", tree, "-p", tip, stdin=b"other contents\n", environment=_IDENTITY
    )


def _modes(state: Git, commit: str) -> dict[str, str]:
    listing = state.text("ls-tree", "-r", "-z", "--full-tree", commit)
    entries = (entry.split("\t", 1) for entry in listing.split("\0") if entry)
    modes = {path: meta.split(" ", 1)[0] for meta, path in entries}
    return {path: mode for path, mode in modes.items() if mode in _REGULAR}


def _blob(state: Git, content: bytes) -> str:
    return state.text("hash-object", "-w", "--stdin", stdin=content)
