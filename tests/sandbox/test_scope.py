"""The control group around a sandbox. systemd itself is not run here: a stand-in takes its place."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentflow.records import ProcessLimits
from agentflow.sandbox.bubblewrap import open_channel
from agentflow.sandbox.policy import Policy
from agentflow.sandbox.scope import Scope, find_scope

STAND_IN = """#!/bin/sh
printf '%s\\n' "$XDG_RUNTIME_DIR" "$@" > {log}
while [ "$1" != -- ]; do shift; done; shift; exec "$@"
"""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A machine with a user manager: where things are."""
    manager = tmp_path / f"cgroup/user.slice/user-{os.getuid()}.slice/user@{os.getuid()}.service"
    manager.mkdir(parents=True)
    (manager / "cgroup.controllers").write_text("cpu memory pids\n")
    (tmp_path / "run/systemd").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/systemd-run"
    program.write_text(STAND_IN.format(log=tmp_path / "log"))
    program.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as private:
        here = Path.cwd()
        os.chdir(tmp_path / "run/systemd")  # a socket's path may have 107 bytes
        private.bind("private")
        os.chdir(here)
        yield {
            "search": str(tmp_path / "bin"),
            "runtime": str(tmp_path / "run"),
            "cgroups": str(tmp_path / "cgroup"),
        }


def found(machine: dict[str, str], **changes: str) -> Scope | None:
    places = machine | changes
    return find_scope(places["search"], places["runtime"], Path(places["cgroups"]))


def test_a_user_manager_is_found(machine: dict[str, str]) -> None:
    executable = f"{machine['search']}/systemd-run"
    assert found(machine) == Scope(executable, machine["runtime"])


def test_what_is_missing_means_no_scope(machine: dict[str, str], tmp_path: Path) -> None:
    for changes in (
        {"search": str(tmp_path)},
        {"runtime": ""},
        {"runtime": "relative"},
        {"runtime": str(tmp_path)},
        {"cgroups": str(tmp_path)},
    ):
        assert found(machine, **changes) is None
    for file in (tmp_path / "cgroup").rglob("cgroup.controllers"):
        file.write_text("cpu pids\n")
    assert found(machine) is None


def test_the_scope_bounds_more_than_the_watchdog_does(tmp_path: Path) -> None:
    limits = ProcessLimits(memory=1 << 30, processes=100)
    policy = Policy(tree=tmp_path, limits=limits, scratch_size=1 << 20, home_size=2 << 20)
    memory = (1 << 30) + (1 << 20) + (2 << 20) + (4 << 20) + (512 << 20)
    assert Scope("/usr/bin/systemd-run", "/run/user/1").prefix(policy, 4 << 20) == (
        "/usr/bin/systemd-run", "--user", "--scope", "--quiet", "--collect",
        f"--property=MemoryMax={memory}", "--property=MemorySwapMax=0",
        "--property=TasksMax=356", "--",
    )  # fmt: skip


@pytest.mark.sandbox
@pytest.mark.usefixtures("bwrap")
async def test_a_sandbox_starts_in_it_and_sees_nothing_of_it(
    machine: dict[str, str], tree: Path, tmp_path: Path
) -> None:
    async with open_channel(Policy(tree=tree), scope=lambda: found(machine)) as channel:
        result = await channel.call("Bash", {"command": "env; cat /proc/*/environ"})
    told = (tmp_path / "log").read_text().splitlines()
    assert told[:3] == [machine["runtime"], "--user", "--scope"]
    assert machine["runtime"] not in result["output"]
    assert "AGENTFLOW" not in result["output"]
