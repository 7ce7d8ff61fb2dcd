"""A TCP proxy on loopback that notes when requests arrive and replies end."""

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Any, Literal

Side = Literal["request", "reply"]


@dataclass
class Recorder:
    """Stands between one client with one conversation and the server.

    The time of the server falls between a request's end and a reply's end, so it is in none of
    the client's figures; what the proxy adds does the same.
    """

    port: int
    """Of the server, on loopback."""
    first: bytearray = field(default_factory=bytearray)
    """What the client sent before the first reply."""
    _marks: list[tuple[Side, float]] = field(default_factory=list[tuple[Side, float]])
    _server: asyncio.Server | None = None

    async def start(self) -> str:
        """Listen; return the URL for the client."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def stop(self) -> None:
        """Accept no further connection."""
        if self._server:
            self._server.close()

    def clear(self) -> None:
        """Forget the conversation; another one follows."""
        self._marks.clear()
        self.first.clear()

    def body(self) -> dict[str, Any]:
        """The body of the first request."""
        return json.loads(bytes(self.first).partition(b"\r\n\r\n")[2])

    def first_request(self) -> float:
        """When the whole first request had arrived; seconds of the monotonic clock."""
        return self._marks[0][1]

    @property
    def requests(self) -> int:
        """How many have begun to arrive."""
        return sum(side == "request" for side, _ in self._marks)

    def gaps(self) -> list[float]:
        """Seconds from the end of each reply until the whole next request had arrived."""
        times = [at for _, at in self._marks]
        ends = [at for side, at in self._marks if side == "reply"]
        return [after - before for before, after in zip(ends, times[2::2], strict=False)]

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection("127.0.0.1", self.port)
        await asyncio.gather(
            self._pass_on(reader, forth, "request"), self._pass_on(back, writer, "reply")
        )

    async def _pass_on(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, side: Side
    ) -> None:
        try:
            while data := await source.read(65536):
                self._note(side, data)
                target.write(data)
                await target.drain()
        except ConnectionError:
            pass  # the client is gone; so is its conversation
        finally:
            target.close()

    def _note(self, side: Side, data: bytes) -> None:
        """Keep only the last of several marks of one side: where it stopped speaking."""
        now = time.monotonic()
        if side == "request" and len(self._marks) < 2:
            self.first += data
        if self._marks and self._marks[-1][0] == side:
            self._marks.pop()
        self._marks.append((side, now))
