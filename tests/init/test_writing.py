"""What `init` writes, and what it leaves alone."""

from pathlib import Path

import pytest

from agentflow.errors import EnvironmentFailure
from agentflow.init.proposal import GateProposal, Proposal
from agentflow.init.rendering import render
from agentflow.init.writing import IGNORE, Written, write
from agentflow.records import Boundaries
from agentflow.settings import CONFIG
from agentflow.tasks.task import read_task

EXAMPLE = ".orchestrator/tasks/EXAMPLE-001.md"
PROPOSAL = Proposal(
    (GateProposal("test", "test", "make test", "Makefile has a target `test`"),),
    sources=("src", "tests"),
)


def test_three_files_are_written_and_the_task_can_be_read(tmp_path: Path) -> None:
    assert write(tmp_path, PROPOSAL) == tuple(
        Written(path, new=True) for path in (CONFIG, EXAMPLE, IGNORE)
    )
    assert (tmp_path / CONFIG).read_text() == render(PROPOSAL)
    task, warnings = read_task(tmp_path / EXAMPLE)
    assert (task.boundaries, task.max_cost, warnings) == (
        Boundaries(("src/**", "tests/**")), 2.0, (),
    )  # fmt: skip
    assert "must pass: test." in task.text
    assert (tmp_path / IGNORE).read_text().splitlines()[1:] == ["/complete/", "/reports/", "/runs/"]


def test_without_known_folders_the_task_can_be_read_too(tmp_path: Path) -> None:
    write(tmp_path, Proposal())
    task, warnings = read_task(tmp_path / EXAMPLE)
    assert (task.boundaries, warnings) == (Boundaries(), ())


@pytest.mark.parametrize("path", [CONFIG, EXAMPLE, IGNORE])
def test_what_is_there_stays(tmp_path: Path, path: str) -> None:
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text("mine")
    written = write(tmp_path, PROPOSAL)
    assert [each.path for each in written if not each.new] == [path]
    assert (tmp_path / path).read_text() == "mine"
    assert not any(each.new for each in write(tmp_path, PROPOSAL))


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    root.mkdir()
    elsewhere.mkdir()
    (root / ".orchestrator").symlink_to(elsewhere)
    with pytest.raises(EnvironmentFailure, match=r"leads to .*elsewhere"):
        write(root, PROPOSAL)
    (root / ".orchestrator").unlink()
    (root / ".orchestrator").mkdir()
    (root / CONFIG).symlink_to(elsewhere / "config.toml")
    assert not write(root, PROPOSAL)[0].new
    assert list(elsewhere.iterdir()) == []


def test_what_is_no_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / ".orchestrator").write_text("")
    with pytest.raises(EnvironmentFailure, match=r"cannot write .*config.toml"):
        write(tmp_path, PROPOSAL)
