"""A process that has imported agentflow, and becomes a program of it as often as a caller asks.

`python -m tests.forks.server LISTENER`: the descriptor of a socket that callers connect to. Ends with
its standard input, and its forks with it.
"""

import fcntl
import marshal
import os
import resource
import runpy
import select
import signal
import socket
import struct
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from io import TextIOWrapper
from pathlib import Path
from typing import Literal

from tests.forks.caller import AGREED, MOST, SIGNALS, surroundings
from tests.forks.imports import import_for, import_most

LIMITS = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]
_CREDENTIALS = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class Request:
    """A program to become."""

    module: str
    arguments: list[bytes]
    environment: dict[bytes, bytes]
    mask: int
    directory: int
    """A descriptor of the working directory."""
    descriptors: dict[int, int]
    """The number that each descriptor has here, by the number that the program knows it by."""
    caller: int
    """The process that asks."""

    def become(self) -> None:
        """Be the program, as an interpreter that has just started."""
        _take(self.descriptors, self.directory)
        for limit in LIMITS:
            resource.setrlimit(limit, resource.prlimit(self.caller, limit))
        os.umask(self.mask)
        os.environb.clear()
        os.environb.update(self.environment)
        if not self.environment.keys() & {b"LC_ALL", b"LC_CTYPE", b"LANG"}:
            os.environ["LC_CTYPE"] = "C.UTF-8"  # an interpreter's own doing
        time.tzset()
        sys.stdin = sys.__stdin__ = _stream(0, "r", "surrogateescape")
        sys.stdout = sys.__stdout__ = _stream(1, "w", "surrogateescape")
        sys.stderr = sys.__stderr__ = _stream(2, "w", "backslashreplace")
        sys.path[0] = str(Path.cwd())
        sys.argv = ["", *map(os.fsdecode, self.arguments)]
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        runpy.run_module(self.module, run_name="__main__", alter_sys=True)


def _take(descriptors: dict[int, int], directory: int) -> None:
    """Give the descriptors their numbers, and close all others."""
    os.fchdir(directory)
    high = {
        number: fcntl.fcntl(each, fcntl.F_DUPFD, 2 * MOST) for number, each in descriptors.items()
    }
    os.closerange(0, 2 * MOST)
    for number, each in high.items():
        os.dup2(each, number)
        os.close(each)


def _stream(number: int, mode: Literal["r", "w"], errors: str) -> TextIOWrapper | None:
    """A standard stream as an interpreter makes it; None where its descriptor is closed."""
    try:
        os.fstat(number)
    except OSError:
        return None
    stream = open(number, mode, encoding="utf-8", errors=errors, closefd=False)  # noqa: SIM115
    if number == 2:
        stream.reconfigure(line_buffering=True)
    return stream


@dataclass(slots=True)
class Server:
    """Forks, and who asked for them."""

    listener: int
    own: tuple[str, ...] = field(default_factory=surroundings)
    callers: dict[int, int] = field(default_factory=dict[int, int])
    """The fork's process id by the caller's connection."""
    ends: dict[int, int] = field(default_factory=dict[int, int])
    """The caller's connection by the fork's descriptor, which is readable when it has ended."""

    def serve(self) -> Request | None:
        """Answer callers until standard input ends: None. In a fork, what it is to become."""
        poll = select.poll()
        for each in (0, self.listener):
            poll.register(each, select.POLLIN)
        asked = None
        while asked is None:
            ready = poll.poll()[0][0]
            if ready == self.listener:
                asked = self._accept(poll)
            elif ready in self.ends:
                self._ended(ready, poll)
            elif ready in self.callers:
                self._hear(ready, poll)
            else:
                self._end()
                break
        return asked

    def _accept(self, poll: select.poll) -> Request | None:
        """Take a request and fork; return it in the fork."""
        listener = socket.socket(fileno=self.listener)
        connection, _ = listener.accept()
        listener.detach()
        request = _read(connection, self.own)
        caller = connection.detach()
        if request is None:
            os.close(caller)
            return None
        import_for([os.fsdecode(each) for each in request.arguments], request.environment)
        with suppress(BrokenPipeError):
            os.write(caller, AGREED)
        child = os.fork()
        if not child:
            os.setsid()
            return request
        for each in (request.directory, *request.descriptors.values()):
            os.close(each)
        self.callers[caller] = child
        end = os.pidfd_open(child)
        self.ends[end] = caller
        for each in (caller, end):
            poll.register(each, select.POLLIN)
        return None

    def _ended(self, end: int, poll: select.poll) -> None:
        """Tell the caller."""
        caller = self.ends.pop(end)
        child = self.callers.pop(caller)
        _, status = os.waitpid(child, 0)
        with suppress(OSError):  # the caller is no more
            os.write(caller, status.to_bytes(4, "big"))
        for each in (end, caller):
            with suppress(KeyError):
                poll.unregister(each)
            os.close(each)

    def _hear(self, caller: int, poll: select.poll) -> None:
        """Pass a caller's signals on; the last one, when it is no more."""
        told = b""
        with suppress(ConnectionError):
            told = os.read(caller, MOST)
        for number in told or (signal.SIGKILL,):
            os.kill(self.callers[caller], number)
        if not told:
            poll.unregister(caller)

    def _end(self) -> None:
        for child in self.callers.values():
            os.kill(child, signal.SIGKILL)


def _read(connection: socket.socket, own: tuple[str, ...]) -> Request | None:
    """What a caller wants; None if it is not to be had by a fork of this process."""
    head, rights, _, _ = socket.recv_fds(connection, 8, MOST + 1)
    left = int.from_bytes(head, "big")
    pieces: list[bytes] = []
    while left and (piece := connection.recv(left)):
        pieces.append(piece)
        left -= len(piece)
    if left or not rights:
        return None
    theirs, module, arguments, environment, mask, numbers = marshal.loads(b"".join(pieces))
    if theirs != own:
        for each in rights:
            os.close(each)
        return None
    directory, *received = rights
    descriptors = dict(zip(numbers, received, strict=True))
    caller, _, _ = _CREDENTIALS.unpack(
        connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    )
    return Request(module, arguments, environment, mask, directory, descriptors, caller)


def main() -> None:
    """Serve; in a fork, be the program, whose end is the interpreter's."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # what comes to a fork early waits
    import_most()
    asked = Server(int(sys.argv[1])).serve()
    if asked is not None:
        asked.become()


if __name__ == "__main__":
    main()
