"""What the script of a checkpoint says of an agent's repository, against git's own word."""

from pathlib import Path

import pytest

from agentflow.workspace.checkpoint import SCRIPT, make_place, script_variables
from agentflow.workspace.export import read_tips
from tests.workspace.place import Work


def tips(work: Work, folder: Path, last: str = "") -> tuple[str, str]:
    """What the script names; raises `AssertionError` if it fails."""
    variables = script_variables(work.clone, folder, mounted=False)
    tree = work.repository.git.text("rev-parse", f"{work.base}^{{tree}}")
    work.agent(
        SCRIPT,
        **variables,
        AGENTFLOW_TREE=str(work.clone.tree),
        AGENTFLOW_LAST=last or f"{work.base} {tree}",
    )
    return read_tips(folder)


@pytest.fixture
def folder(work: Work, tmp_path: Path) -> Path:
    made = tmp_path / "checkpoint"
    make_place(work.clone, made)
    return made


@pytest.mark.parametrize(
    "script",
    [
        "true",
        "git commit -q --allow-empty -m x",
        "git switch -qc other && git commit -q --allow-empty -m x",
        "git checkout -q --detach",
        "git commit -q --allow-empty -m x && git pack-refs --all",
        "git symbolic-ref refs/heads/also $(git symbolic-ref HEAD) && git symbolic-ref HEAD refs/heads/also",
        "printf %s $(git rev-parse HEAD) > $(git rev-parse --git-dir)/HEAD",  # no line's end
    ],
)
def test_head_is_what_git_says(work: Work, folder: Path, script: str) -> None:
    work.agent(f"{script}\necho x > app/x")
    head = work.agent("git rev-parse HEAD")
    found, tree = tips(work, folder)
    assert found == head
    assert work.agent("git add -A && git write-tree") == tree


@pytest.mark.parametrize(
    "script",
    [
        "git switch -q --orphan none",
        "echo deadbeef > $(git rev-parse --git-dir)/HEAD",
        "rm $(git rev-parse --git-dir)/HEAD",
        "echo 'ref: refs/../../x' > $(git rev-parse --git-dir)/HEAD",
    ],
)
def test_a_head_that_names_no_commit_is_no_checkpoint(
    work: Work, folder: Path, script: str
) -> None:
    work.agent(script)
    with pytest.raises(AssertionError, match="fatal: "):
        tips(work, folder)


@pytest.mark.parametrize("left", ["touch", "ln -s /nowhere"])
def test_a_lock_that_a_dead_git_left_is_no_hindrance(work: Work, folder: Path, left: str) -> None:
    work.agent(f"{left} {folder}/git/index.lock; echo x > app/x")
    assert tips(work, folder)[1] == work.agent("git add -A && git write-tree")


def test_nothing_is_packed_of_what_is_kept_already(work: Work, folder: Path) -> None:
    work.agent("echo x > app/x")
    last = " ".join(tips(work, folder))
    assert (folder / "pack").is_file()
    assert " ".join(tips(work, folder, last)) == last
    assert not (folder / "pack").exists()
