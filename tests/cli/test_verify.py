"""`agentflow verify`: the gates alone, on commits made by anybody."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.forks.programs import agentflow
from tests.run.project import Project

pytestmark = pytest.mark.sandbox

Verify = Callable[..., subprocess.CompletedProcess[str]]
GATE = ("--gate", "test=grep -q hello app/main.py")
JSON = ("--output-format", "json")


@pytest.fixture
def verify(project: Project, tmp_path: Path) -> Verify:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            agentflow("verify", *arguments),
            cwd=project.root,
            env={**project.world.environment, "XDG_CACHE_HOME": str(tmp_path / "cache")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def judged(ended: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found = json.loads(ended.stdout)
    assert found["exit_code"] == ended.returncode, ended.stderr
    return found


def statuses(found: dict[str, Any]) -> dict[str, str]:
    return {gate["gate"]: gate["status"] for gate in found["gates"]}


def branch(project: Project, name: str, path: str, text: str) -> str:
    """Commit one file on a branch of its own, as anybody would; go back to main."""
    project.git("checkout", "-q", "-b", name)
    project.write(path, text)
    tip = project.commit("by hand")
    project.git("checkout", "-q", "main")
    return tip


def test_a_revision_is_judged_as_it_is(project: Project, verify: Verify, tmp_path: Path) -> None:
    base = project.git("rev-parse", "HEAD")
    tip = branch(project, "feature", "app/new.py", "x = 1\n")
    project.write("app/main.py", "changed by hand, and the word is gone\n")
    before = project.git("for-each-ref")

    ended = verify("feature", *GATE)

    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[0] == f"verified  feature  {base[:12]}..{tip[:12]}"
    assert lines[1].startswith("  ✓ passed  commit       1 commit, 1 file (+1 −0)")  # noqa: RUF001
    assert lines[-1].startswith("  ✓ passed  build:test   `grep -q hello app/main.py` passed")
    assert project.git("for-each-ref") == before
    assert not (project.root / ".orchestrator/complete").exists()
    assert not list((tmp_path / "cache").rglob("verify-*"))


def test_a_failed_gate_is_exit_code_1(project: Project, verify: Verify) -> None:
    branch(project, "feature", "app/main.py", "print('bye')\n")

    ended = verify("feature", *GATE, "--quiet")

    assert ended.returncode == 1
    assert ended.stdout.startswith("not verified  feature")
    assert "✗ failed  build:test" in ended.stdout
    assert ended.stderr == ""


def test_json_is_one_object_and_gates_left_to_ci_are_counted(
    project: Project, verify: Verify
) -> None:
    base = project.git("rev-parse", "HEAD")
    tip = branch(project, "feature", "app/new.py", "x = 1\n")
    user = Path(project.world.environment["XDG_CONFIG_HOME"]) / "agentflow/config.toml"
    user.parent.mkdir(parents=True)
    user.write_text("[[gates]]\nname = 'e2e'\ncommand = 'false'\nwhere = 'ci'\n")

    found = judged(verify("feature", *GATE, *JSON))

    assert found | {"gates": []} == {
        "type": "verification",
        "what": "feature",
        "task": None,
        "base": base,
        "tip": tip,
        "passed": True,
        "exit_code": 0,
        "reason": "",
        "changes": {"files_changed": 1, "insertions": 1, "deletions": 0},
        "gates": [],
        "left_to_ci": ["build:e2e"],
        "notices": [],
    }
    assert statuses(found) == {
        "commit": "passed",
        "boundaries": "passed",
        "files": "skipped",
        "tamper": "passed",
        "secrets": "passed",
        "build:e2e": "skipped",
        "build:test": "passed",
    }
    assert "1 gate left to CI: build:e2e" in verify("feature", *GATE).stdout

    only_ci = verify("feature")
    assert only_ci.returncode == 1
    assert "no build gate ran here and passed" in only_ci.stdout


def test_a_task_brings_its_boundaries_files_and_gates(project: Project, verify: Verify) -> None:
    project.task("allow: [app/**]\nfiles: [app/hello.txt]\ngates: {hello: test -s app/hello.txt}")
    project.commit()
    branch(project, "agentflow/TASK-1", "app/hello.txt", "hello\n")

    found = judged(verify("TASK-1", *JSON))
    assert (found["task"], found["passed"]) == ("TASK-1", True)
    assert (statuses(found)["build:hello"], statuses(found)["files"]) == ("passed", "passed")

    project.git("checkout", "-q", "agentflow/TASK-1")
    project.write("README.md", "outside\n")
    project.commit()
    found = judged(verify("TASK-1", "--base", "main", *JSON))
    assert statuses(found)["boundaries"] == "failed"
    assert statuses(found)["build:hello"] == "skipped"


def test_the_measure_comes_from_the_base(project: Project, verify: Verify) -> None:
    config = "[[gates]]\nname = 'test'\ncommand = 'test -s app/hello.txt'\n"
    project.write(".orchestrator/config.toml", config)
    project.commit()
    project.git("checkout", "-q", "-b", "agentflow/TASK-1")
    project.write(".orchestrator/config.toml", config.replace("test -s app/hello.txt", "true"))
    project.task("allow: ['**', '.orchestrator/**']\ngates: {test: 'true'}")
    project.commit()

    found = judged(verify("TASK-1", *JSON))
    assert statuses(found)["boundaries"] == "failed"
    assert found["notices"] == []

    found = judged(verify("agentflow/TASK-1", "--allow", ".orchestrator/**", *JSON))
    assert statuses(found)["boundaries"] == "passed"
    assert statuses(found)["build:test"] == "failed"


def test_a_task_that_the_base_does_not_hold_is_told(project: Project, verify: Verify) -> None:
    project.write(".orchestrator/tasks/TASK-2.md", "---\nallow: [app/**]\n---\n\n# Two\n")
    project.git("checkout", "-q", "-b", "agentflow/TASK-2")
    project.write("app/two.py", "x = 2\n")
    project.git("add", "app/two.py")
    project.git("commit", "-q", "-m", "two")
    project.git("checkout", "-q", "main")

    found = judged(verify("TASK-2", *GATE, *JSON))

    assert found["passed"]
    (notice,) = found["notices"]
    assert notice.startswith(".orchestrator/tasks/TASK-2.md is not in the base ")


def test_the_change_is_what_the_base_does_not_hold(project: Project, verify: Verify) -> None:
    branch(project, "feature", "app/new.py", "x = 1\n")
    project.write("app/main.py", "print('hello again')\n")
    project.commit("main went on")

    for arguments in (("feature",), ("feature", "--base", "main")):
        found = judged(verify(*arguments, *GATE, *JSON))
        assert (found["passed"], found["changes"]["files_changed"]) == (True, 1)

    project.git("checkout", "-q", "feature")
    found = judged(verify("HEAD", *GATE, *JSON))
    assert (found["passed"], found["changes"]["files_changed"]) == (True, 1)


def test_a_tag_is_no_trunk(project: Project, verify: Verify) -> None:
    """Tags come with a clone, and git takes one before a branch of the same name."""
    config = "[[gates]]\nname = 'test'\ncommand = 'false'\n"
    project.write(".orchestrator/config.toml", config)
    project.commit()
    project.git("checkout", "-q", "-b", "feature")
    project.write(".orchestrator/config.toml", config.replace("false", "true"))
    project.commit("weaker")
    for name in ("main", "origin/main", "origin/HEAD"):
        project.git("tag", name)
    project.write("app/new.py", "x = 1\n")
    project.commit("bad")

    assert not judged(verify("HEAD", *JSON))["passed"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nosuch",), "there is no commit 'nosuch'"),
        (("nosuch",), "There is no task of that name either"),
        (("HEAD",), "HEAD changes nothing"),
        (("TASK-1",), "there is no branch agentflow/TASK-1"),
        (("HEAD", "--base", "orphan"), "orphan and HEAD have no common history"),
        (("HEAD", "--base", "--output=x"), "there is no commit '--output=x'"),
    ],
)
def test_what_cannot_be_judged_is_said(
    project: Project, verify: Verify, arguments: tuple[str, ...], message: str
) -> None:
    project.git("checkout", "-q", "--orphan", "orphan")
    project.git("commit", "-q", "-m", "orphan")
    project.git("checkout", "-q", "main")

    ended = verify(*arguments, *GATE)

    assert ended.returncode == 2
    assert message in ended.stderr


def test_without_a_gate_nothing_is_verified(project: Project, verify: Verify) -> None:
    branch(project, "feature", "app/new.py", "x = 1\n")

    ended = verify("feature", *JSON)

    assert ended.returncode == 2
    answer = json.loads(ended.stdout)
    assert answer["reason"] == "no gate is configured, so nothing could be verified"
    assert f"is read as of {project.git('rev-parse', 'main')[:12]}" in answer["hint"]


def test_hostile_names_and_outputs_do_not_reach_the_terminal(
    project: Project, verify: Verify
) -> None:
    branch(project, "feature", "app/new.py", "x = 1\n")
    branch(project, "named", "app/\x1b]0;owned\x07.py", "x = 1\n")
    gate = ("--gate", "test=printf '\\033[2J\\n::error::x\\n'; exit 1")

    for ended in (verify("feature", *gate), verify("named", *gate)):
        assert ended.returncode == 1
        assert "\x1b" not in ended.stdout + ended.stderr
        assert not [line for line in ended.stdout.splitlines() if line.lstrip().startswith("::")]


SETUP = """
[environment]
setup = 'mkdir -p lib && grep hello app/main.py > lib/x'
provides = ['lib']
key = ['app/main.py']

[[gates]]
name = 'test'
command = 'cat lib/x; exit 1'
"""


def test_what_setup_provides_is_there(project: Project, verify: Verify) -> None:
    project.write(".orchestrator/config.toml", SETUP)
    project.commit()
    branch(project, "feature", "app/main.py", "print('hello as changed')\n")
    branch(project, "broken", "app/main.py", "print('bye')\n")

    found = judged(verify("feature", *JSON))
    build = found["gates"][-1]
    assert (build["gate"], build["detail"]) == ("build:test", "print('hello as changed')")
    assert statuses(found)["setup"] == "passed"

    found = judged(verify("broken", *JSON))
    assert (found["passed"], statuses(found)["setup"]) == (False, "failed")


def test_who_forks_early_does_not_escape_a_later_gate(project: Project, verify: Verify) -> None:
    gate = "[[gates]]\nname = '{}'\ncommand = '{}'\n"
    project.write(".orchestrator/config.toml", gate.format("weak", "true"))
    project.commit()
    branch(project, "feature", "app/new.py", "bad\n")
    project.write(".orchestrator/config.toml", gate.format("strict", "! grep -r bad app"))
    project.commit("a stricter gate")

    assert not judged(verify("feature", "--base", "main", *JSON))["passed"]
