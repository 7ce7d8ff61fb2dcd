"""The linked runs of a handoff, killed at any moment: both land, once, and the pointers move."""

import os
import re
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from agentflow.models.scripted import ScriptedServer, read_script
from agentflow.records import Json
from agentflow.runs import list_runs
from tests.crash.test_kills import lives
from tests.crash.victim import Life
from tests.run.project import make_project
from tests.workflows.superproject import BLOCK, MAIL, TYPES, add_submodules, git, work

pytestmark = pytest.mark.sandbox

EVERY = int(os.environ.get("AGENTFLOW_EVERY_MOMENT", "40"))
"""Which moments are tried; 1 is all of them, the long form."""
FINISHED = "agentflow.run_finished"
GATE = {"name": "test", "command": "true"}
TOGETHER = f"""[[gates]]
name = "contract"
command = 'grep -q CreateMailDto {TYPES}/mail.dto.ts && test -s {MAIL}/src/mail.ts'
"""
"""The superproject's gate, on all parts before any of them lands."""
JUDGED = "agentflow.gate_finished"
PARTS = (TYPES, MAIL)


def result(root: Path) -> Json:
    """What must be the same, of all three repositories; runs and commits are not named."""

    def plain(text: str) -> str:
        text = re.sub(r"-\d{8}T\d{6}-[0-9a-f]{4}", "-RUN", text)
        return re.sub(r"[0-9a-f]{40}", "SHA", text)

    def of(folder: Path) -> Json:
        target = git(folder, "branch", "--list", "--format=%(refname:short)", "agentflow/*")
        tip = git(folder, "rev-parse", target)
        reports = [
            {name: report[name] for name in ("task", "outcome", "landed", "branch")}
            for report in list_runs(folder)
            if report["outcome"] != "unfinished"
        ]
        assert all(each["landed"]["tip"] == tip for each in reports)
        complete = folder / ".orchestrator/complete"
        names = sorted(path.name for path in complete.iterdir()) if complete.exists() else []
        return {
            "log": plain(git(folder, "log", "--format=%an %ae %B", "--stat", f"main..{target}")),
            "reports": [plain(str(each)) for each in reports],
            "markers": names,
            "moves": len(git(folder, "reflog", "show", target).splitlines()),
            # A process that dies before its first checkpoint has paid nothing: another run begins.
            "refs": sorted(set(plain(git(folder, "for-each-ref", "--format=%(refname)")).split())),
            "status": git(folder, "status", "--porcelain", "--untracked-files=no"),
        }

    left = {name: of(root / name) for name in PARTS} | {"superproject": of(root)}
    refs = left["superproject"]["refs"]
    target = next(each for each in refs if each.startswith("refs/heads/agentflow/"))
    for name in PARTS:
        tip = git(root / name, "rev-parse", target)
        assert git(root, "rev-parse", f"{target}:{name}") == tip, "the pointer is what landed"
    return left


async def test_killed_between_linked_runs_or_their_landings_all_is_done_once(
    tmp_path: Path, bwrap: str
) -> None:
    place, kept = tmp_path / "here", tmp_path / "kept"
    project = make_project(place)
    add_submodules(project, place)
    project.write(".orchestrator/config.toml", TOGETHER)
    project.commit("ci: the parts together")
    whole, told = tmp_path / "whole.txt", tmp_path / "told.txt"
    shutil.copytree(place, kept, symlinks=True)

    def back() -> None:
        """Everything as it was when it was kept, where it was: git knows absolute paths."""
        shutil.rmtree(place)
        shutil.copytree(kept, place, symlinks=True)

    async with ScriptedServer(read_script({"turns": list(work())})) as server:
        flags = {"base_url": server.url, "gates": [GATE], "prompt": "plain"}
        world = project.world
        life = Life(project.root, world.cache, world.environment, flags, handoff=BLOCK)
        assert await lives(life, whole) == 0, whole.read_text()
        wanted = result(project.root)
        paid = len(server.requests)
        assert [each["moves"] for each in wanted.values()] == [1, 1, 1]
        told.write_text(whole.read_text())

        for last in (False, True):
            # As it is when one part has ended: from the beginning, then from there.
            back()
            names = told.read_text().splitlines()[1:]
            ends = [moment for moment, name in enumerate(names, 1) if name == FINISHED]
            moment = ends[-1 if last else 0]
            assert await lives(replace(life, dies_at=moment), told) == -signal.SIGKILL
            shutil.rmtree(kept)
            shutil.copytree(place, kept, symlinks=True)
            server.requests.clear()
            assert await lives(life, told) == 0, told.read_text()
            assert result(project.root) == wanted
            needed = len(server.requests)
            assert needed == (0 if last else paid // 2)
            rest = told.read_text().splitlines()[1:]
            until = len(rest) if last else rest.index("agentflow.run_started") + 1
            judged = {rest.index(JUDGED)} if last else set[int]()
            for moment in sorted({*range(1, until + 1, EVERY), *judged, until}):
                back()
                server.requests.clear()
                code = await lives(replace(life, dies_at=moment), tmp_path / "torn.txt")
                if code == 0:
                    break  # the moments before differ a little from run to run
                assert code == -signal.SIGKILL
                assert await lives(life, tmp_path / "torn.txt") == 0
                assert result(project.root) == wanted, f"moment {moment}: {rest[moment - 1]}"
                assert len(server.requests) <= needed + 1
