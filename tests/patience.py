"""How long tests wait for what has to come: long enough for any machine."""

import signal
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

PATIENCE = 60
"""Seconds. What is waited for takes much less; what never comes fails the test then."""


@contextmanager
def patiently(seconds: int = PATIENCE) -> Generator[None]:
    """Fail if the block waits any longer."""

    def ended(_number: int, _frame: FrameType | None) -> NoReturn:
        raise AssertionError(f"not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, ended)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
