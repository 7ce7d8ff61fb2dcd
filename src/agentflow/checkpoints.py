"""Keeping a run: a checkpoint after each batch of calls, made while the model is asked."""

import asyncio
import shlex
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from agentflow.disk import check_room
from agentflow.errors import AgentflowError, EnvironmentFailure, ToolFailure
from agentflow.events import CheckpointMade, Notice
from agentflow.frozen import record
from agentflow.interfaces import Emit
from agentflow.journal import Journal
from agentflow.sandbox.channel import Channel
from agentflow.workspace.checkpoint import SCRIPT, Checkpoint, write_checkpoint
from agentflow.workspace.export import import_pack, read_tips
from agentflow.workspace.git import Git

TIMEOUT = 300.0
"""Seconds for git to look at the tree."""


@record
class Place:
    """Where the agent's files are packed."""

    folder: Path
    """On this machine; what the script leaves in it comes from the agent's sandbox."""
    variables: Mapping[str, str]
    """For the script."""


Push = Callable[[str], None]
"""Brings a checkpoint, given by its commit, to other machines. Raises `Fenced` and
`EnvironmentFailure`."""


class Checkpoints:
    """An `interfaces.Keeper` of one run, through all its sandboxes."""

    def __init__(
        self,
        run: str,
        state: Git,
        journal: Journal,
        emit: Emit,
        turns: Callable[[], int],
        now: Callable[[], datetime],
        last: Checkpoint,
        push: Push | None = None,
    ) -> None:
        """`turns` is how many replies the conversation holds; `last` the newest checkpoint, or how the
        files are before the first. What cannot be pushed ends the run."""
        self._run = run
        self._state = state
        self._journal = journal
        self._emit = emit
        self._turns = turns
        self._now = now
        self._last = last
        self._missed = False
        """Whether files may have changed since the last one."""
        self._told = ""
        self._push = push
        self._fatal: AgentflowError | None = None
        self._work: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def during(self, channel: Channel, place: Place) -> AsyncGenerator["_During"]:
        """Keep what happens in one sandbox; when this ends, all that was begun is kept. Raises
        `EnvironmentFailure` if it cannot be, because the disk is full."""
        try:
            yield _During(self, channel, place)
        finally:
            await asyncio.shield(self._waited())
        await self.settled()

    def begin(self, channel: Channel, place: Place, *, changed: bool) -> None:
        """Begin to keep the conversation as it is now, and the files if they may have changed."""
        self._missed = self._missed or changed
        extent = self._journal.extent
        self._work = asyncio.create_task(
            self._save(self._work, channel, place, self._turns(), extent)
        )

    async def settled(self) -> None:
        """See `interfaces.Keeper.settled`."""
        await self._waited()
        if self._fatal:
            raise self._fatal

    async def _waited(self) -> None:
        if self._work is not None:
            await asyncio.wait([self._work])

    async def _save(
        self,
        before: asyncio.Task[None] | None,
        channel: Channel,
        place: Place,
        turn: int,
        extent: tuple[int, int],
    ) -> None:
        if before is not None:
            await asyncio.wait([before])
        try:
            head, tree = self._last.head, self._last.tree
            if self._missed:
                head, tree = await self._pack(channel, place)
                self._missed = False
            session = await channel.state()
            made = Checkpoint("", turn, *extent, head, tree, session)
            self._last = await asyncio.to_thread(self._write, made)
        except (AgentflowError, ToolFailure) as error:
            await self._failed(error)
            return
        self._emit(CheckpointMade(turn, self._last.commit))
        if self._push is not None:
            try:
                await asyncio.to_thread(self._push, self._last.commit)
            except AgentflowError as error:
                self._fatal = error

    async def _pack(self, channel: Channel, place: Place) -> tuple[str, str]:
        """Bring the agent's commits and files into our repository; return their names."""
        last = f"{self._last.head} {self._last.tree}"
        variables = {**place.variables, "AGENTFLOW_LAST": last}
        assignments = "".join(f"{name}={shlex.quote(v)}\n" for name, v in variables.items())
        result = await channel.call(
            "Bash",
            {
                "command": assignments + SCRIPT,
                "timeout": TIMEOUT,
                "cwd": ".",
                "silent": True,
            },
        )
        if result["exit_code"] != 0:
            said = str(result["output"]).strip()[-300:]
            raise EnvironmentFailure(f"git ended with {result['exit_code']}: {said}")
        if str(result["output"]).strip().endswith("incomplete"):
            await asyncio.to_thread(check_room, place.folder)
            self._tell("git cannot read some of the agent's files: they are in no checkpoint")
        return await asyncio.to_thread(self._indexed, place.folder)

    def _indexed(self, folder: Path) -> tuple[str, str]:
        tips = read_tips(folder)
        if tips != (self._last.head, self._last.tree):
            import_pack(self._state, folder)
        return tips

    def _write(self, made: Checkpoint) -> Checkpoint:
        journal = self._journal.read(self._last.size, made.size)
        seconds = int(self._now().timestamp())
        return write_checkpoint(
            self._state, self._run, self._last, replace(made, journal=journal), seconds
        )

    async def _failed(self, error: Exception) -> None:
        try:
            await asyncio.to_thread(check_room, self._state.directory)
        except EnvironmentFailure as full:
            self._fatal = full
        else:
            self._tell(f"{error}")

    def _tell(self, problem: str) -> None:
        """Say once that a run which dies now would lose its last turns."""
        if problem != self._told:
            self._told = problem
            self._emit(Notice(f"no checkpoint was made: {problem}"))


class _During:
    """The keeper of one sandbox."""

    def __init__(self, checkpoints: Checkpoints, channel: Channel, place: Place) -> None:
        self._checkpoints, self._channel, self._place = checkpoints, channel, place

    def begin(self, *, changed: bool) -> None:
        """See `interfaces.Keeper.begin`."""
        self._checkpoints.begin(self._channel, self._place, changed=changed)

    async def settled(self) -> None:
        """See `interfaces.Keeper.settled`."""
        await self._checkpoints.settled()
