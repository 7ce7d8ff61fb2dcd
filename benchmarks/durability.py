"""What it costs that nothing is lost: checkpoints, going on, the journal, memory over many turns.

`python benchmarks/durability.py [--files 1000 5000 20000] [--turns 200] [--check]` prints Markdown
tables; with `--check` the exit code is 1 if a bound is broken. Bounds are ratios of what is measured in
turn, so a slower machine changes little. README.md describes the method.
"""

import argparse
import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Run as a script: its own folder is on the path.
from recorder import Recorder  # pyright: ignore[reportImplicitRelativeImport]
from spine import (  # pyright: ignore[reportImplicitRelativeImport]
    AGENTFLOW,
    MEMORY,
    MOST_NOISE,
    TASK,
    make_repository,
    scripted_server,
)
from table import Noise  # pyright: ignore[reportImplicitRelativeImport]

from agentflow.events import AssistantMessage, CheckpointMade, Event, TextDelta, UserMessage
from agentflow.models.anthropic import import_sdk, open_model
from agentflow.order import Order
from agentflow.plan import make_plan
from agentflow.run import run_task
from agentflow.world import World

THINKING = 0.5
"""Seconds until the model's first byte, where it is not at once: few models are as quick."""
CHANGES = 12
"""Turns of a run whose checkpoints are measured; each changes one file and makes another."""
RESUMES = 5
MOST_WAITED = 0.1
"""Of a checkpoint: how long one may keep a reply of a model that thinks so long. Where the limit of 5 ms
was set, a checkpoint took 66 ms."""
MOST_RESUME = 1.7
"""Imports of the SDK, from a process's start to its first new request. Where the limit of 0.5 s besides
the import was set, an import took 0.7 s."""
MOST_GROWTH = 0.1
"""Of the memory after a quarter of the turns, by the last one."""


@dataclass
class Watch:
    """When what happened; seconds of the monotonic clock."""

    checkpoints: list[float] = field(default_factory=list[float])
    """From the results of a batch of calls until their checkpoint is made."""
    waits: list[float] = field(default_factory=list[float])
    """From the last word of a reply until it is written down, which waits for the checkpoint."""
    _told: float = 0.0
    _said: float = 0.0

    def __call__(self, event: Event, /) -> None:
        now = time.monotonic()
        match event:
            case UserMessage():
                self._told = now
            case CheckpointMade():
                self.checkpoints.append(now - self._told)
            case TextDelta():
                self._said = now
            case AssistantMessage():
                self.waits.append(now - self._said)
            case _:
                pass


def change(number: int, latency: float = 0.0) -> dict[str, Any]:
    """A turn that changes files."""
    command = (
        f"echo 'more = {number}' >> src/module_{number % 100:03}.py; echo > src/new{number}.py"
    )
    call = {"tool": "Bash", "input": {"command": command}}
    return {"text": f"Step {number}.", "calls": [call], "latency": latency}


def read(number: int) -> dict[str, Any]:
    """A turn as most are: a page of a file is read, and one in four changes something."""
    if number % 4 == 3:
        return change(number)
    call = {"tool": "Read", "input": {"file_path": f"src/module_{number % 100:03}.py"}}
    return {"text": f"Step {number}: I look at the next file.", "calls": [call]}


def write_script(path: Path, turns: Sequence[dict[str, Any]]) -> Path:
    """A script of these turns."""
    path.write_text(json.dumps({"turns": [*turns, {"text": "Done."}]}), "utf-8")
    return path


async def checkpoints(folder: Path, repository: Path, latency: float) -> Watch:
    """One run of which every turn changes files."""
    script = write_script(folder / "script.json", [change(n, latency) for n in range(CHANGES)])
    environment = environment_in(folder)
    world = World(repository, environment, folder / "cache")
    watch = Watch()
    with scripted_server(script) as port:
        url = f"http://127.0.0.1:{port}"
        gates = [{"name": "check", "command": "true"}]
        flags = {"base_url": url, "prompt": "bench", "land": "none", "gates": gates}
        plan = await make_plan(Order(TASK, fresh=True, flags=flags), world)
        report = await run_task(
            plan, world, lambda _: lambda: open_model(base_url=url, api_key=None), [watch]
        )
    if report["outcome"] != "done":
        raise SystemExit(f"the run ended otherwise: {report['reason']}")
    return watch


