"""Mending: gates that change files (`fix`: formatters, linters) work on a candidate before all judge it."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from agentflow.checkouts import Checkouts
from agentflow.errors import EnvironmentFailure, ServiceFailure, ToolFailure
from agentflow.events import Notice
from agentflow.gates.build import change_of, left_out
from agentflow.gates.command import Change, call, folder_problem
from agentflow.installation import Installation
from agentflow.interfaces import Emit
from agentflow.plan import Plan
from agentflow.records import BuildCommand
from agentflow.results import Candidate
from agentflow.sandbox.channel import Channel
from agentflow.words import counted
from agentflow.workspace.export import Export, ExportRefused
from agentflow.workspace.fold import Folded, fold
from agentflow.workspace.lfs import content_stores
from agentflow.workspace.recreate import Authorship

LISTED = 5
"""Paths left out that a notice names."""


class Mending:
    """Runs the gates that mend, on checkouts of one run."""

    def __init__(self, plan: Plan, checkouts: Checkouts, installation: Installation | None) -> None:
        self._plan = plan
        self._checkouts = checkouts
        self._installation = installation

    async def mend(
        self,
        candidate: Candidate,
        commands: Sequence[BuildCommand],
        authorship: Authorship,
        emit: Emit,
    ) -> Candidate:
        """Run the gates that mend (`fix`) on a checkout of the candidate, and fold what they
        changed within the boundaries into its last commit; call before the gates judge.

        If one of them fails, nothing is folded: the same gate will say so.
        """
        if candidate.violations or not candidate.commits:
            return candidate
        state = self._checkouts.state
        change = await asyncio.to_thread(change_of, state, candidate)
        wanted = [each for each in commands if each.fix and not left_out(each, change)]
        installed = bool(wanted) and await self._installed_for(candidate)
        export = await self._mended(wanted, change) if installed else None
        if export is None:
            return candidate
        boundaries, ledger = self._plan.boundaries, self._plan.ledger
        folded = await asyncio.to_thread(
            fold,
            state,
            candidate,
            export,
            replace(boundaries, deny=(*boundaries.deny, *(ledger.paths if ledger else ()))),
            authorship,
            content_stores(self._plan.repository),
        )
        for text in _told([each.name for each in wanted], folded):
            emit(Notice(text))
        return folded.candidate

    async def _installed_for(self, candidate: Candidate) -> bool:
        """Whether what the candidate asks for can be installed; the setup gate says why not."""
        try:
            if self._installation:
                await self._installation.judge(candidate)
        except EnvironmentFailure:
            return False
        return True

    async def _mended(self, commands: Sequence[BuildCommand], change: Change) -> Export | None:
        """The files after all commands, or None if one failed."""
        async with self._checkouts.clone("fix", change.head) as clone:
            try:
                policy = await self._checkouts.gate_policy(
                    clone, change.head, change.variables, git_writable=True
                )
            except EnvironmentFailure:  # nothing can be installed: the setup gate will say so
                return None
            try:
                async with self._checkouts.sandbox(policy) as channel:
                    for command in commands:
                        if not await self._mends(channel, command, change):
                            return None
            except ServiceFailure:  # the gates will say so
                return None
            try:
                return await self._checkouts.export(clone, change.head)
            except ExportRefused:
                return None

    async def _mends(self, channel: Channel, command: BuildCommand, change: Change) -> bool:
        if await asyncio.to_thread(folder_problem, self._checkouts.state, change.head, command.cwd):
            return False
        try:
            result = await call(channel, command, change)
        except ToolFailure:
            return False
        return result["exit_code"] == 0


def _told(names: Sequence[str], folded: "Folded") -> list[str]:
    """What the user should know about mended files."""
    by = ", ".join(names)
    told: list[str] = []
    if folded.taken:
        count = counted(len(folded.taken), "file")
        told.append(f"{by} changed {count}: folded into the last commit")
    if folded.left_out:
        more = f" and {len(folded.left_out) - LISTED} more" if len(folded.left_out) > LISTED else ""
        told.append(f"{by} changed what is left out: {', '.join(folded.left_out[:LISTED])}{more}")
    return told
