"""Commits that are written without a git, as git reads them."""

import subprocess
from pathlib import Path

import pytest

from agentflow.errors import EnvironmentFailure
from agentflow.workspace.git import isolated
from agentflow.workspace.loose import write_commit


@pytest.mark.parametrize("form", ["sha1", "sha256"])
def test_git_reads_what_was_written(tmp_path: Path, form: str) -> None:
    subprocess.run(["git", "init", "-q", "--bare", f"--object-format={form}", tmp_path], check=True)
    git = isolated(tmp_path)
    tree = git.text("mktree", stdin=b"")
    who = "Ada <ada@example.invalid> 1750000000 +0000"
    data = f"tree {tree}\nauthor {who}\ncommitter {who}\n\nchéckpoint\n".encode()

    name = write_commit(tmp_path, data, sha256=form == "sha256")
    again = write_commit(tmp_path, data, sha256=form == "sha256")

    assert again == name == git.text("hash-object", "-t", "commit", "--stdin", stdin=data)
    assert git.run("cat-file", "commit", name) == data
    assert git.succeeds("fsck", "--strict", name)
    assert not list(tmp_path.glob("objects/*/.*")), "nothing half-written is left"


def test_a_folder_that_takes_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailure, match=r"cannot make .*gone/objects"):
        write_commit(tmp_path / "gone", b"", sha256=False)
