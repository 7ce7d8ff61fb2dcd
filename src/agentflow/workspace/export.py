"""The export: what leaves the sandbox is two names and a pack of git objects, indexed strictly."""

import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from agentflow.errors import AgentFailed
from agentflow.frozen import record
from agentflow.workspace.git import Git, GitError

EXPORT_INSIDE = "/run/agentflow/export"
"""Where the folder that receives the pack is mounted."""

MAX_PACK = 200 * 1024 * 1024
"""Bytes."""

EXPORT_SCRIPT = r"""
set -eu
cd "$AGENTFLOW_TREE"
export GIT_NO_REPLACE_OBJECTS=1 GIT_GRAFT_FILE=/dev/null
head=$(git rev-parse --verify 'HEAD^{commit}')
GIT_INDEX_FILE="$AGENTFLOW_SCRATCH/agentflow-export-index"
export GIT_INDEX_FILE
git read-tree "$head"
git -c core.fsmonitor=false -c advice.addEmbeddedRepo=false add -A
tree=$(git write-tree)
printf '%s\n%s\n' "$head" "$tree" > "$AGENTFLOW_EXPORT/tips"
printf '%s\n%s\n^%s\n' "$head" "$tree" "$AGENTFLOW_BASE" |
  git pack-objects --quiet --revs --stdout > "$AGENTFLOW_EXPORT/pack"
"""
"""Run in a fresh sandbox when all processes of the agent are dead: writes the commit that HEAD
names, the tree of the files as they lie there, and all objects that the base does not have. The
index is our own, in a folder that was made for it: the agent's may hide changes, be locked, or be amid a merge."""

_NAME = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class ExportRefused(AgentFailed):
    """The agent left a clone that cannot be exported or holds objects that git refuses."""


@record
class Export:
    """What the agent's clone holds, by name; its objects are in our repository."""

    head: str
    tree: str
    """The tree of all files that are not ignored, committed or not."""


def import_pack(state: Git, folder: Path) -> Export:
    """Index the exported pack strictly, links between its objects included, into our repository.

    Raises `ExportRefused` if the export is missing, malformed, incomplete or too large.
    """
    tips = read_tips(folder)
    try:
        with _open_regular(folder / "pack", MAX_PACK) as pack:
            state.run(
                "index-pack", "--stdin", "--strict", f"--max-input-size={MAX_PACK}", stdin=pack
            )
        listing = state.text("cat-file", "--batch-check=%(objecttype)", stdin=_lines(tips))
        for tip, kind, found in zip(tips, ("commit", "tree"), listing.splitlines(), strict=True):
            if found != kind:
                raise ExportRefused(f"the exported {kind} {tip[:12]} is none")
    except GitError as error:
        raise ExportRefused(f"git refuses the exported objects: {error.said}") from error
    return Export(*tips)


def _lines(names: Sequence[str]) -> bytes:
    return "".join(f"{name}\n" for name in names).encode()


def read_tips(folder: Path) -> tuple[str, str]:
    """The commit and the tree that an export names. Raises `ExportRefused`."""
    with _open_regular(folder / "tips", 1000) as file:
        tips = file.read(1000).decode("ascii", "replace").split()
    if len(tips) != 2 or not all(_NAME.fullmatch(tip) for tip in tips):
        raise ExportRefused("the export names no commit and tree")
    return tips[0], tips[1]


def _open_regular(path: Path, limit: int) -> BinaryIO:
    """Open a file that a hostile process may have put there: no links, no devices, bounded."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ExportRefused(f"the export has no {path.name}: {error.strerror}") from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
        os.close(descriptor)
        raise ExportRefused(f"the export's {path.name} is no file of up to {limit} bytes")
    return os.fdopen(descriptor, "rb")
