"""Provisions: dependencies are installed once for a set of key files, kept, and shown everywhere.

What a setup command makes on a clean checkout of a commit of the user's is kept in the user's
cache. For a commit that an agent had a hand in, `for_changes` gives provisions that write to a
folder of the run: an agent's package scripts reach that folder and never the user's cache.
"""

import asyncio
import hashlib
import json
import subprocess
import time
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from dataclasses import field, replace
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, TypeVar

from agentflow.disk import FREE
from agentflow.durations import format_duration
from agentflow.environment import Setup
from agentflow.errors import EnvironmentFailure, ToolFailure, UsageError
from agentflow.events import Notice, SetupFinished, SetupStarted
from agentflow.frozen import record
from agentflow.gates.command import end_of
from agentflow.globs import check_glob, is_path, matches
from agentflow.interfaces import Emit, Sandbox
from agentflow.neutral import neutral, one_line
from agentflow.provision_store import BOUNDS, Bounds, fill, locked, read
from agentflow.redaction import Redact
from agentflow.sandbox.policy import Provided
from agentflow.workspace.git import Git

T = TypeVar("T")

FORMAT = 1
"""Of a store's content; another number makes another key."""
TAIL_LINES = 30
"""Last lines of a failed command's output that an error shows."""
TAIL_CHARACTERS = 15_000
LINE_CHARACTERS = 400


class SetupSandbox(Sandbox, Protocol):
    """A sandbox that can be ended while its tree is still there."""

    async def close(self) -> None:
        """End every process in it. Closing twice is allowed."""
        ...


Checkout = Callable[[str, Setup], AbstractAsyncContextManager[tuple[SetupSandbox, Path]]]
"""Opens a writable sandbox on a clean checkout of a commit, with the network, variables and files
of the setup; gives the sandbox and the tree on this machine."""


@record
class Provisions:
    """The directories that one setup command makes, for any commit."""

    setup: Setup
    store: Path
    """The folder that keeps them."""
    state: Git
    """Our repository, in which every commit can be read."""
    toolchain: str
    """What else decides whether an installed package works: programs, versions, machine."""
    checkout: Checkout
    emit: Emit
    redact: Redact
    shared: Path | None = None
    """Another store, which is looked into first and never written to."""
    secret_files: tuple[str, ...] = ()
    """Globs of files that no directory may keep."""
    bounds: Bounds = BOUNDS
    _known: dict[str, tuple[Provided, ...]] = field(default_factory=dict[str, tuple[Provided, ...]])

    def for_changes(self, folder: Path) -> "Provisions":
        """Provisions for commits that an agent had a hand in, with a store of their own.

        What is kept for the user's commits serves them too, where the key is the same.
        """
        return replace(self, store=folder, shared=self.store, _known={})

    async def of(self, commit: str) -> tuple[Provided, ...]:
        """The directories for a commit, installed if nobody has done that before.

        Emits `SetupFinished` once for each key, after `SetupStarted` if the command is run.
        Raises `UsageError` for a setup that cannot be right, `EnvironmentFailure` if the command
        fails, does not make what it should, or the disk refuses.
        """
        started = time.monotonic()
        setup, tree, key = await asyncio.to_thread(self._looked_up, commit)
        if key in self._known:
            return self._known[key]
        with _told(self.store):
            kept = await asyncio.to_thread(self._read, key)
            made, installed = (
                (kept, False) if kept is not None else await self._make(commit, setup, key, tree)
            )
        self._known[key] = made
        seconds = round(time.monotonic() - started, 3)
        paths = tuple(each.path for each in made)
        self.emit(SetupFinished(seconds, cached=not installed, directories=paths))
        return made

    async def key(self, commit: str) -> str:
        """What the directories for a commit are kept under: the same for the same dependencies.

        Raises `UsageError` for a setup that cannot be right.
        """
        return (await asyncio.to_thread(self._looked_up, commit))[2]

    def _looked_up(self, commit: str) -> tuple[Setup, dict[str, str], str]:
        setup = _checked(self.setup)
        tree = _entries(self.state, commit)
        return setup, tree, _key(setup, tree, self.toolchain, self.secret_files)

    async def _make(
        self, commit: str, setup: Setup, key: str, tree: Mapping[str, str]
    ) -> tuple[tuple[Provided, ...], bool]:
        """The directories, and whether they were installed: another run may have done it."""
        async with locked(self.store, key, self._wait):
            kept = await asyncio.to_thread(self._read, key)
            if kept is not None:
                return kept, False
            return await self._install(commit, setup, key, tree), True

    def _read(self, key: str) -> tuple[Provided, ...] | None:
        kept = read(self.shared, key) if self.shared else None
        return read(self.store, key) if kept is None else kept

    def _wait(self) -> None:
        self.emit(Notice("another run is installing the same dependencies: waiting for it"))

    async def _install(
        self, commit: str, setup: Setup, key: str, tree: Mapping[str, str]
    ) -> tuple[Provided, ...]:
        self.emit(SetupStarted(self.redact(setup.command)))
        async with self.checkout(commit, self.setup) as (sandbox, folder):
            await self._run(sandbox)
            await sandbox.close()  # from now on nothing can change what is kept
            return await _undisturbed(
                asyncio.to_thread(
                    fill, self.store, key, folder, setup, tree, self.bounds, self.secret_files
                )
            )

    async def _run(self, sandbox: Sandbox) -> None:
        setup = self.setup
        line = f"the setup command `{one_line(self.redact(setup.command), 200)}`"
        try:
            result = await sandbox.call(
                "Bash", {"command": setup.command, "timeout": setup.timeout}
            )
        except ToolFailure as failure:
            raise EnvironmentFailure(
                f"{line} could not be run: {self.redact(str(failure))}"
            ) from failure
        if result["exit_code"] == 0:
            return
        reason = f"ended with exit code {result['exit_code']}"
        if result["killed"] == "timeout":
            reason = f"took longer than {format_duration(setup.timeout)}"
        elif result["killed"]:
            reason = f"was stopped: {result['reason']}"
        said = self._tail(end_of(result))
        raise EnvironmentFailure(f"{line} {reason}{said}", hint=_hint(setup))

    def _tail(self, output: str) -> str:
        """The last lines. A line that is cut is left out: a secret in it would not be known."""
        end = output[-TAIL_CHARACTERS:]
        whole = end.partition("\n")[2] if len(output) > len(end) else end
        lines = neutral(self.redact(whole)).rstrip().splitlines()[-TAIL_LINES:]
        return "".join(f"\n{line[:LINE_CHARACTERS]}" for line in lines)


