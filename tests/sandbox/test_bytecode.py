"""The toolbox's bytecode: there before a sandbox starts, as its source is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

KEEP = (
    "import sys, pathlib; from agentflow.sandbox.bytecode import keep_bytecode; "
    "keep_bytecode(pathlib.Path(sys.argv[1]))"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "part.py").write_text("value = 1\n")
    (tmp_path / "__main__.py").write_text("import part; print(part.value)\n")
    return tmp_path


def keep(folder: Path, *options: str) -> None:
    """As a process does that was started with these options, and no such variables."""
    variables = {name: value for name, value in os.environ.items() if "PYTHON" not in name}
    command = [sys.executable, *options, "-c", KEEP, str(folder)]
    subprocess.run(command, env=variables, check=True)


def compiled(folder: Path) -> list[str]:
    return [file.name.split(".")[0] for file in (folder / "__pycache__").glob("*")]


def taken(folder: Path) -> bool:
    """Whether an interpreter that writes none takes what is there."""
    command = [sys.executable, "-I", "-S", "-B", "-v", "-c"]
    code = f"import sys; sys.path.insert(0, {str(folder)!r}); import part"
    ended = subprocess.run([*command, code], capture_output=True, text=True, check=True)
    return f"{folder}/__pycache__/part.{sys.implementation.cache_tag}.pyc matches" in ended.stderr


def test_what_is_missing_or_old_is_compiled_and_what_is_current_stays(folder: Path) -> None:
    assert not taken(folder)
    keep(folder)
    assert (taken(folder), compiled(folder)) == (True, ["part"])
    file = next((folder / "__pycache__").iterdir())
    before = file.stat().st_ino
    keep(folder)
    assert file.stat().st_ino == before
    (folder / "part.py").write_text("value = 22\n")
    assert not taken(folder)
    keep(folder)
    assert taken(folder)


def test_one_by_its_sources_hash_is_current(folder: Path) -> None:
    command = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    subprocess.run([*command, str(folder / "part.py")], check=True)
    file = next((folder / "__pycache__").iterdir())
    before = file.stat().st_ino
    keep(folder)
    assert (file.stat().st_ino, taken(folder)) == (before, True)


def test_a_module_that_cannot_be_compiled_is_left_to_who_imports_it(folder: Path) -> None:
    (folder / "part.py").write_text("value =\n")
    (folder / "other.py").write_text("value = 1\n")
    keep(folder)
    assert compiled(folder) == ["other"]


@pytest.mark.parametrize("option", ["-B", "-Xpycache_prefix="])
def test_who_wants_none_gets_none(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, option: str
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    keep(folder, f"{option}{elsewhere}" if option.endswith("=") else option)
    assert compiled(folder) == []


def test_a_folder_that_cannot_be_written_to_stays_as_it_is(folder: Path) -> None:
    (folder / "__pycache__").write_text("in the way")
    keep(folder)
    assert not taken(folder)
