"""Places where an agent's tools run: a literal registry of back ends, and the door to them."""

import contextlib
import json
import os
import subprocess
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from agentflow.errors import EnvironmentFailure
from agentflow.frozen import record
from agentflow.records import Backend, Json
from agentflow.sandbox import bubblewrap, none
from agentflow.sandbox.channel import Channel
from agentflow.sandbox.descriptors import Descriptors
from agentflow.sandbox.policy import Policy
from agentflow.sandbox.program import Program
from agentflow.sandbox.services import start_services
from agentflow.sandbox.traffic import Account
from agentflow.threads import once


def _open_landlock(
    policy: Policy, state: Json | None = None, account: Account | None = None
) -> contextlib.AbstractAsyncContextManager[Channel]:
    from agentflow.sandbox import landlock  # few need it, and it brings ctypes

    return landlock.open_channel(policy, state, account)


BACKENDS = {
    "bubblewrap": bubblewrap.open_channel,
    "landlock": _open_landlock,
    "none": none.open_channel,
}
"""By name. One for macOS (Seatbelt) would stand here, with canaries of its own below; none is
shipped that nobody has proven: docs/security.md has a recipe with a container."""

LABELS: Mapping[str, str] = {"landlock": "landlock (reduced)"}
"""What a back end is called where people read it, if not by its name."""


@record
class Choice:
    """A back end that was proven to work here, or why there is none."""

    backend: Backend
    """As it was asked for, where there is none."""
    problem: str = ""
    """Why there is none."""
    remedy: str = ""
    passed_over: str = ""
    """Why a stronger one was not taken."""

    @property
    def label(self) -> str:
        """What people read."""
        return LABELS.get(self.backend, self.backend)


CANARY: Mapping[int, tuple[str, str]] = {
    11: ("test $$ -eq 1", "processes of this machine are visible"),
    12: ("! unshare --user true", "new user namespaces can be made inside"),
    13: ("! touch /canary", "the root directory is writable"),
    14: ("! touch /dev/canary", "the device directory is writable"),
    15: ("! (: >> /proc/sys/kernel/core_pattern)", "settings of the kernel are writable"),
    16: ("! touch /workspace/canary", "the work tree is writable outside the boundaries"),
    17: ("touch /workspace/open/canary", "the boundaries are not writable"),
}
"""Exit code: a line for the shell that must succeed, and what it means if it does not."""

LANDLOCK_CANARY: Mapping[int, tuple[str, str]] = {
    **{code: CANARY[code] for code in (12, 13, 14, 15)},
    16: ("! touch canary", "the work tree is writable outside the boundaries"),
    17: ("touch open/canary", "the boundaries are not writable"),
    18: ("! cat ../secret", "files beside the work tree are readable"),
    19: ("! (: >> ../secret)", "files beside the work tree are writable"),
    20: ("(exec 3<> /dev/tcp/127.0.0.1/9) 2>&1 | grep -q 'not supported'", "sockets can be made"),
    21: ("grep -q 'NoNewPrivs:.1' /proc/self/status", "privileges can be gained"),
    22: ("! cat /proc/$PPID/environ", "the toolbox's variables are readable"),
}
"""The same for Landlock, run in the work tree by the toolbox."""

PROBE_SECONDS = 30.0

ROOT = (
    "Landlock was not tried, as everything here is root's own; run agentflow as another user, or "
    "give --sandbox landlock"
)


@contextlib.asynccontextmanager
async def open_sandbox(
    backend: Backend, policy: Policy, state: Json | None = None, account: Account | None = None
) -> AsyncGenerator[Channel]:
    """Open a sandbox for a policy, its services ready; it is gone, with all its processes, when the
    block ends.

    `auto` means bubblewrap here: who may also take another has chosen before (`choose`). `state`
    is what an earlier channel's `state()` returned; `account` is told what goes through the proxy.
    Raises `EnvironmentFailure` if there is no
    sandbox or a service does not start, `UsageError` for a boundary that crosses a symbolic link.
    """
    name = "bubblewrap" if backend == "auto" else backend
    async with BACKENDS[name](policy, state, account) as channel:
        await start_services(channel, policy.services)
        yield channel


def choose(wanted: Backend) -> Choice:
    """Return the strongest back end that holds here, among those that were asked for.

    `auto` is bubblewrap, else Landlock; and as root bubblewrap alone, because every file of the
    system is root's own there. Working without a sandbox has to be asked for.
    """
    if wanted == "none":
        return Choice("none")
    candidates = ("bubblewrap", "landlock") if wanted == "auto" else (wanted,)
    problems = list[str]()
    for name in candidates:
        if wanted == "auto" and name == "landlock" and os.geteuid() == 0:
            problems.append(ROOT)
            continue
        problem = PROBES[name]()
        if problem is None:
            return Choice(name, passed_over="; ".join(problems))
        problems.append(problem)
    problem, _, remedy = "; otherwise: ".join(problems).partition("; ")
    return Choice(wanted, problem, remedy)


