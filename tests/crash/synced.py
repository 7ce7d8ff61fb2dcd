"""A run in a process of its own in which every sync of a file is counted, beside what the model is asked.

`python -m tests.crash.synced ROOT CACHE URL`, with the environment of the run, prints a JSON list: `["synced",
path, bytes]` for each file or folder that the disk was waited for, and `["asked", messages]`, in their order.
"""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agentflow.interfaces import Emit
from agentflow.messages import Reply, Request
from agentflow.models.anthropic import open_model
from agentflow.order import Order
from agentflow.plan import Plan, make_plan
from agentflow.run import OpenModel, run_task
from agentflow.world import World
from tests.run.project import GATE

seen = list[list[Any]]()


def counted(sync: Callable[[Any], None]) -> Callable[[Any], None]:
    """The system call, and a line about it when it has returned."""

    def call(file: Any) -> None:
        sync(file)
        descriptor = file if isinstance(file, int) else file.fileno()
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        seen.append(["synced", str(path), os.fstat(descriptor).st_size])

    return call


class Asked:
    """A model, and a line about each request before it leaves."""

    def __init__(self, url: str) -> None:
        self._model = open_model(base_url=url, api_key=None)

    async def reply(self, request: Request, emit: Emit) -> Reply:
        seen.append(["asked", len(request.messages)])
        return await self._model.reply(request, emit)

    async def close(self) -> None:
        await self._model.close()


async def main(root: Path, cache: Path, url: str) -> None:
    """Run TASK-1."""

    def connect(_: Plan) -> OpenModel:
        return lambda: Asked(url)

    world = World(root, dict(os.environ), cache)
    flags = {"base_url": url, "gates": [GATE], "prompt": "plain", "land": "current"}
    report = await run_task(await make_plan(Order("TASK-1", flags=flags), world), world, connect)
    assert report["outcome"] == "done", report["reason"]


if __name__ == "__main__":
    os.fsync, os.fdatasync = counted(os.fsync), counted(os.fdatasync)
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
    sys.stdout.write(json.dumps(seen))
