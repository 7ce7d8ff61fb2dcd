"""How git is run: environment, input, errors."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agentflow.errors import EnvironmentFailure
from agentflow.workspace.git import GitError, as_user, isolated
from tests.workspace.place import Place


def test_bytes_in_and_out(place: Place, tmp_path: Path) -> None:
    git = isolated(place.root)
    name = git.text("hash-object", "-w", "--stdin", stdin=b"\xff\n\n")
    (tmp_path / "blob").write_bytes(b"\xff\n\n")

    assert git.run("cat-file", "blob", name) == b"\xff\n\n"
    with (tmp_path / "blob").open("rb") as file:
        assert git.run("hash-object", "--stdin", stdin=file).decode().strip() == name


def test_what_git_wrote_is_on_the_disk_when_it_ends(place: Place, tmp_path: Path) -> None:
    """By default git leaves loose objects and refs to the kernel: a power cut takes them."""
    trace = tmp_path / "trace.json"
    git = isolated(place.root)
    git.environment["GIT_TRACE2_EVENT"] = str(trace)
    git.run("hash-object", "-w", "--stdin", stdin=b"news")
    git.run("update-ref", "refs/x", git.text("rev-parse", "HEAD"))
    events = [json.loads(line) for line in trace.read_text().splitlines()]
    flushed = [each["value"] for each in events if each.get("key") == "fsync/hardware-flush"]
    assert flushed == ["1", "1"]


def test_an_error_names_the_command_and_what_git_said(place: Place) -> None:
    with pytest.raises(GitError, match="git rev-parse: fatal: Needed a single revision") as caught:
        isolated(place.root).run("rev-parse", "--verify", "nothing")
    assert (caught.value.code, caught.value.said) == (128, "fatal: Needed a single revision")
    assert not isolated(place.root).succeeds("rev-parse", "--verify", "nothing")


def test_without_git_it_is_said_in_our_words(place: Place) -> None:
    with pytest.raises(EnvironmentFailure, match="git is not installed"):
        as_user(place.root, {"PATH": str(place.folder)}).run("status")


def test_the_package_can_be_imported_without_git(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", "import agentflow.workspace.repository"],
        env={"PATH": str(tmp_path)},
        check=True,
    )


def test_the_environment_never_stands_on_a_command_line(place: Place) -> None:
    """A command line can be read by every user of the machine; an environment cannot."""
    recorder = place.folder / "bin/env"
    recorder.parent.mkdir()
    recorder.write_text('#!/bin/sh\necho "$@" > "$RECORD"\nexec /usr/bin/env "$@"\n')
    recorder.chmod(0o755)
    record = place.folder / "record"
    environment = {
        "PATH": f"{recorder.parent}:{os.environ['PATH']}",
        "RECORD": str(record),
        "SECRET": "hunter2",
    }

    assert as_user(place.root, environment).text("rev-parse", "--is-bare-repository") == "false"
    assert "rev-parse" in record.read_text()
    assert "hunter2" not in record.read_text()


def test_hooks_and_monitors_never_run(place: Place) -> None:
    canary = place.folder / "canary"
    place.user(
        f"""
        for hook in reference-transaction post-index-change post-checkout pre-commit; do
          printf '#!/bin/sh\\ntouch {canary}\\n' > .git/hooks/$hook; chmod +x .git/hooks/$hook
        done
        git config core.fsmonitor 'touch {canary}; false'
        """
    )
    git = place.repository().git

    git.run("update-ref", "refs/heads/other", "HEAD")
    git.run("status")
    git.run("read-tree", "HEAD")
    assert not canary.exists()

    place.user("git update-ref refs/heads/third HEAD")
    assert canary.exists(), "the hook works when git is run without our options"


def test_paths_are_never_patterns(place: Place) -> None:
    git = place.repository().git

    assert git.text("ls-files", "--", "app/*") == ""
    assert git.text("ls-files", "--", "app") == "app/main.py"


def test_input_may_be_empty(place: Place) -> None:
    git = isolated(place.root)

    assert git.run("cat-file", "--batch-check", stdin=b"") == b""
