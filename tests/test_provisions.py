"""Provisions: a setup command in a real sandbox, once; what it made, kept whole or not at all."""

import asyncio
import json
import os
import shutil
import sys
import zipfile
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from agentflow.environment import Setup, Variables
from agentflow.errors import AgentflowError, EnvironmentFailure, UsageError
from agentflow.events import Event, Notice, SetupFinished, SetupStarted
from agentflow.provision_store import Bounds
from agentflow.provisions import Provisions, SetupSandbox
from agentflow.records import Json
from agentflow.redaction import redactor
from agentflow.sandbox import open_sandbox
from agentflow.sandbox.policy import Mount, Policy, Provided
from agentflow.sandbox.toolchains import find
from agentflow.workspace.clone import GIT_INSIDE, OBJECTS_INSIDE, make_clone
from tests.workspace.place import Place, Work, make_place

pytestmark = pytest.mark.sandbox

NPM = Setup(
    "mkdir -p node_modules/a web/node_modules/b/node_modules; cat lock > node_modules/a/index",
    key=("lock",),
    provides=("**/node_modules",),
)


@dataclass
class Bench:
    """A user's repository, ours, and what was seen of the setups that ran."""

    place: Place
    work: Work
    events: list[Event] = field(default_factory=list[Event])
    checkouts: int = 0

    @property
    def store(self) -> Path:
        """The user's cache."""
        return self.place.folder / "store"

    @property
    def kept(self) -> list[str]:
        """What the store holds, without locks."""
        names = self.store.iterdir() if self.store.exists() else ()
        return sorted(each.name for each in names if each.suffix != ".lock")

    def commit(self, script: str) -> str:
        """A further commit of the user's."""
        self.place.user(f"{script}\ngit add -A; git commit -qm more")
        return self.place.repository().resolve("HEAD")

    def provisions(self, setup: Setup = NPM, **fields: Any) -> Provisions:
        """As a new run makes them."""
        given: dict[str, Any] = {
            "toolchain": "node 24",
            "checkout": self.checkout,
            "emit": self.events.append,
            "redact": redactor(["s3cret-value"]),
        }
        return Provisions(setup, self.store, self.work.state, **{**given, **fields})

    @asynccontextmanager
    async def sandbox(
        self, commit: str, variables: dict[str, str], provided: tuple[Provided, ...] = ()
    ) -> AsyncGenerator[tuple[SetupSandbox, Path]]:
        """A sandbox on a clean checkout."""
        self.checkouts += 1
        folder = self.place.folder / f"checkout-{self.checkouts}"
        repository = self.work.repository
        stores = (Path(self.work.state.directory) / "objects", *repository.object_stores)
        clone = make_clone(folder, repository, stores, commit, "result", mounted=True)
        tools = find(["python3"], os.environ["PATH"], Path.home(), repository.root)
        policy = Policy(
            tree=clone.tree,
            mounts=(
                Mount(clone.git_dir, GIT_INSIDE),
                *(Mount(each, f"{OBJECTS_INSIDE}/{n}") for n, each in enumerate(stores)),
                *tools.mounts,
            ),
            environment={**tools.environment, **variables},
            path=tools.path,
            provided=provided,
        )
        try:
            async with open_sandbox("bubblewrap", policy) as channel:
                yield channel, clone.tree
        finally:
            shutil.rmtree(folder)

    @asynccontextmanager
    async def checkout(
        self, commit: str, setup: Setup
    ) -> AsyncGenerator[tuple[SetupSandbox, Path]]:
        """What a run gives to its provisions."""
        async with self.sandbox(commit, setup.variables.all) as opened:
            yield opened

    async def bash(self, commit: str, command: str, provided: tuple[Provided, ...]) -> str:
        """What a command prints on a checkout that is given directories."""
        async with self.sandbox(commit, {}, provided) as (sandbox, _):
            result = await sandbox.call("Bash", {"command": command, "timeout": 60})
        assert result["exit_code"] == 0, result["output"]
        return str(result["output"])


