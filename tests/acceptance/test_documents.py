"""The scripts that read folders of handoffs and of queues, on small folders of our own."""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def run(script: str, folder: Path) -> tuple[int, list[str]]:
    ended = subprocess.run(
        [sys.executable, str(FOLDER / script), str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, [" ".join(line.split()) for line in ended.stdout.splitlines()]


def test_handoffs_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("## For: backend\n**Expected behavior:** works\n")
    (tmp_path / "b.md").write_text("nothing")

    assert run("handoffs.py", tmp_path) == (
        0,
        [
            "1 block for backend",
            "1 field work",
            "1 question services",
            "1 read",
            "1 refused holds no handoff block",
            "2 files",
        ],
    )
    (tmp_path / "a.md").unlink()
    (tmp_path / "b.md").unlink()
    assert run("handoffs.py", tmp_path) == (1, ["0 files"])


def test_queues_are_compared_with_a_plain_search(tmp_path: Path) -> None:
    queue = tmp_path / "task_queue.md"
    queue.write_text("### TASK-1: a\n| Status | pending |\n| Depends On | [] |\n")
    same = "same task_queue.md: 1 tasks, {'pending': 1}, 0 dependencies, 0 problems, 1 ready"
    assert run("task_queues.py", tmp_path) == (0, [same])

    queue.write_text("### TASK-1: a\n- **Status**: pending\n")
    assert run("task_queues.py", tmp_path)[0] == 1
