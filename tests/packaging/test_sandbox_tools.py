"""`scripts/sandbox-tools` on systems that lack something, played by programs of their names."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "sandbox-tools"
ROOT, USER = "echo 0", "echo 1000"


def run(folder: Path, *wanted: str, **programs: str) -> subprocess.CompletedProcess[str]:
    """The script where PATH holds nothing but these programs, each a line of shell."""
    system(folder, programs)
    return subprocess.run(
        ["/bin/sh", SCRIPT, *wanted],
        env={"PATH": str(folder), "FOLDER": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def system(folder: Path, programs: Mapping[str, str]) -> None:
    for name, line in programs.items():
        program = folder / name.replace("_", "-")
        program.write_text(f"#!/bin/sh\n{line}\n")
        program.chmod(0o755)


def test_what_is_there_needs_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, "bwrap", id=USER, bwrap="true")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_user_is_told_the_one_line(tmp_path: Path) -> None:
    done = run(tmp_path, "bwrap", "rg", id=USER, rg="true", apt_get="exit 99")
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr == "missing: bwrap. Install with:\n  sudo apt-get install bubblewrap\n"


def test_root_installs_and_says_so(tmp_path: Path) -> None:
    install = 'case $1 in install) echo "true" >$FOLDER/bwrap; /bin/chmod 755 $FOLDER/bwrap;; esac'
    done = run(tmp_path, "bwrap", id=ROOT, apt_get=install)
    assert (done.returncode, done.stdout, done.stderr) == (0, "installing: bubblewrap\n", "")


@pytest.mark.parametrize("apt", ["exit 100", 'test "$1" = update', "true"], ids=str)
def test_root_is_told_the_line_when_installing_fails(tmp_path: Path, apt: str) -> None:
    """No index, no package, and an install that claims success but brings no program."""
    done = run(tmp_path, "bwrap", id=ROOT, apt_get=apt)
    assert (done.returncode, done.stdout) == (5, "installing: bubblewrap\n")
    assert done.stderr == "missing: bwrap. Install with:\n  apt-get install bubblewrap\n"


def test_other_systems_are_told_their_own_line(tmp_path: Path) -> None:
    done = run(tmp_path, "bwrap", id=USER, dnf="exit 99")
    assert done.stderr.endswith("\n  sudo dnf install bubblewrap\n")


def test_a_system_of_no_known_manager_is_told_the_names(tmp_path: Path) -> None:
    done = run(tmp_path, "rg", id=ROOT)
    assert done.returncode == 5
    assert done.stderr == (
        "missing: rg. Install with your system's package manager (Debian's names): ripgrep\n"
    )
