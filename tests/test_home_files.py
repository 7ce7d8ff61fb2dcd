"""Files of the home folder: which ones reach setup."""

from pathlib import Path

import pytest

from agentflow.errors import UsageError
from agentflow.home_files import home_files


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("/etc/passwd", "is not within your home folder"),
        ("../outside", "is not within your home folder"),
        ("a/../../outside", "is not within your home folder"),
        ("leaving", "is not within your home folder"),
        ("", "is not within your home folder"),
        (".", "is not within your home folder"),
        ("folder", "is a directory"),
    ],
)
def test_only_files_of_the_home_folder_reach_setup(tmp_path: Path, name: str, message: str) -> None:
    home = tmp_path / "home"
    (home / "folder").mkdir(parents=True)
    (home / "a").mkdir()
    (tmp_path / "outside").write_text("x")
    (home / "leaving").symlink_to(tmp_path / "outside")

    with pytest.raises(UsageError, match=message):
        home_files(home, [name])


def test_a_link_within_the_home_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    (tmp_path / "dotfiles/npmrc").write_text("x")
    (tmp_path / ".npmrc").symlink_to("dotfiles/npmrc")

    assert home_files(tmp_path, [".npmrc", ".none"]) == {".npmrc": tmp_path / "dotfiles/npmrc"}
