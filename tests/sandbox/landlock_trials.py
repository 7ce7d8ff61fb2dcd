"""Trials of the Landlock back end, run by `test_landlock` as a throw-away user in a PID namespace.

`python -m tests.sandbox.landlock_trials FOLDER` prints a JSON object: each trial, and what went
wrong in it (empty if nothing did).
"""

# A script that runs alone, one trial after the other.
# ruff: noqa: ASYNC110, ASYNC240, PLW1514, PT017, T201

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
import tempfile
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path

from agentflow.environment import Service
from agentflow.errors import EnvironmentFailure, UsageError
from agentflow.records import WORKSPACE, ProcessLimits
from agentflow.sandbox import choose, landlock, open_sandbox
from agentflow.sandbox.channel import Channel
from agentflow.sandbox.leftovers import end_leftovers
from agentflow.sandbox.policy import Mount, Network, Policy, Provided
from agentflow.sandbox.program import toolbox_command
from agentflow.toolbox.landlock import NOWHERE
from tests.attacks.outer import check_alone

Trial = Callable[[Policy], Awaitable[None]]
TRIALS: dict[str, Trial] = {}
PYTHON = toolbox_command("")[0]


def trial(function: Trial) -> Trial:
    """Register a trial under its name."""
    TRIALS[function.__name__] = function
    return function


@contextlib.asynccontextmanager
async def opened(policy: Policy) -> AsyncGenerator[Callable[[str], Awaitable[str]]]:
    """A function that runs a command inside and returns what it prints."""
    async with open_sandbox("landlock", policy) as channel:
        yield lambda command: output(channel, command)


async def output(channel: Channel, command: str) -> str:
    """What a command prints."""
    return str((await channel.call("Bash", {"command": command, "timeout": 20}))["output"])


