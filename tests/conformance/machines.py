"""Machines: a bare remote, a state remote, and workers as processes, each with a home of its own.

Workers are forked by a server that has imported what they need, so that a kill costs no import.
"""

import json
import multiprocessing
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from agentflow.cli.cluster import site_of
from agentflow.cluster.board import Board, submit
from agentflow.cluster.database import open_client, refusals
from agentflow.cluster.entry import Entry
from agentflow.cluster.submission import find_submissions
from agentflow.cluster.worker import LOST, Manner, work
from agentflow.records import Json
from agentflow.world import World
from tests.conformance.postgresql import Server
from tests.forks.imports import import_database, import_most
from tests.forks.programs import scripted_model
from tests.run.project import Project, make_project

import_most()
import_database()

SILENCE = 2.0
"""Seconds after which a stopped worker counts as dead."""
GATE = {"name": "test", "command": "! grep -rs BROKEN . --include=*.txt"}


@dataclass(frozen=True)
class Life:
    """One worker to be."""

    url: str
    home: Path
    environment: Mapping[str, str]
    at_once: int


def live(life: Life) -> None:
    """Work until SIGTERM."""
    os.setpgid(0, 0)
    log = (life.home / "log").open("a", buffering=1, encoding="utf-8")
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
    os.environ.clear()
    os.environ.update(life.environment)
    stop = threading.Event()

    def leave(number: int, _: object) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, leave)
    world = World(life.home, life.environment, life.home / "cache")

    def told(text: str) -> None:
        log.write(f"{time.monotonic():.3f} {text}\n")

    with refusals():
        work(life.url, site_of(world, list, quiet=False), Manner(life.at_once, SILENCE, told), stop)
    log.flush()
    os._exit(0)


_server = multiprocessing.get_context("forkserver")


def _start(life: Life) -> BaseProcess:
    _server.set_forkserver_preload(["tests.conformance.machines"])
    process = _server.Process(target=live, args=(life,))
    process.start()
    return process


