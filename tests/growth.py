"""Blow-up is seen by how time grows, not by how much it is: no machine is too slow for that.

The same work is done at an eighth of a size and at the whole, one after the other, in this process.
Where work is in proportion the whole takes about eight times the time, where it is quadratic 64
times. Whatever slows the machine slows both.
"""

import gc
import math
import resource
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

import pytest

TIMES = 8
ALLOWED = 3 * TIMES
"""How many times the time of the small one the large one may take: well between 8 and 64."""
FLOOR = 0.001
"""Seconds of processor time that the small one counts for at least: below is noise."""
PATIENCE = 20.0
"""Seconds of processor time after which the small one, a matter of milliseconds, never ends."""
ATTEMPTS = 3

T = TypeVar("T")


class _CutOff(BaseException):
    """Raised in the middle of work, which may catch every `Exception`."""


def check_growth(
    work: Callable[[T], object], made: Callable[[int], T], size: int, patience: float = PATIENCE
) -> None:
    """Fail if `work(made(size))` takes far more than eight times as long as with `size // 8`.

    Work is cut off at twice that, so what never ends fails as well. Else one attempt of a few has
    to do: a neighbour on the same core disturbs one of them, not all. Nothing that `work` calls may
    remember what it was given.
    """
    small, large = made(size // TIMES), made(size)
    grown: list[str] = []
    for _ in range(ATTEMPTS):
        least = _seconds(work, small, patience)
        if least == math.inf:
            pytest.fail(f"it does not end at size {size // TIMES}")
        least = min(least, *(_seconds(work, small, patience) for _ in range(2)))
        allowed = ALLOWED * max(least, FLOOR)
        most = _seconds(work, large, 2 * allowed)
        if most < allowed:
            return
        grown.append(f"{least:.4f} s to {most:.4f} s")
        if most > 2 * allowed:
            break
    pytest.fail(f"from size {size // TIMES} to {size} its time grows from {', from '.join(grown)}")


def repeated(piece: str) -> Callable[[int], str]:
    """Texts of any size that consist of a piece."""
    return lambda size: (piece * (size // len(piece) + 1))[:size]


def lines(piece: str, number: int = 100) -> Callable[[int], str]:
    """Texts of so many lines, each of any size: for what reads a bounded part of each line."""
    line = repeated(piece)
    return lambda size: f"{line(size)}\n" * number


def _seconds(work: Callable[[T], object], given: T, limit: float) -> float:
    """Processor time of the work, infinite when it was cut off."""
    began = _used()
    try:
        with _cut_off(limit), _no_collections():
            work(given)
    except _CutOff:
        return math.inf
    return _used() - began


def _used() -> float:
    """Seconds of processor time. While a timer runs, the process's clock ticks in milliseconds only;
    what the kernel accounts for is exact."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


@contextmanager
def _cut_off(seconds: float) -> Generator[None]:
    """Raise `_CutOff` after so much processor time: also inside `re`, which looks for signals."""

    def ended(_number: int, _frame: FrameType | None) -> None:
        raise _CutOff

    before = signal.signal(signal.SIGPROF, ended)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@contextmanager
def _no_collections() -> Generator[None]:
    """A full collection looks at everything that thousands of tests have made."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
