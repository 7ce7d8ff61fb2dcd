"""Which parts of a user's folders are shown so that programs work, on made-up homes."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from agentflow.sandbox.policy import Mount, Policy
from agentflow.sandbox.toolchains import Toolchains, find

Inside = Callable[[Policy, Sequence[str]], subprocess.CompletedProcess[str]]
"""Runs one program in a sandbox."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home" / "user"
    (home / "repository").mkdir(parents=True)
    for secret in (".ssh/id_rsa", ".npmrc", ".config/gh/hosts.yml", ".cargo/credentials.toml"):
        (home / secret).parent.mkdir(parents=True, exist_ok=True)
        (home / secret).write_text("secret")
    return home


def _program(path: Path, target: Path | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if target is None:
        path.write_text("#!/bin/sh\necho ran\n", encoding="utf-8")
        path.chmod(0o755)
    else:
        path.symlink_to(target)
    return path


def _find(home: Path, *entries: Path, programs: tuple[str, ...] = ("tool",)) -> Toolchains:
    path = os.pathsep.join(str(entry) for entry in entries)
    return find(programs, path, home, home / "repository")


def _shown(found: Toolchains, home: Path) -> list[str]:
    assert all(str(mount.source) == mount.target and not mount.writable for mount in found.mounts)
    return sorted(os.path.relpath(mount.source, home) for mount in found.mounts)


def _in_home(found: Toolchains, home: Path) -> list[str]:
    return [os.path.relpath(folder, home) for folder in found.path if "/home/user" in folder]


@pytest.mark.parametrize(
    ("program", "shown"),
    [
        (".nvm/versions/node/v20/bin/tool", [".nvm/versions/node/v20"]),
        (".volta/bin/tool", [".volta"]),
        (".local/share/uv/python/cpython-3.12/bin/tool", [".local/share/uv/python/cpython-3.12"]),
        (".local/bin/tool", [".local/bin"]),
        (".config/tool", [".config/tool"]),
        (".cargo/bin/tool", [".cargo/bin"]),
        ("go/bin/tool", ["go/bin"]),
        ("bin/tool", ["bin"]),
        ("tool", ["tool"]),
        ("repository/.venv/bin/tool", ["repository/.venv"]),
        ("repository/bin/tool", ["repository/bin"]),
        ("repository/tool", ["repository/tool"]),
        (".ssh/tool", []),
        (".ssh/bin/tool", []),
        (".aws/cli/bin/tool", []),
    ],
)
def test_a_toolchain_is_shown_as_far_as_it_shows_nothing_else(
    home: Path, program: str, shown: list[str]
) -> None:
    folder = _program(home / program).parent
    found = _find(home, folder)
    assert _shown(found, home) == shown
    assert _in_home(found, home) == ([os.path.relpath(folder, home)] if shown else [])


def test_another_repository_is_not_shown(home: Path) -> None:
    (home / "other/.git").mkdir(parents=True)
    found = _find(home, _program(home / "other/bin/tool").parent)
    assert _shown(found, home) == ["other/bin"]


def test_a_program_that_resolves_to_a_secret_is_left_out(home: Path) -> None:
    (home / ".ssh/id_rsa").chmod(0o755)
    _program(home / "bin/tool", home / ".ssh/id_rsa")
    _program(home / "lib/bin/tool", home / "hop")
    (home / "hop").symlink_to(".ssh/id_rsa")
    _program(home / "linked", home / ".ssh")
    for folder in ("bin", "lib/bin"):
        assert _find(home, home / folder) == Toolchains(path=())


def test_the_home_folder_is_not_shown_by_another_name(home: Path, tmp_path: Path) -> None:
    _program(home / "bin/tool")
    alias = tmp_path / "alias" / "deep"
    alias.parent.mkdir()
    alias.symlink_to(home)
    assert _shown(_find(home, alias / "bin"), home) == ["../../alias/deep/bin", "bin"]
    assert _shown(_find(alias, home / "bin"), home) == ["bin"]


def test_every_link_on_the_way_is_shown(home: Path) -> None:
    real = _program(home / ".sdkman/candidates/java/17/bin/tool")
    (home / ".sdkman/candidates/java/current").symlink_to("17")
    _program(home / ".local/bin/tool", home / "tools/one/bin/tool")
    _program(home / "tools/one/bin/tool", real)
    found = _find(home, home / ".local/bin")
    assert _shown(found, home) == [".local/bin", ".sdkman", "tools/one"]
    assert found.environment == {"SDKMAN_DIR": str(home / ".sdkman")}


def test_rustup_brings_its_toolchains_but_no_credentials(home: Path) -> None:
    _program(home / ".cargo/bin/rustup")
    _program(home / ".cargo/bin/cargo", home / ".cargo/bin/rustup")
    (home / ".rustup").mkdir()
    found = _find(home, home / ".cargo/bin", programs=())
    assert _shown(found, home) == [".cargo/bin", ".rustup"]
    assert found.environment == {"RUSTUP_HOME": str(home / ".rustup")}


def test_a_version_manager_that_was_cloned_is_shown_with_what_it_installed(home: Path) -> None:
    _program(home / ".asdf/shims/tool")
    _program(home / ".asdf/installs/tool/1.0/bin/tool")
    (home / ".asdf/.git").mkdir()
    found = _find(home, home / ".asdf/shims")
    assert _shown(found, home) == [".asdf"]
    assert found.environment == {"ASDF_DATA_DIR": str(home / ".asdf")}


def test_credentials_in_a_toolchain_are_masked(home: Path) -> None:
    root = _program(home / ".nvm/v20/bin/tool").parent.parent
    (root / "etc").mkdir()
    for name in ("etc/npmrc", ".npmrc", "README"):
        (root / name).write_text("token")
    (root / "auth.json").symlink_to(home / ".npmrc")
    found = _find(home, root / "bin")
    assert sorted(found.masked) == [str(root / ".npmrc"), str(root / "etc/npmrc")]


@pytest.mark.parametrize(
    ("local", "version"),
    [(None, "3.9.1"), ("3.12", "3.12.10"), ("3.12.9\n", "3.12.9"), ("../../x", None), ("4", None)],
)
def test_a_shim_is_seen_through(home: Path, local: str | None, version: str | None) -> None:
    root = home / ".pyenv"
    _program(root / "shims/tool")
    for installed in ("3.9.1", "3.12.9", "3.12.10", "3.1.2"):
        _program(root / "versions" / installed / "bin/tool")
    (root / "version").write_text("3.9.1\n")
    if local:
        (home / "repository/.python-version").write_text(local)
    found = _find(home, root / "shims")
    expected = [f".pyenv/versions/{version}"] if version else []
    assert _shown(found, home) == expected
    assert _in_home(found, home) == [f"{folder}/bin" for folder in expected]


def test_the_order_of_the_path_is_kept(home: Path) -> None:
    first, second, third = home / ".a/bin", home / ".b/bin", home / ".c/bin"
    _program(first / "tool")
    _program(second / "tool")
    _program(second / "make")
    _program(third / "unused")
    found = _find(home, second, Path("/usr/bin"), first, third)
    assert found.path == (str(second), "/usr/bin")
    found = _find(home, first, Path("/usr/bin"), second, third)
    assert found.path == (str(first), "/usr/bin")  # `make` is the system's


def test_relative_entries_and_paths_are_not_searched(home: Path) -> None:
    _program(home / "bin/tool")
    assert find(("./tool", "bin/tool"), "bin:.:", home, home) == Toolchains()


def test_a_program_named_by_its_path_is_not_shown(home: Path) -> None:
    program = _program(home / "tools/bin/tool")
    assert _find(home, programs=(str(program),)) == Toolchains()


@pytest.mark.sandbox
def test_a_venv_works_inside_with_its_base(inside: Inside, tree: Path, home: Path) -> None:
    venv = home / "repository/.venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    found = _find(home, venv / "bin", programs=())
    policy = Policy(tree=tree, mounts=found.mounts, path=found.path, environment=found.environment)
    ended = inside(policy, ["/bin/sh", "-c", "python -c 'import sys, ssl; print(sys.prefix)'"])
    assert (ended.stdout, ended.stderr) == (f"{venv}\n", "")


@pytest.mark.sandbox
def test_the_programs_of_this_machine_work_inside(inside: Inside, tree: Path) -> None:
    path = os.environ["PATH"]
    found = find((), path, Path.home(), tree)
    policy = Policy(
        tree=tree,
        mounts=found.mounts,
        path=found.path,
        masked=found.masked,
        environment=found.environment,
    )
    names = ("python3", "git", "node", "cargo", "java")
    script = "for name in $0 $@; do $name --version >/dev/null 2>&1 && echo $name; done; true"
    outside = subprocess.run(
        ["/bin/sh", "-c", script, *names], capture_output=True, text=True, cwd=tree, check=True
    )
    ended = inside(policy, ["/bin/sh", "-c", script, *names])
    assert ended.stdout == outside.stdout
    assert Mount(Path.home(), str(Path.home())) not in found.mounts
