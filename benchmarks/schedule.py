"""Seconds of processor time to plan 10,000 tasks, by the shape of their boundaries."""

import time
from collections.abc import Callable

from agentflow.scheduler import Job, schedule

COUNT = 10_000
SHAPES: dict[str, Callable[[int], tuple[str, ...]]] = {
    "folders": lambda i: (f"apps/a{i % 300}/src/m{i % 7}/**", f"docs/{i % 900}/*.md"),
    "one glob": lambda _: ("src/**",),
    "rooted wildcards": lambda i: (f"**/m{i % 50}*.py", f"apps/a{i % 300}/**"),
    "all distinct": lambda i: (f"apps/a{i}/**",),
    "half unbounded": lambda i: () if i % 2 else ("a/**",),
}

if __name__ == "__main__":
    for name, writes in SHAPES.items():
        jobs = [
            Job(f"T{i}", (f"T{i // 2}",) if i % 2 and i > 1 else (), writes(i))
            for i in range(COUNT)
        ]
        start = time.process_time()
        last = max(slot.wave for slot in schedule(jobs))
        print(f"{name:18} {time.process_time() - start:6.2f} s  {last + 1:6} waves")
