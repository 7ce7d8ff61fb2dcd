"""`agentflow tasks` on a `task_queue.md`."""

import json
from pathlib import Path

import pytest

from agentflow.cli.completion import complete_task
from tests.cli.shell import EVIL, Shell

QUEUE = f"""# Queue\r

### TASK-001: Store {EVIL}
| Status | ✅ Completed |
### TASK-002: Serve
| **Status** | ⏳ In_Progress |   \r
| Category | backend |
### TASK-003: Show
**Status:** pending
**Depends On:** TASK-001, TASK-002
### TASK-004: Tell
**Status:** pending
**Complexity:** easy
"""


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path)
    queue(shell).write_bytes(QUEUE.encode())
    shell.project.commit()
    return shell


def queue(shell: Shell) -> Path:
    return shell.project.root / ".orchestrator/task_queue.md"


def test_lint_has_the_tasks_and_the_problems(shell: Shell) -> None:
    ended = shell.run("tasks", "lint", "--json")

    (file,) = json.loads(ended.stdout)["files"]
    assert (ended.returncode, file["kind"], file["problems"]) == (0, "queue", [])
    assert file["tasks"][1] == {
        "id": "TASK-002", "title": "Serve", "status": "in_progress", "category": "backend",
        "complexity": "", "depends_on": [], "line": 5,
    }  # fmt: skip

    shell.project.write("task_queue.md", f"### TASK-9: a\n**Status:** {EVIL}\n")
    wrong = shell.run("tasks", "lint", str(shell.project.root))

    assert wrong.returncode == 1
    assert "task_queue.md:1: error: TASK-9 has no status that is known" in wrong.stdout
    assert "\x1b" not in wrong.stdout + wrong.stderr
    assert "2 documents, 0 batches, 5 queued tasks, 1 error" in wrong.stderr


def test_what_has_no_status_that_is_known_is_named_by_next(shell: Shell) -> None:
    text = "### TASK-8: a\n**Status:** pendign\n**Dependencies:** TASK-9\n\n### TASK-9: b\n"
    queue(shell).write_text(text, "utf-8")

    ended = shell.run("tasks", "next")
    told = json.loads(shell.run("tasks", "next", "--json").stdout)

    assert (ended.returncode, ended.stdout) == (3, "waiting\n")
    assert ended.stderr == (
        "TASK-8 (line 1) has no status that is known: 'pendign'; did you mean 'pending'?; it waits "
        "for TASK-9\nTASK-9 (line 5) has no status that is known: ''\n"
    )
    assert [each["doubts"] for each in told["waiting"]] == [
        ["has no status that is known: 'pendign'; did you mean 'pending'?"],
        ["has no status that is known: ''"],
    ]
    assert [each["for"] for each in told["waiting"]] == [["TASK-9"], []]


def test_lint_knows_task_files_documents_and_their_batches(shell: Shell) -> None:
    """What `run` takes for a dependency is no problem; TASK-1 is a file."""
    there = ("TASK-1", "TASK_2025_001", "TASK_2025_001-batch-1")
    gone = ("TASK-7", "TASK_2025_002")
    for number, name in enumerate((*there, *gone), 2):
        text = f"### TASK-{number}: a\n**Status:** pending\n**Depends On:** {name}\n"
        with queue(shell).open("a", encoding="utf-8") as file:
            file.write(text.replace(f"TASK-{number}:", f"Q-{number}:"))
    shell.project.write("task-tracking/TASK_2025_001/tasks.md", "## Batch 1: a PENDING\n")

    ended = shell.run("tasks", "lint", str(queue(shell)), "--json")

    (file,) = json.loads(ended.stdout)["files"]
    told = [each["message"] for each in file["problems"] if each["code"] == "depends-unknown"]
    assert told == [
        "Q-5 depends on TASK-7, which is not there",
        "Q-6 depends on TASK_2025_002, which is not there",
    ]


def test_next_knows_a_document_that_is_complete(shell: Shell) -> None:
    queue(shell).write_text("### TASK-1: a\n**Status:** pending\n**Depends On:** TASK_2025_001\n")
    place = "task-tracking/TASK_2025_001/tasks.md"
    shell.project.write(place, "## Batch 1: x PENDING\n")
    shell.project.commit()
    waits = shell.run("tasks", "next")
    shell.project.write(place, "## Batch 1: x COMPLETE\n")
    shell.project.commit()
    ready = shell.run("tasks", "next")

    assert waits.returncode == 3
    assert "TASK-1 (line 1) waits for TASK_2025_001" in waits.stderr
    assert (ready.returncode, ready.stdout) == (0, "do  TASK-1  a (line 1)\n")


def test_show_an_entry_and_all(shell: Shell) -> None:
    one = shell.run("tasks", "show", "TASK-001")
    data = json.loads(shell.run("tasks", "show", "TASK-003", "--json").stdout)
    everything = shell.run("tasks", "show", str(queue(shell)))
    unknown = shell.run("tasks", "show", "TASK-0044")

    assert one.returncode == 0
    assert "Completed" in one.stdout
    assert "\x1b" not in one.stdout + everything.stdout
    assert data["depends_on"] == ["TASK-001", "TASK-002"]
    assert "TASK-003       pending      Show  after TASK-001, TASK-002" in everything.stdout
    assert (unknown.returncode, "did you mean 'TASK-004'" in unknown.stderr) == (2, True)