@pytest.fixture
def bench(tmp_path: Path, bwrap: str) -> Bench:
    place = make_place(tmp_path)
    place.user("echo 1 > lock; mkdir web; echo x > web/x; git add -A; git commit -qm lock")
    return Bench(place, place.borrow())


def shown(provided: tuple[Provided, ...]) -> list[tuple[str, tuple[str, ...]]]:
    assert all(each.source.is_dir() for each in provided)
    return [(each.path, each.scratch) for each in provided]


async def test_a_setup_runs_once_and_its_directories_are_kept(bench: Bench) -> None:
    setup = replace(NPM, scratch=("node_modules/.cache", "**/node_modules/.vite/deps"))

    first = await bench.provisions(setup).of(bench.work.base)
    second = await bench.provisions(setup).of(bench.work.base)

    assert shown(first) == [
        ("node_modules", (".cache", ".vite/deps")),
        ("web/node_modules", (".vite/deps",)),
    ]
    assert (first[0].source / "a/index").read_text() == "1\n"
    assert (first[0].source / ".cache").is_dir()
    assert second == first
    assert bench.checkouts == 1
    assert (len(bench.kept), len(bench.kept[0])) == (1, 64)
    started, installed, found = bench.events
    assert started == SetupStarted(setup.command)
    assert isinstance(installed, SetupFinished)
    assert installed == SetupFinished(
        installed.seconds, cached=False, directories=("node_modules", "web/node_modules")
    )
    assert isinstance(found, SetupFinished)
    assert found == SetupFinished(
        found.seconds, cached=True, directories=("node_modules", "web/node_modules")
    )


async def test_one_run_asks_once_for_each_key(bench: Bench) -> None:
    provisions = bench.provisions()
    other = bench.commit("echo y > web/x")

    assert await provisions.of(bench.work.base) == await provisions.of(other)

    assert [type(event) for event in bench.events] == [SetupStarted, SetupFinished]


@pytest.mark.parametrize(
    ("change", "runs"),
    [
        ({"command": f"{NPM.command}; true"}, 2),
        ({"provides": ("node_modules",)}, 2),
        ({"scratch": ("node_modules/.cache",)}, 2),
        ({"variables": Variables({"NODE_ENV": "production"})}, 2),
        ({"variables": Variables({}, {"NPM_TOKEN": "another"})}, 1),
        ({"timeout": 5.0, "network": ("example.com",), "files": (".npmrc",)}, 1),
    ],
)
async def test_what_decides_whether_it_runs_again(
    bench: Bench, change: dict[str, Any], runs: int
) -> None:
    await bench.provisions().of(bench.work.base)
    await bench.provisions(replace(NPM, **change)).of(bench.work.base)

    assert bench.checkouts == runs


async def test_key_files_and_toolchain_decide(bench: Bench) -> None:
    provisions = bench.provisions()
    await provisions.of(bench.work.base)
    await bench.provisions(toolchain="node 25").of(bench.work.base)
    assert bench.checkouts == 2

    same, changed = bench.commit("echo y > web/x"), bench.commit("echo 2 > lock")
    keys = [await provisions.key(each) for each in (bench.work.base, same, changed)]
    assert (keys[0] == keys[1], keys[1] == keys[2]) == (True, False)
    found = await bench.provisions().of(changed)
    assert bench.checkouts == 3
    assert (found[0].source / "a/index").read_text() == "2\n"


@pytest.mark.parametrize("key", [(), ("no-such-file",)])
async def test_without_a_key_file_every_file_is_one(bench: Bench, key: tuple[str, ...]) -> None:
    setup = replace(NPM, key=key)
    await bench.provisions(setup).of(bench.work.base)
    await bench.provisions(setup).of(bench.commit("git commit -q --allow-empty -m x; touch y"))

    assert bench.checkouts == 2


