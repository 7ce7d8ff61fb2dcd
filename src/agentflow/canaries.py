"""Canaries: each promise of the sandbox tried on this machine, by what would break it.

One sandbox as an agent has it, in a folder that is gone afterwards. docs/security.md has the
promises in words.
"""

import asyncio
import fcntl
import os
import re
import socket
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from agentflow.frozen import record
from agentflow.records import Boundaries
from agentflow.sandbox import bubblewrap
from agentflow.sandbox.policy import Policy
from agentflow.workspace.git import isolated
from agentflow.workspace.importer import as_it_is

SECRET = "agentflow-canary"  # noqa: S105
SECONDS = 20.0

ATTEMPTS = r"""
try() { (eval "$2") >/dev/null 2>&1 && echo "$1"; }
for place in / /dev /etc /usr /run /proc/sys/kernel /workspace /workspace/closed "$OUTSIDE"; do
    try "writes $place" 'made=$(mktemp -p "$place") && rm -f "$made"'
done
try "writes /proc/sys/kernel/core_pattern" 'exec 9>>/proc/sys/kernel/core_pattern'
(touch open/canary) 2>/dev/null || echo "writes nothing, not even within the boundaries"
for file in "$OUTSIDE/secret" /proc/1/environ /proc/1/root/etc/shadow; do
    try "reads $file" 'head -c1 "$file" | grep -q .'
done
try "reads variables of this machine" "grep -qz $SECRET_NAME /proc/self/environ"
try "reads sockets in /run" 'find /run /var -type s | grep -q .'
try "network 127.0.0.1:$PORT" 'exec 3<>/dev/tcp/127.0.0.1/$PORT'
try "network beyond the loopback" 'tail -n +3 /proc/net/dev | grep -qv "^ *lo:"'
try "network new namespaces" 'unshare -Ur true'
(exec 9>>open/lock; flock 9; setsid -f sh -c 'echo; exec sleep 600 >/dev/null') | read -r _
echo forged > .orchestrator/complete/CANARY.done
"""
"""Run inside; prints the promise and what went wrong, a line for each attempt that succeeds. When its
line is read, the process that is to outlive the command has left the command's group."""

PROMISES: Mapping[str, tuple[str, str]] = {
    "writes": ("nothing outside the boundaries can be written", "install bubblewrap 0.8 or later"),
    "reads": ("no file, variable or socket of this machine can be read", "install bubblewrap 0.8 or later"),
    "network": ("nothing can be reached", "allow network namespaces: sysctl -w user.max_net_namespaces=1000"),
    "processes": ("nothing outlives a command", "allow PID namespaces: sysctl -w user.max_pid_namespaces=1000"),
    "import": ("a commit outside the boundaries is refused", "report this: it is a bug of agentflow"),
    "evidence": ("a forged marker stays inside", "report this: it is a bug of agentflow"),
}  # fmt: skip
"""By name: what holds, and what mends it where it does not."""


@record
class Proof:
    """One promise, tried here."""

    promise: str
    broken: str = ""
    """What an agent could do; empty if the promise holds."""

    @property
    def holds(self) -> str:
        """The promise in words."""
        return PROMISES[self.promise][0]

    @property
    def remedy(self) -> str:
        """The line that mends it."""
        return PROMISES[self.promise][1] if self.broken else ""


Prove = Callable[[], tuple[Proof, ...]]


def prove(search: str | None = None) -> tuple[Proof, ...]:
    """Try every promise with bubblewrap; `search` is the PATH on which it is looked for.

    Raises `EnvironmentFailure` if no sandbox starts.
    """
    with tempfile.TemporaryDirectory(prefix="agentflow-") as name:
        folder = Path(name).resolve()
        broken = asyncio.run(_inside(folder, search))
        broken |= {"import": _import(folder / "commits")}
    return tuple(Proof(promise, broken.get(promise, "")) for promise in PROMISES)


def outdated(version: str) -> str:
    """What a version of bubblewrap (`0.8.0`) has that later ones mended; empty if nothing."""
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if not numbers or numbers >= (0, 12):
        return ""
    return (
        f"{version} is older than 0.12: it follows a repository's links when it makes mount points. "
        "agentflow never asks it to"
    )


async def _inside(folder: Path, search: str | None) -> dict[str, str]:
    """What an agent could do, by promise."""
    tree, outside = folder / "tree", folder / "outside"
    for each in (tree / "open", tree / "closed", outside):
        each.mkdir(parents=True)
    (outside / "secret").write_text(SECRET, encoding="ascii")
    (tree / ".git").write_text("gitdir: /run/agentflow/git\n", encoding="ascii")
    policy = Policy(tree=tree, writable=("open",))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with bubblewrap.open_channel(policy, search=search) as channel:
            values = {
                "OUTSIDE": str(outside),
                "PORT": str(listener.getsockname()[1]),
                "SECRET_NAME": _foreign_variable(),
            }
            given = "".join(f"{key}='{value}'\n" for key, value in values.items())
            result = await channel.call("Bash", {"command": given + ATTEMPTS, "timeout": SECONDS})
            left = await asyncio.to_thread(_is_locked, tree / "open" / "lock")
    broken: dict[str, str] = {}
    for line in str(result["output"]).splitlines():
        promise, _, what = line.partition(" ")
        if promise in PROMISES:
            broken.setdefault(promise, f"an agent {_VERBS[promise]} {what}")
    if left:
        broken["processes"] = "a process that an agent started outlives its command"
    if result["killed"]:
        broken.setdefault("processes", f"the canaries did not end: {result['reason']}")
    if (tree / ".orchestrator/complete/CANARY.done").exists():
        broken["evidence"] = "a marker that an agent wrote reaches this machine"
    return broken


_VERBS = {"writes": "can write to", "reads": "can read", "network": "can reach"}


def _foreign_variable() -> str:
    """The name of a variable that is set here and never inside."""
    foreign = [name for name in os.environ if name.startswith(("XDG_", "SSH_", "HOST", "OLDPWD"))]
    return f"^{foreign[0]}=" if foreign else "^AGENTFLOW_NEVER_SET="


def _is_locked(path: Path) -> bool:
    """Whether a process, in whatever namespace, holds the lock on a file."""
    try:
        with path.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _import(folder: Path) -> str:
    """What is wrong if a commit outside the boundaries is not refused, or one inside is."""
    folder.mkdir()
    git = isolated(folder)
    git.run("init", "--quiet", "--bare", "--template=")
    stream = "".join(_commit(path) for path in ("a", "open/b", "closed/c"))
    git.run("fast-import", "--quiet", stdin=stream.encode())
    base, inside, beyond = (git.text("rev-parse", f"canary~{age}") for age in (2, 1, 0))
    boundaries = Boundaries(allow=("open/**",))
    if as_it_is(git, base, inside, boundaries).violations:
        return "a commit within the boundaries is refused"
    if not as_it_is(git, base, beyond, boundaries).violations:
        return "a commit outside the boundaries is taken"
    return ""


def _commit(path: str) -> str:
    """One more commit on a branch, in the words of git-fast-import(1)."""
    return (
        "commit refs/heads/canary\ncommitter canary <canary@agentflow.invalid> 1 +0000\n"
        f"data 1\nx\nM 644 inline {path}\ndata 1\nx\n"
    )