def test_next_names_the_first_that_is_ready_or_what_all_wait_for(shell: Shell) -> None:
    ready = shell.run("tasks", "next")
    shell.project.write(".orchestrator/complete/TASK-004.done", "done")
    waiting = shell.run("tasks", "next")
    told = json.loads(shell.run("tasks", "next", "--json").stdout)
    shell.project.git("commit", "--allow-empty", "-m", "feat: x\n\nAgentflow-Task: TASK-002")
    landed = shell.run("tasks", "next")

    assert (ready.returncode, ready.stdout) == (0, "do  TASK-004  Tell (line 11)\n")
    assert (waiting.returncode, waiting.stdout) == (3, "waiting\n")
    assert "TASK-003 (line 8) waits for TASK-002" in waiting.stderr
    assert told["waiting"] == [{"task": "TASK-003", "line": 8, "for": ["TASK-002"], "doubts": []}]
    assert (landed.returncode, landed.stdout) == (0, "do  TASK-003  Show (line 8)\n")
    queue(shell).write_text("### TASK-1: a\n**Status:** done\n")
    assert shell.run("tasks", "next").stdout == "none\n"
    queue(shell).unlink()
    assert shell.run("tasks", "next").returncode == 2


@pytest.mark.parametrize(
    ("task", "status", "old", "new"),
    [
        ("TASK-002", "completed", "⏳ In_Progress", "✅ Completed"),
        ("TASK-002", "Done", "⏳ In_Progress", "✅ Done"),
        ("TASK-001", "in progress", "✅ Completed", "⏳ In_Progress"),
        ("TASK-003", "in_progress", "pending\n**Dep", "in_progress\n**Dep"),
        ("TASK-001", "done", "", ""),
    ],
)
def test_set_changes_one_token_and_no_other_byte(
    shell: Shell, task: str, status: str, old: str, new: str
) -> None:
    before = b"\xef\xbb\xbf" + QUEUE.encode()
    queue(shell).write_bytes(before)
    queue(shell).chmod(0o600)

    ended = shell.run("tasks", "set", str(queue(shell)), "--task", task, "--status", status)

    assert ended.returncode == 0
    assert queue(shell).read_bytes() == before.replace(old.encode(), new.encode(), 1)
    assert queue(shell).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "arguments",
    [
        ("--status", "done"),
        ("--task", "TASK-9", "--status", "done"),
        ("--task", "TASK-001", "--status", "fine"),
        ("--task", "TASK-001", "--status", "done", "--batch", "1"),
        ("--task", "TASK-001", "--status", "done", "--commit", "abcdef1"),
    ],
)
def test_what_can_be_corrected_exits_with_2(shell: Shell, arguments: tuple[str, ...]) -> None:
    assert shell.run("tasks", "set", str(queue(shell)), *arguments).returncode == 2
    assert queue(shell).read_bytes() == QUEUE.encode()


@pytest.mark.parametrize(
    "text",
    [
        "### TASK-1: a\n",
        "### TASK-1: a\n**Status:** done\n**Status:** done\n",
        "### TASK-1: a\n**Status:** done\n### TASK-1: b\n**Status:** done\n",
    ],
)
def test_without_a_single_status_nothing_is_set(shell: Shell, text: str) -> None:
    queue(shell).write_text(text)
    ended = shell.run("tasks", "set", str(queue(shell)), "--task", "TASK-1", "--status", "failed")

    assert (ended.returncode, queue(shell).read_text()) == (2, text)


@pytest.mark.parametrize("command", [("lint",), ("next",), ("show", "TASK-1"), ("lint", ".")])
@pytest.mark.parametrize("kind", ["huge", "link", "dangling", "bytes", "folder"])
def test_a_hostile_queue_is_refused_in_one_sentence(
    shell: Shell, tmp_path: Path, kind: str, command: tuple[str, ...]
) -> None:
    queue(shell).unlink()
    outside = tmp_path / "outside.md"
    if kind == "huge":
        queue(shell).write_bytes(b"### TASK-1: a\n" + b"x" * (1 << 20))
    elif kind == "bytes":
        queue(shell).write_bytes(b"### TASK-1: a\xff\n")
    elif kind == "folder":
        queue(shell).mkdir()
    else:
        queue(shell).symlink_to(outside)
        if kind == "link":
            outside.write_text("### TASK-1: secret\n**Status:** pending\n")

    ended = shell.run("tasks", *command)

    found_none = command == ("lint", ".") and kind in {"folder", "dangling"}
    assert ended.returncode in ({0} if found_none else {1, 2})
    assert "secret" not in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


def test_completion_offers_both_kinds(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shell.project.root)

    assert complete_task("TASK-") == ["TASK-001", "TASK-002", "TASK-003", "TASK-004", "TASK-1"]
    assert complete_task("TASK-00") == ["TASK-001", "TASK-002", "TASK-003", "TASK-004"]
    queue(shell).write_bytes(b"### TASK-005: \xff\n")
    assert complete_task("TASK-005") == ["TASK-005"]