async def resumes(folder: Path, repository: Path) -> tuple[list["Beginning"], list["Beginning"]]:
    """How `agentflow resume` gets to its first request; and the SDK's import, each in turn."""
    script = write_script(folder / "script.json", [change(n) for n in range(RESUMES + 2)])
    found, sdk = list[Beginning](), list[Beginning]()
    with scripted_server(script) as port:
        recorder = Recorder(port)
        url = await recorder.start()
        for turns in range(1, RESUMES + 2):
            command = (
                [*command_of(url), "--max-turns", "1", "--fresh"]
                if turns == 1
                else [str(AGENTFLOW), "resume", TASK, "--base-url", url, "--max-turns", f"{turns}"]
            )
            sdk.append(await asyncio.to_thread(imported))
            begun = await first_request(command, repository, environment_in(folder), recorder)
            if turns > 1:
                found.append(begun)
        recorder.stop()
    return found, sdk


@dataclass(frozen=True, slots=True)
class Beginning:
    """From a process's start until something was there, or done."""

    seconds: float
    processor: float
    """Seconds of all processors, of its ended children too."""


async def first_request(
    command: Sequence[str], repository: Path, environment: dict[str, str], recorder: Recorder
) -> Beginning:
    """Run a command that ends with exit code 4; return how it got to its first request."""
    recorder.clear()
    started, used = time.monotonic(), 0.0
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=repository,
        env=environment,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    while process.returncode is None:
        await asyncio.sleep(0.002)
        if recorder.requests and not used:
            used = processor_of(process.pid)
    if process.returncode != 4:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return Beginning(recorder.first_request() - started, used)


def processor_of(process: int) -> float:
    """Seconds that a process and its ended children have used."""
    fields = Path(f"/proc/{process}/stat").read_text("ascii").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def imported() -> Beginning:
    """The SDK's import in a process of its own, as a run does it."""
    program = (
        "import time; started = time.monotonic(), time.process_time(); "
        "from agentflow.models.anthropic import import_sdk; import_sdk(); "
        "print(time.monotonic() - started[0], time.process_time() - started[1])"
    )
    shown = subprocess.check_output([sys.executable, "-c", program], text=True)
    seconds, used = shown.split()
    return Beginning(float(seconds), float(used))


def command_of(url: str) -> list[str]:
    """A run that lands nothing."""
    command = [str(AGENTFLOW), "run", TASK, "--prompt", "bench", "--gate", "check=true"]
    return [*command, "--base-url", url, "--land", "none", "--output-format", "json"]


def environment_in(folder: Path) -> dict[str, str]:
    """Nothing of the caller's."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8"}


@dataclass(frozen=True, slots=True)
class Long:
    """A run of many turns."""

    memory: tuple[float, ...]
    """The process's resident set when each request came, MB."""
    journal: tuple[int, ...]
    """The journal's bytes after each reply."""
    state: int
    """Bytes of our repository of the run, the journal in its checkpoints included."""


async def long_run(folder: Path, repository: Path, turns: int) -> Long:
    """Run so many turns in a process of its own, and look at it with each request."""
    script = write_script(folder / "script.json", [read(n) for n in range(turns)])
    memory = list[float]()
    with scripted_server(script) as port, tempfile.TemporaryFile() as output:
        recorder = Recorder(port)
        command = [*command_of(await recorder.start()), "--fresh", "--max-turns", f"{turns + 1}"]
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=repository,
            env=environment_in(folder),
            stdout=output,
            stderr=asyncio.subprocess.DEVNULL,
        )
        while process.returncode is None:
            await asyncio.sleep(0.002)
            if recorder.requests > len(memory) and (resident := resident_of(process.pid)):
                memory += [resident] * (recorder.requests - len(memory))
        recorder.stop()
        output.seek(0)
        run = json.loads(output.read().splitlines()[-1])["run"]
    journal = repository / ".orchestrator" / "runs" / run / "journal.jsonl"
    state = next((folder / "home").glob(f".cache/agentflow/*/runs/{run}/state.git"))
    return Long(tuple(memory), tuple(sizes(journal)), size_of(state))


