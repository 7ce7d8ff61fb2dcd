"""Many bare loops on the SDK in one process: `python bare_many.py URL COUNT REQUEST`.

Each begins with the request in a file, as agentflow's was recorded, and works in the current folder until
the model ends its turn. Prints the seconds from the first request to the last answer.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from bare_loop import TOOLS  # pyright: ignore[reportImplicitRelativeImport]

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic
    from anthropic.types import MessageParam, ToolResultBlockParam


async def converse(client: "AsyncAnthropic", request: dict[str, Any]) -> None:
    """One conversation until a reply has no tool call."""
    messages: list[MessageParam] = [*request["messages"]]
    rest = {key: value for key, value in request.items() if key not in ("messages", "stream")}
    while True:
        async with client.messages.stream(messages=messages, **rest) as stream:
            reply = await stream.get_final_message()
        messages.append({"role": "assistant", "content": reply.content})
        results: list[ToolResultBlockParam] = []
        for block in reply.content:
            if block.type == "tool_use":
                given = cast("dict[str, Any]", block.input)
                text = await asyncio.to_thread(TOOLS[block.name], **given)
                results.append({"type": "tool_result", "tool_use_id": block.id, "content": text})
        if not results:
            return
        messages.append({"role": "user", "content": results})


async def main(url: str, count: int, request: dict[str, Any]) -> float:
    """All conversations at once, on one client; seconds of their span."""
    from anthropic import AsyncAnthropic

    for number in range(1, count + 1):
        (Path("src") / f"task{number}").mkdir()
    async with AsyncAnthropic(api_key="no-key-needed", base_url=url) as client:
        started = time.monotonic()
        await asyncio.gather(*(converse(client, request) for _ in range(count)))
        return time.monotonic() - started


if __name__ == "__main__":
    pattern = json.loads(Path(sys.argv[3]).read_text("utf-8"))
    print(asyncio.run(main(sys.argv[1], int(sys.argv[2]), pattern)))
