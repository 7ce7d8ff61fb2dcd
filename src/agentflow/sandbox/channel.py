"""JSON lines to a toolbox process: starts it, calls it, ends it with everything it started."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Mapping
from dataclasses import asdict
from typing import Self

from agentflow.errors import EnvironmentFailure, ToolFailure
from agentflow.records import Json
from agentflow.sandbox.answers import Answer, is_result, read_answer, read_object
from agentflow.sandbox.policy import Session
from agentflow.sandbox.program import STDERR_LIMIT, Program, Started, start

START_PATIENCE = 30.0
CALL_PATIENCE = 60.0
"""Seconds until the toolbox is ready; and for a call, beyond its own `timeout` argument."""

END_PATIENCE = 3.0
"""Seconds between asking a process to end and insisting."""


class Channel:
    """A toolbox at work: an `interfaces.Sandbox`.

    Calls may overlap. A cancelled call goes on inside, its answer is dropped, and the channel
    stays usable; later calls may have to wait for it. A call that is not answered in time ends
    the sandbox. After `close` nothing that ran inside is alive.
    """

    def __init__(
        self,
        name: str,
        started: Started,
        patience: float,
        *,
        keeper: bool = False,
    ) -> None:
        self._name = name
        self._process = started.process
        self._reader, self._writer = started.streams
        self._stderr = started.stderr
        self._patience = patience
        self._keeper = keeper
        self._listener: asyncio.Task[None] | None = None
        self._init: int | None = None
        self._pending: dict[int, tuple[asyncio.Future[Answer], float]] = {}
        self._late_signals: list[Json] = []
        self._last_id = 0
        self._gone = ""
        self._closed = False

    @classmethod
    async def start(
        cls, name: str, program: Program, session: Session, patience: float = CALL_PATIENCE
    ) -> Self:
        """Start the process and wait until its toolbox is ready.

        `patience` is how many seconds a call may take beyond its own `timeout` argument.
        Raises `EnvironmentFailure` with the process's last words if it never is.
        """
        channel = cls(name, await start(program), patience, keeper=program.keeper)
        try:
            await channel._greet(session, program.information)
        except BaseException:
            await channel.close()
            raise
        return channel

    @property
    def name(self) -> str:
        """The back end: `bubblewrap`, `landlock` or `none`."""
        return self._name

    async def call(self, tool: str, arguments: Mapping[str, object]) -> Json:
        """Run one tool body and return its raw result.

        The marker files that the agent wrote stand in the result under `signals`. Raises
        `ToolFailure` with the toolbox's sentence, `EnvironmentFailure` if the sandbox is gone.
        """
        self._check_alive()
        self._last_id += 1
        number = self._last_id
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        patience = _timeout(arguments) + self._patience
        allowed = patience + sum(waiting for _, waiting in self._pending.values())
        self._pending[number] = (future, patience)
        try:
            async with asyncio.timeout(allowed):
                await self._send({"id": number, "tool": tool, "arguments": dict(arguments)})
                answer = await future
        except TimeoutError as error:
            self._fail(f"the toolbox did not answer {tool} within {allowed:.0f} seconds")
            await self.close()
            raise EnvironmentFailure(self._gone) from error
        finally:
            self._pending.pop(number, None)
            future.cancel()
        return self._result(tool, answer)

    async def state(self) -> Json:
        """Return what a later toolbox needs to continue: `Session.state`."""
        return await self.call("State", {})

    async def close(self) -> None:
        """End the process and all that it started, and reap it. Closing twice is allowed."""
        if self._closed:
            return
        self._closed = True
        self._fail("the sandbox is closed")
        try:
            await self._end()
        finally:
            if self._process.returncode is None:
                self._insist()
            for descriptor in (self._stderr, self._init):
                if descriptor is not None:
                    os.close(descriptor)

    async def _greet(self, session: Session, information: int | None) -> None:
        configuration = asdict(session)
        try:
            async with asyncio.timeout(START_PATIENCE):
                await self._send(configuration)
                line = await self._reader.readline()
            ready = bool(line) and read_object(line).get("ready") is True
            if ready and information is not None:
                self._init = _open_process(information)
        except (TimeoutError, OSError, ValueError, EnvironmentFailure):
            ready = False
        if not ready:
            await self._wait(END_PATIENCE)
            raise EnvironmentFailure(f"the sandbox did not start: {self._last_words()}")
        self._listener = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        """Hand every answer to its call, until the process closes its end."""
        try:
            while line := await self._reader.readline():
                answer = read_answer(line)
                future, _ = self._pending.get(answer.id, (None, 0.0))
                if future is None or future.done():
                    self._late_signals += answer.signals
                else:
                    future.set_result(answer)
        except ValueError as error:
            self._fail(f"the toolbox answered what is no line of its protocol: {error}")
            return
        except OSError:
            pass  # it ended before it had read all that was sent
        await self._wait(END_PATIENCE)
        self._fail(f"the sandbox ended unexpectedly: {self._last_words()}")

    async def _send(self, message: Json) -> None:
        try:
            self._writer.write(json.dumps(message).encode() + b"\n")
            await self._writer.drain()
        except OSError as error:
            await self._wait(END_PATIENCE)
            self._fail(f"the sandbox ended unexpectedly: {self._last_words()}")
            raise EnvironmentFailure(self._gone) from error

    def _result(self, tool: str, answer: Answer) -> Json:
        signals = [*self._late_signals, *answer.signals]
        self._late_signals.clear()
        if answer.error is not None:
            self._late_signals += signals
            raise ToolFailure(answer.error)
        if not is_result(tool, answer.result):
            self._fail(f"the toolbox answered {tool} with what is no result of it")
            raise EnvironmentFailure(self._gone)
        return {**answer.result, "signals": signals}

    def _check_alive(self) -> None:
        if self._gone:
            raise EnvironmentFailure(self._gone)

    def _fail(self, reason: str) -> None:
        """Remember the first reason and give it to all waiting calls."""
        self._gone = self._gone or reason
        for future, _ in self._pending.values():
            if not future.done():
                future.set_exception(EnvironmentFailure(self._gone))
                future.exception()  # or a call that failed while sending is logged as a loss

    def _last_words(self) -> str:
        """What the process wrote to standard error, its exit status if nothing."""
        text = os.pread(self._stderr, STDERR_LIMIT, 0).rstrip(b"\0").decode("utf-8", "replace")
        return text.strip()[-4000:] or f"exit status {self._process.returncode}"

    async def _end(self) -> None:
        if self._listener is not None:
            self._listener.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listener
        self._writer.close()
        if self._init is not None:
            # bubblewrap outlives its child and reaps it, and the kernel lets go of the first
            # process of a PID namespace only after the last one: when bubblewrap has ended, all
            # have.
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._init, signal.SIGKILL)
        if not await self._wait(END_PATIENCE):
            self._insist()
            await self._process.wait()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def _insist(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM if self._keeper else signal.SIGKILL)

    async def _wait(self, seconds: float) -> bool:
        """Wait for the process to end; True if it did."""
        try:
            await asyncio.wait_for(self._process.wait(), seconds)
        except TimeoutError:
            return False
        return True


def _timeout(arguments: Mapping[str, object]) -> float:
    value = arguments.get("timeout")
    return float(value) if isinstance(value, int | float) else 0.0


def _open_process(information: int) -> int:
    """Return a descriptor of the process that bubblewrap named on its `--info-fd`.

    Raises `OSError` or `ValueError` if it named none before its child spoke.
    """
    os.set_blocking(information, False)
    return os.pidfd_open(int(read_object(os.read(information, 4096)).get("child-pid", -1)))
