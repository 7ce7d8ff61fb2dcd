"""Services: programs that run beside the commands and outlive each of them."""

import fcntl
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from agentflow.toolbox import ending, processes
from agentflow.toolbox.session import Json, Refusal, Session

DATA = "AGENTFLOW_SERVICE_DATA"
"""The variable that names a service's own folder, in its environment and in that of `ready`."""

SUPERVISOR = Path(__file__).with_name("supervisor.py")

PAUSE_SECONDS = 0.1
"""Between two tries of `ready`."""

READY_BYTES = 64 * 1024
"""Kept of what `ready` prints."""

LAST_LINES = 20
LAST_CHARACTERS = 2000

_running = list["_Service"]()
_numbers = iter(range(1, 1 << 62))


def start(session: Session, arguments: Json) -> Json:
    """Start services one after the other, each when the one before is ready.

    Refuses with the last words of one that does not get ready.
    """
    try:
        for wanted in arguments["services"]:
            service = _Service(session, wanted)
            _running.append(service)
            service.wait_until_ready()
    except BaseException:
        ending.keep_nothing()
        ending.kill_descendants()
        _running.clear()
        raise
    return {}


def are_running() -> bool:
    """Tell whether there is a service that was not yet reported as ended."""
    return any(service.exit_code is None for service in _running)


def notes() -> list[str]:
    """Return a line for each service that has ended since the last call."""
    ended = [service for service in _running if service.exit_code is not None]
    for service in ended:
        _running.remove(service)
    return [
        f"The service {service.name!r} ended with exit code {service.exit_code} and is not started "
        f"again. Its output: {service.log}"
        for service in ended
    ]


class _Service:
    """One service: a supervisor, below it the command; a folder with `data/` and `log`."""

    def __init__(self, session: Session, wanted: Mapping[str, object]) -> None:
        self.name = str(wanted["name"])
        self._ready = str(wanted["ready"])
        self._seconds = float(str(wanted["timeout"]))
        self._root = session.root
        folder = session.scratch / f"service-{next(_numbers)}"
        self._environment = {**os.environ, DATA: str(folder / "data")}
        self.log = folder / "log"
        folder.mkdir(0o700)
        (folder / "data").mkdir(0o700)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._log = os.open(self.log, flags, 0o600)
        command = [sys.executable, "-I", "-S", "-B", str(SUPERVISOR), str(wanted["command"])]
        # Held as long as we live: a lost Popen would reap the process behind our back.
        self._supervisor = processes.start(
            command, self._root, output=self._log, environment=self._environment, lasting=True
        )

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs, as far as was looked."""
        return ending.exit_code(self._supervisor.pid)

    def wait_until_ready(self) -> None:
        """Try `ready` until it ends with 0. Refuses an end before, and one that takes too long."""
        deadline, words = time.monotonic() + self._seconds, ""
        while time.monotonic() < deadline:
            code, said = self._try(deadline)
            words = said or words
            if self.exit_code is not None:
                raise Refusal(
                    f"the service {self.name!r} ended with exit code {self.exit_code} before it "
                    f"was ready{self._last_words()}"
                )
            if code == 0:
                return
            time.sleep(PAUSE_SECONDS)
        said = f"; `ready` said: {words}" if words else ""
        raise Refusal(
            f"the service {self.name!r} was not ready after {self._seconds:g} seconds"
            f"{said}{self._last_words()}"
        )

    def _try(self, deadline: float) -> tuple[int, str]:
        """Run `ready` once; return its exit code and its last line. All that it started is dead."""
        output = os.memfd_create("ready", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(output, READY_BYTES)
            fcntl.fcntl(output, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW)
            command = ["/bin/bash", "--noprofile", "--norc", "-c", self._ready]
            process = processes.start(
                command, self._root, output=output, environment=self._environment
            )
            code = _wait(process, deadline)
            ending.kill_descendants()
            lines = os.pread(output, READY_BYTES, 0).rstrip(b"\0").decode("utf-8", "replace")
        finally:
            os.close(output)
        return code, "\n".join(lines.splitlines()[-1:])[-LAST_CHARACTERS:]

    def _last_words(self) -> str:
        size = os.fstat(self._log).st_size
        end = os.pread(self._log, 4 * LAST_CHARACTERS, max(0, size - 4 * LAST_CHARACTERS))
        lines = end.decode("utf-8", "replace").splitlines()[-LAST_LINES:]
        text = "\n".join(lines)[-LAST_CHARACTERS:].strip()
        return f":\n{text}" if text else ""


def _wait(process: subprocess.Popen[bytes], deadline: float) -> int:
    """Wait for a process until the deadline; its group is dead then. Return its exit code."""
    ended = os.pidfd_open(process.pid)
    try:
        select.select([ended], (), (), max(0.0, deadline - time.monotonic()))
    finally:
        os.close(ended)
        ending.kill_group(process.pid)
    return process.wait()
