"""The toolbox's loop: JSON lines in, JSON lines out, whatever comes."""

import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from io import BufferedReader, BufferedWriter
from pathlib import Path
from types import FrameType

from agentflow.toolbox import (
    editing,
    ending,
    files,
    globbing,
    listener,
    processes,
    record,
    searching,
    services,
    shell,
)
from agentflow.toolbox.session import Json, Refusal, Session

Body = Callable[[Session, Json], Json]

SHORT: dict[str, Body] = {
    "Read": files.read,
    "State": lambda session, _: session.state(),
}
"""Bodies that change nothing and are over sooner than a thread has started."""
SHARED: dict[str, Body] = {"Grep": searching.grep, "Glob": globbing.glob}
"""Bodies that change nothing and run beside each other and all short ones."""
ALONE: dict[str, Body] = {
    "Write": files.write,
    "Edit": editing.edit,
    "Bash": shell.bash,
    "Services": services.start,
    "Keep": files.keep,
}
"""Bodies that wait for all earlier calls and keep all later ones waiting."""
BODIES = SHORT | SHARED | ALONE
IDLE_SECONDS = 0.5
"""Between two looks at services while there is nothing to do."""


def main() -> None:
    """Serve until the input ends, then kill everything and leave."""
    requests, answers = _take_pipes()
    try:
        configuration = json.loads(requests.readline())
        session = Session(configuration)
        if configuration.get("listener") is not None:
            listener.hand_over(configuration["listener"])
        if configuration.get("record"):
            record.keep(Path(configuration["record"]), os.getppid())
        processes.confine(session.limits)
    except (ValueError, TypeError, KeyError, AttributeError, OSError, RecursionError) as error:
        print(f"toolbox: bad configuration: {error!r}", file=sys.stderr)  # noqa: T201
        os._exit(2)
    server = _Server(session, answers)
    _handle_signals()
    server.send({"ready": True, "pid": os.getpid()})
    threading.Thread(target=server.work, daemon=True).start()
    try:
        for line in requests:
            server.lines.put(line)
    finally:
        processes.stop()
        os._exit(0)


def _handle_signals() -> None:
    """Leave on SIGTERM and SIGINT, except as PID 1.

    The kernel keeps from PID 1 what its own namespace sends, unless there is a handler (Python
    has one for SIGINT): no command may end us. The host ends a sandbox by SIGKILL.
    """
    handler = signal.SIG_DFL if os.getpid() == 1 else _leave
    signal.signal(signal.SIGTERM, handler)
    signal.signal(signal.SIGINT, handler)


def _leave(signum: int, _: FrameType | None) -> None:
    raise SystemExit(128 + signum)


def _take_pipes() -> tuple[BufferedReader, BufferedWriter]:
    """Move the pipes to descriptors that children do not inherit."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    return requests, answers


class _Server:
    def __init__(self, session: Session, answers: BufferedWriter) -> None:
        self.lines = queue.SimpleQueue[bytes]()
        self._session = session
        self._answers = answers
        self._lock = threading.Lock()
        self._running: list[threading.Thread] = []

    def work(self) -> None:
        """Start the calls in the order in which they come.

        Threads start only while no command runs: a fork bomb cannot keep us from answering.
        """
        while True:
            request = _parse(self._next())
            self._running = [thread for thread in self._running if thread.is_alive()]
            if str(request.get("tool")) in SHARED:
                thread = threading.Thread(target=self._answer, args=(request,), daemon=True)
                thread.start()
                self._running.append(thread)
                continue
            if str(request.get("tool")) not in SHORT:
                for thread in self._running:
                    thread.join()
            self._answer(request)

    def _next(self) -> bytes:
        """Wait for a line. Services that use too much meanwhile are ended."""
        while services.are_running():
            try:
                return self.lines.get(timeout=IDLE_SECONDS)
            except queue.Empty:
                if self._session.watchdog.measure():
                    for thread in self._running:
                        thread.join()
                    ending.keep_nothing()
                    ending.kill_descendants()
        return self.lines.get()

    def send(self, message: Json) -> None:
        """Write one line. Without a reader there is nothing left to do."""
        data = json.dumps(message).encode() + b"\n"
        with self._lock:
            try:
                self._answers.write(data)
                self._answers.flush()
            except OSError:
                processes.stop()
                os._exit(0)

    def _answer(self, request: Json) -> None:
        answer: Json = {"id": request.get("id")}
        try:
            answer |= self._run(request)
        except Refusal as refusal:
            answer["error"] = str(refusal)
        except Exception as error:  # noqa: BLE001  (whatever a call meets, the next one is served)
            answer["error"] = f"The tool failed: {type(error).__name__}: {error}"[:500]
        self.send(answer)

    def _run(self, request: Json) -> Json:
        if "problem" in request:
            raise Refusal(request["problem"])
        tool, arguments = request.get("tool"), _object(request.get("arguments"))
        body = BODIES.get(str(tool))
        if body is None:
            raise Refusal(f"There is no tool {tool!r}.")
        if arguments is None:
            raise Refusal("The arguments are not a JSON object.")
        result = {"result": body(self._session, arguments)}
        signals = self._session.signals() if tool in ALONE else []
        return {**result, "signals": signals} if signals else result


def _parse(line: bytes) -> Json:
    try:
        request = _object(json.loads(line))
    except (ValueError, RecursionError) as error:
        return {"problem": f"The request is not JSON: {error}"[:200]}
    return {"problem": "The request is not a JSON object."} if request is None else request


def _object(value: object) -> Json | None:
    return value if isinstance(value, dict) else None  # pyright: ignore[reportUnknownVariableType]
