"""`agentflow demo` as somebody meets it who gives it a folder of their own."""

import json
import os
import subprocess
from pathlib import Path

from tests.forks.programs import agentflow
from tests.init.conftest import make_repository


def demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The demo, started in `folder`."""
    return subprocess.run(
        agentflow("demo", *arguments),
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    make_repository(tmp_path / "my shop", {"a.txt": "mine\n"})
    (tmp_path / "here").mkdir()
    before = sorted(path for path in tmp_path.rglob("*"))

    ended = demo(tmp_path / "here", "--directory", "../my shop", "--output-format", "json")

    told = json.loads(ended.stdout)
    assert (ended.returncode, told["outcome"]) == (2, "usage")
    assert told["reason"] == f"the folder {tmp_path / 'my shop'} is not empty"
    assert "--directory" in told["hint"]
    assert "rm -rf" not in ended.stderr
    assert sorted(path for path in tmp_path.rglob("*")) == before


def test_a_file_is_no_folder_for_the_demo(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    ended = demo(tmp_path, "--directory", "taken")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("error: no example can be made in taken: File exists\n")


def test_the_folder_is_told_as_it_is_and_taken_once(tmp_path: Path, bwrap: str) -> None:
    (tmp_path / "here").mkdir()
    first = demo(tmp_path / "here", "--directory", "../my tour")
    place = tmp_path / "my tour"
    assert first.returncode == 0, first.stderr
    assert f"\n  rm -rf '{place}'\n" in first.stderr
    assert ".." not in first.stderr

    again = demo(tmp_path / "here", "--directory", "../my tour")
    assert again.returncode == 2
    assert again.stderr.startswith(f"error: the folder {place} is not empty\n")
