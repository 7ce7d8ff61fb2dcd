"""Checkouts: clean copies of commits, each in a sandbox of its own that is gone afterwards.

For gates, for setup, for formatters; and the repository of ours (`state.git`) that holds what they
are made of.
"""

import asyncio
import itertools
import shlex
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from agentflow.environment import Environment, Setup
from agentflow.errors import ServiceFailure, ToolFailure
from agentflow.folders import preparing, remove_folder
from agentflow.home_files import home_files, linked_home
from agentflow.policies import Policies
from agentflow.records import MOUNTING, WORKSPACE, Backend, BuildCommand, Json, ProcessLimits
from agentflow.redaction import redactor
from agentflow.sandbox import open_sandbox
from agentflow.sandbox.channel import Channel
from agentflow.sandbox.leftovers import end_all_leftovers
from agentflow.sandbox.policy import (
    HOME,
    SCRATCH,
    Mount,
    Network,
    Policy,
    Provided,
)
from agentflow.sandbox.traffic import Account, Traffic
from agentflow.workspace.clone import (
    Clone,
    exclude,
    make_clone,
    make_repository,
)
from agentflow.workspace.export import (
    EXPORT_INSIDE,
    EXPORT_SCRIPT,
    Export,
    ExportRefused,
    import_pack,
)
from agentflow.workspace.git import Git, isolated
from agentflow.workspace.repository import Repository
from agentflow.world import World

Provide = Callable[[str], Awaitable[tuple[Provided, ...]]]
"""Returns the directories beside git that belong to a commit, installed if need be."""

STATE = "state.git"
"""Our repository, in a run's folder."""
EXPORT_TIMEOUT = 300.0
"""Seconds."""


async def _nothing(commit: str) -> tuple[Provided, ...]:
    return ()


