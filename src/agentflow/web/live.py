"""A page that stays up to date: server-sent events with the regions that look different by now.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping

from agentflow.errors import AgentflowError
from agentflow.neutral import one_line
from agentflow.pages.dashboard import Page

INTERVAL = 0.7
"""Seconds between two looks."""
SHARE = 4
"""A look that takes long is followed by a pause that is so many times as long."""
SILENCE = 15.0
"""Seconds after which something is said, so that both ends know that the other one is there."""


async def changes(
    look: Callable[[], Page], seen: Mapping[str, str], is_over: Callable[[], bool]
) -> AsyncGenerator[str]:
    """The events of one browser, until the server `is_over`; `seen` are the digests of the
    regions that it has."""
    loop = asyncio.get_running_loop()
    shown, said = dict(seen), loop.time()
    yield "retry: 1000\n\n"
    while not is_over():
        began = loop.time()
        try:
            page = await asyncio.to_thread(look)
        except AgentflowError as error:
            yield event(one_line(error.message, 200), name="problem")
            return
        new = [region for region in page.regions if shown.get(region.id) != region.digest]
        if new:
            yield event([{"id": r.id, "digest": r.digest, "html": r.html} for r in new])
        elif loop.time() - said > SILENCE:
            yield ": still here\n\n"
        if new or loop.time() - said > SILENCE:
            said = loop.time()
        shown |= {region.id: region.digest for region in new}
        await asyncio.sleep(max(INTERVAL, SHARE * (loop.time() - began)))


def event(data: object, *, name: str = "message") -> str:
    """One event; JSON has no line ends, which would end it."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


def digests(text: str) -> dict[str, str]:
    """What a browser says that it has: `id.digest,id.digest`."""
    pairs = (part.partition(".") for part in text[:4000].split(","))
    return {id_: digest for id_, _, digest in pairs}