async def _undisturbed(work: Coroutine[Any, Any, T]) -> T:
    """The result of work in a thread. Who is told to stop waits for the thread first: the tree
    that it works on must stay as long."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    finally:
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        task.exception()  # or one that nobody waits for any more is logged as a loss


def _hint(setup: Setup) -> str:
    hosts = "everything" if setup.host_network else ", ".join(setup.network) or "no host"
    given = [*sorted(setup.variables.secret), *setup.files]
    return (
        f"It could reach {hosts} and was given {', '.join(given) or 'no credentials'}: see "
        + "`network`, `env_from`, `files` and `timeout` under [environment]."
    )


def _checked(setup: Setup) -> Setup:
    """The setup with globs in normal form. Raises `UsageError`."""
    if not setup.provides:
        raise UsageError(
            "environment.setup is run, and nothing that it makes is kept",
            hint="Name the directories under `provides`, as node_modules or .venv.",
        )
    normal = {
        name: tuple(
            check_glob(glob, where=f"environment.{name}").rstrip("/") or glob
            for glob in getattr(setup, name)
        )
        for name in ("provides", "scratch", "key")
    }
    for path in filter(is_path, normal["scratch"]):
        above = list(map(str, PurePosixPath(path).parents))[:-1]
        if not any(matches(glob, each) for glob in normal["provides"] for each in above):
            raise UsageError(f"environment.scratch: {path!r} lies in none of the `provides`")
    return replace(setup, **normal)


def _entries(state: Git, commit: str) -> dict[str, str]:
    """Mode and object of every path of a commit."""
    listing = state.text("ls-tree", "-r", "-z", "--full-tree", commit)
    rows = (row.split("\t", 1) for row in listing.split("\0") if row)
    return {path: entry for entry, path in rows}


def _key(setup: Setup, tree: Mapping[str, str], toolchain: str, secret_files: Sequence[str]) -> str:
    """What the result depends on, as SHA-256. Secret values are no part of it.

    Where no file is a key file, all files are.
    """
    keys = {path: e for path, e in tree.items() if any(matches(glob, path) for glob in setup.key)}
    facts = {
        "format": FORMAT,
        "command": setup.command,
        "provides": setup.provides,
        "scratch": setup.scratch,
        "variables": dict(setup.variables.literal),
        "toolchain": toolchain,
        "files": keys or dict(tree),
        **({"secret_files": secret_files} if secret_files else {}),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


@contextmanager
def _told(store: Path) -> Generator[None]:
    """Turn the disk's refusals into one sentence."""
    try:
        yield
    except (OSError, subprocess.CalledProcessError) as error:
        said = (
            error.strerror if isinstance(error, OSError) else error.stderr.decode(errors="replace")
        )
        raise EnvironmentFailure(
            f"what the setup command makes cannot be kept in {store}: {said}",
            hint=FREE,
        ) from error
