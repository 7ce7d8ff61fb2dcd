"""Phase 6, killed at any moment: the next call ends as one that nobody touched."""

import os
import random
import re
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from agentflow.events import LandingDone
from agentflow.history import counting, decode
from agentflow.journal import load
from agentflow.models.scripted import ScriptedServer, read_script
from agentflow.records import Json
from agentflow.runs import list_runs
from tests.crash.test_kills import SEED, killed, lives
from tests.crash.victim import Life
from tests.run.project import Project, bash, make_project, turn

pytestmark = pytest.mark.sandbox

EVERY = int(os.environ.get("AGENTFLOW_EVERY_MOMENT", "0"))
"""Which moments between two runs are tried, each in a document's life of its own; 1 is all of them, the
long form. Within a run they are those of `test_kills`, and here only a few. 0 is the short form:
one life that is killed several times at random."""
KILLS = {"tracked": 5, "ignored": 5, "implemented": 2}
"""Of the short form, at random, by what is there."""
FIXED = [
    ("agentflow.landed", 1, 1),  # of the first batch: its report, marker and next step are missing
    ("agentflow.landed", 1, 1),  # of the second one; the first one's end comes before it
    ("agentflow.run_finished", 2, 12),  # of the failed one: the document does not say so yet
]
"""Of the short form, each in a process of its own."""
TASK = "TASK_2025_001"
PATH = f"task-tracking/{TASK}/tasks.md"
BRANCH = f"agentflow/{TASK}"
BATCH = """## Batch {0}: {1} ⏸️ PENDING

**Assigned To**: backend-developer
**Commit**: pending

### Task {0}.1: Write it ⏸️ PENDING

**File**: app/{1}.txt

"""
GATE = {"name": "test", "command": "! grep -rq wrong app"}
NX = """#!/bin/sh
case "$1 $2" in "build api") ! grep -rq wrong app ;; affected*) exit 0 ;; *) exit 2 ;; esac
"""
"""Where no gate is configured, nx builds the projects that a batch changes."""
COMMIT = "git add -A && git commit -qm"
FIRST = (
    "for f in hello bye last; do [ -e app/$f.txt ] || break; done; "
    "case $f in bye) echo x;; *) echo wrong;; esac > app/$f.txt; " + COMMIT + ' "feat: $f"'
)
"""The next batch's file: of the first and the last one it is wrong."""
REPAIR = f"[ -e app/last.txt ] || {{ echo x > app/hello.txt; {COMMIT} 'fix: hello'; }}"
STORY = [
    turn(bash(FIRST)),
    turn(text="Done."),
    turn(bash(REPAIR)),
    turn(text="I am done with it."),
]
HELD = "holds it"
"""Words of the first message about a batch whose work the base has."""
LOOK = [turn(bash("cat app/hello.txt")), turn(text="All points are met.")]


def document(*names: str) -> str:
    """A document with these batches."""
    return "# Tasks\n\n" + "".join(BATCH.format(n, name) for n, name in enumerate(names, 1))


def tracked(folder: Path) -> Project:
    """Three batches: one is repaired, one is right at once, one fails."""
    project = make_project(folder)
    project.write(PATH, document("hello", "bye", "last"))
    project.commit("docs: tasks")
    return project


def ignored(folder: Path) -> Project:
    """Two batches that nx builds, and git does not have the document."""
    project = make_project(folder)
    project.write("nx.json", "{}\n")
    project.write("app/project.json", '{"name": "api"}\n')
    project.write("node_modules/.bin/nx", NX).chmod(0o755)
    project.write(".gitignore", "task-tracking/\n.orchestrator/\n")
    project.commit("chore: ignore")
    project.write(PATH, document("hello", "bye").replace("\n", "\r\n"))
    return project


def implemented(folder: Path) -> Project:
    """Two batches: the work of the first is there, and needs to be verified and written down."""
    project = make_project(folder)
    text = document("hello", "bye").replace("hello ⏸️ PENDING", "hello 🔄 IMPLEMENTED", 1)
    project.write(PATH, text)
    project.commit("docs: tasks")
    project.write("app/hello.txt", "x\n")
    project.commit("feat: batch 1 - hello")
    project.write("README.md", "# Later\n")
    project.commit("docs: later")
    return project


