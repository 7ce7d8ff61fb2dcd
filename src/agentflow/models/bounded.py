"""How much of one response is read. Imports the SDK's transport: import it late."""

from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

import httpx2

from agentflow.models.event_stream import LONGEST_REPLY, Oversized

LONGEST_ERROR = 1_000_000
"""Bytes of the body of a refusal; the rest is not read. The SDK would read it all."""


def bounding(
    longest_reply: int = LONGEST_REPLY, longest_error: int = LONGEST_ERROR
) -> Callable[[httpx2.Response], Coroutine[Any, Any, None]]:
    """A hook that bounds the bodies of responses. A longer reply raises `Oversized`."""

    async def bound(response: httpx2.Response) -> None:
        # Nothing compressed is asked for: a small body could unpack to any size.
        response.headers.pop("content-encoding", None)
        stream = response.stream
        if isinstance(stream, httpx2.AsyncByteStream):
            whole = response.is_success
            response.stream = _Bounded(stream, longest_reply if whole else longest_error, whole)

    return bound


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream, limit: int, whole: bool) -> None:
        self._inner = inner
        self._limit = limit
        self._whole = whole

    async def __aiter__(self) -> AsyncGenerator[bytes]:  # pyright: ignore[reportImplicitOverride]  # needs Python 3.12
        left = self._limit
        async for chunk in self._inner:
            yield chunk[:left]
            left -= len(chunk)
            if left < 0 and self._whole:
                raise Oversized(f"a reply of more than {self._limit} bytes")
            if left < 0:
                return

    async def aclose(self) -> None:  # pyright: ignore[reportImplicitOverride]  # needs Python 3.12
        await self._inner.aclose()