def resident_of(process: int) -> float:
    """Its resident set in MB; 0 when it is gone."""
    try:
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text("ascii"))
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return int(found[1]) / 1000 if found else 0.0


def sizes(journal: Path) -> Iterator[int]:
    """Bytes of a journal up to each reply."""
    size = 0
    for line in journal.read_bytes().splitlines(keepends=True):
        size += len(line)
        if json.loads(line)["type"] == AssistantMessage.type:
            yield size


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Median and extremes, for a table's cell."""
    shown = (f"{each:.{digits}f}" for each in (statistics.median(values), min(values), max(values)))
    return "{} ({} to {})".format(*shown)


async def of_size(folder: Path, files: int) -> tuple[bool, str]:
    """Whether the bounds hold in a repository of so many files, and its row."""
    repository = folder / f"repository-{files}"
    make_repository(repository, files)
    quick = await checkpoints(folder, repository, 0.0)
    slow = await checkpoints(folder, repository, THINKING)
    begun, sdk = await resumes(folder, repository)
    one_import = statistics.median(each.seconds for each in sdk)
    processor = statistics.median(each.processor for each in sdk)
    begins = statistics.median(each.seconds for each in begun)
    waited = statistics.median(slow.waits) / statistics.median(slow.checkpoints)
    holds = waited <= MOST_WAITED and begins / one_import <= MOST_RESUME
    cells = (
        f"{files:,}",
        spread([each * 1e3 for each in slow.checkpoints]),
        spread([each * 1e3 for each in slow.waits], 1),
        f"{waited:.2f}",
        spread([each * 1e3 for each in quick.waits]),
        spread([each.seconds - one_import for each in begun], 2),
        f"{one_import:.2f}",
        f"{begins / one_import:.2f}",
        spread([each.processor / processor for each in begun], 2),
        "holds" if holds else "BROKEN",
    )
    return holds, f"| {' | '.join(cells)} |"


def of_length(found: Long, turns: int) -> tuple[bool, list[str]]:
    """Whether memory is flat, and the rows for some turns of a long run."""
    at = sorted({1, max(1, turns // 20), turns // 4, turns // 2, turns})
    rows = [
        f"| {turn} | {found.memory[turn - 1]:.1f} | {found.journal[turn - 1] / 1e3:,.0f} |"
        for turn in at
    ]
    grown = found.memory[turns - 1] / found.memory[turns // 4 - 1] - 1
    rows.append(f"\nFrom turn {turns // 4} to {turns} memory grew by {grown:.1%}; ")
    rows.append(f"the run's repository of checkpoints has {found.state / 1e3:,.0f} KB.")
    return grown < MOST_GROWTH, rows


async def measure(files: Sequence[int], turns: int, folder: Path) -> bool:
    """Print the tables; return whether all bounds hold."""
    import_sdk()
    print(
        "| files | checkpoint, ms | waited for it, ms | share of it | with a model that answers at once, ms "
        "| resume to first request besides the SDK's import, s | import, s | resume, imports "
        "| its processor time, imports | |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    holds = True
    for each in files:
        kept, row = await of_size(folder, each)
        print(row, flush=True)
        holds = holds and kept
    print("\n| turn | memory, MB | journal, KB |\n|---|---|---|")
    make_repository(folder / "long")
    kept, rows = of_length(await long_run(folder, folder / "long", turns), turns)
    print(*rows, sep="\n")
    return holds and kept


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, nargs="+", default=[1_000, 5_000, 20_000])
    parser.add_argument("--turns", type=int, default=200, help="of the long run")
    parser.add_argument(
        "--folder", type=Path, default=MEMORY if MEMORY.is_dir() else None, help="where to work"
    )
    parser.add_argument("--check", action="store_true", help="exit 1 if a bound is broken")
    given = parser.parse_args()
    before = Noise.now()
    with tempfile.TemporaryDirectory(prefix="agentflow-bench-", dir=given.folder) as name:
        holds = asyncio.run(measure(given.files, given.turns, Path(name)))
    others = Noise.now().share_since(before)
    print(f"\n{os.cpu_count()} processors, of which other work took {others:.2f}.")
    if others > MOST_NOISE:
        print("The machine was too busy for a verdict: repeat this when it is quiet.")
    return int(given.check and not holds)


if __name__ == "__main__":
    sys.exit(main())
