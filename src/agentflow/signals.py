"""SIGINT and SIGTERM: who is told to stop ends with 128 plus the signal's number, whenever that is.

Light: it is imported before anything else of ours.
"""

import os
import signal
from collections.abc import Callable
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM)
HEARD = 2
"""Signals in a row that can be dealt with; the next one ends the process where it is."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, raised as Ctrl-C is."""


def leave_on_signals() -> None:
    """Let a signal end the process where it is, without a word: for where nothing has begun, where
    all is said, and where ending takes too long."""
    for number in STOPPING:
        signal.signal(number, _leave)


def raise_on_signals() -> None:
    """Let a signal be raised as `KeyboardInterrupt`: SIGTERM as `Terminated`."""
    for number in STOPPING:
        signal.signal(number, _raise)
    # asyncio knows this one, and ends what runs before it is raised.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def hear_signals(told: Callable[[int], None]) -> None:
    """Let the first two signals call `told` with their number, on the loop that runs now; the next
    one ends the process, and so does the second where the loop has ended meanwhile.

    A first one after the loop's end is raised.
    """
    import asyncio

    loop, heard = asyncio.get_running_loop(), 0

    def hear(number: int, frame: FrameType | None) -> None:
        nonlocal heard
        heard += 1
        if heard >= HEARD or not loop.is_running():
            leave_on_signals()
        if loop.is_running():
            loop.call_soon_threadsafe(told, number)
        else:
            (_raise if heard == 1 else _leave)(number, frame)

    for number in STOPPING:
        signal.signal(number, hear)


def _leave(number: int, _frame: FrameType | None) -> None:
    os._exit(128 + number)


def _raise(number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt if number == signal.SIGINT else Terminated
