"""Markers: one at a time, whole or not at all, and never outside the work tree."""

from pathlib import Path

import pytest

from agentflow.disk import write_atomically
from agentflow.errors import EnvironmentFailure
from agentflow.markers import (
    FOLDER,
    KINDS,
    Kind,
    marker_path,
    own_folder,
    read_marker,
    remove_markers,
    write_marker,
)


def listing(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_marker_holds_its_kind_and_replaces_the_others(tmp_path: Path, kind: Kind) -> None:
    assert read_marker(tmp_path, "TASK-1") is None
    for other in KINDS:
        marker_path(tmp_path, "TASK-1", other).parent.mkdir(parents=True, exist_ok=True)
        marker_path(tmp_path, "TASK-1", other).write_text("old")
    assert write_marker(tmp_path, "TASK-1", kind) == tmp_path / FOLDER / f"TASK-1.{kind}"
    assert listing(tmp_path / FOLDER) == {".gitignore": "*\n", f"TASK-1.{kind}": kind}
    assert read_marker(tmp_path, "TASK-1") == kind
    assert marker_path(tmp_path, "TASK-1", kind).stat().st_mode & 0o777 == 0o644


def test_removing_takes_all_of_one_task_only(tmp_path: Path) -> None:
    write_marker(tmp_path, "TASK-1", "done")
    write_marker(tmp_path, "TASK-10", "failed")
    remove_markers(tmp_path, "TASK-1")
    remove_markers(tmp_path, "TASK-1")
    assert listing(tmp_path / FOLDER) == {".gitignore": "*\n", "TASK-10.failed": "failed"}


def linked(root: Path, link: str, target: Path) -> None:
    path = root / link
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


@pytest.mark.parametrize("link", [".orchestrator", FOLDER])
@pytest.mark.parametrize("exists", [True, False])
def test_a_link_that_leads_elsewhere_is_refused_and_nothing_is_touched(
    tmp_path: Path, link: str, exists: bool
) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    linked(root, link, outside)
    if exists:
        for folder in (outside, outside / "complete"):
            folder.mkdir()
            (folder / "TASK-1.failed").write_text("theirs")
    before = sorted(tmp_path.rglob("*"))
    for use in (
        lambda: write_marker(root, "TASK-1", "done"),
        lambda: remove_markers(root, "TASK-1"),
    ):
        with pytest.raises(EnvironmentFailure) as caught:
            use()
        assert caught.value.message.startswith(f"{root / FOLDER} leads to {outside}")
        assert "Remove the link" in caught.value.hint
    assert sorted(tmp_path.rglob("*")) == before


def test_a_circle_of_links_is_refused(tmp_path: Path) -> None:
    linked(tmp_path, FOLDER, tmp_path / FOLDER)
    with pytest.raises(EnvironmentFailure, match=FOLDER):
        write_marker(tmp_path, "TASK-1", "done")


def test_an_ignore_file_that_is_a_link_is_not_written_through(tmp_path: Path) -> None:
    linked(tmp_path / "root", f"{FOLDER}/.gitignore", tmp_path / "outside")
    write_marker(tmp_path / "root", "TASK-1", "done")
    assert not (tmp_path / "outside").exists()


def test_a_marker_that_is_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("theirs")
    linked(tmp_path / "root", f"{FOLDER}/TASK-1.done", tmp_path / "outside")
    write_marker(tmp_path / "root", "TASK-1", "done")
    assert (tmp_path / "outside").read_text() == "theirs"
    assert marker_path(tmp_path / "root", "TASK-1", "done").read_text() == "done"


def test_a_root_that_is_reached_by_a_link_is_fine(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    write_marker(tmp_path / "link", "TASK-1", "done")
    assert read_marker(tmp_path / "real", "TASK-1") == "done"


def test_a_file_where_the_folder_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / ".orchestrator").write_text("")
    for use in (
        lambda: write_marker(tmp_path, "TASK-1", "done"),
        lambda: remove_markers(tmp_path, "TASK-1"),
    ):
        with pytest.raises(EnvironmentFailure, match=rf"^cannot use {tmp_path / FOLDER}: "):
            use()


def test_a_folder_where_a_marker_should_be_is_named(tmp_path: Path) -> None:
    path = marker_path(tmp_path, "TASK-1", "done")
    path.mkdir(parents=True)
    with pytest.raises(EnvironmentFailure, match=rf"^cannot remove {path}: "):
        remove_markers(tmp_path, "TASK-1")
    with pytest.raises(EnvironmentFailure, match=rf"^cannot write {path}: "):
        write_marker(tmp_path, "TASK-1", "done")
    assert sorted(p.name for p in path.parent.iterdir()) == [".gitignore", "TASK-1.done"]


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    write_atomically(target, "old \udcff")
    assert target.read_text() == "old \\udcff"
    with pytest.raises(EnvironmentFailure, match=r"^cannot write .*/none/report\.json: "):
        write_atomically(tmp_path / "none" / "report.json", "new")
    assert list(tmp_path.iterdir()) == [target]


def test_the_user_s_own_ignore_file_stays(tmp_path: Path) -> None:
    (tmp_path / ".orchestrator/runs").mkdir(parents=True)
    (tmp_path / ".orchestrator/runs/.gitignore").write_text("mine\n")
    folder = own_folder(tmp_path, ".orchestrator/runs")
    assert listing(folder) == {".gitignore": "mine\n"}


def test_what_was_left_by_a_killed_writer_goes_with_the_next_write(tmp_path: Path) -> None:
    folder = own_folder(tmp_path, FOLDER)
    for name in (
        ".TASK-1.done.x1y2z3w4.agentflow",
        ".TASK-10.done.x1y2z3w4.agentflow",
        ".TASK-1.done.swp",
    ):
        (folder / name).touch()
    write_atomically(folder / "TASK-1.done", "x")
    assert len(listing(folder)) == 5, "somebody else may be writing"
    write_marker(tmp_path, "TASK-1", "done")
    assert set(listing(folder)) == {
        ".gitignore",
        "TASK-1.done",
        ".TASK-1.done.swp",
        ".TASK-10.done.x1y2z3w4.agentflow",
    }
