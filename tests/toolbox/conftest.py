"""A real toolbox process, driven over its pipes."""

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agentflow import toolbox
from agentflow.sandbox.program import toolbox_command

Json = dict[str, Any]


class Toolbox:
    """One process; `ask` sends a call and waits for its answer."""

    def __init__(self, tmp: Path, *, path: str | None = None, state: Json | None = None) -> None:
        self.process = subprocess.Popen(
            toolbox_command(str(Path(toolbox.__file__).parent)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={
                "PATH": path or os.environ["PATH"],
                "LANG": "C.UTF-8",
                "HOME": str(tmp),
                "RIPGREP_CONFIG_PATH": f"{tmp}/ripgreprc",
            },
        )
        self._watchdog = threading.Timer(30, self.process.kill)  # a hang becomes a failure
        self._watchdog.start()
        for name in ("root", "scratch", "complete"):
            (tmp / name).mkdir(exist_ok=True)
        self.ready = self.send(
            json.dumps({
                "root": str(tmp / "root"),
                "completion": str(tmp / "complete"),
                "scratch": str(tmp / "scratch"),
                "limits": {
                    "processes": 256,
                    "file_size": 512 << 20,
                    "open_files": 1024,
                    "memory": 2 << 30,
                },
                "state": state,
            }).encode()
        )

    def send(self, line: bytes) -> Json:
        assert self.process.stdin
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()
        return self.receive()

    def receive(self) -> Json:
        assert self.process.stdout
        return json.loads(self.process.stdout.readline())

    def ask(self, tool: str, /, **arguments: object) -> Json:
        answer = self.send(json.dumps({"id": 7, "tool": tool, "arguments": arguments}).encode())
        assert answer.pop("id") == 7
        return answer

    def close(self) -> int:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        code = self.process.wait(10)
        self._watchdog.cancel()
        self.process.stdout.close()
        return code


@pytest.fixture
def open_toolbox(tmp_path: Path) -> Iterator[Callable[..., Toolbox]]:
    opened = list[Toolbox]()

    def start(**settings: Any) -> Toolbox:
        opened.append(Toolbox(tmp_path, **settings))
        return opened[-1]

    yield start
    for box in opened:
        if box.process.returncode is None:
            box.close()


@pytest.fixture
def ask(open_toolbox: Callable[..., Toolbox]) -> Callable[..., Json]:
    return open_toolbox().ask


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "root"
    path.mkdir(exist_ok=True)
    return path
