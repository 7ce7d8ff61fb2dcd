"""What brings a run to other machines: real git, a bare state remote beside it."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from agentflow.errors import Conflict, EnvironmentFailure, Fenced
from agentflow.redaction import redactor
from agentflow.workspace.checkpoint import Checkpoint, ref_of, write_checkpoint
from agentflow.workspace.git import Git, isolated
from agentflow.workspace.relay import Relay
from tests.run.project import Project, make_project

RUN = "TASK-1-20261128T100000-abcd"
REDACT = redactor(["s3cret-value"])


class Machine:
    """A repository of ours on one of several machines that share a state remote."""

    def __init__(self, folder: Path, project: Project, name: str, **more: object) -> None:
        self.state = isolated(folder / name)
        self.state.directory.mkdir()
        self.state.run("init", "--quiet", "--bare")
        self.state.run("fetch", "--quiet", str(project.root), "HEAD")
        self.base = project.git("rev-parse", "HEAD")
        self.tree = self.state.text("rev-parse", f"{self.base}^{{tree}}")
        self.last = Checkpoint("", 0, 0, 0, self.base, self.tree)
        self.relay = Relay(
            state_remote=str(folder / "state-remote"),
            origin=str(folder / "origin"),
            mirror=project.root / ".git",
            environment={"PATH": os.environ["PATH"], "HOME": str(folder)},
            owner=name,
            patience=0.0,
            sleep=lambda _: None,
        )

    def keep(self, journal: bytes, tree: str = "") -> str:
        """Make a checkpoint and push it; return its name."""
        size = self.last.size + len(journal)
        made = replace(self.last, size=size, journal=journal, tree=tree or self.tree)
        self.last = write_checkpoint(self.state, RUN, self.last, made, 1_700_000_000)
        self.relay.keep(self.state, RUN, self.last.commit, self.base, REDACT)
        return self.last.commit

    def tree_with(self, path: str, content: str) -> str:
        """The base's files and one more."""
        blob = self.state.text("hash-object", "-w", "--stdin", stdin=content.encode())
        listing = self.state.text("ls-tree", self.tree) + f"\n100644 blob {blob}\t{path}\n"
        return self.state.text("mktree", stdin=listing.encode())


def bare(folder: Path) -> Git:
    folder.mkdir()
    git = isolated(folder)
    git.run("init", "--quiet", "--bare")
    return git


@pytest.fixture
def machine(tmp_path: Path) -> Callable[[str], Machine]:
    project = make_project(tmp_path)
    bare(tmp_path / "state-remote")
    bare(tmp_path / "origin")
    return lambda name: Machine(tmp_path, project, name)


def tip(machine: Machine) -> str:
    return isolated(Path(machine.relay.state_remote)).text("rev-parse", ref_of(RUN))


def test_another_machine_gets_what_was_kept(machine: Callable[[str], Machine]) -> None:
    one, two = machine("one"), machine("two")
    assert two.relay.fetch(two.state, RUN) is None
    kept = one.keep(b"1\n", one.tree_with("new.txt", "new\n"))
    assert two.relay.fetch(two.state, RUN) == kept
    assert two.state.text("show", f"{ref_of(RUN)}:new.txt") == "new"


def test_who_is_behind_is_fenced_and_changes_nothing(machine: Callable[[str], Machine]) -> None:
    one, two = machine("one"), machine("two")
    one.keep(b"1\n")
    two.relay.fetch(two.state, RUN)
    two.last = one.last
    taken = two.keep(b"two went on\n")
    with pytest.raises(Fenced):
        one.keep(b"one woke up\n")
    assert tip(two) == taken


def test_of_two_that_begin_at_once_one_is_fenced(machine: Callable[[str], Machine]) -> None:
    one, two = machine("one"), machine("two")
    first = one.keep(b"one\n")
    with pytest.raises(Fenced):
        two.keep(b"two\n")
    assert tip(one) == first


@pytest.mark.parametrize("name", ["a\x0cb", "a\x1cb", "a\x85b", "a\u2028b"])
def test_a_file_of_any_name_is_looked_into(machine: Callable[[str], Machine], name: str) -> None:
    one = machine("one")
    one.keep(b"1\n", one.tree_with(name, "harmless\n"))
    with pytest.raises(EnvironmentFailure, match="holds a secret"):
        one.keep(b"2\n", one.tree_with(name, "key = s3cret-value\n"))


@pytest.mark.parametrize("secret", ["s3cret-value", "ghp_" + "a1B2c3D4e5" * 3 + "a1B2c3"])
def test_a_file_with_a_secret_is_not_pushed(machine: Callable[[str], Machine], secret: str) -> None:
    one = machine("one")
    kept = one.keep(b"1\n")
    with pytest.raises(EnvironmentFailure, match="txt holds a secret"):
        one.keep(b"2\n", one.tree_with("notes.txt", f"key = {secret}\n"))
    with pytest.raises(EnvironmentFailure, match="txt holds a secret"):
        one.keep(b"3\n")
    assert tip(one) == kept


def test_a_remote_that_is_away_is_tried_again_and_then_named(
    machine: Callable[[str], Machine], tmp_path: Path
) -> None:
    one = machine("one")
    one.keep(b"1\n")
    away = tmp_path / "away"
    remote = Path(one.relay.state_remote)
    remote.rename(away)
    with pytest.raises(EnvironmentFailure, match="the state remote does not take"):
        one.keep(b"2\n")
    tries: list[float] = []

    def sleep(seconds: float) -> None:
        tries.append(seconds)
        if len(tries) == 2:
            shutil.copytree(away, remote)

    one.relay = replace(one.relay, sleep=sleep, patience=60.0)
    kept = one.keep(b"3\n")
    assert len(tries) == 2
    assert tip(one) == kept


def test_a_result_lands_once_and_never_over_others(
    machine: Callable[[str], Machine], tmp_path: Path
) -> None:
    one = machine("one")
    origin = isolated(tmp_path / "origin")
    for _ in range(2):
        one.relay.publish("refs/heads/agentflow/TASK-1", one.base)
    assert origin.text("rev-parse", "refs/heads/agentflow/TASK-1") == one.base
    other = origin.text(
        "-c",
        "user.name=A",
        "-c",
        "user.email=a@b",
        "commit-tree",
        "-m",
        "x",
        f"{one.base}^{{tree}}",
    )
    origin.run("update-ref", "refs/heads/agentflow/TASK-1", other)
    with pytest.raises(Conflict, match="agentflow/TASK-1"):
        one.relay.publish("refs/heads/agentflow/TASK-1", one.base)
    assert origin.text("rev-parse", "refs/heads/agentflow/TASK-1") == other
    one.relay.refresh("agentflow/TASK-1")
    assert one.relay.mirror.is_dir()
    mirrored = isolated(one.relay.mirror).text("rev-parse", "refs/heads/agentflow/TASK-1")
    assert mirrored == other
