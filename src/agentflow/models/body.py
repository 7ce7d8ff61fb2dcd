"""The body of a request, with cache breakpoints as far as the server knows them."""

from agentflow.messages import Request
from agentflow.models.kinds import KINDS, Kind
from agentflow.records import Json

_FAR = 15
"""New blocks from which the cache's lookback of 20 blocks may miss the previous request's end."""
_MARK: Json = {"type": "ephemeral"}


def request_body(request: Request, kind: Kind = KINDS["anthropic"]) -> Json:
    """The arguments of `messages.create`.

    At most three breakpoints of the four that the API allows: the system prompt (tools included),
    the moving end of the conversation, and the previous end if it is far away.
    """
    caching = kind.caching_for(request.model)
    body: Json = {
        "model": request.model,
        "max_tokens": request.max_tokens,
        "messages": _marked(request.messages, at_end=caching == "blocks")
        if caching != "none"
        else request.messages,
    }
    if caching == "moving":
        body["cache_control"] = _MARK
    if request.effort and kind.effort:
        body["output_config"] = {"effort": request.effort}
    if request.tools:
        body["tools"] = request.tools
    if request.system.strip():
        mark = {**_MARK, "ttl": "1h"} if kind.hour else _MARK
        marked = {} if caching == "none" else {"cache_control": mark}
        body["system"] = [{"type": "text", "text": request.system, **marked}]
    return body


def _marked(messages: list[Json], *, at_end: bool) -> list[Json]:
    """Add a breakpoint where the previous request ended, if more than 15 blocks came since."""
    places = [len(messages) - 1] if at_end and messages[-1]["role"] == "user" else []
    replies = [place for place, message in enumerate(messages) if message["role"] == "assistant"]
    if replies and replies[-1]:
        place = replies[-1] - 1
        new = sum(len(_blocks(message)) for message in messages[place + 1 :])
        if new > _FAR and messages[place]["role"] == "user":
            places.append(place)
    return [_mark(each) if n in places else each for n, each in enumerate(messages)]


def _mark(message: Json) -> Json:
    *rest, last = _blocks(message)
    return {**message, "content": [*rest, {**last, "cache_control": _MARK}]}


def _blocks(message: Json) -> list[Json]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content
