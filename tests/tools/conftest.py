"""A sandbox that is a real toolbox process without walls."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from agentflow import toolbox
from agentflow.errors import EnvironmentFailure, ToolFailure
from agentflow.records import Json


class PlainSandbox:
    """One call at a time over the pipes of a toolbox."""

    name = "none"

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def send(self, message: Mapping[str, object]) -> Json:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        line = await self.process.stdout.readline()
        if not line:
            raise EnvironmentFailure("the toolbox is gone")
        return json.loads(line)

    async def call(self, tool: str, arguments: Mapping[str, object]) -> Json:
        answer = await self.send({"id": 1, "tool": tool, "arguments": arguments})
        if "error" in answer:
            raise ToolFailure(answer["error"])
        return {**answer["result"], "signals": answer.get("signals", [])}


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[PlainSandbox]:
    for name in ("root", "scratch", "complete"):
        (tmp_path / name).mkdir()
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.base_prefix, "bin", "python3")),
        *("-I", "-S", "-B", str(Path(toolbox.__file__).parent)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
        limit=64 << 20,
    )
    box = PlainSandbox(process)
    places = {"root": "root", "scratch": "scratch", "completion": "complete"}
    await box.send({key: str(tmp_path / place) for key, place in places.items()})
    yield box
    if process.returncode is None:
        assert process.stdin
        process.stdin.close()
        await process.wait()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"
