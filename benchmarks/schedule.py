"""Seconds of processor time to plan 10,000 tasks, by the shape of their boundaries.

`python benchmarks/schedule.py [--check]`. With `--check` it ends with 1 if a shape takes longer than `MOST`.
"""

import sys
import time
from collections.abc import Callable

from agentflow.scheduler import Job, schedule

COUNT = 10_000
MOST = 2.0
"""Seconds that a plan may take."""
SHAPES: dict[str, Callable[[int], tuple[str, ...]]] = {
    "folders": lambda i: (f"apps/a{i % 300}/src/m{i % 7}/**", f"docs/{i % 900}/*.md"),
    "one glob": lambda _: ("src/**",),
    "rooted wildcards": lambda i: (f"**/m{i % 50}*.py", f"apps/a{i % 300}/**"),
    "all distinct": lambda i: (f"apps/a{i}/**",),
    "half unbounded": lambda i: () if i % 2 else ("a/**",),
}


def seconds(name: str) -> float:
    """Plan the tasks of a shape; print how long that took and how many waves there are."""
    writes = SHAPES[name]
    jobs = [
        Job(f"T{i}", (f"T{i // 2}",) if i % 2 and i > 1 else (), writes(i)) for i in range(COUNT)
    ]
    start = time.process_time()
    last = max(slot.wave for slot in schedule(jobs))
    took = time.process_time() - start
    print(f"{name:18} {took:6.2f} s  {last + 1:6} waves")
    return took


if __name__ == "__main__":
    slowest = max(map(seconds, SHAPES))
    if "--check" in sys.argv[1:] and slowest > MOST:
        sys.exit(f"a plan took {slowest:.2f} s, more than {MOST} s")
