"""How a tunnel opens: the name that a TLS client asks for, read before anything goes to the host.

Records: RFC 8446, section 5.1; ClientHello: section 4.1.2; the name: RFC 6066, section 3. With
Encrypted Client Hello the outer name is read.
"""

import asyncio

from agentflow.frozen import record
from agentflow.sandbox.hosts import canonical
from agentflow.sandbox.traffic import CutOff

MAX_HELLO = 32 * 1024
"""Bytes of a whole ClientHello, on the wire."""
HANDSHAKE = b"\x16"
"""The first byte of a TLS connection."""
_CLIENT_HELLO = 1
_SERVER_NAME = 0
_RECORD_HEADER, _MESSAGE_HEADER = 5, 4


@record
class Opening:
    """What a client said first."""

    data: bytes
    """All that was read."""
    tls: bool
    name: str | None = None
    """Canonical; None if it names no server, or is no TLS."""


async def read_opening(source: asyncio.StreamReader) -> Opening:
    """Read a whole ClientHello, in however many pieces it comes; of anything else one byte.

    Raises `CutOff` for what begins like TLS and is not, `ConnectionResetError` if it ends early.
    """
    data = await source.read(1)
    if data != HANDSHAKE:
        return Opening(data, tls=False)
    message = b""
    try:
        while not _is_whole(message):
            header = data if len(data) == 1 else await source.readexactly(1)
            header += await source.readexactly(_RECORD_HEADER - 1)
            size = int.from_bytes(header[3:])
            if header[:1] != HANDSHAKE or not 0 < size <= MAX_HELLO - len(data):
                raise _malformed()
            fragment = await source.readexactly(size)
            message += fragment
            data = (b"" if len(data) == 1 else data) + header + fragment
    except asyncio.IncompleteReadError as error:
        raise ConnectionResetError from error
    try:
        return Opening(data, tls=True, name=_server_name(message))
    except (IndexError, ValueError) as error:
        raise _malformed() from error


def _is_whole(message: bytes) -> bool:
    if len(message) < _MESSAGE_HEADER:
        return False
    return len(message) >= _MESSAGE_HEADER + int.from_bytes(message[1:_MESSAGE_HEADER])


def _server_name(message: bytes) -> str | None:
    """Raises `ValueError` or `IndexError` for what is no ClientHello, or names two servers."""
    if message[0] != _CLIENT_HELLO:
        raise ValueError("no ClientHello")
    body = _Fields(message[_MESSAGE_HEADER : _MESSAGE_HEADER + int.from_bytes(message[1:4])])
    body.take(2 + 32)  # version, random
    for width in (1, 2, 1):  # session, cipher suites, compression
        body.vector(width)
    if body.empty:
        return None
    extensions, names = _Fields(body.vector(2)), list[str]()
    while not extensions.empty:
        kind, content = int.from_bytes(extensions.take(2)), extensions.vector(2)
        if kind == _SERVER_NAME:
            entries = _Fields(_Fields(content).vector(2))
            while not entries.empty:
                entries.take(1)  # its kind; there is only one
                names.append(canonical(entries.vector(2).decode("ascii")))
    if len(names) > 1:
        raise ValueError("several names")
    return names[0] if names else None


class _Fields:
    """Takes bytes off the front."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def empty(self) -> bool:
        return not self._data

    def take(self, size: int) -> bytes:
        if size > len(self._data):
            raise ValueError("too short")
        taken, self._data = self._data[:size], self._data[size:]
        return taken

    def vector(self, width: int) -> bytes:
        """What follows a length of so many bytes."""
        return self.take(int.from_bytes(self.take(width)))


def _malformed() -> CutOff:
    return CutOff("it begins like TLS, and is no ClientHello that can be read")
