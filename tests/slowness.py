"""How much slower this machine is, now, than the one on which bounds were set: bounds are ratios."""

import time

_LOOP = 1_000_000
_NOMINAL = 0.05
"""Seconds that the loop took there, on Python 3.11."""


def slowness() -> float:
    """A factor of at least 2, by which a bound against blow-up is multiplied."""
    started = time.perf_counter()
    total = 0
    for number in range(_LOOP):
        total += number
    return max(2.0, 2.0 * (time.perf_counter() - started) / _NOMINAL)
