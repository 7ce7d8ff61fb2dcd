"""Killed at any moment of landing, marking and reporting: the next call lands once, and tidily."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentflow.models.scripted import ScriptedServer, read_script
from agentflow.runs import newest_run
from tests.crash.test_kills import life_of, lives
from tests.crash.victim import Life
from tests.needs import need
from tests.run.project import GATE, HELLO, Project, make_project, turn
from tests.workspace.test_signing import make_key

pytestmark = pytest.mark.sandbox

EVERY = int(os.environ.get("AGENTFLOW_EVERY_MOMENT", "12"))
"""Which moments are tried; 1 is all of them, the long form."""
VERIFIED, LANDED = "agentflow.verified", "agentflow.landed"


def after(project: Project, land: str) -> dict[str, Any]:
    """What must be the same as in a run that nobody killed."""
    run = newest_run(project.root, "TASK-1") or ""
    branch = "main" if land == "current" else "agentflow/TASK-1"
    has_branch = land == "current" or bool(project.git("branch", "--list", branch))
    return {
        "files": project.git("rev-parse", f"{branch}^{{tree}}") if has_branch else None,
        "moves": len(project.git("reflog", "show", branch).splitlines()) if has_branch else 0,
        "landings": [line["type"] for line in project.journal(run)].count(LANDED),
        "status": project.git("status", "--porcelain"),
        "hello": (project.root / "app/hello.txt").exists(),
        "marker": project.marker("done"),
        "report": (project.root / ".orchestrator/runs" / run / "report.json").exists(),
        "litter": sorted(
            path.name
            for path in (project.root / ".git").iterdir()
            if path.name.startswith(("agentflow", "index."))
        ),
        "refs": len(project.git("for-each-ref").splitlines()),
        "signed": has_branch and "gpgsig" in project.git("cat-file", "commit", branch),
    }


def signing(folder: Path, key: Path) -> Project:
    """A project whose user signs commits."""
    project = make_project(folder)
    for name, value in (
        ("gpg.format", "ssh"),
        ("user.signingKey", str(key)),
        ("commit.gpgSign", "1"),
    ):
        project.git("config", name, value)
    return project


@pytest.mark.parametrize(
    ("land", "after_event", "signs"),
    [
        ("branch", VERIFIED, False),
        ("current", VERIFIED, False),
        ("none", VERIFIED, False),
        ("branch", "agentflow.agent_ended", True),
    ],
)
async def test_killed_at_each_moment_of_landing(
    land: str, after_event: str, signs: bool, tmp_path: Path, bwrap: str
) -> None:
    if signs:
        need("ssh-keygen")
    key = make_key(tmp_path) if signs else tmp_path

    def make(folder: Path) -> Project:
        return signing(folder, key) if signs else make_project(folder)

    script = read_script({"turns": [turn(HELLO), turn(text="Done.")]})
    async with ScriptedServer(script) as server:

        def begin(project: Project) -> Life:
            life = life_of(project, server.url)
            return replace(life, flags={**life.flags, "gates": [GATE], "land": land})

        whole = make(tmp_path / "whole")
        told = tmp_path / "whole.txt"
        assert await lives(begin(whole), told) == 0
        wanted = after(whole, land)
        assert (wanted["marker"], wanted["report"], wanted["litter"]) == ("done", True, [])
        assert (wanted["status"], wanted["signed"]) == ("", signs)
        names = told.read_text().splitlines()[1:]
        first = names.index(after_event) + 1

        landed = names.index(LANDED) + 1
        for moment in sorted({landed, *range(first, len(names) + 1, EVERY)}):
            torn = make(tmp_path / f"torn-{moment}")
            code = await lives(replace(begin(torn), dies_at=moment), tmp_path / "told.txt")
            if code == 0:
                break  # the moments before differ a little from run to run
            assert code == -signal.SIGKILL
            server.requests.clear()
            assert await lives(begin(torn), tmp_path / "told.txt") == 0
            assert after(torn, land) == wanted, f"moment {moment}: {names[moment - 1]}"
            assert server.requests == [], "nothing was paid again"
