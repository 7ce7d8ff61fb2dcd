"""The workbench: where one run happens. The agent's clone, and what is made of its work."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from agentflow.checkouts import STATE, Checkouts, Provide
from agentflow.checkpoints import Place
from agentflow.documents import untracked_documents
from agentflow.environment import Environment, Setup
from agentflow.folders import preparing, remove_folder
from agentflow.interfaces import Emit
from agentflow.plan import Plan
from agentflow.records import WORKSPACE, Json
from agentflow.redaction import Redact
from agentflow.results import Candidate
from agentflow.sandbox.channel import Channel
from agentflow.sandbox.policy import Mount, Network, Provided
from agentflow.sandbox.traffic import Traffic
from agentflow.skill_copies import copy_skills, readable_skills
from agentflow.words import counted
from agentflow.workspace.checkpoint import (
    KEPT_INSIDE,
    Checkpoint,
    make_place,
    script_variables,
)
from agentflow.workspace.clone import Clone, copy_documents, exclude, make_clone
from agentflow.workspace.export import ExportRefused
from agentflow.workspace.git import Git
from agentflow.workspace.lfs import content_stores
from agentflow.world import World

if TYPE_CHECKING:
    from agentflow.installation import Installation
    from agentflow.mending import Mending
    from agentflow.workspace.recreate import Authorship

COMPLETION = ".orchestrator/complete"


class Workbench:
    """One run's folder in the cache: `agent/` (tree and git), `state.git` (ours), checkouts."""

    def __init__(
        self,
        plan: Plan,
        world: World,
        folder: Path,
        environment: Environment | None = None,
        uploaded: int = 0,
    ) -> None:
        """`uploaded`: bytes that sandboxes of the run have sent before."""
        self.plan = plan
        self.folder = folder
        self.documents: tuple[str, ...] = ()
        self.installation: Installation | None = None
        """None where no setup is configured."""
        self._world = world
        self._environment = environment or Environment()
        self._checkouts = Checkouts(
            folder,
            plan.repository,
            world,
            backend=plan.settings.sandbox.backend,
            limits=plan.settings.sandbox.limits,
            readable=plan.settings.readable,
            environment=self._environment,
            gates=plan.gates,
            traffic=Traffic(plan.settings.sandbox.upload, uploaded),
        )
        self._agent: Clone
        self.provided: tuple[Provided, ...] = ()
        """What the agent is shown beside what git holds."""
        self._skills: tuple[Mount, ...] = ()
        self._skills_left_out: tuple[str, ...] = ()
        self._continued: Json | None = None
        self.is_prepared = False
        self._reopened = False

    @property
    def locks(self) -> Path:
        """The folder of the repository's locks."""
        return self.plan.repository.locks(self._world.cache)

    @property
    def state(self) -> Git:
        """Our repository."""
        return self._checkouts.state

    @property
    def is_ready(self) -> bool:
        """Whether our repository is there."""
        return self.is_prepared or self._reopened

    @property
    def is_mounted(self) -> bool:
        """Whether each sandbox has files and a network of its own."""
        return self._checkouts.mounted

    @property
    def traffic(self) -> Traffic:
        """What goes through the proxies of the run."""
        return self._checkouts.traffic

    @property
    def tree(self) -> Path:
        """The agent's work tree, on this machine."""
        return self.folder / "agent" / "tree"

    @property
    def base_checks(self) -> Path:
        """Where it is kept how gates end on a base."""
        return self._world.cache / self.plan.repository.key / "base-checks"

    @property
    def toolchain(self) -> str:
        """What decides whether installed dependencies fit this machine."""
        return self._checkouts.toolchain

    @property
    def notices(self) -> tuple[str, ...]:
        """What the user should know about the agent's clone."""
        copied = (f"{each} is not tracked by git: the agent gets a copy" for each in self.documents)
        left = self._agent.pointers
        absent = f"the contents of {counted(left, 'LFS file')} are not on this machine: pointers"
        return (*copied, *([absent] if left else []), *self._skills_left_out)

    async def prepare(self, at: Checkpoint | None = None) -> None:
        """Make the agent's clone and our repository, or the clone as it was at a checkpoint.

        Raises `EnvironmentFailure`.
        """
        await asyncio.to_thread(self._prepare, at)
        self.is_prepared = True

    def _prepare(self, at: Checkpoint | None) -> None:
        plan, repository = self.plan, self.plan.repository
        self._checkouts.prepare()
        stores = repository.object_stores
        if at is not None:
            self._clear()
            self._continued = at.session
            stores = (Path(self.state.directory) / "objects", *stores)
        with preparing(self.folder):
            self._agent = make_clone(
                self.folder / "agent",
                repository,
                stores,
                at.head if at else plan.base,
                plan.branch,
                mounted=self.is_mounted,
                files=at.tree if at else None,
            )
            self.documents = copy_documents(
                repository, self._agent, untracked_documents(plan), ignored=(COMPLETION,)
            )
            if self.is_mounted:
                copied = copy_skills(plan.skills, self.folder / "skills")
                self._skills, self._skills_left_out = copied
            else:
                self._skills = readable_skills(plan.skills)

    async def install(self, emit: Emit, redact: Redact) -> None:
        """Install what the base asks for, if nobody has done that before; after `prepare`.

        Raises `EnvironmentFailure` if setup fails.
        """
        if self._environment.setup is None:
            return
        # Imported here: without a setup nobody should wait for it.
        from agentflow.installation import Installation
        from agentflow.provisions import Provisions

        provisions = Provisions(
            self._environment.setup,
            self._world.cache / self.plan.repository.key / "provisions",
            self.state,
            self.toolchain,
            self.setup_checkout,
            emit,
            redact,
            secret_files=self.plan.settings.secrets.files,
        )
        self.installation = Installation(self.plan.base, provisions, self.folder / "provisions")
        await self.equip(self.installation.of)

    async def equip(self, provide: Provide) -> None:
        """Say what installs; give the agent what belongs to the base. After `prepare`, and before
        the agent's first sandbox. Gates get what belongs to the commit that they judge."""
        self._checkouts.provide = provide
        self.provided = await provide(self.plan.base)
        paths = [each.path for each in self.provided]
        await asyncio.to_thread(exclude, self._agent, paths)

    def reopen(self) -> None:
        """Make our repository ready, for a run of which nothing but landing is left."""
        self._checkouts.prepare()
        self._reopened = True

    def _clear(self) -> None:
        """Remove what a dead process left, but for our repository.

        Renamed first: its sandbox may take a moment to die, and must not write into a new tree.
        """
        found = list(self.folder.iterdir()) if self.folder.is_dir() else []
        dead = [
            each.rename(self.folder / f"dead-{self._world.entropy(8).hex()}")
            for each in found
            if each.name != STATE
        ]
        if dead:
            remove_folder(*dead)

    @property
    def _kept(self) -> Path:
        return self.folder / "agent" / "checkpoint"

    @property
    def place(self) -> Place:
        """Where checkpoints of the agent's clone are packed."""
        mounted = self.is_mounted
        tree = {"AGENTFLOW_TREE": WORKSPACE if mounted else str(self._agent.tree)}
        variables = script_variables(self._agent, self._kept, mounted=mounted)
        return Place(self._kept, {**tree, **variables})

    @asynccontextmanager
    async def agent_sandbox(self) -> AsyncGenerator[Channel]:
        """The agent's place: its clone within its boundaries. When this ends, so have all its
        processes; the next one continues with the same directory and knowledge of read files."""
        await asyncio.to_thread(make_place, self._agent, self._kept)
        kept = KEPT_INSIDE if self.is_mounted else str(self._kept)
        policy = self._checkouts.policies.make(
            self._agent,
            writable=self.plan.mounts.writable,
            protected=self.plan.mounts.protected,
            git_writable=True,
            completion=COMPLETION,
            mounts=(*self._skills, Mount(self._kept, kept, writable=True)),
            provided=self.provided,
            services=self._environment.services,
            network=Network(self._environment.agent_network, setting="environment.agent.network"),
            variables=self._environment.agent.all,
        )
        account = self.traffic.account("agent")
        async with self._checkouts.sandbox(policy, self._continued, account) as channel:
            yield channel
            self._continued = await channel.state()

    def checkout(
        self, commit: str, variables: Mapping[str, str] | None = None, /
    ) -> AbstractAsyncContextManager[Channel]:
        """A gate's place; see `Checkouts.open`."""
        return self._checkouts.open(commit, variables)

    def setup_checkout(
        self, commit: str, setup: Setup
    ) -> AbstractAsyncContextManager[tuple[Channel, Path]]:
        """A place to install in; see `Checkouts.setup`."""
        return self._checkouts.setup(commit, setup)

    async def collect(self, authorship: "Authorship") -> Candidate:
        """Bring the agent's work into our repository; call when its sandbox is closed.

        A clone that cannot be exported is a violation that the agent can mend.
        """
        # Imported here, when the agent has finished: before the first request it would be waited for.
        from agentflow.workspace.importer import make_candidate
        from agentflow.workspace.one_commit import one_commit

        plan, base = self.plan, self.plan.base
        try:
            export = await self._checkouts.export(self._agent, base)
        except ExportRefused as refused:
            return Candidate(base, base, violations=(refused.message,))
        candidate = await asyncio.to_thread(
            make_candidate,
            self.state,
            export,
            base,
            plan.boundaries,
            plan.prompt.profile.commits,
            authorship,
            content_stores(plan.repository),
        )
        ledger = plan.ledger
        if ledger is None:
            return candidate
        return await asyncio.to_thread(
            one_commit, self.state, candidate, ledger.message, ledger.paths, authorship
        )

    @property
    def mending(self) -> "Mending":
        """What formatters make of a candidate."""
        from agentflow.mending import Mending

        return Mending(self.plan, self._checkouts, self.installation)

    async def remove(self, *, whole: bool) -> None:
        """Delete the folder; not `whole`, our repository with the run's checkpoints stays."""
        await (
            asyncio.to_thread(remove_folder, self.folder)
            if whole
            else asyncio.to_thread(self._clear)
        )
