"""The walk beneath the work tree."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentflow.errors import EnvironmentFailure, UsageError
from agentflow.sandbox.mountpoints import open_beneath, open_tree


@pytest.fixture
def opened(tree: Path) -> Iterator[int]:
    descriptor = open_tree(tree)
    yield descriptor
    os.close(descriptor)


def _real(descriptor: int) -> str:
    try:
        return str(Path(f"/proc/self/fd/{descriptor}").readlink())
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("path", ["apps/api", "./apps//api/", "apps/web/file", ".", ".git"])
def test_existing_paths_are_opened(tree: Path, opened: int, path: str) -> None:
    assert _real(open_beneath(opened, path)) == os.path.normpath(tree / path)


def test_missing_directories_are_made_only_on_demand(tree: Path, opened: int) -> None:
    with pytest.raises(FileNotFoundError):
        open_beneath(opened, "new/deep")
    assert not (tree / "new").exists()
    assert _real(open_beneath(opened, "new/deep", create=True)) == str(tree / "new/deep")
    assert (tree / "new/deep").is_dir()


@pytest.mark.parametrize("path", ["", "/etc", "..", "apps/../../x", "../x", "a\0b"])
def test_paths_that_leave_the_tree_are_refused(opened: int, path: str) -> None:
    with pytest.raises(UsageError, match="does not name a path inside the repository"):
        open_beneath(opened, path, create=True)


@pytest.mark.parametrize(
    ("link", "target", "path"),
    [
        ("apps/evil", "web", "apps/evil"),  # SL-04: a boundary that is a link
        ("src", "/oldroot/tmp/outside", "src/new"),  # SL-05: a mount point made outside
        ("src", "apps", "src/api"),
        ("dangling", "nowhere", "dangling"),
        ("loop", "loop", "loop/x"),
    ],
)
@pytest.mark.parametrize("create", [False, True])
def test_links_are_refused(
    tree: Path, opened: int, link: str, target: str, path: str, create: bool
) -> None:
    (tree / link).symlink_to(target)
    before = sorted(tree.rglob("*"))
    with pytest.raises(UsageError, match=f"'{link}' in the repository is a symbolic link"):
        open_beneath(opened, path, create=create)
    assert sorted(tree.rglob("*")) == before


def test_a_file_is_no_writable_directory(opened: int) -> None:
    with pytest.raises(UsageError, match="only directories are writable"):
        open_beneath(opened, "apps/web/file", create=True)
    with pytest.raises(UsageError, match="'apps/web/file' in the repository is a file"):
        open_beneath(opened, "apps/web/file/x", create=True)


def test_no_descriptor_is_lost(tree: Path, opened: int) -> None:
    (tree / "link").symlink_to("apps")
    before = len(list(Path("/proc/self/fd").iterdir()))
    os.close(open_beneath(opened, "apps/api/vendor"))
    for path in ("link/x", "apps/web/file/x", "..", "apps/web/file"):
        with pytest.raises(UsageError):
            open_beneath(opened, path, create=True)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_missing_tree_is_named(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailure, match="gone cannot be opened: No such file"):
        open_tree(tmp_path / "gone")
