"""Server-sent events of one reply, read in bounded time and memory.

Our own, because the SDK's reader copies what it has of an event at every line and chunk of it. An
event of many short lines took quadratic time, and no timeout can fire meanwhile.
"""

from collections.abc import Iterator

LONGEST_REPLY = 32_000_000
"""Bytes of one reply's stream. 128,000 tokens with an event for each are about 20 million."""
LONGEST_EVENT = 4_000_000
"""Bytes of one event. Some local servers send a whole tool input in one."""
MOST_LINES = 2_000_000
"""Lines of one reply's stream, three for an event."""


class Oversized(Exception):
    """A server sends more than any reply has; another attempt would cost as much."""


class EventReader:
    """Takes chunks of bytes and gives the data of each finished event.

    Source: the event stream format of the HTML standard. An event without its blank line at the
    end is dropped, as there.
    """

    def __init__(self, *, longest_event: int = LONGEST_EVENT, most_lines: int = MOST_LINES) -> None:
        self._longest_event = longest_event
        self._most_lines = most_lines
        self._line: list[bytes] = []
        self._data: list[bytes] = []
        self._size = 0
        self._lines = 0
        self._returned = False
        """Whether the last chunk ended with CR, to which a LF may still belong."""

    def feed(self, chunk: bytes) -> Iterator[str]:
        """The data of the events that end in this chunk, events without data left out.

        Raises `Oversized`, or `UnicodeDecodeError` for data that is not UTF-8.
        """
        if not chunk:
            return
        if self._returned:
            chunk = chunk.removeprefix(b"\n")
        self._returned = chunk.endswith(b"\r")
        for piece in chunk.splitlines(keepends=True):
            self._size += len(piece)
            if self._size > self._longest_event:
                raise Oversized(f"an event of more than {self._longest_event} bytes")
            self._line.append(piece)
            if not piece.endswith((b"\n", b"\r")):
                continue
            line = b"".join(self._line).rstrip(b"\r\n")
            self._line.clear()
            if data := self._take(line):
                yield data

    def _take(self, line: bytes) -> str:
        """Take a line; the empty one ends an event, whose data is returned."""
        self._lines += 1
        if self._lines > self._most_lines:
            raise Oversized(f"a reply of more than {self._most_lines} lines")
        if line:
            name, _, value = line.partition(b":")
            if name == b"data":
                self._data.append(value.removeprefix(b" "))
            return ""
        data = b"\n".join(self._data).decode("utf-8")
        self._data.clear()
        self._size = 0
        return data
