"""`agentflow tasks`."""

import json
from pathlib import Path

import pytest

from tests.cli.shell import EVIL, Shell

TEXT = f"""# Tasks

## Batch 1: Types {EVIL} ✅ COMPLETE

**Developer**: backend-developer
**Commit**: a1b2c3d

## Batch 2: Service ⏸️ PENDING

**Developer**: backend-developer
**Dependencies**: Batch 1 complete
**Commit**: pending

### Task 2.1: Write ⏸️ PENDING

**File**: D:\\elsewhere\\app\\main.py

## Batch 3: Page ⏸️ PENDING

**Developer**: frontend-developer
"""


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path)
    shell.project.write("app/main.py", "x = 1\n")
    shell.project.write("task-tracking/TASK_7/tasks.md", TEXT)
    shell.project.commit()
    return shell


def document(shell: Shell) -> Path:
    return shell.project.root / "task-tracking/TASK_7/tasks.md"


def test_lint_says_what_is_there_and_what_is_wrong(shell: Shell) -> None:
    good = shell.run("tasks", "lint", "--json")

    assert good.returncode == 0
    (file,) = json.loads(good.stdout)["files"]
    assert (file["task_id"], [each["id"] for each in file["batches"]]) == (
        "TASK_7",
        ["1", "2", "3"],
    )
    task = file["batches"][1]["tasks"][0]
    assert task["files"] == [{"path": "app/main.py", "action": None, "exists": True}]

    document(shell).write_text(f"## Batch 1: x\n**Status**: {EVIL}\n")
    bad = shell.run("tasks", "lint", str(document(shell).parent))

    assert bad.returncode == 1
    assert (
        "tasks.md:1: error: batch 1 has no status that could be read [status-missing]" in bad.stdout
    )
    assert "\x1b" not in bad.stdout + bad.stderr
    assert "1 document, 1 batch, 1 error" in bad.stderr


def test_lint_names_a_file_that_is_no_text_and_goes_on(shell: Shell) -> None:
    shell.project.write("task-tracking/TASK_6/tasks.md", "x")
    (shell.project.root / "task-tracking/TASK_6/tasks.md").write_bytes(b"\xff")

    ended = shell.run("tasks", "lint", "--json")

    files = json.loads(ended.stdout)["files"]
    assert ended.returncode == 1
    assert [each["problems"][0]["code"] for each in files if each["problems"]] == ["unreadable"]
    assert len(files) == 2


def test_show_and_next(shell: Shell) -> None:
    shown = shell.run("tasks", "show", "TASK_7")
    named = shell.run("tasks", "next", "TASK_7")
    data = json.loads(shell.run("tasks", "next", "TASK_7", "--json").stdout)

    assert (shown.returncode, named.returncode) == (0, 0)
    assert "\x1b" not in shown.stdout
    assert "2     PENDING      Service  backend-developer  after 1" in shown.stdout
    assert named.stdout.splitlines()[0] == "do  2  Service (line 8)"
    assert (data["state"], data["work"], data["tasks"]) == ("next", "do", ["2.1"])


def test_set_changes_the_tokens_and_no_other_byte(shell: Shell) -> None:
    sha = "0123456789abcdef"
    arguments = ("--batch", "2", "--status", "complete", "--commit", sha)

    ended = shell.run("tasks", "set", str(document(shell)), *arguments)

    assert (ended.returncode, ended.stdout) == (0, "")
    expected = TEXT.replace("Service ⏸️ PENDING", "Service ✅ COMPLETE")
    assert document(shell).read_text() == expected.replace("Commit**: pending", f"Commit**: {sha}")
    again = shell.run("tasks", "next", "TASK_7", "--json")
    assert (again.returncode, json.loads(again.stdout)["state"]) == (0, "none")


def test_a_failed_batch_needs_a_person(shell: Shell) -> None:
    shell.run("tasks", "set", "TASK_7", "--batch", "2", "--status", "FAILED", "--json")

    assert shell.run("tasks", "next", "TASK_7").returncode == 3
    assert shell.run("tasks", "next", "TASK_7", "--retry").returncode == 0
    shell.run("tasks", "set", "TASK_7", "--batch", "2", "--status", "BLOCKED", "--json")
    blocked = shell.run("tasks", "next", "TASK_7")
    assert (blocked.returncode, blocked.stdout) == (3, "blocked  2  Service (line 8)\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("next", "TASK_8"),
        ("set", "TASK_7", "--batch", "9", "--status", "COMPLETE"),
        ("set", "TASK_7", "--batch", "2", "--status", "FINE"),
        ("set", "TASK_7", "--batch", "2", "--status", "COMPLETE", "--commit", "HEAD"),
        ("lint", "nowhere"),
    ],
)
def test_what_can_be_corrected_exits_with_2(shell: Shell, arguments: tuple[str, ...]) -> None:
    assert shell.run("tasks", *arguments).returncode == 2
    assert document(shell).read_text() == TEXT


def test_the_roots_are_the_repositorys_to_say(shell: Shell) -> None:
    shell.project.write("plans/TASK_9/tasks.md", "## Batch 1: x - PENDING\n")
    shell.project.write(".orchestrator/config.toml", "[documents]\nroots = ['plans']\n")
    shell.project.commit()

    assert shell.run("tasks", "show", "TASK_9").returncode == 0
    assert shell.run("tasks", "show", "TASK_7").returncode == 2
