"""Installation: which dependencies stand in which checkout of a run."""

import asyncio
from dataclasses import replace
from pathlib import Path

from agentflow.environment import Variables
from agentflow.gates.pinned import pinned_manifests
from agentflow.provisions import Provisions
from agentflow.results import Candidate
from agentflow.sandbox.policy import Provided
from agentflow.workspace.substitute import with_contents


class Installation:
    """What the base asks for, from the user's cache; what a change asks for, from the run's folder.

    The scripts of a change's manifests are the base's, and its setup gets neither credentials nor
    this machine's network: a package that an agent chose, or wrote, runs code when it is installed.
    """

    def __init__(self, base: str, provisions: Provisions, folder: Path) -> None:
        self._base = base
        self._provisions = provisions
        bare = replace(
            provisions.setup,
            variables=Variables(provisions.setup.variables.literal),
            files=(),
            host_network=False,
        )
        self._changes = replace(provisions.for_changes(folder), setup=bare)
        self._judged: str | None = None

    async def of(self, commit: str) -> tuple[Provided, ...]:
        """The directories for a commit: the base, or a form of the candidate that is judged.

        Raises `EnvironmentFailure` if setup fails.
        """
        if commit == self._base:
            return await self._provisions.of(commit)
        return await self._changes.of(self._judged or commit)

    async def judge(self, candidate: Candidate) -> bool:
        """Install what a candidate asks for, for all its forms from now on; tell whether it is
        something else than the base asks for. Raises `EnvironmentFailure`."""
        self._judged = await asyncio.to_thread(self._with_scripts_of_the_base, candidate)
        of_base = await self.of(self._base)  # first: what it asks for is kept for all
        return await self.of(candidate.tip) != of_base

    def _with_scripts_of_the_base(self, candidate: Candidate) -> str:
        state = self._provisions.state
        pinned = pinned_manifests(state, candidate.base, candidate.tip)
        return with_contents(state, candidate.tip, pinned) if pinned else candidate.tip