class Checkouts:
    """A folder of checkouts. `prepare` comes first."""

    def __init__(
        self,
        folder: Path,
        repository: Repository,
        world: World,
        *,
        backend: Backend,
        limits: ProcessLimits,
        readable: Sequence[str] = (),
        environment: Environment,
        gates: Sequence[BuildCommand],
        traffic: Traffic | None = None,
    ) -> None:
        self.folder = folder
        self.traffic = traffic or Traffic()
        """What goes through the proxies of setup and agent."""
        self.state: Git
        self.mounted = backend in MOUNTING
        self.provide: Provide = _nothing
        """What each checkout is given; nothing until it is set."""
        self._repository = repository
        self._world = world
        self._backend: Backend = backend
        self._limits = limits
        self._readable = tuple(readable)
        self._environment = environment
        self._gates = tuple(gates)
        self.policies: Policies
        self._numbers = itertools.count(1)

    def prepare(self) -> None:
        """Make our repository, if it is not there yet, and find programs.

        Raises `EnvironmentFailure`.
        """
        repository, environment = self._repository, self._world.environment
        folder = self.folder / STATE
        with preparing(self.folder):
            end_all_leftovers(self.folder)
            if folder.is_dir():
                self.state = isolated(folder)
            else:
                self.state = make_repository(folder, repository, repository.object_stores)
        self.policies = Policies(
            list(self._lines()),
            environment.get("PATH", ""),
            self._home,
            repository.root,
            readable=self._readable,
            limits=self._limits,
            mounted=self.mounted,
        )

    def _lines(self) -> Iterator[str]:
        """Every command line that will be run."""
        yield from (gate.command for gate in self._gates)
        for service in self._environment.services:
            yield from (service.command, service.ready)
        if self._environment.setup:
            yield self._environment.setup.command

    @property
    def _home(self) -> Path:
        return Path(self._world.environment.get("HOME", "/"))

    @property
    def toolchain(self) -> str:
        """What decides whether installed dependencies fit. Without a sandbox they are made for one
        folder."""
        place = "sandbox" if self.mounted else str(self.folder)
        return f"{place} {self.policies.toolchain}"

    @asynccontextmanager
    async def open(
        self, commit: str, variables: Mapping[str, str] | None = None, /
    ) -> AsyncGenerator[Channel]:
        """A gate's place: a fresh sandbox on a fresh checkout of a commit of ours, with the
        services, what the commit needs installed, and the gates' variables.

        Its history is there and cannot be written.
        """
        async with self.clone("gate", commit) as clone:
            policy = await self.gate_policy(clone, commit, variables or {})
            async with self.sandbox(policy) as channel:
                yield channel

    @asynccontextmanager
    async def sandbox(
        self, policy: Policy, state: Json | None = None, account: Account | None = None
    ) -> AsyncGenerator[Channel]:
        """A sandbox with the services. Raises what `open_sandbox` does, without secret values: a
        service that does not start may print its environment."""
        async with AsyncExitStack() as stack:
            try:
                channel = await stack.enter_async_context(
                    open_sandbox(self._backend, policy, state, account)
                )
            except ServiceFailure as failure:
                redact = redactor(self._environment.secrets)
                raise ServiceFailure(redact(failure.message), failure.hint) from None
            yield channel

    async def gate_policy(
        self, clone: Clone, commit: str, variables: Mapping[str, str], *, git_writable: bool = False
    ) -> Policy:
        """What a gate sees of a clone that nobody has worked in."""
        provided = await self.provide(commit)
        await asyncio.to_thread(exclude, clone, [each.path for each in provided])
        return self.policies.make(
            clone,
            writable=(".",),
            git_writable=git_writable,
            provided=provided,
            services=self._environment.services,
            variables={**self._environment.gates.all, **variables},
        )

    @asynccontextmanager
    async def setup(self, commit: str, setup: Setup) -> AsyncGenerator[tuple[Channel, Path]]:
        """A place to install in: sandbox and tree of a fresh checkout.

        It has the network, variables and files of `setup`, and no services. The tree is there
        until the block ends, also when the sandbox was closed before. Raises `UsageError` for a
        file that is not the home folder's.
        """
        files = home_files(self._home, setup.files)
        async with self.clone("setup", commit) as clone:
            variables = setup.variables.all
            place = clone.tree.parent
            if self.mounted:
                shown = {f"{HOME}/{name}": file for name, file in files.items()}
                folders = tuple(_on_disk(place))
            else:
                home = await asyncio.to_thread(linked_home, place / "home", files)
                variables = {"HOME": str(home), **variables}
                shown = {str(file): file for file in files.values()}
                folders = (Mount(home, str(home), writable=True),)
            policy = self.policies.make(
                clone,
                writable=(".",),
                mounts=(*folders, *(Mount(file, name) for name, file in shown.items())),
                network=Network(setup.network, setup.host_network),
                variables=variables,
            )
            account = self.traffic.account("setup")
            async with open_sandbox(self._backend, policy, account=account) as channel:
                yield channel, clone.tree

    @asynccontextmanager
    async def clone(self, name: str, commit: str) -> AsyncGenerator[Clone]:
        """A clone of a commit of ours, removed when the block ends."""
        folder = self.folder / f"{name}-{next(self._numbers)}"
        stores = (Path(self.state.directory) / "objects", *self._repository.object_stores)
        try:
            yield await asyncio.to_thread(
                make_clone, folder, self._repository, stores, commit, "result",
                mounted=self.mounted,
            )  # fmt: skip
        finally:
            await asyncio.to_thread(remove_folder, folder)

    async def export(self, clone: Clone, base: str) -> Export:
        """Bring what a clone holds beyond `base` into our repository; call when every process
        that worked in it is dead.

        A fresh sandbox packs its objects, so that no git on this machine ever acts on a
        configuration that is not ours. Raises `ExportRefused`.
        """
        # Below a folder of their own: what a sandbox can write lies beside no tree, where records are.
        folder = self.folder / "exports" / str(next(self._numbers))
        folder.mkdir(parents=True)
        try:
            await self._pack(clone, base, folder)
            return await asyncio.to_thread(import_pack, self.state, folder)
        finally:
            await asyncio.to_thread(remove_folder, folder)

    async def _pack(self, clone: Clone, base: str, folder: Path) -> None:
        """Let a sandbox write a clone's objects into a folder. Raises `ExportRefused`."""
        inside = EXPORT_INSIDE if self.mounted else str(folder)
        policy = self.policies.make(
            clone, writable=(), git_writable=True, mounts=(Mount(folder, inside, True),)
        )
        variables = {
            "AGENTFLOW_TREE": WORKSPACE if self.mounted else str(clone.tree),
            "AGENTFLOW_EXPORT": inside,
            "AGENTFLOW_SCRATCH": SCRATCH if self.mounted else str(folder),
            "AGENTFLOW_BASE": base,
        }
        assignments = "".join(f"{name}={shlex.quote(v)}\n" for name, v in variables.items())
        async with open_sandbox(self._backend, policy) as channel:
            try:
                result = await channel.call(
                    "Bash", {"command": assignments + EXPORT_SCRIPT, "timeout": EXPORT_TIMEOUT}
                )
            except ToolFailure as error:
                raise ExportRefused(f"your clone cannot be exported: {error}") from error
        if result["exit_code"] != 0:
            reason = str(result["reason"] if result["killed"] else result["output"])
            raise ExportRefused(f"your clone cannot be exported: {reason[-500:].strip()}")


def _on_disk(place: Path) -> Iterator[Mount]:
    """Home and scratch folders on the disk: what package managers keep there is larger than
    memory."""
    for name, target in (("home", HOME), ("scratch", SCRATCH)):
        folder = place / name
        folder.mkdir()
        yield Mount(folder, target, writable=True)
