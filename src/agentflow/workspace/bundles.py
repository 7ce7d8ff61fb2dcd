"""Git bundles from elsewhere: their objects come into a repository of ours, indexed strictly.

Git's own readers of bundles do not check objects strictly before 2.46, so only the header is read here,
and the pack goes through `index-pack`.
"""

import re
import tempfile

from agentflow.errors import UsageError
from agentflow.workspace.git import Git, GitError
from agentflow.workspace.objects import NAME, sizes

MAX_PACK = 256 << 20
MAX_UNPACKED = 2 << 30
"""Bytes of all objects that a bundle brings: a pack may hold a thousand times what it weighs."""


def bundle_tips(bundle: bytes) -> dict[str, str]:
    """The refs that a git bundle names, each with its commit; empty for what is none."""
    header = bundle.partition(b"\n\n")[0].decode("utf-8", "replace")
    if not header.startswith("# v"):
        return {}
    found = re.finditer(rf"^({NAME}) (.+)$", header, re.MULTILINE)
    return {each[2]: each[1] for each in found}


def index_bundle(state: Git, bundle: bytes, tip: str, base: str) -> None:
    """Index a bundle's objects strictly, links between them included, into a repository of ours that
    has the base.

    Raises `UsageError` if they are damaged, incomplete, or too many bytes.
    """
    try:
        with tempfile.TemporaryFile() as file:
            file.write(bundle.partition(b"\n\n")[2])
            file.seek(0)
            limit = f"--max-input-size={MAX_PACK}"
            state.run("index-pack", "--stdin", "--strict", "--fix-thin", limit, stdin=file)
        listing = state.text("rev-list", "--objects", tip, f"^{base}")
        kind = state.text("cat-file", "-t", tip)
        brought = sum(
            sizes(state, (line.partition(" ")[0] for line in listing.splitlines())).values()
        )
    except GitError as error:
        raise UsageError(f"the bundle's commits are damaged: {error.said[-300:]}") from error
    if kind != "commit":
        raise UsageError(f"what the bundle names, {tip[:12]}, is no commit but a {kind}")
    if brought > MAX_UNPACKED:
        raise UsageError(f"the bundle's objects are larger than {MAX_UNPACKED} bytes")
