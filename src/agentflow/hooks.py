"""Hooks: the user's own commands, run outside the sandbox when something happens in a run.

A hook reads one JSON object on standard input. It ends with 0 to go on, and with 2 to refuse, with
its standard error as the reason. Whatever else it does, and whatever it started, is over when it has
ended or its time is.
"""

import asyncio
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import field
from pathlib import Path

from agentflow.durations import format_duration
from agentflow.environment import Hook, HookEvent
from agentflow.errors import EnvironmentFailure
from agentflow.frozen import record
from agentflow.neutral import one_line
from agentflow.records import Json
from agentflow.redaction import Redact

VERSION = 1
"""Of the JSON objects. It changes when a field goes or changes its meaning, not for a new one."""
REFUSED = 2
"""The exit code by which a hook refuses."""
MAX_MESSAGE = 4000
"""Characters of a reason."""

Tell = Callable[[str], None]
"""Tells the user."""


def _as_it_is(text: str) -> str:
    return text


@record
class Hooks:
    """The hooks of one run, and what each of them is told of it."""

    hooks: tuple[Hook, ...] = ()
    facts: Json = field(default_factory=dict[str, object])
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    directory: Path = Path("/")
    """Where they start."""
    redact: Redact = _as_it_is

    def has(self, event: HookEvent) -> bool:
        """Whether any hook is called at this event."""
        return any(event in hook.on for hook in self.hooks)

    async def call(self, event: HookEvent, tell: Tell, facts: Json, tool: str = "") -> str:
        """Call the hooks of an event one after the other, until one refuses.

        Returns why it did (it ended with 2, or not in time), or an empty text. Of an advisory hook
        only the user is told. Raises `EnvironmentFailure` for one that cannot be started or ended
        in another way: it is broken, and what it guards is not guarded.
        """
        said = {"version": VERSION, "event": event, **self.facts, **facts}
        for hook in self.hooks:
            if event not in hook.on or (tool and hook.tools and tool not in hook.tools):
                continue
            try:
                refused = await self._refusal(hook, event, json.dumps(said).encode())
            except EnvironmentFailure as error:
                if not hook.advisory:
                    raise
                refused = error.message
            if refused and not hook.advisory:
                return refused
            if refused:
                tell(f"{refused}; it is advisory")
        return ""

    async def _refusal(self, hook: Hook, event: HookEvent, given: bytes) -> str:
        name = f"the hook `{one_line(hook.command, 60)}` ({event})"
        code, said = await self._run(hook, given, name)
        reason = self.redact(said).strip()[:MAX_MESSAGE]
        if code is None:
            return f"{name} did not end within {format_duration(hook.timeout)}"
        if code == REFUSED:
            return f"{name} refused: {reason or 'it gave no reason'}"
        if code != 0:
            how = f"exit code {code}" if code > 0 else f"signal {-code}"
            raise EnvironmentFailure(
                f"{name} ended with {how}: {one_line(reason, 300) or 'it said nothing'}",
                hint="0 goes on and 2 refuses; everything else is a broken hook. Mend it.",
            )
        return ""

    async def _run(self, hook: Hook, given: bytes, name: str) -> tuple[int | None, str]:
        """The exit code, None if the time was over, and what standard error got."""
        with tempfile.TemporaryFile() as input_, tempfile.TemporaryFile() as errors:
            input_.write(given)
            input_.seek(0)
            try:
                process = self._start(hook, input_.fileno(), errors.fileno())
            except OSError as error:
                raise EnvironmentFailure(f"{name} cannot be started: {error.strerror}") from error
            late = False
            try:
                async with asyncio.timeout(hook.timeout):
                    await _ended(process.pid)
            except TimeoutError:
                late = True
            finally:
                # Not waited for yet, so the number is still that of this group.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                code = process.wait()
            errors.seek(0)
            said = errors.read(4 * MAX_MESSAGE).decode("utf-8", "replace").replace("\0", "")
            return (None if late else code), said

    def _start(self, hook: Hook, input_: int, errors: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["bash", "-c", hook.command],
            cwd=self.directory,
            env=dict(self.environment),
            stdin=input_,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )


async def _ended(pid: int) -> None:
    """Wait until a child has ended, without reaping it."""
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    descriptor = os.pidfd_open(pid)
    loop.add_reader(descriptor, over.set)
    try:
        await over.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
