"""The source distribution holds what its own tests and the action need."""

import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_source_distribution_is_whole(tmp_path: Path) -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    built = subprocess.run(
        [Path(sys.executable).with_name("hatchling"), "build", "-t", "sdist", "-d", tmp_path],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    (file,) = tmp_path.iterdir()
    with tarfile.open(file) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    missing = {path for path in tracked if path not in held and not path.startswith(".")}
    assert len(tracked) > 500
    assert missing == set()
