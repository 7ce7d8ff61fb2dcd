"""Refs that are moved without a git, as git reads and locks them."""

from pathlib import Path

import pytest

from agentflow.errors import EnvironmentFailure
from agentflow.workspace.clone import make_repository
from agentflow.workspace.git import Git, GitError
from agentflow.workspace.refs import RefMoved, move_ref
from tests.workspace.place import Place, shell

REF = "refs/agentflow/runs/TASK-1"


@pytest.fixture
def state(place: Place) -> Git:
    """A repository of ours that borrows the user's objects."""
    repository = place.repository()
    return make_repository(place.folder / "mine.git", repository, repository.object_stores)


@pytest.fixture
def two(place: Place) -> tuple[str, str]:
    """Two commits."""
    repository = place.repository()
    return repository.resolve("HEAD~1"), repository.resolve("HEAD")


def test_git_reads_what_was_moved(state: Git, two: tuple[str, str]) -> None:
    old, new = two
    move_ref(state.directory, REF, old, "")
    assert state.text("rev-parse", REF) == old
    move_ref(state.directory, REF, new, old)
    move_ref(state.directory, "refs/agentflow/candidate", old)

    shown = state.text("for-each-ref", "--format=%(refname) %(objectname)")
    assert shown == f"refs/agentflow/candidate {old}\n{REF} {new}"
    assert not list(state.directory.rglob("*.lock"))


@pytest.mark.parametrize("expected", ["", "new"])
def test_what_is_elsewhere_is_not_moved(state: Git, two: tuple[str, str], expected: str) -> None:
    old, new = two
    move_ref(state.directory, REF, old)

    with pytest.raises(RefMoved, match=f"{REF} is at {old[:12]}, and not at "):
        move_ref(state.directory, REF, new, expected and new)
    with pytest.raises(RefMoved, match="is at nothing, and not at"):
        move_ref(state.directory, "refs/agentflow/runs/other", new, old)

    assert state.text("rev-parse", REF) == old
    assert not list(state.directory.rglob("*.lock"))


def test_a_lock_of_git_is_respected_and_ours_by_git(state: Git, two: tuple[str, str]) -> None:
    old, new = two
    move_ref(state.directory, REF, old)
    lock = state.directory / f"{REF}.lock"
    lock.touch()

    with pytest.raises(RefMoved, match="is being moved by another process"):
        move_ref(state.directory, REF, new, old)
    with pytest.raises(GitError, match="Unable to create"):
        state.run("update-ref", REF, new)

    assert lock.exists(), "whose it is removes it"
    assert state.text("rev-parse", REF) == old


def test_a_folder_that_takes_nothing_is_told(state: Git, two: tuple[str, str]) -> None:
    (state.directory / "refs/agentflow").write_text("in the way")
    with pytest.raises(EnvironmentFailure, match="cannot make "):
        move_ref(state.directory, REF, two[0])


@pytest.mark.parametrize("form", ["sha1", "sha256"])
def test_a_repository_is_as_git_makes_one(tmp_path: Path, form: str) -> None:
    from agentflow.workspace.repository import open_repository

    root = tmp_path / "user"
    shell(
        tmp_path,
        f"git init -q --object-format={form} user; git -C user commit -q --allow-empty -m x",
    )
    repository = open_repository(root, {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)})
    git = make_repository(tmp_path / "ours", repository, repository.object_stores)
    shell(tmp_path, f"git init -q --bare --template= -b main --object-format={form} theirs")

    def listed(folder: Path) -> dict[str, str]:
        return {
            str(path.relative_to(folder)): path.read_text() if path.is_file() else "/"
            for path in folder.rglob("*")
            if path.name != "alternates"
        }

    assert listed(tmp_path / "ours") == listed(tmp_path / "theirs")
    assert git.text("rev-parse", "--show-object-format") == form
    assert git.succeeds("cat-file", "-e", repository.resolve("HEAD"))


@pytest.mark.parametrize("name", ["a..b", "a b", "x.lock", "a.lock/b", "a/", "a~1", "é^", "a\nb"])
def test_what_is_no_branch_is_refused(place: Place, name: str) -> None:
    repository = place.repository()
    with pytest.raises(GitError, match="check-ref-format"):
        make_repository(place.folder / "mine.git", repository, (), name)


@pytest.mark.parametrize(
    "name", ["agentflow/TASK-1", "v1.2", "a-b_c", "höhe", "a@b", "x.locked", "-/a"]
)
def test_branches_of_all_kinds_are_taken(place: Place, name: str) -> None:
    repository = place.repository()
    git = make_repository(place.folder / "mine.git", repository, (), name)
    assert git.text("symbolic-ref", "HEAD") == f"refs/heads/{name}"
