"""What workers on a real PostgreSQL do in a minute, and how soon a cancelled run's processes are gone.

`python -m benchmarks.cluster [--workers 1 2 3] [--runs 12] [--repeat 3] [--cancels 7]` prints two Markdown
tables. It needs PostgreSQL's programs, and takes server and machines from `tests/conformance`.
README.md describes the method.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.conformance.machines import Machines, machines, processes, until
from tests.conformance.postgresql import Server, serve
from tests.run.project import bash, turn

AT_ONCE = 2
"""Runs at once on each worker."""
TURNS, LATENCY = 4, 1.0
"""Replies with a call in a run, and seconds until each; one more ends it."""
SOON = 2.0
"""Seconds in which the processes of a cancelled run have to be gone."""
_SLEEP = ("sleep", "616.1")


def span(server: Server, folder: Path, workers: int, runs: int) -> float:
    """Seconds from the submission of so many runs until all have landed."""
    story = [turn(bash(f"echo {n} >> app/log.txt"), latency=LATENCY) for n in range(TURNS)]
    with machines(folder, server, [*story, turn(latency=LATENCY)], {}) as all_:
        names = [f"T-{number}" for number in range(runs)]
        for name in names:
            all_.task(name)
        all_.push()
        all_.at_once = AT_ONCE
        for _ in range(workers):
            all_.start_worker()
        until(lambda: all_.logs().count(" is up") == workers, all_)
        started = time.monotonic()
        all_.submit(*names)
        until(lambda: _ended(all_) == runs, all_)
        took = time.monotonic() - started
        outcomes = {entry.outcome for entry in all_.entries()}
        if outcomes != {"done"}:
            sys.exit(f"not all are done: {outcomes}\n{all_.logs()}")
    return took


def _ended(all_: Machines) -> int:
    return sum(entry.state == "ended" for entry in all_.entries())


def cancelled(server: Server, folder: Path, count: int) -> list[float]:
    """Seconds from the cancellation of a run in a `sleep` until that is gone, so many times."""
    found: list[float] = []
    with machines(folder, server, [turn(bash(f"exec {' '.join(_SLEEP)}"))], {}) as all_:
        all_.task("T")
        all_.push()
        all_.start_worker()
        [run] = all_.submit("T")
        with all_.board() as board:
            for _ in range(count):
                until(lambda: bool(processes(*_SLEEP)), all_)
                time.sleep(1.0)  # the worker looks at another moment each time
                started = time.monotonic()
                board.cancel(board.get(run), "cancelled")
                while processes(*_SLEEP):
                    time.sleep(0.005)
                found.append(time.monotonic() - started)
                board.retry(board.get(run))
            until(lambda: bool(processes(*_SLEEP)), all_)
            board.cancel(board.get(run), "the end")
            until(lambda: not processes(*_SLEEP), all_)
    return found


def shown(values: Sequence[float]) -> str:
    """The median, the least and the most."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--repeat", type=int, default=3, help="how often each number is measured")
    parser.add_argument("--cancels", type=int, default=7)
    given = parser.parse_args()
    load = os.getloadavg()[0]
    spans: dict[int, list[float]] = {count: [] for count in given.workers}
    with tempfile.TemporaryDirectory(prefix="agentflow-bench-") as name, serve() as server:
        for number in range(given.repeat):
            for count in given.workers:
                folder = Path(name, f"{number}-{count}")
                spans[count].append(span(server, folder, count, given.runs))
        gone = cancelled(server, Path(name, "cancelled"), given.cancels)
    print(f"{given.runs} runs of {TURNS + 1} replies, each after {LATENCY:g} s;")
    print(f"{AT_ONCE} at once on each worker; {given.repeat} times each, in turn;")
    print(f"{os.cpu_count()} processors, with a load of {load:.1f} when it began.\n")
    print("| workers | seconds, median (min to max) | runs a minute | ratio | by latency alone |")
    print("|---|---|---|---|---|")
    first = statistics.median(spans[given.workers[0]])
    for count, values in spans.items():
        middle = statistics.median(values)
        rounds = -(-given.runs // (count * AT_ONCE))
        ideal = rounds * (TURNS + 1) * LATENCY
        minute = 60 * given.runs / middle
        ratio = first / middle
        print(f"| {count} | {shown(values)} | {minute:.1f} | {ratio:.2f} | {ideal:.0f} s |")
    print("\n| from the cancellation until the processes are gone, s | bound | |\n|---|---|---|")
    verdict = "holds" if max(gone) < SOON else "BROKEN"
    print(f"| {shown(gone)}, of {len(gone)} | each < {SOON:g} | {verdict} |")


if __name__ == "__main__":
    main()
