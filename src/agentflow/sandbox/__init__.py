"""Places where an agent's tools run: a literal registry of back ends, and the door to them."""

import contextlib
import subprocess
import tempfile
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

from agentflow.errors import EnvironmentFailure
from agentflow.records import Backend, Json
from agentflow.sandbox import bubblewrap, none
from agentflow.sandbox.channel import Channel
from agentflow.sandbox.descriptors import Descriptors
from agentflow.sandbox.policy import Policy
from agentflow.sandbox.services import start_services

BACKENDS = {
    "bubblewrap": bubblewrap.open_channel,
    "none": none.open_channel,
}

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


@contextlib.asynccontextmanager
async def open_sandbox(
    backend: Backend, policy: Policy, state: Json | None = None
) -> AsyncGenerator[Channel]:
    """Open a sandbox for a policy, its services ready; it is gone, with all its processes, when the
    block ends.

    `auto` means bubblewrap: working without a sandbox has to be asked for. `state` is what an
    earlier channel's `state()` returned. Raises `EnvironmentFailure` if there is no sandbox or a
    service does not start, `UsageError` for a boundary that crosses a symbolic link.
    """
    name = "bubblewrap" if backend == "auto" else backend
    async with BACKENDS[name](policy, state) as channel:
        await start_services(channel, policy.services)
        yield channel


def probe(search: str | None = None) -> str | None:
    """Return why bubblewrap does not contain a process here, and the remedy; None if it does.

    Runs a short script in a sandbox with one writable directory and checks what it can see
    and change. `search` is the PATH on which bubblewrap is looked for.
    """
    script = "; ".join(f"{{ {line}; }} || exit {code}" for code, (line, _) in CANARY.items())
    try:
        with tempfile.TemporaryDirectory() as folder, Descriptors() as descriptors:
            policy = Policy(tree=Path(folder).resolve(), writable=("open",))
            command = ["/bin/sh", "-c", f"exec 2>/dev/null; {script}"]
            program = bubblewrap.prepare(bubblewrap.find(search), policy, command, descriptors)
            ended = subprocess.run(
                program.argv,
                env=dict(program.environment),
                pass_fds=program.descriptors,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=30,
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
