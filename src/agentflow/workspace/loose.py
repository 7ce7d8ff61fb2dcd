"""Commits written into a repository of ours without a git: one for each turn of a run.

The format is git's own (gitformat-loose-object(5), gitrepository-layout(5)).
"""

import hashlib
import zlib
from pathlib import Path

from agentflow.disk import telling, write_atomically


def write_commit(git_dir: Path, data: bytes, *, sha256: bool) -> str:
    """Write a commit as a loose object that is on the disk when this returns; return its name.

    `data` is the commit as git keeps it, headers and message. Raises `EnvironmentFailure` if the
    disk refuses.
    """
    whole = b"commit %d\0" % len(data) + data
    digest = hashlib.sha256(whole) if sha256 else hashlib.sha1(whole, usedforsecurity=False)
    name = digest.hexdigest()
    path = git_dir / "objects" / name[:2] / name[2:]
    if not path.exists():
        with telling("make", path.parent):
            path.parent.mkdir(exist_ok=True)
        write_atomically(path, zlib.compress(whole), mode=0o444)
    return name
