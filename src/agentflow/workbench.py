"""The workbench: where one run happens. Its clones, and the sandboxes that are opened on them."""

import asyncio
import itertools
import shlex
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from agentflow.errors import EnvironmentFailure, ToolFailure
from agentflow.plan import Plan, first_word, untracked_documents
from agentflow.records import WORKSPACE, Candidate, Json
from agentflow.sandbox import open_sandbox
from agentflow.sandbox.channel import Channel
from agentflow.sandbox.policy import SCRATCH, Mount, Policy
from agentflow.sandbox.toolchains import Toolchains, find
from agentflow.workspace.clone import (
    GIT_INSIDE,
    OBJECTS_INSIDE,
    Clone,
    copy_documents,
    make_clone,
    make_repository,
)
from agentflow.workspace.export import EXPORT_INSIDE, EXPORT_SCRIPT, ExportRefused, import_pack
from agentflow.workspace.git import Git
from agentflow.workspace.importer import make_candidate
from agentflow.workspace.recreate import Authorship
from agentflow.world import World

COMPLETION = ".orchestrator/complete"
EXPORT_TIMEOUT = 300.0
"""Seconds."""


class Workbench:
    """One run's folder in the cache: `agent/` (tree and git), `state.git` (ours), checkouts."""

    def __init__(self, plan: Plan, world: World, folder: Path) -> None:
        self.plan = plan
        self.folder = folder
        self.state: Git
        self.documents: tuple[str, ...] = ()
        self._world = world
        self._mounted = plan.settings.sandbox != "none"
        self._agent: Clone
        self._toolchains: Toolchains
        self._continued: Json | None = None
        self._numbers = itertools.count(1)

    @property
    def tree(self) -> Path:
        """The agent's work tree, on this machine."""
        return self.folder / "agent" / "tree"

    async def prepare(self) -> None:
        """Make the agent's clone and our repository. Raises `EnvironmentFailure`."""
        await asyncio.to_thread(self._prepare)

    def _prepare(self) -> None:
        plan, repository = self.plan, self.plan.repository
        stores = repository.object_stores
        try:
            self.state = make_repository(self.folder / "state.git", repository, stores)
            self._agent = make_clone(
                self.folder / "agent",
                repository,
                stores,
                plan.base,
                plan.branch,
                mounted=self._mounted,
            )
            self.documents = copy_documents(
                repository, self._agent, untracked_documents(plan), ignored=(COMPLETION,)
            )
        except OSError as error:
            raise EnvironmentFailure(
                f"cannot prepare {self.folder}: {error.strerror}",
                hint="Free disk space, or see to it that the folder can be written.",
            ) from error
        environment = self._world.environment
        # A gate may come from the repository, and a path in it could show any folder: programs
        # are looked up by name.
        words = [first_word(gate.command) for gate in plan.gates]
        self._toolchains = find(
            [word for word in words if "/" not in word],
            environment.get("PATH", ""),
            Path(environment.get("HOME", "/")),
            repository.root,
        )

    @asynccontextmanager
    async def agent_sandbox(self) -> AsyncGenerator[Channel]:
        """The agent's place: its clone within its boundaries. When this ends, so have all its
        processes; the next one continues with the same directory and knowledge of read files."""
        policy = self._policy(
            self._agent,
            writable=self.plan.mounts.writable,
            protected=self.plan.mounts.protected,
            git_writable=True,
            completion=COMPLETION,
        )
        async with open_sandbox(self.plan.settings.sandbox, policy, self._continued) as channel:
            yield channel
            self._continued = await channel.state()

    @asynccontextmanager
    async def checkout(self, commit: str) -> AsyncGenerator[Channel]:
        """A gate's place: a fresh sandbox on a fresh checkout of a commit of ours."""
        folder = self.folder / f"gate-{next(self._numbers)}"
        stores = (Path(self.state.directory) / "objects", *self.plan.repository.object_stores)
        try:
            clone = await asyncio.to_thread(
                make_clone,
                folder,
                self.plan.repository,
                stores,
                commit,
                "result",
                mounted=self._mounted,
            )
            policy = self._policy(clone, writable=(".",))
            async with open_sandbox(self.plan.settings.sandbox, policy) as channel:
                yield channel
        finally:
            await asyncio.to_thread(_remove, folder)

    async def collect(self, authorship: Authorship) -> Candidate:
        """Bring the agent's work into our repository; call when its sandbox is closed.

        A fresh sandbox packs its objects, so that no git on this machine ever acts on the agent's
        configuration. A clone that cannot be exported is a violation that the agent can mend.
        """
        export = self.folder / f"export-{next(self._numbers)}"
        export.mkdir()
        try:
            await self._export(export)
            return await asyncio.to_thread(self._candidate, export, authorship)
        except ExportRefused as refused:
            base = self.plan.base
            return Candidate(base, base, violations=(refused.message,))
        finally:
            await asyncio.to_thread(_remove, export)

    async def _export(self, folder: Path) -> None:
        """Let a sandbox write the agent's objects into a folder. Raises `ExportRefused`."""
        policy = self._policy(
            self._agent,
            writable=(),
            git_writable=True,
            mounts=(Mount(folder, EXPORT_INSIDE, True),),
        )
        variables = {
            "AGENTFLOW_TREE": WORKSPACE if self._mounted else str(self._agent.tree),
            "AGENTFLOW_EXPORT": EXPORT_INSIDE if self._mounted else str(folder),
            "AGENTFLOW_SCRATCH": SCRATCH if self._mounted else str(folder),
            "AGENTFLOW_BASE": self.plan.base,
        }
        assignments = "".join(f"{name}={shlex.quote(v)}\n" for name, v in variables.items())
        async with open_sandbox(self.plan.settings.sandbox, policy) as channel:
            try:
                result = await channel.call(
                    "Bash", {"command": assignments + EXPORT_SCRIPT, "timeout": EXPORT_TIMEOUT}
                )
            except ToolFailure as error:
                raise ExportRefused(f"your clone cannot be exported: {error}") from error
        if result["exit_code"] != 0:
            reason = f"{result['killed']} limit" if result["killed"] else str(result["output"])
            raise ExportRefused(f"your clone cannot be exported: {reason[-500:].strip()}")

    def _candidate(self, export: Path, authorship: Authorship) -> Candidate:
        plan = self.plan
        return make_candidate(
            self.state,
            import_pack(self.state, export),
            plan.base,
            plan.boundaries,
            plan.prompt.profile.commits,
            authorship,
        )

    async def remove(self) -> None:
        """Delete the folder."""
        await asyncio.to_thread(_remove, self.folder)

    def _policy(
        self,
        clone: Clone,
        *,
        writable: tuple[str, ...],
        protected: tuple[str, ...] = (),
        git_writable: bool = False,
        completion: str | None = None,
        mounts: tuple[Mount, ...] = (),
    ) -> Policy:
        tools = self._toolchains
        readable = (Mount(Path(path), path) for path in self.plan.settings.readable)
        return Policy(
            tree=clone.tree,
            writable=writable,
            protected=protected,
            completion=completion,
            mounts=(
                Mount(clone.git_dir, GIT_INSIDE, git_writable),
                *(Mount(s, f"{OBJECTS_INSIDE}/{n}") for n, s in enumerate(clone.stores)),
                *tools.mounts,
                *readable,
                *mounts,
            ),
            # A borrowed store's own alternates are mounted too, under other names.
            masked=(
                *tools.masked,
                *(
                    f"{OBJECTS_INSIDE}/{n}/info/alternates"
                    for n, store in enumerate(clone.stores)
                    if (store / "info" / "alternates").exists()
                ),
            ),
            environment=tools.environment,
            path=tools.path,
        )


def _remove(folder: Path) -> None:
    """Delete a folder that hostile code has filled; what cannot be deleted stays.

    By `rm`, because Python's own removal recurses once for each nested folder.
    """
    subprocess.run(["rm", "-rf", "--", str(folder)], capture_output=True, check=False)
