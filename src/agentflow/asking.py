"""One request from a conversation, that fits the model's window."""

from agentflow.context import reply_tokens
from agentflow.conversation import Conversation
from agentflow.errors import ContextExceeded
from agentflow.frozen import record
from agentflow.interfaces import Emit, Keeper, Model, Toolkit
from agentflow.messages import CallFailed, Reply, Request
from agentflow.records import Effort, Json
from agentflow.reduction import Reducer


@record
class Asking:
    """Who is asked, and as whom."""

    model: Model
    model_id: str
    system: str
    effort: Effort | None
    window: int | None
    """Of the model, in tokens; None if it is not known."""
    emit: Emit

    async def restore(self, conversation: Conversation, toolkit: Toolkit, keeper: Keeper) -> None:
        """Make the files that the conversation refers to in a new sandbox."""
        reducer = self._reducer(toolkit, keeper)
        conversation.context = await reducer.restore(conversation.messages, conversation.context)

    async def reply(self, conversation: Conversation, toolkit: Toolkit, keeper: Keeper) -> Reply:
        """Ask with what fits the window; if the API finds that too long, with less, once.

        Raises what the model raises, and `ContextExceeded` if less does not help.
        """
        full = conversation.full > 0
        try:
            return await self._fitting(conversation, toolkit, keeper, refused=full)
        except CallFailed as error:
            if not error.too_long:
                raise
            refusal = error
        try:
            if full:
                raise refusal
            return await self._fitting(conversation, toolkit, keeper, refused=True)
        except (CallFailed, ContextExceeded) as error:
            if isinstance(error, CallFailed) and not error.too_long:
                raise
            raise ContextExceeded(refusal.message, refusal.hint) from error

    async def _fitting(
        self, conversation: Conversation, toolkit: Toolkit, keeper: Keeper, *, refused: bool
    ) -> Reply:
        before = conversation.context
        conversation.context = await self._reducer(toolkit, keeper).make_room(
            conversation.messages, before, refused=refused
        )
        if refused and conversation.context is before:
            raise ContextExceeded("the conversation does not fit the model's context window")
        return await self._reply(toolkit, conversation.sent)

    def _reducer(self, toolkit: Toolkit, keeper: Keeper) -> Reducer:
        async def summarize(messages: list[Json]) -> Reply:
            return await self._reply(toolkit, messages)

        return Reducer(self.window, toolkit, summarize, self.emit, keeper.settled)

    async def _reply(self, toolkit: Toolkit, messages: list[Json]) -> Reply:
        request = Request(
            self.model_id,
            self.system,
            messages,
            toolkit.schemas,
            reply_tokens(self.window),
            self.effort,
        )
        return await self.model.reply(request, self.emit)
