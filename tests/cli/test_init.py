"""`agentflow init` as a user meets it."""

import os
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.forks.programs import agentflow
from tests.init.conftest import make_repository

CONFIG = ".orchestrator/config.toml"
Init = Callable[..., subprocess.CompletedProcess[str]]
MAKE: dict[str, str | dict[str, object]] = {
    "Makefile": "test:\n\ttest -f src/a.c\nlint:\n\techo no; false\n", "src/a.c": "", "x": "",
}  # fmt: skip
NODE: dict[str, str | dict[str, object]] = {
    "package.json": {"scripts": {"test": "true"}, "dependencies": {"a": "1"}},
    "package-lock.json": '{"resolved": "https://npm.example.invalid/a.tgz"}',
}


@pytest.fixture
def init(tmp_path: Path) -> Init:
    def run(
        *arguments: str, files: dict[str, str | dict[str, object]] | None = None
    ) -> subprocess.CompletedProcess[str]:
        root = tmp_path / "root"
        if files is not None:
            make_repository(root, files)
        root.mkdir(exist_ok=True)
        return subprocess.run(
            agentflow("init", *arguments),
            cwd=root,
            env={
                "PATH": f"/usr/bin:{os.environ['PATH']}",
                "HOME": str(tmp_path / "home"),
                "XDG_CACHE_HOME": str(tmp_path / "cache"),
                "LANG": "C.UTF-8",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_files_are_written_and_the_gates_tried(init: Init, tmp_path: Path, bwrap: str) -> None:
    ended = init(files=MAKE)

    assert ended.returncode == 0, ended.stderr
    for words in (f"written  {CONFIG}", "✓ passed  build:test", "✗ failed  build:lint"):
        assert words in ended.stdout
    assert "does not pass: lint; correct it" in ended.stderr
    assert "agentflow run EXAMPLE-001 --dry-run" in ended.stderr
    assert "agentflow trust" not in ended.stderr
    gates = tomllib.loads((tmp_path / "root" / CONFIG).read_text())["gates"]
    assert [gate["command"] for gate in gates] == ["make lint", "make test"]

    again = init()
    assert again.returncode == 0
    assert f"kept     {CONFIG}" in again.stdout
    assert again.stderr == "nothing to do: every file is there already\n"


def test_print_writes_nothing(init: Init, tmp_path: Path) -> None:
    ended = init("--print", files=MAKE)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert tomllib.loads(ended.stdout)["max_cost"] == 5.0
    assert not (tmp_path / "root/.orchestrator").exists()
    assert not (tmp_path / "cache").exists()


def test_no_try_tries_nothing(init: Init) -> None:
    ended = init("--no-try", files=MAKE)
    assert ended.returncode == 0
    assert "build:" not in ended.stdout + ended.stderr


def test_hosts_that_only_files_name_are_not_reached_unasked(init: Init, tmp_path: Path) -> None:
    ended = init(files=NODE)
    assert ended.returncode == 0
    assert "not tried: the setup would reach npm.example.invalid" in ended.stderr
    assert "agentflow trust" in ended.stderr
    assert not (tmp_path / "cache").exists()


def test_a_setup_without_a_known_registry_is_tried_only_if_told(
    init: Init, tmp_path: Path, bwrap: str
) -> None:
    manifest = '[package]\nname = "a"\n[dependencies]\nb = { path = "no" }\n'
    files: dict[str, str | dict[str, object]] = {"Cargo.toml": manifest, "src/lib.rs": ""}
    ended = init(files=files)
    assert ended.returncode == 0
    assert "not tried: say under `network` which hosts the setup needs: cargo fetch" in ended.stderr
    assert not (tmp_path / "cache").exists()
    (tmp_path / "root" / CONFIG).unlink()
    told = init("--yes")
    assert told.returncode == 0
    assert "the gates could not be tried: the setup command `cargo fetch`" in told.stderr


def test_without_any_gate_the_user_is_told(init: Init) -> None:
    ended = init(files={"README.md": "x"})
    assert ended.returncode == 0
    assert "no gate was found: add one to .orchestrator/config.toml" in ended.stderr


def test_it_refuses_outside_of_a_repository_and_without_commits(init: Init, tmp_path: Path) -> None:
    outside = init()
    assert outside.returncode == 2
    assert "is not inside a git work tree" in outside.stderr
    subprocess.run(["git", "init", "--quiet", tmp_path / "root"], check=True)
    empty = init()
    assert empty.returncode == 2
    assert "has no commits yet" in empty.stderr
    assert not (tmp_path / "root/.orchestrator").exists()


def test_a_repository_s_words_cannot_reach_the_terminal(init: Init, bwrap: str) -> None:
    evil = "\x1b]0;owned\x07\u202e"
    ended = init(files={
        "Makefile": f"test:\n\t@printf '\\033[31mred{evil}'; false\n",
        "package.json": {"scripts": {f"a{evil}": "x"}, "husky": {"hooks": {"pre-push": evil}}},
    })  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert "✗ failed  build:test" in ended.stdout
    assert not {"\x1b", "\x07", "\u202e"} & set(ended.stdout + ended.stderr)