@dataclass
class Machines:
    """A repository with a remote, and workers that know it by that alone."""

    folder: Path
    server: Server
    project: Project
    url: str
    """Of the database."""
    model: str
    at_once: int = 4
    workers: list[BaseProcess] = field(default_factory=list[BaseProcess])
    killed: dict[str, float] = field(default_factory=dict[str, float])
    """When each was, by its process id."""

    @property
    def origin(self) -> Path:
        """The repository's remote."""
        return self.folder / "origin.git"

    @property
    def state(self) -> Path:
        """The state remote."""
        return self.folder / "state.git"

    def task(self, name: str, header: str = "allow: [app/]", text: str = "") -> None:
        """Write a task file."""
        text = f"---\n{header}\n---\n\n# Do {name}\n\n{text or f'It is {name}.'}\n"
        self.project.write(f".orchestrator/tasks/{name}.md", text)

    def push(self) -> None:
        """Commit everything and push it."""
        self.project.commit()
        self.project.git("push", "--quiet", "origin", "main")

    def submit(self, *names: str, fresh: bool = False, **wishes: Any) -> list[str]:
        """Submit tasks; return their runs."""
        given: Json = {"prompt": "plain", "gates": [GATE], **wishes}
        world = self.project.world
        made = find_submissions(list(names), None, "origin", given, world)
        with refusals(), open_client(self.url) as client:
            found = submit(
                self.url, Board(client), made, world, priority=100, deadline=None, fresh=fresh
            )
        return [each.entry.run for each in found]

    @contextmanager
    def board(self) -> Generator[Board]:
        """What is known of the runs."""
        with open_client(self.url) as client:
            yield Board(client)

    def entries(self) -> list[Entry]:
        """Every run; an empty list while the database is away."""
        with suppress(Exception), self.board() as board:
            return board.find()
        return []

    def start_worker(self) -> BaseProcess:
        """Start one more worker, on a machine of its own."""
        home = self.folder / f"machine-{len(self.workers)}"
        home.mkdir()
        self.workers.append(_start(self._life(home)))
        return self.workers[-1]

    def start_again(self, number: int) -> None:
        """Start a worker that died, as whatever watches over it would."""
        self.workers[number] = _start(self._life(self.folder / f"machine-{number}"))

    def environment(self, home: Path) -> dict[str, str]:
        """Of a worker whose home that is."""
        return {
            **self.project.world.environment,
            "HOME": str(home),
            "AGENTFLOW_BASE_URL": self.model,
            "AGENTFLOW_STATE_REMOTE": str(self.state),
            "AGENTFLOW_DATABASE_URL": self.url,
            "LANG": "C.UTF-8",
        }

    def _life(self, home: Path) -> Life:
        return Life(self.url, home, self.environment(home), self.at_once)

    def keep_alive(self) -> list[int]:
        """Start again what ended; return the exit codes of those."""
        codes: list[int] = []
        for number, worker in enumerate(self.workers):
            if worker.exitcode is not None:
                codes.append(worker.exitcode)
                self.start_again(number)
        return codes

    def wait(self, count: int, seconds: float = 240.0) -> list[Entry]:
        """Wait until so many runs have ended, starting workers again; return all."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            codes = self.keep_alive()
            assert set(codes) <= {LOST, -signal.SIGKILL}, f"{codes}\n{self.logs()}"
            found = self.entries()
            if sum(each.state not in {"waiting", "running"} for each in found) >= count:
                return found
            time.sleep(0.2)
        raise AssertionError(f"not done in time: {self.entries()}\n{self.logs()}")

    def logs(self) -> str:
        """What all workers said."""
        files = sorted(self.folder.glob("machine-*/log"))
        return "\n".join(f"== {file}\n{file.read_text('utf-8', 'replace')}" for file in files)

    def at(self, repository: Path, *arguments: str) -> str:
        """git in one of the remotes."""
        ended = subprocess.run(
            ["git", f"--git-dir={repository}", *arguments],
            capture_output=True,
            text=True,
            check=True,
        )
        return ended.stdout.strip()

    def landings(self, task: str) -> list[str]:
        """The commits that a task's branch of the remote ever named."""
        log = self.origin / "logs/refs/heads/agentflow" / task
        return [line.split()[1] for line in log.read_text().splitlines()] if log.exists() else []

    def close(self) -> None:
        """End all workers."""
        for worker in self.workers:
            with suppress(ProcessLookupError):
                assert worker.pid is not None
                os.kill(worker.pid, signal.SIGCONT)
                os.kill(worker.pid, signal.SIGTERM)
        for worker in self.workers:
            worker.join(20)
            if worker.exitcode is None:
                worker.kill()
                worker.join()


def processes(*command: str) -> list[int]:
    """The processes of this machine with exactly this command."""
    wanted = "".join(f"{word}\0" for word in command).encode()
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and (entry / "cmdline").read_bytes() == wanted:
                found.append(int(entry.name))
    return found


def until(holds: Callable[[], bool], all_: Machines) -> None:
    """Wait until something holds, for four minutes at most."""
    end = time.monotonic() + 240
    while not holds():
        assert time.monotonic() < end, all_.logs()
        time.sleep(0.1)


@contextmanager
def machines(
    folder: Path, server: Server, turns: Sequence[Json], talks: Mapping[str, Sequence[Json]]
) -> Generator[Machines]:
    """A project with its remotes and a scripted model; `talks`: by words of the first message."""
    project = make_project(folder)
    (project.root / ".orchestrator/tasks/TASK-1.md").unlink()
    script = {"turns": list(turns), "conversations": {k: list(v) for k, v in talks.items()}}
    (folder / "script.json").write_text(json.dumps(script))
    config = folder / "config/agentflow/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('[commit]\nname = "Worker"\nemail = "worker@example.com"\n')
    command = scripted_model(str(folder / "script.json"))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as model:
        assert model.stdout is not None
        url = model.stdout.readline().split()[-1]
        made = Machines(folder, server, project, server.make_database(), url)
        for remote in (made.origin, made.state):
            subprocess.run(["git", "init", "--quiet", "--bare", str(remote)], check=True)
            made.at(remote, "config", "core.logAllRefUpdates", "always")
            hook = remote / "hooks/pre-receive"
            hook.write_text("#!/bin/sh\ncat >/dev/null\n! test -e refusing\n")
            hook.chmod(0o755)
        project.git("remote", "add", "origin", str(made.origin))
        try:
            yield made
        finally:
            made.close()
            model.terminate()
