"""What the sandbox costs: start, calls, canaries, import, clone. Prints a Markdown table; see README.md."""

import argparse
import asyncio
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from table import Noise, Row  # pyright: ignore[reportImplicitRelativeImport]

from agentflow.canaries import prove
from agentflow.records import Boundaries
from agentflow.sandbox import bubblewrap, open_sandbox
from agentflow.sandbox.channel import Channel
from agentflow.sandbox.descriptors import Descriptors
from agentflow.sandbox.policy import Policy
from agentflow.sandbox.program import toolbox_command
from agentflow.workspace.clone import make_clone, make_repository
from agentflow.workspace.export import import_pack
from agentflow.workspace.importer import make_candidate
from agentflow.workspace.recreate import Authorship
from agentflow.workspace.repository import open_repository

IDENTITY = ("-c", "user.name=b", "-c", "user.email=b@example.invalid")
FILES, COMMITS = 20_000, 100
Pair = tuple[float, float]


def git(folder: Path, *words: str, stdin: bytes | None = None) -> str:
    """Run git; what it prints."""
    command = ["git", "-C", str(folder), *IDENTITY, *words]
    return subprocess.run(command, input=stdin, capture_output=True, check=True).stdout.decode()


def repository_of(folder: Path, files: int, commits: int) -> Path:
    """A repository with so many files and, on top of `start`, so many commits of one file each."""
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    who = "committer b <b@example.invalid> 1700000000 +0000\ndata 1\nx\n"
    lines = [f"commit refs/heads/main\n{who}"]
    for number in range(files):
        text = f"def f{number}():\n    return {number}\n" * 20
        lines.append(f"M 644 inline src/d{number % 200}/f{number}.py\ndata {len(text)}\n{text}\n")
    for number in range(commits):
        text = f"{number}\n"
        lines.append(f"commit refs/heads/more\n{who}")
        lines.append("" if number else "from refs/heads/main\n")
        lines.append(f"M 644 inline src/new/f{number}.py\ndata {len(text)}\n{text}\n")
    git(folder, "fast-import", "--quiet", stdin="".join(lines).encode())
    git(folder, "reset", "--quiet", "--hard", "main")
    return folder


