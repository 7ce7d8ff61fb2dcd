"""Many bare loops on the SDK in one process: `python bare_many.py URL COUNT`.

Each works in a folder of its own below the current one until the model ends its turn.
"""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from bare_loop import TOOLS  # pyright: ignore[reportImplicitRelativeImport]

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic
    from anthropic.types import MessageParam, ToolParam, ToolResultBlockParam

TOOL: dict[str, Any] = {"description": "A tool.", "input_schema": {"type": "object"}}


async def converse(client: "AsyncAnthropic", number: int) -> None:
    """One conversation until a reply has no tool call."""
    tools = cast("list[ToolParam]", [{**TOOL, "name": name} for name in TOOLS])
    messages: list[MessageParam] = [{"role": "user", "content": f"Task {number}: read files."}]
    while True:
        async with client.messages.stream(
            model="claude-sonnet-5-5", max_tokens=1000, messages=messages, tools=tools
        ) as stream:
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


async def main(url: str, count: int) -> None:
    """All conversations at once, on one client."""
    from anthropic import AsyncAnthropic

    for number in range(1, count + 1):
        (Path("src") / f"task{number}").mkdir()
    async with AsyncAnthropic(api_key="no-key-needed", base_url=url) as client:
        await asyncio.gather(*(converse(client, number) for number in range(count)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
