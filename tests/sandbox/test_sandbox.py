"""The whole: the real toolbox in the real sandbox, and what is left when it ends."""

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agentflow.errors import EnvironmentFailure, ToolFailure
from agentflow.records import Backend
from agentflow.sandbox import bubblewrap, open_sandbox, probe
from agentflow.sandbox.policy import Policy

BACKENDS = [pytest.param("bubblewrap", marks=pytest.mark.sandbox), "none"]

HOLD_A_LOCK = "exec 9>>{lock}; flock 9; setsid -f sleep 600; exec sleep 600"
"""A command, and a daemon it leaves, that both hold a lock which this machine sees."""


def is_locked(path: Path) -> bool:
    """Tell whether a process, in whatever namespace, holds the lock on a file."""
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Poll until a condition holds; False if it does not in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.005)
    return False


@pytest.fixture
def available(request: pytest.FixtureRequest, backend: Backend) -> None:
    if backend != "none":
        request.getfixturevalue("bwrap")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.usefixtures("available")
async def test_tools_work_and_state_goes_on_in_the_next_toolbox(
    backend: Backend, tree: Path
) -> None:
    policy = Policy(tree=tree)
    async with open_sandbox(backend, policy) as sandbox:
        assert sandbox.name == backend
        command = "cd apps && pwd && echo ok > ../.orchestrator/complete/T-1.done; exit 3"
        result = await sandbox.call("Bash", {"command": command, "timeout": 10})
        root = "/workspace" if backend == "bubblewrap" else str(tree)
        assert (result["exit_code"], result["output"]) == (3, f"{root}/apps\n")
        assert [signal["name"] for signal in result["signals"]] == ["T-1.done"]
        assert (await sandbox.call("Read", {"file_path": "apps/web/file"}))["lines"] == ["original"]
        with pytest.raises(ToolFailure, match="gone"):
            await sandbox.call("Read", {"file_path": "gone"})
        state = await sandbox.state()
    async with open_sandbox(backend, policy, state) as sandbox:
        result = await sandbox.call("Bash", {"command": "pwd", "timeout": 10})
        assert result["output"] == f"{root}/apps\n"
        edit = {"file_path": "apps/web/file", "old_string": "original", "new_string": "edited"}
        await sandbox.call("Edit", edit)
    assert (tree / "apps/web/file").read_text() == "edited\n"
    assert (tree / ".orchestrator/complete/T-1.done").exists() == (backend == "none")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.usefixtures("available")
async def test_nothing_survives_closing(backend: Backend, tree: Path) -> None:
    lock = tree / "lock"
    async with open_sandbox(backend, Policy(tree=tree)) as sandbox:
        command = {"command": HOLD_A_LOCK.format(lock="lock"), "timeout": 60}
        running = asyncio.create_task(sandbox.call("Bash", command))
        assert await asyncio.to_thread(wait_until, lambda: lock.exists() and is_locked(lock))
    assert not is_locked(lock)
    with pytest.raises(EnvironmentFailure, match="the sandbox is closed"):
        await running


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.usefixtures("available")
def test_nothing_survives_the_death_of_agentflow(backend: Backend, tree: Path) -> None:
    script = """
import asyncio, sys
from pathlib import Path
from agentflow.sandbox import open_sandbox
from agentflow.sandbox.policy import Policy
async def main():
    async with open_sandbox(sys.argv[1], Policy(tree=Path(sys.argv[2]))) as sandbox:
        await sandbox.call("Bash", {"command": sys.argv[3], "timeout": 60})
asyncio.run(main())
"""
    lock = tree / "lock"
    command = [sys.executable, "-c", script, backend, str(tree), HOLD_A_LOCK.format(lock="lock")]
    with subprocess.Popen(command) as child:
        assert wait_until(lambda: lock.exists() and is_locked(lock))
        os.kill(child.pid, signal.SIGKILL)
    assert wait_until(lambda: not is_locked(lock))