def require(wanted: Backend) -> Backend:
    """Return the name that `choose` finds. Raises `EnvironmentFailure` if nothing holds."""
    choice = choose(wanted)
    if choice.problem:
        raise EnvironmentFailure(
            choice.problem, hint=choice.remedy or "Look at `agentflow doctor`."
        )
    return choice.backend


def notices(backend: Backend) -> tuple[str, ...]:
    """What a user must be told of a back end that promises less."""
    if backend == "none":
        return ("NO SANDBOX: the agent's commands run with your rights on this machine",)
    if backend != "landlock":
        return ()
    from agentflow.sandbox.landlock import weaknesses

    return (
        "REDUCED SANDBOX: Landlock, as bubblewrap does not work here. The agent writes only what "
        "its task allows and reads nothing else of yours, but:",
        *(f"landlock: {each}" for each in weaknesses()),
    )


@once
def probe(search: str | None = None) -> str | None:
    """Return why bubblewrap does not contain a process here, and the remedy; None if it does.

    Runs a short script in a sandbox with one writable directory and checks what it can see
    and change. `search` is the PATH on which bubblewrap is looked for.
    """
    try:
        with tempfile.TemporaryDirectory() as folder, Descriptors() as descriptors:
            policy = Policy(tree=Path(folder).resolve(), writable=("open",))
            command = ["/bin/sh", "-c", _script(CANARY)]
            program = bubblewrap.prepare(bubblewrap.find(search), policy, command, descriptors)
            ended = subprocess.run(
                program.argv,
                env=dict(program.environment),
                pass_fds=program.descriptors,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=PROBE_SECONDS,
                check=False,
            )
    except EnvironmentFailure as failure:
        return f"{failure.message}; {failure.hint}"
    if ended.returncode in CANARY:
        return f"bubblewrap does not contain: {CANARY[ended.returncode][1]}"
    if ended.returncode:
        remedy = bubblewrap.advice(ended.stderr)
        return f"bubblewrap does not start: {ended.stderr.strip()}; {remedy}"
    return None


@once
def probe_landlock() -> str | None:
    """The same for Landlock."""
    from agentflow.sandbox import landlock

    try:
        with tempfile.TemporaryDirectory() as folder, Descriptors() as descriptors:
            place = Path(folder).resolve()
            (place / "tree").mkdir()
            (place / "private").mkdir()
            (place / "secret").write_text("canary", "ascii")
            policy = Policy(tree=place / "tree", writable=("open",), completion=None)
            landlock.check(policy)
            program, session = landlock.prepare(policy, place / "private", None, descriptors)
            code, said = _ask(program, [asdict(session), _bash(_script(LANDLOCK_CANARY))])
    except EnvironmentFailure as failure:
        return f"{failure.message}; {failure.hint}"
    if code == 0:
        return None
    if code is not None and code in LANDLOCK_CANARY:
        return f"Landlock does not contain: {LANDLOCK_CANARY[code][1]}"
    return f"Landlock does not start: {said}"


PROBES: Mapping[Backend, Callable[[], str | None]] = {
    "bubblewrap": probe,
    "landlock": probe_landlock,
}


def _script(canary: Mapping[int, tuple[str, str]]) -> str:
    lines = "; ".join(f"{{ {line}; }} || exit {code}" for code, (line, _) in canary.items())
    return f"exec 2>/dev/null; {lines}"


def _bash(command: str) -> Json:
    return {"id": 1, "tool": "Bash", "arguments": {"command": command, "timeout": PROBE_SECONDS}}


def _ask(program: Program, lines: Sequence[Json]) -> tuple[int | None, str]:
    """Send lines to a toolbox; return the exit code in its second answer, or its last words."""
    with subprocess.Popen(
        program.argv,
        env=dict(program.environment),
        pass_fds=program.descriptors,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as child:
        timer = threading.Timer(PROBE_SECONDS, child.terminate)
        timer.start()
        assert child.stdin  # noqa: S101  (a pipe)
        assert child.stdout  # noqa: S101  (a pipe)
        assert child.stderr  # noqa: S101  (a pipe)
        with contextlib.suppress(BrokenPipeError):
            child.stdin.write(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
            child.stdin.flush()
        answers = [child.stdout.readline() for _ in lines]
        with contextlib.suppress(BrokenPipeError):
            child.stdin.close()
        said = child.stderr.read(4096).decode("utf-8", "replace").strip()
        timer.cancel()
    if not answers[-1]:
        return None, said or f"exit status {child.returncode}"
    result = json.loads(answers[-1])
    return result.get("result", {}).get("exit_code"), str(result.get("error", "")) or said