def spent() -> float:
    """Seconds of processors that we and our ended children used."""
    own, others = (
        resource.getrusage(each) for each in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


def timed(action: Callable[[], object]) -> float:
    """Milliseconds of one call."""
    start = time.perf_counter()
    action()
    return (time.perf_counter() - start) * 1000


async def call(channel: Channel, tool: str, **arguments: object) -> float:
    """Milliseconds of one tool call, the way in and back included."""
    start = time.perf_counter()
    await channel.call(tool, arguments)
    return (time.perf_counter() - start) * 1000


def session(tree: Path) -> None:
    """From nothing to the first answer of the toolbox, and the end of it all."""

    async def opened() -> None:
        async with open_sandbox("bubblewrap", Policy(tree=tree)) as channel:
            await channel.state()

    asyncio.run(opened())


def bare_start(tree: Path) -> None:
    """bubblewrap with the same namespaces, mounts and interpreter, which does nothing."""
    interpreter = toolbox_command("")[0]
    command = [interpreter, "-I", "-S", "-B", "-c", "pass"]
    with Descriptors() as descriptors:
        program = bubblewrap.prepare(bubblewrap.find(), Policy(tree=tree), command, descriptors)
        subprocess.run(
            program.argv,
            env=dict(program.environment),
            pass_fds=program.descriptors,
            stdin=subprocess.DEVNULL,
            check=True,
        )


async def starts(tree: Path, repeat: int) -> list[float]:
    """Session starts: milliseconds from nothing to the first answer."""
    found: list[float] = []
    for _ in range(repeat):
        start = time.perf_counter()
        async with open_sandbox("bubblewrap", Policy(tree=tree)) as channel:
            await channel.state()
            found.append((time.perf_counter() - start) * 1000)
    return found


def beside(tree: Path, repeat: int) -> tuple[list[float], list[float]]:
    """Processor time of bare starts and of whole sessions, in turn, in milliseconds."""
    bare: list[float] = []
    ours: list[float] = []
    for number in range(repeat):
        turns = [(bare_start, bare), (session, ours)]
        for action, times in turns if number % 2 else reversed(turns):
            times.append(both(lambda start=action: start(tree))[1])
    return bare, ours


async def calls(tree: Path, repeat: int) -> dict[str, list[float]]:
    """Tool calls in one sandbox. Another one begins in each round: what follows a Bash call finds
    cold caches."""
    (tree / "read.py").write_text("x = 1\n" * 200)
    found: dict[str, list[float]] = {name: [] for name in ("Bash `true`", "Read", "Write", "Edit")}
    async with open_sandbox("bubblewrap", Policy(tree=tree)) as channel:
        for number in range(repeat + 5):
            new, edited = f"written-{number}.py", f"edited-{number}.py"
            await call(channel, "Write", file_path=edited, content="x\n")
            edit = {"file_path": edited, "old_string": "x", "new_string": "y"}
            measured = [
                ("Bash `true`", "Bash", {"command": "true"}),
                ("Read", "Read", {"file_path": "read.py"}),
                ("Write", "Write", {"file_path": new, "content": "x\n"}),
                ("Edit", "Edit", edit),
            ]
            turn = number % len(measured)
            for name, tool, arguments in measured[turn:] + measured[:turn]:
                took = await call(channel, tool, **arguments)
                if number >= 5:
                    found[name].append(took)
    return found


def below(process: str) -> list[str]:
    """The numbers of all processes that a process started and that are alive."""
    found = Path(f"/proc/{process}/task").glob("*/children")
    children = [child for file in found for child in file.read_text("ascii").split()]
    return [*children, *(each for child in children for each in below(child))]


def resident() -> float:
    """Megabytes of the processes below this one, pages that they share counted for each."""
    texts = [Path(f"/proc/{each}/status").read_text("utf-8") for each in below("self")]
    lines = [line.split() for text in texts for line in text.splitlines()]
    return sum(int(words[1]) for words in lines if words[:1] == ["VmRSS:"]) / 1024


async def memory(tree: Path) -> float:
    """What `resident` says of one session."""
    async with open_sandbox("bubblewrap", Policy(tree=tree)) as channel:
        await call(channel, "Bash", command="true")
        return resident()


def imports(folder: Path, repeat: int) -> list[float]:
    """What comes after the export of a run: its pack indexed strictly, every commit walked against
    the boundaries and made anew."""
    store = repository_of(folder / "import", 200, COMMITS)
    repository = open_repository(store, {"PATH": "/usr/bin:/bin", "HOME": str(folder)})
    base, head, tree = (git(store, "rev-parse", n).strip() for n in ("main", "more", "more^{tree}"))
    export = folder / "export"
    export.mkdir()
    (export / "tips").write_text(f"{head}\n{tree}\n")
    with (export / "pack").open("wb") as pack:
        command = ["git", "-C", str(store), "pack-objects", "--quiet", "--revs", "--stdout"]
        subprocess.run(command, input=f"{head}\n^{base}\n".encode(), stdout=pack, check=True)
    # The base alone: what the run made is nowhere else.
    git(store, "branch", "--quiet", "-D", "more")
    git(store, "-c", "gc.reflogExpire=now", "gc", "--quiet", "--prune=now")
    author = Authorship(
        "Ada", "ada@example.invalid", 1_750_000_000, ("Agentflow-Task: T-1",), "T-1"
    )

    def collect(number: int) -> None:
        state = make_repository(
            folder / f"state-{number}.git", repository, repository.object_stores
        )
        found = import_pack(state, export)
        boundaries = Boundaries(allow=("src/**",))
        candidate = make_candidate(state, found, base, boundaries, "agent", author)
        assert len(candidate.commits) == COMMITS, candidate.violations

    return [timed(lambda n=number: collect(n)) for number in range(repeat)]


def both(action: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds that passed in one call, and those of processors: the latter less noisy."""
    before = spent()
    passed = timed(action)
    return passed, (spent() - before) * 1000


def clones(folder: Path, repeat: int) -> tuple[list[Pair], list[Pair]]:
    """`git worktree add` and our clone of the same commit, alternating: `both` of each."""
    root = repository_of(folder / "large", FILES, 0)
    repository = open_repository(root, {"PATH": "/usr/bin:/bin", "HOME": str(folder)})
    commit = repository.resolve("HEAD")
    stores = repository.object_stores
    worktrees: list[Pair] = []
    ours: list[Pair] = []
    for number in range(repeat):
        place, clone = folder / f"worktree-{number}", folder / f"clone-{number}"

        def add(where: str = str(place)) -> None:
            git(root, "worktree", "add", "--quiet", "--detach", where, commit)

        def make(where: Path = clone) -> None:
            make_clone(where, repository, stores, commit, "agent", mounted=True)

        turns = [(add, worktrees), (make, ours)]
        for action, times in turns if number % 2 else reversed(turns):  # neither is always second
            times.append(both(action))
        git(root, "worktree", "remove", "--force", str(place))
        shutil.rmtree(clone)
    return worktrees, ours


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=30)
    parser.add_argument("--folder", help="where the repositories lie (default: /dev/shm)")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a bound is broken")
    options = parser.parse_args()
    quiet = Noise.now()
    with tempfile.TemporaryDirectory(dir=options.folder or "/dev/shm") as name:
        folder = Path(name)
        tree = folder / "tree"
        tree.mkdir()
        (tree / ".git").write_text("gitdir: /run/agentflow/git\n")
        started = asyncio.run(starts(tree, options.repeat))
        bare, sessions = beside(tree, options.repeat)
        called = asyncio.run(calls(tree, options.repeat))
        used = asyncio.run(memory(tree))
        proven = [timed(prove) for _ in range(5)]
        imported = imports(folder, 5)
        worktrees, cloned = clones(folder, 12)
    bounds = {"Bash `true`": 6.0, "Read": 1.0, "Write": 1.0, "Edit": 1.0}
    rows = [
        Row("session start, ms", (), started, 1, most=60.0),
        Row("a session's processor time, ms (bare: bubblewrap alone)", bare, sessions, 1),
        *(Row(f"{name}, ms", (), values, 2, most=bounds[name]) for name, values in called.items()),
        Row("a session's resident memory, MB", (), [used], 1),
        Row("the doctor's six promises, ms", (), proven, most=2000.0),
        Row(f"import of {COMMITS} commits, ms", (), imported),
        *(
            Row(
                name, [each[part] for each in worktrees], [each[part] for each in cloned], ratio=1.1
            )
            for part, name in enumerate((
                f"clone of {FILES:,} files, ms (bare: `git worktree add`)",
                "its processor time, ms (bare: the same)",
            ))
        ),
    ]
    other = Noise.now().share_since(quiet)
    python = sys.version.split()[0]
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, Python {python}; other work took {other:.2f} of a processor"
    )
    print("\n| median (min to max) | bare | agentflow | ratio | bound | |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        print(row.line())
    if options.check and not all(row.holds for row in rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
