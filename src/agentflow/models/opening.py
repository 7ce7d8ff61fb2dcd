"""A model that is still being opened: the SDK's import takes a second, and nothing else waits."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from agentflow.errors import AgentflowError
from agentflow.interfaces import Emit, Model
from agentflow.messages import Reply, Request


class OpeningModel:
    """A `Model` that is opened in a thread from now on; its first reply waits for that."""

    def __init__(self, open_model: Callable[[], Model]) -> None:
        self._opening = asyncio.create_task(asyncio.to_thread(open_model))

    async def reply(self, request: Request, emit: Emit) -> Reply:
        """Return one finished reply; raises what opening raised."""
        model = await asyncio.shield(self._opening)
        return await model.reply(request, emit)

    async def close(self) -> None:
        """Let go of what was opened. A thread cannot be stopped: this waits for it."""
        with suppress(AgentflowError):
            model = await self._opening
            await model.close()
