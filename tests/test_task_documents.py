"""Finding and writing the tasks.md of a workspace."""

from pathlib import Path

import pytest

from agentflow.errors import Conflict, UsageError
from agentflow.runs import task_lock
from agentflow.task_documents import (
    all_documents,
    find_document,
    given_documents,
    looks_in,
    write_change,
)
from agentflow.tasks.tasks_edit import Change
from agentflow.tasks.tasks_md import read_tasks_md

ROOTS = ("task-tracking", ".claude/specs")
TEXT = "# T\r\n\r\n## Batch 1: x - PENDING\r\n\r\n## Batch 2: y - PENDING\r\n"


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "task-tracking/TASK_1/tasks.md"
    path.parent.mkdir(parents=True)
    path.write_bytes(TEXT.encode())
    return path


def write(path: Path, seen: str | None = None, batch: str = "1") -> bool:
    before = path.read_bytes()
    if seen is not None:
        path.write_bytes(seen.encode())
    read = read_tasks_md(path)
    path.write_bytes(before)
    return write_change(path, read, Change(batch, "COMPLETE"), path.parents[2] / "locks")


def test_only_the_status_is_written_and_the_mode_stays(document: Path) -> None:
    document.chmod(0o600)

    assert write(document)

    assert document.read_bytes() == TEXT.replace("x - PENDING", "x - COMPLETE").encode()
    assert document.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in document.parent.iterdir()] == ["tasks.md"]
    assert not write(document)


def test_what_others_changed_elsewhere_stays(document: Path) -> None:
    assert write(document, seen=TEXT.replace("# T", "# Before").replace("y - PENDING", "y"))

    assert document.read_bytes() == TEXT.replace("x - PENDING", "x - COMPLETE").encode()


@pytest.mark.parametrize(
    "seen", ["## Batch 1: x - IMPLEMENTED\n", "## Batch 1: z - PENDING\n", "# T\n"]
)
def test_a_change_of_the_same_words_is_a_conflict(document: Path, seen: str) -> None:
    with pytest.raises(Conflict, match="changed by somebody else"):
        write(document, seen=seen)

    assert document.read_bytes() == TEXT.encode()


def test_two_writers_do_not_meet(document: Path, tmp_path: Path) -> None:
    write(document)
    (lock,) = (tmp_path / "locks").iterdir()

    with task_lock(lock.parent, lock.stem), pytest.raises(Conflict, match="another process"):
        write(document, batch="2")


def test_a_link_is_written_where_it_leads(document: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.md"
    link.symlink_to(document)

    assert write_change(link, read_tasks_md(link), Change("1", "FAILED"), tmp_path / "locks")
    assert link.is_symlink()
    assert b"x - FAILED" in document.read_bytes()


def test_documents_are_found_by_task_folder_and_path(document: Path, tmp_path: Path) -> None:
    other = tmp_path / ".claude/specs/TASK_1/tasks.md"
    other.parent.mkdir(parents=True)
    other.write_text("")

    assert find_document("TASK_1", tmp_path, ROOTS) == document
    assert find_document(str(document.parent), tmp_path, ROOTS) == document
    assert find_document(str(other), tmp_path, ROOTS) == other
    assert all_documents(tmp_path, ROOTS) == [document, other]
    assert given_documents([document.parents[1], other]) == [document, other]


def test_what_is_not_found_names_the_nearest(document: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'TASK_1'"):
        find_document("TASK_2", tmp_path, ROOTS)
    with pytest.raises(UsageError, match="no document"):
        find_document("a/tasks.md", tmp_path, ROOTS)
    with pytest.raises(UsageError, match="no file or folder"):
        given_documents([tmp_path / "nowhere"])


def test_a_link_does_not_lead_out(tmp_path: Path) -> None:
    outside = tmp_path / "outside/TASK_1"
    outside.mkdir(parents=True)
    (outside / "tasks.md").write_text("")
    root = tmp_path / "root"
    root.mkdir()
    (root / "task-tracking").symlink_to(outside.parent)
    exists = looks_in(root)

    with pytest.raises(UsageError, match="leads out"):
        find_document("TASK_1", root, ROOTS)
    assert not exists("task-tracking/TASK_1/tasks.md")
    assert not exists("a\0b")


def test_a_path_of_the_workspace_does_not_lead_out_by_a_link_either(tmp_path: Path) -> None:
    outside = tmp_path / "outside/tasks.md"
    outside.parent.mkdir()
    outside.write_text("## Batch 1: x - PENDING\n")
    folder = tmp_path / "repository/task-tracking/T1"
    folder.mkdir(parents=True)
    (folder / "tasks.md").symlink_to(outside)
    for name in (folder, folder / "tasks.md"):
        with pytest.raises(UsageError, match="leads out of the workspace by a link"):
            find_document(str(name), tmp_path / "repository", ["task-tracking"])
    assert find_document(str(outside), tmp_path / "repository", []) == outside
