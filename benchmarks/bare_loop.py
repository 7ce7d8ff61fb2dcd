"""A bare agent loop on the SDK: what agentflow's speed is measured against.

`python bare_loop.py URL REQUEST` sends the first request of a run of agentflow, as recorded in
the file REQUEST (system prompt, tools, first message), and works in the current folder until the
model ends its turn. Prints the seconds of each tool call as a JSON list.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from anthropic.types import MessageParam, ToolResultBlockParam


def read(file_path: str) -> str:
    lines = Path(file_path).read_text("utf-8").splitlines()
    return "\n".join(f"{number:6d}\t{line}" for number, line in enumerate(lines, 1))


def write(file_path: str, content: str) -> str:
    path = Path(file_path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, "utf-8")
    return f"{file_path}: {len(content)} characters"


def edit(file_path: str, old_string: str, new_string: str) -> str:
    path = Path(file_path)
    text = path.read_text("utf-8")
    if text.count(old_string) != 1:
        raise ValueError(f"{old_string!r} is not there exactly once")
    path.write_text(text.replace(old_string, new_string), "utf-8")
    return f"{file_path} changed"


def bash(command: str) -> str:
    ended = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=120, check=False
    )
    return f"{ended.stdout}{ended.stderr}" or "(no output)"


TOOLS: dict[str, Callable[..., str]] = {"Read": read, "Write": write, "Edit": edit, "Bash": bash}


async def converse(url: str, request: dict[str, Any]) -> list[float]:
    """Loop until a reply has no tool call; return the seconds of every call."""
    # The import is part of what is measured; at the top, our own lint forbids it.
    from anthropic import AsyncAnthropic

    seconds: list[float] = []
    messages: list[MessageParam] = request.pop("messages")
    async with AsyncAnthropic(api_key="no-key-needed", base_url=url) as client:
        while True:
            async with client.messages.stream(**request, messages=messages) as stream:
                reply = await stream.get_final_message()
            messages.append({"role": "assistant", "content": reply.content})
            results: list[ToolResultBlockParam] = []
            for block in reply.content:
                if block.type == "tool_use":
                    started = time.monotonic()
                    content = TOOLS[block.name](**cast("dict[str, Any]", block.input))
                    seconds.append(time.monotonic() - started)
                    results.append({
                        "type": "tool_result",
                        "tool_use_id": block.id,
                        "content": content,
                    })
            if not results:
                return seconds
            messages.append({"role": "user", "content": results})


def main() -> None:
    url, recorded = sys.argv[1:]
    request: dict[str, Any] = json.loads(Path(recorded).read_text("utf-8"))
    del request["stream"]
    print(json.dumps(asyncio.run(converse(url, request))))


if __name__ == "__main__":
    main()