async def test_links_and_what_git_tracks_are_left_out_of_a_glob(bench: Bench) -> None:
    commit = bench.commit("mkdir -p docs/node_modules/x; echo x > docs/node_modules/x/y")
    setup = Setup(
        "mkdir -p node_modules docs/node_modules/x/node_modules deep/.git/node_modules real "
        "docs/node_modules/z; ln -s ../../real deep/node_modules; touch real/node_modules; "
        "ln -s /etc web/out; mkdir app/node_modules; ln -s /etc/passwd app/node_modules/link",
        provides=("**/node_modules/",),
    )

    found = await bench.provisions(setup).of(commit)

    assert shown(found) == [("app/node_modules", ()), ("node_modules", ())]
    assert (found[0].source / "link").readlink() == Path("/etc/passwd")


@pytest.mark.parametrize(
    ("command", "fields", "message"),
    [
        ("exit 3", {}, "the setup command `exit 3` ended with exit code 3"),
        ("sleep 9", {"timeout": 0.2}, "`sleep 9` took longer than 0.2 s"),
        ("yes", {}, "`yes` was stopped: it printed more than 64 MB"),
        ("true \0", {}, "could not be run: The command holds a NUL"),
        ("true", {"provides": (".venv",)}, "did not make the directory .venv, which `provides`"),
        ("ln -s web .venv", {"provides": (".venv",)}, "did not make the directory .venv"),
        ("ln -s web x; mkdir web/y", {"provides": ("x/y",)}, "did not make the directory x/y"),
        ("touch .venv", {"provides": (".venv",)}, "did not make the directory .venv"),
        ("mkdir web/y", {"provides": ("web",)}, "`provides` names web, which git tracks"),
        ("rm lock; mkdir -p lock/y", {"provides": ("lock/y",)}, "names lock/y, which git tracks"),
        ("mkdir $'a\\e[2Jb'", {"provides": ("a*",)}, r"with the name 'a\\x1b\[2Jb'"),
        ("mkdir -p m; ln -s /tmp m/.cache", {"scratch": ("m/.cache",)}, "directory .cache cannot"),
        ("mkdir -p m; touch m/.cache", {"scratch": ("m/.cache",)}, "directory .cache cannot"),
        ("mkdir m; head -c 3M /dev/zero > m/x", {}, r"over 0.00195 GB or 30 files"),
        ("mkdir m; touch m/{1..31}", {}, r"over 0.00195 GB or 30 files"),
        ("mkdir {a,b,c,d}m", {}, r"made 4 directories that `provides` names, and at most 3"),
    ],
)
async def test_what_fails_keeps_nothing(
    bench: Bench, command: str, fields: dict[str, Any], message: str
) -> None:
    setup = replace(Setup(command, ("lock",), ("*m",)), **fields)
    provisions = bench.provisions(setup, bounds=Bounds(2 << 20, 30, 3))

    with pytest.raises(EnvironmentFailure, match=message):
        await provisions.of(bench.work.base)

    assert bench.kept == []
    assert not list(bench.place.folder.glob("checkout-*"))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"provides": ()}, "environment.setup is run, and nothing that it makes is kept"),
        ({"provides": ("../x",)}, "environment.provides: the boundary '../x' leaves"),
        ({"provides": ("/usr/lib",)}, "must be relative"),
        ({"provides": (".git/objects",)}, "reaches into .git"),
        ({"scratch": ("a/../../b",)}, "environment.scratch: the boundary"),
        ({"scratch": ("dist/.cache",)}, "'dist/.cache' lies in none of the `provides`"),
        ({"scratch": ("node_modules",), "provides": ("node_modules",)}, "lies in none"),
        ({"key": ("!lock",)}, "environment.key: the boundary '!lock' is a negation"),
    ],
)
async def test_paths_that_leave_are_refused_before_anything_runs(
    bench: Bench, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        await bench.provisions(replace(NPM, **fields)).of(bench.work.base)

    assert bench.checkouts == 0


async def test_a_failure_shows_the_last_lines_without_secrets(bench: Bench) -> None:
    setup = Setup(
        'for n in {1..40}; do echo "line $n"; done; printf "\\e[31m$TOKEN\\r\\n"; exit 1',
        provides=("m",),
        network=("registry.example.com",),
        variables=Variables({}, {"TOKEN": "s3cret-value"}),
        files=(".npmrc",),
    )

    with pytest.raises(EnvironmentFailure) as caught:
        await bench.provisions(setup).of(bench.work.base)

    assert caught.value.message.splitlines()[1:] == [
        *(f"line {n}" for n in range(12, 41)),
        "[redacted]",
    ]
    assert caught.value.hint == (
        "It could reach registry.example.com and was given TOKEN, .npmrc: see `network`, "
        "`env_from`, `files` and `timeout` under [environment]."
    )


@pytest.mark.parametrize("offset", range(-14, 15, 4))
async def test_a_secret_is_not_shown_in_part_where_an_output_is_cut(
    bench: Bench, offset: int
) -> None:
    after = 15_000 - 6 + offset
    setup = Setup(
        f"head -c 90000 /dev/zero | tr '\\0' x; printf $TOKEN; head -c {after} /dev/zero | "
        "tr '\\0' y; echo; echo end; exit 1",
        provides=("m",),
        variables=Variables({}, {"TOKEN": "s3cret-value"}),
    )

    with pytest.raises(EnvironmentFailure) as caught:
        await bench.provisions(setup).of(bench.work.base)

    assert caught.value.message.splitlines()[1:] == ["end"]


async def test_pipes_and_sockets_are_not_kept(bench: Bench) -> None:
    setup = Setup(
        "mkdir -p m/deep; mkfifo m/deep/pipe; touch m/file; python3 -c 'import socket; "
        'socket.socket(socket.AF_UNIX).bind("m/s")\'',
        provides=("m",),
    )

    (found,) = await bench.provisions(setup).of(bench.work.base)

    assert sorted(each.name for each in found.source.rglob("*")) == ["deep", "file"]


async def test_credentials_that_setup_leaves_in_a_dotenv_file_are_not_kept(bench: Bench) -> None:
    setup = Setup(
        "mkdir -p m/.env.d; cd m; touch .env .ENV.local .env.example .env.d/.env; ln -s file .env.x",
        provides=("m",),
    )

    (found,) = await bench.provisions(setup).of(bench.work.base)

    assert sorted(each.name for each in found.source.rglob("*")) == [".env.d", ".env.example"]


async def test_files_that_the_user_calls_secret_are_not_kept(bench: Bench) -> None:
    setup = Setup(
        "mkdir -p m/keys n; cd m; touch a.pem keys/x a.txt; ln -s a.txt b.pem; touch ../n/a.pem",
        provides=("m", "n"),
    )
    plain = bench.provisions(setup)

    kept, other = await bench.provisions(setup, secret_files=("m/**/*.pem", "m/keys")).of(
        bench.work.base
    )

    assert sorted(each.name for each in kept.source.rglob("*")) == ["a.txt", "keys"]
    assert [each.name for each in other.source.rglob("*")] == ["a.pem"]
    again, _ = await plain.of(bench.work.base)  # kept under another key
    assert (again.source / "a.pem").exists()


async def test_what_a_crash_left_is_never_used_and_goes_away(bench: Bench) -> None:
    (first,) = await bench.provisions(replace(NPM, provides=("node_modules",))).of(bench.work.base)
    key = first.source.parent.name
    manifest = first.source.parent / "manifest.json"
    others = bench.store / f"{'f' * 64}.partial-x"
    for half in (bench.store / f"{key}.partial-abc", others):
        (half / "0" / "node_modules").mkdir(parents=True)
    manifest.write_text(manifest.read_text()[:20])
    (first.source / "planted").touch()

    (again,) = await bench.provisions(replace(NPM, provides=("node_modules",))).of(bench.work.base)

    assert (again, bench.checkouts, bench.kept) == (first, 2, [key])
    assert [each.name for each in again.source.iterdir()] == ["a"]
    assert json.loads(manifest.read_text()) == {
        "directories": [{"path": "node_modules", "scratch": []}]
    }


@pytest.mark.parametrize(
    "damage", ["rm -r 0", "rm -r 0; ln -s /etc 0", "echo '{}' > manifest.json", "rm manifest.json"]
)
async def test_a_damaged_store_is_made_again(bench: Bench, damage: str) -> None:
    found = await bench.provisions().of(bench.work.base)
    ended = await asyncio.create_subprocess_shell(damage, cwd=found[0].source.parent)
    assert await ended.wait() == 0

    assert await bench.provisions().of(bench.work.base) == found
    assert bench.checkouts == 2


@dataclass
class Held:
    """A checkout that says when it is there, and goes on when it is told to."""

    bench: Bench
    there: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def checkout(
        self, commit: str, setup: Setup
    ) -> AsyncGenerator[tuple[SetupSandbox, Path]]:
        async with self.bench.checkout(commit, setup) as opened:
            self.there.set()
            await self.go.wait()
            yield opened

    def hear(self, event: Event, /) -> None:
        """A sink: goes on when somebody waits."""
        self.bench.events.append(event)
        if isinstance(event, Notice):
            self.go.set()


async def test_two_at_once_install_once(bench: Bench) -> None:
    held = Held(bench)
    provisions = [bench.provisions(checkout=held.checkout, emit=held.hear) for _ in range(2)]

    one, other = await asyncio.gather(*(each.of(bench.work.base) for each in provisions))

    assert (one, bench.checkouts) == (other, 1)
    kinds = Counter(type(event) for event in bench.events)
    assert kinds == {SetupStarted: 1, Notice: 1, SetupFinished: 2}
    assert {e.cached for e in bench.events if isinstance(e, SetupFinished)} == {False, True}


async def test_what_others_are_making_is_left_alone(bench: Bench) -> None:
    held = Held(bench)
    working = asyncio.create_task(bench.provisions(checkout=held.checkout).of(bench.work.base))
    await held.there.wait()
    (lock,) = bench.store.glob("*.lock")
    half = bench.store / f"{lock.stem}.partial-abc"
    half.mkdir()

    await bench.provisions(replace(NPM, command="mkdir node_modules")).of(bench.work.base)

    assert half.exists()
    held.go.set()
    await working


async def test_an_agents_change_never_reaches_the_users_store(bench: Bench) -> None:
    ours = bench.provisions()
    base = await ours.of(bench.work.base)
    run = ours.for_changes(bench.place.folder / "run" / "provisions")
    same = bench.work.candidate("echo y > web/x").tip
    other = bench.work.candidate("echo evil > lock").tip

    assert await run.of(same) == base
    changed = await run.of(other)

    assert changed[0].source.is_relative_to(bench.place.folder / "run")
    assert (changed[0].source / "a/index").read_text() == "evil\n"
    assert len(bench.kept) == 1
    assert await ours.of(bench.work.base) == base
    assert (base[0].source / "a/index").read_text() == "1\n"


async def test_who_is_told_to_stop_leaves_nothing_half_made(bench: Bench) -> None:
    held = Held(bench)
    held.go.set()
    setup = replace(NPM, command="mkdir -p node_modules; sleep 30")
    task = asyncio.create_task(bench.provisions(setup, checkout=held.checkout).of(bench.work.base))
    await held.there.wait()

    task.cancel(2)

    with pytest.raises(asyncio.CancelledError, match="2"):
        await task
    assert bench.kept == []
    assert await bench.provisions().of(bench.work.base)


@dataclass
class Impatient:
    """A sandbox at whose end the user presses Ctrl-C, twice."""

    inner: SetupSandbox
    name: str = "impatient"

    async def call(self, tool: str, arguments: Any) -> Json:
        return await self.inner.call(tool, arguments)

    async def close(self) -> None:
        await self.inner.close()
        task = asyncio.current_task()
        assert task
        task.cancel()
        asyncio.get_running_loop().call_later(0.001, task.cancel)


async def test_the_tree_stays_until_the_last_directory_is_moved(bench: Bench) -> None:
    kept_at_the_end: list[list[str]] = []

    @asynccontextmanager
    async def checkout(commit: str, setup: Setup) -> AsyncGenerator[tuple[SetupSandbox, Path]]:
        async with bench.checkout(commit, setup) as (sandbox, tree):
            try:
                yield Impatient(sandbox), tree
            finally:
                kept_at_the_end.append(bench.kept)

    with pytest.raises(asyncio.CancelledError):
        await bench.provisions(checkout=checkout).of(bench.work.base)

    assert kept_at_the_end == [bench.kept]
    assert len(bench.kept) == 1
    await bench.provisions().of(bench.work.base)
    assert bench.checkouts == 1


async def test_a_store_that_cannot_be_made(bench: Bench) -> None:
    bench.store.write_text("a file")

    with pytest.raises(EnvironmentFailure, match=r"cannot be kept in .*: File exists") as caught:
        await bench.provisions().of(bench.work.base)

    assert caught.value.exit_code == 5


async def test_read_only_directories_are_kept_and_removed(bench: Bench) -> None:
    setup = Setup("mkdir -p m/a/b; touch m/a/b/c; chmod -R a-w m", provides=("m",))

    (found,) = await bench.provisions(setup).of(bench.work.base)

    assert (found.source / "a/b/c").exists()
    with pytest.raises(AgentflowError):
        await bench.provisions(replace(setup, provides=("m", "n"))).of(bench.work.base)
    assert len(bench.kept) == 1


def wheel(path: Path) -> None:
    """A package with a command, as `pip wheel` makes it."""
    path.parent.mkdir(parents=True)
    about = "tiny-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny.py", "def main():\n    print('tiny at work')\n")
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{about}/entry_points.txt", "[console_scripts]\ntiny = tiny:main\n")
        names = ("tiny.py", *(f"{about}/{n}" for n in ("METADATA", "WHEEL", "entry_points.txt")))
        archive.writestr(f"{about}/RECORD", "".join(f"{name},,\n" for name in (*names, "RECORD")))


async def test_a_venv_works_where_it_is_shown_again(bench: Bench) -> None:
    wheel(bench.place.root / "wheels" / "tiny-1.0-py3-none-any.whl")
    commit = bench.commit("echo .venv > .gitignore")
    setup = Setup(
        "python3 -m venv .venv && .venv/bin/pip install --no-index --no-deps wheels/*.whl",
        key=("wheels/**",),
        provides=(".venv",),
        scratch=(".venv/var",),
    )

    provided = await bench.provisions(setup).of(commit)

    said = await bench.bash(
        commit,
        """
        set -e
        .venv/bin/tiny
        . .venv/bin/activate; cd web; tiny
        python -c 'import tiny, sys; print(sys.prefix, tiny.__file__.split("/site-")[0])'
        if touch /workspace/.venv/x 2>&1; then exit 1; fi
        touch /workspace/.venv/var/x
        """,
        provided,
    )
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    assert said.splitlines() == [
        "tiny at work",
        "tiny at work",
        f"/workspace/.venv /workspace/.venv/lib/{version}",
        "touch: cannot touch '/workspace/.venv/x': Read-only file system",
    ]
    assert not list((provided[0].source / "var").iterdir())
