"""A model whose replies hold no secrets."""

from agentflow.interfaces import Emit, Model
from agentflow.messages import Reply, Request
from agentflow.redacted import redacted_reply
from agentflow.redaction import Redact


class RedactingModel:
    """A `Model`: what another one says, redacted before anybody keeps it, sends it back or runs it.

    Pieces that are still streaming pass as they are: `TextDelta` is never written down.
    """

    def __init__(self, model: Model, redact: Redact) -> None:
        self._model = model
        self._redact = redact

    async def reply(self, request: Request, emit: Emit) -> Reply:
        """Return one finished reply, redacted."""
        return redacted_reply(await self._model.reply(request, emit), self._redact)

    async def close(self) -> None:
        """Let go of the other one's connections."""
        await self._model.close()
