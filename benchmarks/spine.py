"""How fast agentflow is beside a bare loop on the SDK: same server, requests and tool calls.

`python benchmarks/spine.py [--turns 10] [--repeat 7] [--folder DIR] [--check]` prints a Markdown
table; with `--check` the exit code is 1 if a bound is broken. README.md describes the method.
"""

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

# Run as a script: its own folder is on the path.
from recorder import Recorder  # pyright: ignore[reportImplicitRelativeImport]
from table import Noise, Row, percentile  # pyright: ignore[reportImplicitRelativeImport]

HERE = Path(__file__).resolve().parent
PROMPT = HERE.parent / "prompts" / "agent.md"
AGENTFLOW = Path(sys.executable).with_name("agentflow")
MEMORY = Path("/dev/shm")  # every name in it is made by tempfile
"""Where the repositories and clones lie by default: a disk's own speed is not ours."""
FILES = 200
TASK = "TASK-1"
LATENCY = 0.1
"""Seconds until the model's first word. None is quicker; agentflow makes its checkpoints meanwhile."""
MOST_NOISE = 0.3
"""Processors that other work may take; beyond it the bounds were seen to break by chance."""
SERVER_PATIENCE = 10.0
"""Seconds in which the scripted server must say its URL, and end."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """What one process did. Times in seconds."""

    first_request: float
    """From the start of the process until the server had its first request."""
    gaps: tuple[float, ...]
    """From the end of each reply until the next request."""
    tools: tuple[float, ...]
    """Of each gap, what the tool took as the client itself says."""
    memory: int
    """Peak resident set in bytes, children apart."""

    @property
    def overheads(self) -> tuple[float, ...]:
        return tuple(gap - tool for gap, tool in zip(self.gaps, self.tools, strict=True))


@dataclass(frozen=True, slots=True)
class Place:
    """Where everything happens."""

    folder: Path
    repository: Path
    """The pattern; each conversation gets a copy."""
    url: str
    recorder: Recorder

    @property
    def request(self) -> Path:
        """The recorded first request of agentflow."""
        return self.folder / "request.json"


def turn(number: int) -> dict[str, Any]:
    """One tool call: mostly Read, at times Edit and Bash, first of all Write."""
    result = "src/result.txt"
    edits = number // 5
    if number == 0:
        call = {"tool": "Write", "input": {"file_path": result, "content": "line 0\n"}}
    elif number % 5 == 3:
        change = {"old_string": f"line {edits}\n", "new_string": f"line {edits + 1}\n"}
        call = {"tool": "Edit", "input": {"file_path": result, **change}}
    elif number % 5 == 4:
        call = {"tool": "Bash", "input": {"command": "true"}}
    else:
        call = {"tool": "Read", "input": {"file_path": f"src/module_{number:03d}.py"}}
    return {"text": f"Step {number}: the next small thing.", "calls": [call]}


def make_repository(root: Path, files: int = FILES) -> None:
    """A repository with one task; the prompt is the built-in one, ended by words."""
    folders = {"src": files * 3 // 4, "tests": files // 4}
    for folder, count in folders.items():
        (root / folder).mkdir(parents=True)
        for number in range(count):
            lines = "".join(f"value_{line} = {line * number}\n" for line in range(20))
            (root / folder / f"module_{number:03d}.py").write_text(lines, "utf-8")
    orchestrator = root / ".orchestrator"
    (orchestrator / "tasks").mkdir(parents=True)
    (orchestrator / "tasks" / f"{TASK}.md").write_text(
        "---\nallow: [src/**]\n---\n\n# Write a result\n\nWrite lines into src/result.txt.\n"
    )
    (orchestrator / "prompts").mkdir()
    prompt = PROMPT.read_text("utf-8").replace("completion: marker", "completion: message")
    (orchestrator / "prompts" / "bench.md").write_text(prompt, "utf-8")
    for command in (
        ["init", "--quiet"],
        ["config", "user.name", "Ada"],
        ["config", "user.email", "ada@example.com"],
        ["add", "--all"],
        ["commit", "--quiet", "-m", "start"],
    ):
        subprocess.run(["git", *command], cwd=root, check=True)


@contextmanager
def scripted_server(script: Path) -> Generator[int]:
    """The scripted model in a process of its own; yields its port."""
    command = [sys.executable, "-m", "agentflow.models.scripted", str(script)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield int(server.stdout.readline().rpartition(":")[2])
    finally:
        server.terminate()
        server.communicate(timeout=SERVER_PATIENCE)


async def bare(place: Place) -> Conversation:
    """One conversation of the bare loop."""
    command = [sys.executable, str(HERE / "bare_loop.py"), place.url, str(place.request)]
    with working_copy(place) as (root, environment):
        place.recorder.clear()
        started, memory, output = await asyncio.to_thread(measured, command, root, environment)
        return conversation(place, started, memory, json.loads(output))


async def agentflow(place: Place) -> Conversation:
    """One conversation of agentflow: from the task file to the landed commit."""
    command = [str(AGENTFLOW), "run", TASK, "--prompt", "bench", "--gate", "check=true"]
    command += ["--base-url", place.url, "--output-format", "json"]
    with working_copy(place) as (root, environment):
        place.recorder.clear()
        started, memory, output = await asyncio.to_thread(measured, command, root, environment)
        run = json.loads(output.splitlines()[-1])["run"]
        journal = root / ".orchestrator" / "runs" / run / "journal.jsonl"
        events = [json.loads(line) for line in journal.read_text("utf-8").splitlines()]
        tools = [e["seconds"] for e in events if e["type"] == "agentflow.tool_finished"]
        if not place.request.exists():
            place.request.write_text(json.dumps(place.recorder.body()), "utf-8")
        return conversation(place, started, memory, tools)


@contextmanager
def working_copy(place: Place) -> Generator[tuple[Path, dict[str, str]]]:
    """A copy of the repository, and an environment without anything of the caller's.

    Always the same folder and home: how the gates end on the base is known from the first
    conversation, as it is from any earlier run on a commit.
    """
    root, home = place.folder / "copy", place.folder / "home"
    home.mkdir(exist_ok=True)
    shutil.copytree(place.repository, root)
    try:
        yield root, {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8"}
    finally:
        shutil.rmtree(root)


def measured(
    command: Sequence[str], root: Path, environment: dict[str, str]
) -> tuple[float, int, str]:
    """Run a process; return when it started, its peak memory in bytes, and its output."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as talk:
        started = time.monotonic()
        process = subprocess.Popen(
            command, cwd=root, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=talk
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        talk.seek(0)
        if process.returncode:
            ended = f"{' '.join(command)} ended with {process.returncode}"
            raise SystemExit(f"{ended}:\n{talk.read().decode('utf-8')}")
        return started, usage.ru_maxrss * 1024, output.read().decode("utf-8")


def conversation(place: Place, started: float, memory: int, tools: Sequence[float]) -> Conversation:
    recorder = place.recorder
    gaps = recorder.gaps()
    if len(gaps) != len(tools):
        raise SystemExit(f"{len(gaps)} turns were seen, but {len(tools)} tool calls reported")
    return Conversation(recorder.first_request() - started, tuple(gaps), tuple(tools), memory)


async def measure(
    turns: int, repeat: int, where: Path | None
) -> tuple[list[Conversation], list[Conversation]]:
    """Both loops in turn, after one unmeasured conversation of each."""
    with tempfile.TemporaryDirectory(prefix="agentflow-bench-", dir=where) as name:
        folder = Path(name)
        make_repository(folder / "pattern")
        replies = [*map(turn, range(turns)), {"text": "Done."}]
        script = {"turns": [{**reply, "latency": LATENCY} for reply in replies]}
        (folder / "script.json").write_text(json.dumps(script), "utf-8")
        with scripted_server(folder / "script.json") as port:
            recorder = Recorder(port)
            place = Place(folder, folder / "pattern", await recorder.start(), recorder)
            pairs = [(await agentflow(place), await bare(place)) for _ in range(repeat + 1)][1:]
            recorder.stop()
    ours, theirs = zip(*pairs, strict=True)
    return list(theirs), list(ours)


def help_seconds(times: int = 10) -> list[float]:
    """Wall clock of `agentflow --help`."""
    seconds: list[float] = []
    for _ in range(times):
        started = time.monotonic()
        subprocess.run([AGENTFLOW, "--help"], stdout=subprocess.DEVNULL, check=True)
        seconds.append(time.monotonic() - started)
    return seconds


def help_imports() -> tuple[int, list[str]]:
    """How many modules `agentflow --help` imports, and whose beside Python's own."""
    command = [sys.executable, "-X", "importtime", str(AGENTFLOW), "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    modules = [line.rpartition("|")[2].strip() for line in shown.splitlines() if "|" in line][1:]
    tops = {module.partition(".")[0] for module in modules}
    return len(modules), sorted(tops - sys.stdlib_module_names)


def rows(theirs: list[Conversation], ours: list[Conversation], shown: list[float]) -> list[Row]:
    """The table's lines. Samples are conversations or, where one has many, all their turns."""

    def each(name: str, get: Callable[[Conversation], float], digits: int) -> Row:
        return Row(name, [*map(get, theirs)], [*map(get, ours)], digits)

    def turns(name: str, get: Callable[[Conversation], Sequence[float]]) -> Row:
        bare_ms, our_ms = ([s * 1e3 for c in side for s in get(c)] for side in (theirs, ours))
        return Row(name, bare_ms, our_ms, digits=1)

    first = each("time to first request, ms", lambda c: c.first_request * 1e3, 0)
    overhead = turns("per turn, tool excluded, ms", lambda c: c.overheads)
    memory = each("peak memory, MB", lambda c: c.memory / 1e6, 1)
    return [
        replace(first, ratio=1.1),
        replace(overhead, most=15, ratio=2.0),
        each("its 95th percentile, ms", lambda c: percentile(c.overheads, 0.95) * 1e3, 1),
        turns("per turn, tool included, ms", lambda c: c.gaps),
        turns("the tool as reported, ms", lambda c: c.tools),
        replace(memory, ratio=1.5),
        Row("`agentflow --help`, s", [], shown, digits=2, most=0.35),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=10, help="tool calls in a conversation")
    parser.add_argument("--repeat", type=int, default=7, help="conversations of each loop")
    parser.add_argument(
        "--folder", type=Path, default=MEMORY if MEMORY.is_dir() else None, help="where to work"
    )
    parser.add_argument("--check", action="store_true", help="exit 1 if a bound is broken")
    given = parser.parse_args()
    before = Noise.now()
    theirs, ours = asyncio.run(measure(given.turns, given.repeat, given.folder))
    table = rows(theirs, ours, help_seconds())
    others = Noise.now().share_since(before)
    count, packages = help_imports()
    python = ".".join(map(str, sys.version_info[:3]))
    print(f"{given.repeat} conversations of {given.turns} turns each, in turn; Python {python};")
    print(f"{os.cpu_count()} processors, of which other work took {others:.2f};")
    print(f"repositories and clones in {given.folder or tempfile.gettempdir()}.\n")
    if others > MOST_NOISE:
        print("The machine was too busy for a verdict: repeat this when it is quiet.\n")
    print("| median (min to max) | bare loop | agentflow | ratio | bound | |")
    print("|---|---|---|---|---|---|")
    print(*(row.line() for row in table), sep="\n")
    print(f"\n`agentflow --help` imports {count} modules; beside Python's: {', '.join(packages)}.")
    return int(given.check and not all(row.holds for row in table))


if __name__ == "__main__":
    sys.exit(main())