@pytest.mark.sandbox
@pytest.mark.usefixtures("bwrap")
async def test_the_toolbox_hides_itself_and_its_environment(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    async with open_sandbox("auto", Policy(tree=tree)) as sandbox:
        command = (
            "env; cat /proc/*/environ; echo; for f in environ mem fd/0 fd/1; do "
            "head -c1 /proc/1/$f 2>/dev/null && echo read $f; readlink /proc/1/$f; done; "
            "(: >/proc/1/fd/1) 2>/dev/null && echo opened; kill -9 1; echo end"
        )
        output = (await sandbox.call("Bash", {"command": command, "timeout": 10}))["output"]
        lines = [line for line in output.splitlines() if "=" not in line]
        assert lines == ["cat: /proc/1/environ: Permission denied", "end"]
        assert "hunter2" not in output
        await sandbox.call("Bash", {"command": "kill -9 -1", "timeout": 10})
        output = (await sandbox.call("Bash", {"command": "echo alive", "timeout": 10}))["output"]
        assert output == "alive\n"


async def test_without_a_sandbox_the_environment_is_clean(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    async with open_sandbox("none", Policy(tree=tree, environment={"NEW": "1"})) as sandbox:
        command = "env; ls -A $HOME; touch $TMPDIR/x; echo $TMPDIR"
        output = (await sandbox.call("Bash", {"command": command, "timeout": 10}))["output"]
    assert "hunter2" not in output
    assert {"NEW=1", "USER=agent", ".gitconfig"} <= set(output.split())
    assert not await asyncio.to_thread(os.path.lexists, output.split()[-1])


async def test_without_a_sandbox_who_is_told_to_stop_while_it_is_made_stops(tree: Path) -> None:
    entered = list[str]()

    async def enter() -> None:
        async with open_sandbox("none", Policy(tree=tree)):
            entered.append("entered")

    opening = asyncio.create_task(enter())
    await asyncio.sleep(0)  # the first thread is at work
    opening.cancel(2)

    with pytest.raises(asyncio.CancelledError) as caught:
        await opening
    assert (caught.value.args, entered) == ((2,), [])


async def test_auto_never_means_none(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailure, match="only in a sandbox") as caught:
        async with bubblewrap.open_channel(Policy(tree=tree), search=str(tmp_path)):
            pass
    assert (caught.value.hint, caught.value.exit_code) == ("apt-get install bubblewrap", 5)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (
            'while [ "$1" != -- ]; do shift; done; shift; exec "$@"',
            "bubblewrap does not contain: processes of this machine are visible",
        ),
        (
            "echo 'bwrap: Unknown option --disable-userns' >&2; exit 1",
            "bubblewrap does not start: bwrap: Unknown option --disable-userns; "
            "install bubblewrap 0.8 or later",
        ),
    ],
)
def test_a_bubblewrap_that_does_not_contain_is_found_out(
    tmp_path: Path, script: str, reason: str
) -> None:
    program = tmp_path / "bwrap"
    program.write_text(f'#!/bin/sh\n[ "$1" = --help ] && exit\n{script}\n')
    program.chmod(0o755)
    assert probe(str(tmp_path)) == reason


@pytest.mark.sandbox
def test_runs_that_begin_at_once_try_bubblewrap_once(tmp_path: Path, bwrap: str) -> None:
    program = tmp_path / "bwrap"
    program.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/tried\nexec {bwrap} "$@"\n')
    program.chmod(0o755)

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(probe, [str(tmp_path)] * 4)) == [None] * 4

    assert (tmp_path / "tried").read_text().split() == ["--help", "--args"]


def test_refused_namespaces_are_explained(tmp_path: Path) -> None:
    program = tmp_path / "bwrap"
    program.write_text(
        "#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2; exit 1\n"
    )
    program.chmod(0o755)
    reason = probe(str(tmp_path))
    assert reason is not None
    assert "setting up uid map: Permission denied; " in reason
    assert reason.endswith(("systempaths=unconfined", "=0", "=1", "=15000"))


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        # Ubuntu 24.04
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "0"),
        # Debian's kernels
        ("kernel/unprivileged_userns_clone", "0", "1"),
        ("user/max_user_namespaces", "0", "15000"),
    ],
)
def test_the_setting_that_refuses_namespaces_is_named(
    tmp_path: Path, name: str, value: str, remedy: str
) -> None:
    said = "bwrap: setting up uid map: Permission denied"
    assert bubblewrap.advice(said, tmp_path).startswith("allow user namespaces; in a container: ")
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_text(f"{value}\n")
    assert bubblewrap.advice(said, tmp_path) == f"sysctl -w {name.replace('/', '.')}={remedy}"
    (tmp_path / name).write_text(f"{remedy}\n")
    assert bubblewrap.advice(said, tmp_path).startswith("allow user namespaces; in a container: ")


def test_a_missing_bubblewrap_is_explained(tmp_path: Path) -> None:
    assert probe(str(tmp_path)) == (
        "bubblewrap (bwrap) is not installed, and agents run only in a sandbox; "
        "apt-get install bubblewrap"
    )


async def test_a_bubblewrap_that_names_no_process_to_kill_is_refused(
    tree: Path, tmp_path: Path
) -> None:
    program = tmp_path / "bwrap"
    program.write_text(
        '#!/bin/sh\n[ "$1" = --help ] && exit\nread -r _; echo \'{"ready": true}\'; read -r _\n'
    )
    program.chmod(0o755)
    with pytest.raises(EnvironmentFailure, match="the sandbox did not start"):
        async with bubblewrap.open_channel(Policy(tree=tree), search=str(tmp_path)):
            pass
