"""A disk that is full or read-only: one sentence, exit code 5, and the run goes on once it is not."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from agentflow.errors import EnvironmentFailure
from agentflow.events import AgentEnded, Event, ToolFinished, UserMessage, Verified
from agentflow.journal import load
from agentflow.order import Order
from agentflow.records import Json
from agentflow.runs import FOLDER, JOURNAL, newest_run
from agentflow.workspace.land import keep_verified, land
from agentflow.workspace.repository import open_repository
from tests.cli.shell import Shell
from tests.needs import miss
from tests.run.project import HELLO, Project, bash, make_project, turn
from tests.run.test_resume import resumed
from tests.workspace.place import make_place

pytestmark = pytest.mark.sandbox

TURNS = [
    turn(bash("echo once >> app/log.txt")),
    turn(bash("echo twice >> app/log.txt")),
    turn(HELLO),
    turn(text="I wrote it."),
]


@contextmanager
def small_disk(folder: Path) -> Generator[Path]:
    """A file system of its own."""
    if os.geteuid():
        miss("only root can make a small file system here")
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def remount(disk: Path, how: str) -> None:
    """Make it read-only (`ro`), or not (`rw`)."""
    subprocess.run(["mount", "-o", f"remount,{how}", disk], check=True)


def fill(disk: Path) -> None:
    """Leave no byte."""
    with (disk / "filler").open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 9, 1):
            with suppress(OSError):
                while True:
                    file.write(b"x" * size)


async def ending(project: Project, watch: Callable[[Event], None], land: str) -> Json:
    """How the run ends, also if it can write no report."""
    try:
        return await project.run(TURNS, watch=watch, land=land)
    except EnvironmentFailure as error:
        return {"exit_code": error.exit_code, "reason": error.message, "hint": error.hint}


def is_replied(project: Project, run: str) -> bool:
    """Whether the run has a reply of the model, which it can go on from."""
    journal = load(project.root / FOLDER / run / JOURNAL)
    return any(line["type"] == "assistant" for line in journal)


@contextmanager
def project_on(place: str, folder: Path) -> Generator[tuple[Project, Path]]:
    """A project of which a part, or all but the cache, lies on a small disk."""
    if place == "repository":
        with small_disk(folder / "disk") as disk:
            project = make_project(disk / "project")
            project.world = replace(project.world, cache=folder / "cache")
            yield project, disk
    elif place == "git":
        project = make_project(folder)
        git = (project.root / ".git").rename(folder / "git")
        with small_disk(project.root / ".git") as disk:
            shutil.copytree(git, disk, symlinks=True, dirs_exist_ok=True)
            yield project, disk
    elif place == "clone":
        project = make_project(folder)
        key = open_repository(project.root, project.world.environment).key
        with small_disk(project.world.cache / key / "runs") as disk:
            yield project, disk
    else:
        project = make_project(folder)
        runs = project.root / ".orchestrator/runs"
        with small_disk(project.world.cache if place == "cache" else runs) as disk:
            yield project, disk


@pytest.mark.parametrize(
    ("place", "kind", "land"),
    [
        ("cache", ToolFinished, "branch"),
        ("cache", AgentEnded, "branch"),
        ("journal", UserMessage, "branch"),
        ("repository", Verified, "current"),
    ],
)
async def test_a_full_disk_stops_a_run_and_it_goes_on_later(
    place: str, kind: type[Event], land: str, tmp_path: Path, bwrap: str
) -> None:
    with project_on(place, tmp_path) as (project, disk):
        filled: list[bool] = []

        def watch(event: Event) -> None:
            if isinstance(event, kind) and not filled:
                filled.append(True)
                fill(disk)

        stopped = await ending(project, watch, land)
        assert stopped["exit_code"] == 5
        assert stopped["reason"].endswith(": No space left on device")
        run = newest_run(project.root, "TASK-1") or ""
        step = f"go on: agentflow resume {run}"
        if not is_replied(project, run):  # no room was left in the journal's last page
            step = "begin again: agentflow run TASK-1 --prompt plain --base-url "
        assert stopped["hint"].startswith(f"Free disk space or mend permissions. Then {step}")
        assert (project.marker("failed"), project.marker("done")) == (None, None)

        (disk / "filler").unlink()
        report = await resumed(project, run, TURNS, land=land)
        assert (report["outcome"], report["run"]) == ("done", run)
        target = "main" if land == "current" else "agentflow/TASK-1"
        assert project.git("show", f"{target}:app/log.txt") == "once\ntwice"
        assert project.git("status", "--porcelain") == ""
        assert len(project.requests) <= len(TURNS) + 1, "at most one reply was paid twice"


@pytest.mark.parametrize(
    ("place", "kind", "land"),
    [
        ("clone", ToolFinished, "branch"),
        ("clone", AgentEnded, "branch"),
        ("git", Verified, "branch"),
        ("git", Verified, "current"),
    ],
)
async def test_a_disk_that_becomes_read_only_stops_a_run_and_it_goes_on_later(
    place: str, kind: type[Event], land: str, tmp_path: Path, bwrap: str
) -> None:
    """Where a file is open for writing, as the journal is, no disk can be made read-only."""
    with project_on(place, tmp_path) as (project, disk):
        struck: list[bool] = []

        def watch(event: Event) -> None:
            if isinstance(event, kind) and not struck:
                struck.append(True)
                remount(disk, "ro")

        stopped = await ending(project, watch, land)
        assert stopped["exit_code"] == 5, stopped
        assert "Read-only file system" in stopped["reason"], stopped
        run = newest_run(project.root, "TASK-1") or ""
        step = f"go on: agentflow resume {run}"
        assert stopped["hint"] == f"Free disk space or mend permissions. Then {step}"
        assert (project.marker("failed"), project.marker("done")) == (None, None)

        remount(disk, "rw")
        report = await resumed(project, run, TURNS, land=land)
        assert (report["outcome"], report["run"]) == ("done", run)
        target = "main" if land == "current" else "agentflow/TASK-1"
        assert project.git("show", f"{target}:app/log.txt") == "once\ntwice"
        assert project.git("status", "--porcelain") == ""
        assert len(project.requests) <= len(TURNS) + 1, "at most one reply was paid twice"


@pytest.mark.parametrize("place", ["cache", "journal"])
async def test_a_read_only_disk_refuses_at_once(place: str, tmp_path: Path, bwrap: str) -> None:
    with project_on(place, tmp_path) as (project, disk):
        stopped = await project.run(TURNS, max_turns=1)
        remount(disk, "ro")
        for begin in (
            resumed(project, stopped["run"], TURNS, max_turns=9),
            project.run(TURNS, order=Order("TASK-1", fresh=True)),
        ):
            with pytest.raises(EnvironmentFailure, match=r": Read-only file system$"):
                await begin
        assert len(project.requests) == 1, "nothing was paid"
        remount(disk, "rw")
        report = await resumed(project, stopped["run"], TURNS, max_turns=9)
        assert report["outcome"] == "done"


def test_a_full_disk_is_no_conflict_and_the_files_are_brought_to_their_end(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        place = make_place(disk)
        work = place.borrow()
        large = "yes | head -c 6000000"
        made = work.candidate(f"{large} > app/large; {large} > app/larger; echo new > app/a")
        keep_verified(work.repository, work.state, "run-1", made)
        (disk / "spare").write_bytes(b"x" * 8_000_000)
        fill(disk)
        (disk / "spare").unlink()
        with pytest.raises(EnvironmentFailure, match=r": No space left on device$"):
            land(work.repository, made, "current", "", "run-1")
        assert place.user("git rev-parse HEAD") == work.base
        assert not (place.root / ".git/index.lock").exists()

        (disk / "filler").unlink()
        assert land(work.repository, made, "current", "", "run-1").tip == made.tip
        assert place.user("git status --porcelain; git rev-parse HEAD") == made.tip


def test_where_no_run_goes_on_the_hint_names_none(tmp_path: Path) -> None:
    shell, run = Shell(tmp_path), "TASK-1-20260101T000000-abcd"
    report = {"task": "TASK-1", "run": run, "outcome": "done", "exit_code": 0}
    shell.project.write(f".orchestrator/runs/{run}/report.json", json.dumps(report))
    shell.project.write(f".orchestrator/runs/{run}/journal.jsonl", "")
    with small_disk(tmp_path / "disk") as disk:
        fill(disk)
        ended = shell.run("report", "TASK-1", "-o", str(disk / "page.html"))
    told = f"error: cannot write {disk / 'page.html'}: No space left on device\n"
    assert ended.stderr == f"{told}  Free disk space or mend permissions.\n"
    assert ended.returncode == 5
