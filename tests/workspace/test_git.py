"""How git is run: environment, input, errors."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agentflow.errors import EnvironmentFailure
from agentflow.workspace.git import Git, GitError, as_user, by_gitpython, isolated
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


def plain(git: Git) -> Git:
    return git


each_way = pytest.mark.parametrize("way", [plain, by_gitpython])
"""A subprocess, and GitPython."""


@each_way
def test_without_git_it_is_said_in_our_words(way: Callable[[Git], Git], place: Place) -> None:
    with pytest.raises(EnvironmentFailure, match="git is not installed"):
        way(as_user(place.root, {"PATH": str(place.folder)})).run("status")


@each_way
def test_in_a_folder_that_is_gone_no_git_runs(way: Callable[[Git], Git], place: Place) -> None:
    with pytest.raises(GitError, match="cannot change to"):
        way(as_user(place.folder / "gone", dict(os.environ))).run("status")


@each_way
def test_nothing_of_our_own_environment_reaches_git(
    way: Callable[[Git], Git], place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Called by a hook, we have its GIT_DIR."""
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    git = way(as_user(place.root, dict(os.environ)))

    assert git.text("rev-parse", "--show-toplevel") == str(place.root)


@each_way
def test_input_and_output_are_bytes(way: Callable[[Git], Git], place: Place) -> None:
    git = way(as_user(place.root, dict(os.environ)))
    name = git.text("hash-object", "-w", "--stdin", stdin=b"\xff\n\n")

    assert git.run("cat-file", "blob", name) == b"\xff\n\n"


def test_git_python_is_not_waited_for_before_a_branch_moves(place: Place) -> None:
    code = (
        "import os, pathlib, sys; from agentflow.workspace.git import as_user\n"
        f"as_user(pathlib.Path({str(place.root)!r}), os.environ).text('rev-parse', 'HEAD')\n"
        "sys.exit('git' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


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

    git = by_gitpython(as_user(place.root, environment))
    assert git.text("rev-parse", "--is-bare-repository") == "false"
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
