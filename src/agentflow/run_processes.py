"""Commands of agentflow as processes of their own, which outlive whoever started them."""

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from agentflow.errors import UsageError
from agentflow.records import Json
from agentflow.strict_json import parse_object

INTERVAL = 0.05
"""Seconds between two looks at what a command printed."""
MAX_PROCESSES = 8
MAX_OUTPUT = 64 << 20
"""Bytes that are looked at for a first word; a prompt and a task are in it."""


@dataclass(slots=True)
class RunProcesses:
    """Starts commands, and says what each of them began with."""

    directory: Path
    environment: Mapping[str, str]
    most: int = MAX_PROCESSES
    _at_work: list[subprocess.Popen[bytes]] = field(default_factory=list[subprocess.Popen[bytes]])

    async def start(self, arguments: Sequence[str], given: str = "") -> Json:
        """Start a command that prints stream-json, with `given` on standard input.

        Returns the first object that names a run, or the only one if it ended without a run: a
        refusal, or questions. Raises `UsageError` if too many of them are at work.
        """
        self._at_work = [each for each in self._at_work if each.poll() is None]
        if len(self._at_work) >= self.most:
            raise UsageError(
                f"{self.most} runs are at work here", hint="Wait until one of them has ended."
            )
        with tempfile.TemporaryFile() as input_, tempfile.TemporaryFile() as output:
            input_.write(given.encode())
            input_.seek(0)
            process = self._spawn(arguments, input_, output)
            self._at_work.append(process)
            while True:
                ended = process.poll() is not None  # before the look: nothing is added after it
                said = _first_word(output, whole=ended)
                if said is not None:
                    return said
                if ended:
                    raise UsageError(f"agentflow ended with {process.returncode} and said nothing")
                await asyncio.sleep(INTERVAL)

    def _spawn(
        self, arguments: Sequence[str], input_: IO[bytes], output: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "agentflow", *arguments],
            cwd=self.directory,
            env=dict(self.environment),
            stdin=input_,
            stdout=output,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def _first_word(output: IO[bytes], *, whole: bool) -> Json | None:
    """The first whole line's object; of a command that has ended, the last one's."""
    output.seek(0)
    lines = output.read(MAX_OUTPUT).splitlines(keepends=True)
    lines = [line for line in lines if line.endswith(b"\n")]
    for line in lines if whole else lines[:1]:
        said = parse_object(line)
        if said.get("run") or said.get("type") == "questions" or line == lines[-1]:
            return said
    return None
