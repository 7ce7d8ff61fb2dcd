"""Stopping many runs: soon, between two replies, or now."""

import asyncio

from agentflow.errors import Interrupted
from agentflow.interfaces import Emit, Model
from agentflow.messages import Reply, Request
from agentflow.plan import Plan
from agentflow.records import Json
from agentflow.run import Connect, OpenModel


class Stop:
    """What a person said while agents are at work."""

    def __init__(self) -> None:
        self.signal: int | None = None
        """The one that said so."""
        self._runs: set[asyncio.Task[Json]] = set()

    def __call__(self) -> bool:
        """Whether nothing new is to begin."""
        return self.signal is not None

    def soon(self, number: int) -> None:
        """Begin nothing; each agent stops when its turn is over. `number` is the signal's."""
        self.signal = number

    def now(self, number: int) -> None:
        """Stop every run where it is."""
        self.signal = number
        for run in self._runs:
            run.cancel(number)

    def check(self) -> None:
        """Raise `Interrupted` if an agent is to stop at this point."""
        if self.signal is not None:
            raise Interrupted(self.signal)

    async def watch(self, run: "asyncio.Task[Json]") -> Json:
        """The report of a run that can be stopped."""
        self._runs.add(run)
        try:
            return await run
        finally:
            self._runs.discard(run)


class _Stoppable:
    """A `Model` that is asked nothing more once a person wants to stop: all before is kept."""

    def __init__(self, model: Model, stop: Stop) -> None:
        self._model = model
        self._stop = stop

    async def reply(self, request: Request, emit: Emit) -> Reply:
        """Return one finished reply; raises `Interrupted` instead of asking for it."""
        self._stop.check()
        return await self._model.reply(request, emit)

    async def close(self) -> None:
        """Let go of the other one's connections."""
        await self._model.close()


def stoppable(connect: Connect, stop: Stop) -> Connect:
    """The same connections, which stop between two replies."""

    def connect_stoppable(plan: Plan) -> OpenModel:
        open_model = connect(plan)
        return lambda: _Stoppable(open_model(), stop)

    return connect_stoppable
