"""A verified run in a repository, its remote, and another clone of that: made once, copied often."""

import asyncio
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agentflow.records import Json
from agentflow.world import World
from tests.cli.shell import Shell
from tests.forks.programs import agentflow
from tests.run.project import HELLO, turn

CONFIG = "[[gates]]\nname = 'test'\ncommand = 'test -s app/hello.txt || test -s app/main.py'\n"


@dataclass
class Delivered:
    """The places of a pattern of two jobs."""

    shell: Shell
    report: Json
    remote: Path
    folder: Path

    @property
    def tip(self) -> str:
        return str(self.report["landed"]["tip"])

    def second(self, name: str) -> Path:
        """A fresh clone, as the second job has it."""
        place = self.folder / name
        subprocess.run(["git", "clone", "-q", self.remote, place], check=True)
        self.git(place, "config", "user.name", "Bot")
        self.git(place, "config", "user.email", "bot@example.com")
        return place

    def git(self, place: Path, *arguments: str) -> str:
        ended = subprocess.run(
            ["git", *arguments], cwd=place, capture_output=True, text=True, check=True
        )
        return ended.stdout.strip()

    def run(
        self, place: Path, *arguments: str, **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run agentflow there."""
        return subprocess.run(
            agentflow(*arguments),
            cwd=place,
            env={**self.shell.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )


def make_delivered(folder: Path, **flags: Any) -> Delivered:
    """Run TASK-1 in a clone of a bare remote."""
    shell = Shell(folder)
    project = shell.project
    project.write(".orchestrator/config.toml", CONFIG)
    project.commit("chore: gates")
    remote = folder / "remote.git"
    subprocess.run(["git", "clone", "-q", "--bare", project.root, remote], check=True)
    project.git("remote", "add", "origin", str(remote))
    project.world = replace(project.world, directory=project.root)
    report = asyncio.run(project.run([turn(HELLO), turn(text="Done.")], gates=[], **flags))
    assert report["outcome"] == "done", report
    return Delivered(shell, report, remote, folder)


def copied(made: Delivered, folder: Path) -> Delivered:
    """The same in a folder of its own. The cache is left behind: a bundle needs none."""
    shutil.copytree(made.folder, folder, symlinks=True, dirs_exist_ok=True)
    shell = object.__new__(Shell)
    project = replace(
        made.shell.project,
        root=folder / "repository",
        world=World(folder / "repository", made.shell.project.world.environment, folder / "cache"),
    )
    shell.project = project
    shell.environment = {**made.shell.environment, "XDG_CACHE_HOME": str(folder / "cache")}
    project.git("remote", "set-url", "origin", str(folder / "remote.git"))
    return Delivered(shell, made.report, folder / "remote.git", folder)