def sleepers(seconds: int) -> list[int]:
    """The processes that sleep for a number of seconds that nobody else uses."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and (entry / "cmdline").read_bytes() == (
                f"sleep\0{seconds}\0".encode()
            ):
                found.append(int(entry.name))
    return found


async def gone(seconds: int) -> bool:
    """Whether all of them end within five seconds."""
    for _ in range(500):
        if not sleepers(seconds):
            return True
        await asyncio.sleep(0.01)
    return False


@trial
async def writes_stay_within_the_boundaries(policy: Policy) -> None:
    async with opened(policy) as run:
        command = "echo new > apps/api/x; echo new > apps/web/f; : > apps/web/f; cat apps/web/f"
        assert (await run(command)).splitlines()[-1] == "original"
        assert "Permission denied" in await run(
            "truncate -s 0 apps/web/f; ln apps/web/f apps/api/h"
        )
        assert await run("rm -rf apps/web 2>/dev/null; ls apps/web") == "f\n"
    assert Path(policy.tree, "apps/api/x").read_text() == "new\n"


@trial
async def nothing_else_of_the_user_is_readable(policy: Policy) -> None:
    secret = policy.tree.parent / "secret"
    secret.write_text("hidden")
    async with opened(policy) as run:
        for path in (secret, f"/proc/{os.getpid()}/environ", f"/proc/{os.getpid()}/root{secret}"):
            assert "Permission denied" in await run(f"cat {path}"), path
        assert await run("cat /proc/$PPID/environ /proc/$PPID/mem 2>/dev/null") == ""


@trial
async def no_socket_leads_anywhere(policy: Policy) -> None:
    script = (
        "import socket\n"
        "for family in (1, 2, 10, 16, 17, 38, 40):\n"
        "    try: socket.socket(family, socket.SOCK_DGRAM); print('made', family)\n"
        "    except OSError as error: print(error.errno)\n"
        "try: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM); print('made a pair')\n"
        "except OSError as error: print(error.errno)\n"
        "a, b = socket.socketpair(); a.send(b'pair'); print(b.recv(9).decode())\n"
    )
    Path(policy.tree, "s.py").write_text(script)
    async with opened(policy) as run:
        assert (await run(f"{PYTHON} -I s.py")).split() == ["97"] * 8 + ["pair"]


@trial
async def what_processes_share_is_closed(policy: Policy) -> None:
    script = (
        "import ctypes, os, resource\n"
        "c = ctypes.CDLL(None, use_errno=True)\n"
        "for call in (lambda: c.shmget(0, 4096, 0o1600), lambda: c.semget(0, 1, 0o1600),\n"
        "             lambda: c.msgget(0, 0o1600), lambda: c.shmat(0, None, 0)):\n"
        "    call(); print(ctypes.get_errno())\n"
        "try: resource.prlimit(os.getppid(), resource.RLIMIT_CORE)\n"
        "except PermissionError: print('kept')\n"
        "print(resource.prlimit(0, resource.RLIMIT_CORE)[0])\n"
    )
    Path(policy.tree, "s.py").write_text(script)
    async with opened(policy) as run:
        assert (await run(f"{PYTHON} -I s.py")).split() == ["1"] * 4 + ["kept", "0"]


@trial
async def privileges_are_given_up(policy: Policy) -> None:
    held = r"^Cap(Inh|Prm|Eff|Amb):\s*(\w+)$"  # what may be had at most cannot be lowered by us
    own = dict(re.findall(held, Path("/proc/self/status").read_text(), re.MULTILINE))
    async with opened(policy) as run:
        inside = dict(re.findall(held, await run("cat /proc/self/status"), re.MULTILINE))
    assert int(own["Amb"], 16)
    assert {name: int(mask, 16) for name, mask in inside.items()} == dict.fromkeys(own, 0)


@trial
async def nothing_outlives_a_command(policy: Policy) -> None:
    async with opened(policy) as run:
        await run("setsid -f sleep 7101; nohup sleep 7101 & (setsid sleep 7101 &) ; sleep 7101 &")
        assert sleepers(7101) == []


@trial
async def nothing_outlives_a_toolbox_that_is_killed(policy: Policy) -> None:
    check_alone()
    async with opened(policy) as run:
        try:
            await run("setsid -f sleep 7102; (setsid sleep 7102 &); kill -9 $PPID; sleep 7102")
        except EnvironmentFailure:
            assert await gone(7102)
            return
        raise AssertionError("the toolbox still answers")


@trial
async def killing_everything_reaches_nothing_outside(policy: Policy) -> None:
    check_alone()
    async with opened(policy) as run:
        with contextlib.suppress(EnvironmentFailure):
            assert "not permitted" in await run(f"kill -0 {os.getpid()}; kill -TERM 1")
            await run("kill -9 -1")


@trial
async def a_stopped_toolbox_is_ended(policy: Policy) -> None:
    async with open_sandbox("landlock", policy) as channel:
        command = {"command": "setsid -f sleep 7103; kill -STOP $PPID; sleep 7103", "timeout": 60}
        running = asyncio.create_task(channel.call("Bash", command))
        while not sleepers(7103):
            await asyncio.sleep(0.01)
    assert await gone(7103)
    with contextlib.suppress(EnvironmentFailure):
        await running


@trial
async def nothing_outlives_agentflow(policy: Policy) -> None:
    child, record = await _agentflow(policy, 7104)
    os.kill(child.pid, signal.SIGKILL)
    await child.wait()
    assert await gone(7104)
    while record.exists():  # the keeper's last act
        await asyncio.sleep(0.01)
    assert Path(policy.tree, ".git").read_text() == NOWHERE


@trial
async def what_a_killed_keeper_leaves_is_killed_when_the_tree_is_opened_again(
    policy: Policy,
) -> None:
    check_alone()
    child, record = await _agentflow(policy, 7105)
    keeper, toolbox = map(int, json.loads(record.read_text())["processes"])
    end_leftovers(policy.tree)
    assert sleepers(7105), "a living agentflow's sandbox was ended"
    os.kill(toolbox, signal.SIGSTOP)
    os.kill(keeper, signal.SIGKILL)
    os.kill(child.pid, signal.SIGKILL)
    await child.wait()
    async with opened(policy) as run:
        assert await run("echo again") == "again\n"
    assert not Path(f"/proc/{toolbox}/stat").exists()
    assert not record.exists()


async def _agentflow(policy: Policy, seconds: int) -> tuple[asyncio.subprocess.Process, Path]:
    """Another agentflow, at work on the tree; with its sandbox's record."""
    script = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from agentflow.sandbox import open_sandbox\n"
        "from agentflow.sandbox.policy import Policy\n"
        "async def main():\n"
        "    policy = Policy(tree=Path(sys.argv[1]), git_dir=Path('/nonexistent/git'))\n"
        "    async with open_sandbox('landlock', policy) as sandbox:\n"
        "        await sandbox.call('Bash', {'command': sys.argv[2], 'timeout': 600})\n"
        "asyncio.run(main())\n"
    )
    command = f"setsid -f sleep {seconds}; sleep {seconds}"
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(policy.tree), command
    )
    while len(sleepers(seconds)) < 2:
        await asyncio.sleep(0.01)
    (record,) = policy.tree.parent.glob("tree.*.processes.json")
    return child, record


