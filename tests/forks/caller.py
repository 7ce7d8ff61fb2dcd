"""Stands in for a program of agentflow: asks a server for a fork that is the program, and ends as it does.

Arguments: the server's address, the program's module, the program's own arguments. The fork gets the
streams and every other descriptor, the working directory, the environment, the limits and the file
mode mask of this process; signals sent to this process reach it, and it dies when this process does.

What a fork cannot be gets a fresh interpreter: another user, other namespaces, another locale,
variables that an interpreter reads when it starts. So does a server that is not there.

Started with `-I -S`, and imports next to nothing: it takes a hundredth of a second.
"""

import _socket
import marshal
import os
import signal
import sys
from types import FrameType

NAMESPACES = ("mnt", "net", "pid", "user")
LOCALES = ("", "C", "POSIX", "C.UTF-8", "C.utf8")
"""Those in which Python talks UTF-8, as in the server's."""
AGREED = b"y"
MOST = 253
"""Descriptors that one message can carry."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def surroundings() -> tuple[str, ...]:
    """What a process has from whoever started it, and a fork could not take over."""
    who = (str(os.getresuid()), str(os.getresgid()))
    return (*who, *(os.readlink(f"/proc/self/ns/{name}") for name in NAMESPACES))  # noqa: PTH115


def needs_interpreter() -> bool:
    """Whether the environment says something to an interpreter that starts."""
    found = os.environ
    locale = found.get("LC_ALL") or found.get("LC_CTYPE") or found.get("LANG") or ""
    return locale not in LOCALES or any(name.startswith("PYTHON") for name in found)


def _open_descriptors() -> list[int]:
    found: list[int] = []
    for number in range(MOST):
        try:
            os.fstat(number)
        except OSError:
            continue
        found.append(number)
    return found


def _asked(address: str, module: str, arguments: list[str]) -> _socket.socket | None:
    """A connection to the server, which has everything now; None if it does not answer."""
    descriptors = _open_descriptors()
    server = _socket.socket(_socket.AF_UNIX)
    here = os.open(".", os.O_PATH | os.O_DIRECTORY)
    mask = os.umask(0)
    os.umask(mask)
    words = [os.fsencode(each) for each in arguments]
    told = (surroundings(), module, words, dict(os.environb), mask, descriptors)
    request = marshal.dumps(told)
    numbers = b"".join(each.to_bytes(4, sys.byteorder) for each in (here, *descriptors))
    rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, numbers)
    try:
        server.connect(address)
        server.sendmsg([len(request).to_bytes(8, "big")], [rights])
        server.sendall(request)
        if server.recv(1) == AGREED:
            return server
    except OSError:
        pass
    finally:
        os.close(here)
    server.close()
    return None


def _follow(server: _socket.socket) -> None:
    """Pass signals on until the fork has ended, and end as it did."""

    def tell(number: int, _: FrameType | None) -> None:
        try:  # noqa: SIM105  # contextlib would have to be imported
            server.send(bytes((number,)))
        except OSError:
            pass  # it has ended

    for number in SIGNALS:
        signal.signal(number, tell)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    status = server.recv(4)
    code = os.waitstatus_to_exitcode(int.from_bytes(status, "big")) if status else 70
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def main() -> None:
    """Be the program."""
    address, module, *arguments = sys.argv[1:]
    if not needs_interpreter():
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # until the fork can be told
        server = _asked(address, module, arguments)
        if server is not None:
            _follow(server)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])


if __name__ == "__main__":
    main()
