"""Killed between the merge of several tasks' work and its landing: it lands once, and green."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentflow.markers import read_marker
from agentflow.models.scripted import ScriptedServer, read_script
from agentflow.runs import list_runs
from tests.crash.test_kills import lives
from tests.crash.test_landing import LANDED
from tests.crash.victim import Life
from tests.many.fleet import GATE, writes
from tests.run.project import Project, make_project

pytestmark = pytest.mark.sandbox

EVERY = int(os.environ.get("AGENTFLOW_EVERY_MOMENT", "30"))
"""Which moments are tried beside the last one; 1 is all of them, the long form."""
TASKS = ("A", "B")
COMBINED = "agentflow.combined"


def made(folder: Path) -> Project:
    """A repository with two tasks, whose results land on one branch."""
    project = make_project(folder)
    for name in TASKS:
        text = f"---\nallow: [{name.lower()}/]\n---\n\n# Do {name}\n"
        project.write(f".orchestrator/tasks/{name}.md", text)
    project.commit("docs: tasks")
    project.git("branch", "release")
    return project


def after(project: Project) -> dict[str, Any]:
    """What must be the same as if nobody had been killed."""
    git = project.git
    landed = git("rev-list", "--first-parent", "main..release").splitlines()
    reports = list_runs(project.root)
    return {
        "files": git("ls-tree", "-r", "--name-only", "release"),
        "moves": len(git("reflog", "show", "release").splitlines()),
        "landed": [git("log", "-1", "--format=%P", sha).count(" ") for sha in landed],
        "runs": sorted((report["task"], report["outcome"]) for report in reports),
        "told": [report["landed"]["tip"] in landed for report in reports],
        "landings": sum(
            line["type"] == LANDED for report in reports for line in project.journal(report["run"])
        ),
        "merged": sum(report["combined"] is not None for report in reports),
        "judged": _judged(project, reports),
        "markers": [read_marker(project.root, name) for name in TASKS],
        "refs": len(git("for-each-ref").splitlines()),
        "status": git("status", "--porcelain"),
    }


def _judged(project: Project, reports: list[dict[str, Any]]) -> bool:
    """Whether the last commit of the branch is one that all gates passed."""
    tips = {
        report["combined"]["tip"]: report["verification"]["passed"]
        for report in reports
        if report["combined"]
    }
    return tips.get(project.git("rev-parse", "release"), False)


async def test_killed_between_the_merge_and_its_landing_it_lands_once(
    tmp_path: Path, bwrap: str
) -> None:
    talks = {f"# Task {name}:": writes(f"{name.lower()}/x.txt") for name in TASKS}
    script = read_script({"turns": writes("x.txt"), "conversations": talks})
    async with ScriptedServer(script) as server:

        def begin(project: Project) -> Life:
            flags = {
                "base_url": server.url,
                "gates": [GATE],
                "prompt": "plain",
                "target": "release",
            }
            world = project.world
            return Life(project.root, world.cache, world.environment, flags, several=TASKS)

        whole, told = made(tmp_path / "whole"), tmp_path / "told.txt"
        assert await lives(begin(whole), told) == 0, told.read_text()
        wanted = after(whole)
        names = told.read_text().splitlines()[1:]
        assert (wanted["landed"], wanted["moves"], wanted["landings"]) == ([1, 0], 3, 2)
        assert wanted["judged"], "the merge was not judged"
        begun = names.index(COMBINED)
        until_landed = names[begun:].index(LANDED)

        for later in sorted({*range(0, until_landed, EVERY), until_landed - 1}):
            torn = made(tmp_path / f"torn-{later}")
            life = replace(begin(torn), dies_after=(COMBINED, 1, later))
            code = await lives(life, told)
            if code == 0:
                break  # the moments before differ a little from run to run
            assert code == -signal.SIGKILL, told.read_text()
            server.requests.clear()
            assert await lives(begin(torn), told) == 0, told.read_text()
            assert after(torn) == wanted, f"{later} moments after: {names[begun + later]}"
            assert server.requests == [], "something was paid again"
