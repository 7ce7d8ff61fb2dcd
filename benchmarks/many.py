"""Many agents in one process beside as many bare loops in one process, on the same server.

`python benchmarks/many.py [--agents 1 8 32 64] [--turns 10] [--latency 1.0] [--check]` prints a
Markdown table; with `--check` the exit code is 1 if a bound is broken. README.md describes it.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

# Run as a script: its own folder is on the path.
from recorder import Recorder  # pyright: ignore[reportImplicitRelativeImport]
from spine import (  # pyright: ignore[reportImplicitRelativeImport]
    AGENTFLOW,
    HERE,
    MEMORY,
    make_repository,
    scripted_server,
    turn,
)
from table import Noise  # pyright: ignore[reportImplicitRelativeImport]

SPAN = 1.15
"""The greatest ratio of the spans."""
MEMORY_EACH = 15e6
"""The most bytes that one more agent may need in our process."""
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Measured:
    """One process with its agents."""

    span: float
    """Seconds from the first request to the last answer."""
    whole: float
    """Seconds from its start to its end: imports, clones, gates and landing as well."""
    own: float
    """Seconds of processor time of the process itself."""
    children: float
    """The same of all that it started and that ended: sandboxes, git, gates."""
    memory: int
    """Peak resident set in bytes, children apart."""


def measure(
    command: Sequence[str],
    folder: Path,
    environment: dict[str, str],
    span: Callable[[str], float],
) -> Measured:
    """Run a process to its end; `span` finds its span, given what it wrote to standard output."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as talk:
        started = time.monotonic()
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=talk)
        # It has ended, and is still there to be asked what it used (proc(5), fields 14 to 17).
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        whole = time.monotonic() - started
        stat = Path(f"/proc/{process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        own, children = (sum(map(int, stat[first : first + 2])) / _TICKS for first in (11, 13))
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        talk.seek(0)
        if process.returncode:
            raise SystemExit(f"{' '.join(command)}:\n{talk.read().decode()[-2000:]}")
        output.seek(0)
        seconds = span(output.read().decode())
    return Measured(seconds, whole, own, children, usage.ru_maxrss * 1024)


def ours(count: int, folder: Path, url: str) -> Measured:
    """So many tasks, from their files to their branches."""
    root = folder / f"ours-{count}"
    make_repository(root)
    names = [f"TASK-{number}" for number in range(1, count + 1)]
    for number, name in enumerate(names, 1):
        text = f"---\nallow: [src/task{number}/]\n---\n\n# Write a result\n\nRead files.\n"
        (root / ".orchestrator" / "tasks" / f"{name}.md").write_text(text)
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"}
    command = [str(AGENTFLOW), "run", *names, "--prompt", "bench", "--gate", "check=true"]
    command += ["--jobs", str(count)] if count > 1 else []
    command += ["--base-url", url, "--quiet", "--output-format", "json"]
    return measure(command, root, environment, lambda _: span_of(root))


def span_of(root: Path) -> float:
    """Seconds from the first word to a model until the last answer of one, as the journals say."""
    lines = [
        json.loads(line)
        for journal in root.glob(".orchestrator/runs/*/journal.jsonl")
        for line in journal.read_text("utf-8").splitlines()
    ]
    said = [datetime.fromisoformat(each["at"]) for each in lines if each["type"] == "user"]
    heard = [datetime.fromisoformat(each["at"]) for each in lines if each["type"] == "assistant"]
    return (max(heard) - min(said)).total_seconds()


def bare(count: int, folder: Path, url: str) -> Measured:
    """As many loops on the SDK, with the first request of ours."""
    root = folder / f"bare-{count}"
    make_repository(root)
    request = str(folder / "request.json")
    command = [sys.executable, str(HERE / "bare_many.py"), url, str(count), request]
    return measure(command, root, {"PATH": os.environ["PATH"], "HOME": str(folder)}, float)


async def record(folder: Path, port: int) -> None:
    """Write down the first request of one agent of ours, unmeasured."""
    recorder = Recorder(port)
    url = await recorder.start()
    await asyncio.to_thread(ours, 1, folder / "recorded", url)
    (folder / "request.json").write_text(json.dumps(recorder.body()), "utf-8")
    recorder.stop()


def script(turns: int, latency: float) -> str:
    """What every agent does: reads, and in the end writes where it may."""
    read = {**turn(1), "latency": latency}
    write = {
        "tool": "Bash",
        "input": {"command": "for d in src/task*/; do echo x >$d/x; done; true"},
    }
    replies = [read] * (turns - 1) + [{**read, "calls": [write]}]
    return json.dumps({"turns": [*replies, {"text": "Done.", "latency": latency}]})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, nargs="+", default=[1, 8, 32, 64])
    parser.add_argument("--turns", type=int, default=10, help="tool calls in a conversation")
    parser.add_argument("--latency", type=float, default=1.0, help="seconds of each reply")
    parser.add_argument("--check", action="store_true", help="exit 1 if a bound is broken")
    given = parser.parse_args()
    before = Noise.now()
    where = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="agentflow-bench-", dir=where) as name:
        folder = Path(name)
        (folder / "script.json").write_text(script(given.turns, given.latency), "utf-8")
        with scripted_server(folder / "script.json") as port:
            url = f"http://127.0.0.1:{port}"
            asyncio.run(record(folder, port))
            rows = [
                (count, bare(count, folder, url), ours(count, folder, url))
                for count in given.agents
            ]
    others = Noise.now().share_since(before)
    ideal = (given.turns + 1) * given.latency
    print(f"{given.turns} turns and {given.latency:g} s a reply: {ideal:g} s at best;")
    print(f"{os.cpu_count()} processors, of which other work took {others:.2f}.\n")
    print(
        "| agents | bare loops, s | agentflow, s | ratio | start to end, s (bare) | our processor time a turn, ms "
        "| sandboxes', git's and gates' | our memory, MB | for each more, MB |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    holds = True
    first_count, _, first = rows[0]
    for count, theirs, mine in rows:
        replies = count * (given.turns + 1)
        more = (mine.memory - first.memory) / (count - first_count) if count > first_count else 0
        holds &= mine.span <= SPAN * theirs.span and more < MEMORY_EACH
        cells = (
            f"{count}", f"{theirs.span:.1f}", f"{mine.span:.1f}", f"{mine.span / theirs.span:.2f}",
            f"{mine.whole:.1f} ({theirs.whole:.1f})", f"{mine.own / replies * 1e3:.0f}", f"{mine.children / replies * 1e3:.0f}",
            f"{mine.memory / 1e6:.0f}", f"{more / 1e6:.1f}" if more else "",
        )  # fmt: skip
        print(f"| {' | '.join(cells)} |")
    print(f"\nBounds (ratio ≤ {SPAN}, memory < {MEMORY_EACH / 1e6:g} MB): ", end="")
    print("hold" if holds else "BROKEN")
    return int(given.check and not holds)


if __name__ == "__main__":
    sys.exit(main())