@trial
async def the_pointer_leads_nowhere_when_nothing_runs(policy: Policy) -> None:
    whole = replace(policy, writable=(".",), git_dir=policy.tree.parent / "git")
    pointer = Path(policy.tree, ".git")
    for command in ("true", "rm .git; mkdir -p .git/hooks", "rm .git; ln -s /etc .git", "rm .git"):
        async with opened(whole) as run:
            assert await run("cat .git") == f"gitdir: {policy.tree.parent}/git\n"
            await run(command)
        assert not pointer.is_symlink(), command
        assert pointer.read_text() == NOWHERE, command


@trial
async def a_boundary_behind_a_link_is_refused(policy: Policy) -> None:
    Path(policy.tree, "apps/link").symlink_to("web")
    try:
        async with opened(replace(policy, writable=("apps/link",))):
            raise AssertionError("it was opened")
    except UsageError as error:
        assert "symbolic link" in str(error)


@trial
async def what_needs_a_network_is_refused(policy: Policy) -> None:
    service = Service("db", "true", "true")
    for asking, word in (
        (replace(policy, network=Network(hosts=("a.example",))), "a list of hosts"),
        (replace(policy, network=Network(host=True)), "this machine's network"),
        (replace(policy, services=(service,)), "'db' needs a network"),
    ):
        try:
            async with opened(asking):
                raise AssertionError(f"it was opened: {word}")
        except EnvironmentFailure as failure:
            assert word in failure.message


@trial
async def mounts_are_shown_where_they_are_without_what_is_masked(policy: Policy) -> None:
    shown = policy.tree.parent / "shown"
    (shown / "deep").mkdir(parents=True)
    for name in ("a", "deep/b", "deep/token"):
        (shown / name).write_text(name)
    mount = Mount(shown, str(shown))
    async with opened(replace(policy, mounts=(mount,), masked=(f"{shown}/deep/token",))) as run:
        assert await run(f"cd {shown}; cat a deep/b") == "adeep/b"
        assert "Permission denied" in await run(f"cat {shown}/deep/token")
        assert "Permission denied" in await run(f"echo x > {shown}/a")
    elsewhere = replace(policy, mounts=(Mount(shown, "/run/elsewhere"),))
    try:
        async with opened(elsewhere):
            raise AssertionError("it was opened")
    except EnvironmentFailure as failure:
        assert "cannot show" in failure.message


@trial
async def what_is_provided_is_copied_and_variables_name_the_real_tree(policy: Policy) -> None:
    source = policy.tree.parent / "modules"
    (source / "cache").mkdir(parents=True)
    (source / "m.js").write_text("original")
    provided = (Provided(source, "apps/modules", ("cache",)),)
    variables = {"PLACE": f"{WORKSPACE}/x", "TEXT": f"{WORKSPACE}s", "PLAIN": "x"}
    async with opened(replace(policy, provided=provided, environment=variables)) as run:
        assert await run(
            "cat apps/modules/m.js; touch apps/modules/cache/x; ls apps/modules/cache"
        ) == ("originalx\n")
        assert "Permission denied" in await run("echo x > apps/modules/m.js")
        assert await run("echo $PLACE $TEXT $PLAIN") == f"{policy.tree}/x {WORKSPACE}s x\n"
    assert (source / "m.js").read_text() == "original"


@trial
async def processes_are_bounded_and_a_bomb_leaves_nothing(policy: Policy) -> None:
    bounded = replace(policy, limits=ProcessLimits(processes=50))
    async with opened(bounded) as run:
        said = await run("for i in $(seq 200); do sleep 7106 & done; echo started")
        assert "Resource temporarily unavailable" in said
        assert sleepers(7106) == []
        assert await run("echo next") == "next\n"


@trial
async def it_is_chosen_where_bubblewrap_does_not_work(_: Policy) -> None:
    choice = choose("auto")
    assert (choice.backend, choice.label) == ("landlock", "landlock (reduced)"), choice
    assert "bubblewrap does not start" in choice.passed_over
    assert choose("bubblewrap").problem
    assert choose("none").backend == "none"
    assert landlock.weaknesses() == landlock.WEAKER


async def run_all(folder: Path) -> Mapping[str, str]:
    """Run all trials, each on a tree of its own."""
    problems: dict[str, str] = {}
    for name, function in TRIALS.items():
        place = Path(tempfile.mkdtemp(dir=folder))
        tree = place / "tree"
        for part in ("apps/api", "apps/web"):
            (tree / part).mkdir(parents=True)
            (tree / part / "f").write_text("original\n")
        problems[name] = ""
        try:
            async with asyncio.timeout(60):
                await function(Policy(tree=tree, writable=("apps/api",)))
        except Exception:  # noqa: BLE001  (told by name, and the next one is run)
            problems[name] = traceback.format_exc(limit=-4)
    return problems


if __name__ == "__main__":
    check_alone()
    print(json.dumps(asyncio.run(run_all(Path(sys.argv[1])))))
