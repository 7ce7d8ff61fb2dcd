"""Pointers: the commits of submodules that a superproject holds, moved in a commit of agentflow's own."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from agentflow.errors import UsageError
from agentflow.workspace.git import Git
from agentflow.workspace.recreate import Authorship, with_trailers
from agentflow.workspace.signing import Draft, identity_variables, make_commit

MODE = "160000"


def pointer_commit(
    git: Git, tip: str, pointers: Mapping[str, str], message: str, authorship: Authorship
) -> str | None:
    """Make a child of `tip` that holds these commits at these paths; no ref names it.

    None if it holds them already. Raises `UsageError` for a path that is no submodule there, and
    `EnvironmentFailure` if it cannot be signed as it should.
    """
    held = _held(git, tip, pointers)
    for path in pointers:
        if path not in held:
            raise UsageError(f"{path} is no submodule in {tip[:12]}")
    if held == dict(pointers):
        return None
    entries = [
        word for path, sha in pointers.items() for word in ("--cacheinfo", f"{MODE},{sha},{path}")
    ]
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
        git.run("read-tree", tip, environment=index)
        git.run("update-index", *entries, environment=index)
        tree = git.text("write-tree", environment=index)
    text = with_trailers(message, authorship.trailers)
    identity = identity_variables(authorship.name, authorship.email, authorship.seconds)
    return make_commit(git, Draft(tree, (tip,), text, identity), authorship.signing)


def _held(git: Git, commit: str, paths: Mapping[str, str]) -> dict[str, str]:
    listing = git.text("ls-tree", "-z", "--full-tree", commit, "--", *paths)
    entries = (entry.split("\t", 1) for entry in listing.split("\0") if entry)
    found = {path: meta.split(" ") for meta, path in entries}
    return {path: words[2] for path, words in found.items() if words[0] == MODE}