def result(project: Project) -> Json:
    """What must be the same; commits are named by their place on the branch, runs not at all."""
    git = project.git
    all_ = git("log", "--reverse", "--format=%H", BRANCH).splitlines()
    places = {sha: f"<commit {n}>" for n, sha in enumerate(all_, 1)}
    shas = git("log", "--reverse", "--format=%H", f"main..{BRANCH}").splitlines()

    def plain(text: str) -> str:
        text = re.sub(r"[0-9a-f]{40}", lambda found: places[found[0]], text)
        return re.sub(r"-\d{8}T\d{6}-[0-9a-f]{4}", "-RUN", text)

    reports = list_runs(project.root)
    landed = [report["task"] for report in reports if report["outcome"] == "done"]
    kept = [
        line.event
        for report in reports
        for line in counting(
            decode(load(project.root / ".orchestrator/runs" / report["run"] / "journal.jsonl"))
        )
    ]
    text = git("show", f"{BRANCH}:{PATH}") if git("ls-files", PATH) else None
    work_tree = (project.root / PATH).read_bytes().decode()
    names = sorted(path.name for path in (project.root / ".orchestrator/complete").iterdir())
    return {
        "log": [plain(git("show", "--format=%an %ae %B", "--stat", sha)) for sha in shas],
        "document": None if text is None else plain(text),
        "work tree": plain(work_tree),
        "status": git("status", "--porcelain", "--untracked-files=no"),
        "moves": len(git("reflog", "show", BRANCH).splitlines()),
        "landed": sorted(landed),
        "landings": sum(isinstance(event, LandingDone) for event in kept),
        "failed": [report["task"] for report in reports if report["outcome"] == "failed"],
        "markers": names,
        "locks": git("for-each-ref", "--format=%(refname)", "refs/heads"),
    }


def tried(names: list[str]) -> list[int]:
    """The moments, from 1: those between runs, from the last verdict of one to the next one's
    begin, and some within."""
    ends = {"agentflow.verified", "agentflow.run_finished"}
    between, apart = list[int](), True
    for moment, name in enumerate(names, 1):
        apart = apart or name in ends
        if apart:
            between.append(moment)
        apart = apart and name != "agentflow.run_started"
    return sorted({*between[::EVERY], *between[-1:], *range(1, len(names), 14 * EVERY)})


@pytest.mark.parametrize("make", [tracked, ignored, implemented])
async def test_killed_at_any_moment_each_batch_is_done_once(
    make: Callable[[Path], Project], tmp_path: Path, bwrap: str
) -> None:
    script = read_script({"turns": STORY, "conversations": {HELD: LOOK}})
    async with ScriptedServer(script) as server:

        def life_of(project: Project) -> Life:
            gates = [] if (project.root / "nx.json").exists() else [GATE]
            flags = {"base_url": server.url, "gates": gates, "prompt": "plain"}
            cache, environment = project.world.cache, project.world.environment
            return Life(project.root, cache, environment, flags, batches=TASK)

        whole = make(tmp_path / "whole")
        told = tmp_path / "whole.txt"
        assert await lives(life_of(whole), told) == 0, told.read_text()
        wanted = result(whole)
        assert len(wanted["landed"]) == wanted["landings"] == 2
        built = {each["gate"] for each in list_runs(whole.root)[0]["verification"]["gates"]}
        assert ("build:nx-api" in built) == (make is ignored)
        if make is implemented:
            assert "**Commit**: <commit 3>" in wanted["document"]  # which main has
        paid = len(server.requests)
        names = told.read_text().splitlines()[1:]

        if not EVERY:
            torn, most = make(tmp_path / "torn"), KILLS[make.__name__]
            server.requests.clear()
            kills = await killed(life_of(torn), random.Random(SEED), len(names), most, tmp_path)
            assert result(torn) == wanted, f"seed {SEED}"
            assert 0 < kills <= most
            assert len(server.requests) <= paid + kills, f"seed {SEED}"

            torn = make(tmp_path / "at fixed moments")
            server.requests.clear()
            for after in FIXED[: 2 + len(wanted["failed"])]:
                life = replace(life_of(torn), dies_after=after)
                assert await lives(life, tmp_path / "told.txt") == -signal.SIGKILL, after
            assert await lives(life_of(torn), tmp_path / "told.txt") == 0
            assert result(torn) == wanted
            assert len(server.requests) == paid

        wrong: list[str] = []
        for moment in tried(names) if EVERY else ():
            torn = make(tmp_path / f"torn-{moment}")
            server.requests.clear()
            code = await lives(replace(life_of(torn), dies_at=moment), tmp_path / "told.txt")
            if code == 0:
                break  # the moments before differ a little from run to run
            assert code == -signal.SIGKILL
            ended = await lives(life_of(torn), tmp_path / "told.txt")
            same = ended == 0 and result(torn) == wanted and len(server.requests) <= paid + 1
            wrong += [] if same else [f"{moment} ({names[moment - 1]})"]
            sys.stderr.write(f"{moment} {names[moment - 1]} {'as wanted' if same else 'WRONG'}\n")
            shutil.rmtree(torn.root.parent)
        assert wrong == []
