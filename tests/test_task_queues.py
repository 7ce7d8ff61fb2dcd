"""Writing a status into a queue that others write as well."""

from pathlib import Path

import pytest

from agentflow.errors import Conflict
from agentflow.task_queues import QueueFile, read_queue_file, write_status
from agentflow.tasks.queue_edit import find_entry, set_status

TEXT = "### TASK-1: a\n**Status:** pending\n### TASK-2: b\n**Status:** pending\n"


@pytest.fixture
def held(tmp_path: Path) -> QueueFile:
    path = tmp_path / "task_queue.md"
    path.write_text(TEXT)
    return read_queue_file(path, tmp_path)


def test_what_others_wrote_elsewhere_stays(held: QueueFile, tmp_path: Path) -> None:
    held.path.write_text(f"# Now with a title\n\n{TEXT}".replace("TASK-2: b", "TASK-2: better"))

    assert write_status(held, "TASK-2", "completed", tmp_path / "locks")

    assert held.path.read_text() == (
        "# Now with a title\n\n### TASK-1: a\n**Status:** pending\n"
        "### TASK-2: better\n**Status:** completed\n"
    )
    again = read_queue_file(held.path, tmp_path)
    assert not write_status(again, "TASK-2", "done", tmp_path / "locks")


def test_the_same_words_changed_by_somebody_else_are_a_conflict(
    held: QueueFile, tmp_path: Path
) -> None:
    changed = TEXT.replace("pending", "failed", 1)
    held.path.write_text(changed)

    with pytest.raises(Conflict, match="changed by somebody else"):
        write_status(held, "TASK-1", "completed", tmp_path / "locks")
    assert held.path.read_text() == changed


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("**Status:** pending", "**Status:** completed"),
        ("**Status**: PENDING  ", "**Status**: COMPLETED  "),
        ("- **Status:** Not Started ", "- **Status:** Completed "),
        ("| Status | `pending` |", "| Status | `completed` |"),
        ("| **Status** | [pending] |", "| **Status** | [completed] |"),
        ("**Status:** pending ⏸️", "**Status:** completed ✅"),
        ("**Status:** 🟡 to do", "**Status:** ✅ completed"),
    ],
)
def test_every_form_is_written_as_it_was(
    tmp_path: Path, end: str, mark: str, said: str, expected: str
) -> None:
    text = f"{mark}# Queue{end}{end}### TASK-1: \u00e4{end}{said}{end}Done is pending.{end}"
    path = tmp_path / "task_queue.md"
    path.write_bytes(text.encode())
    held = read_queue_file(path, tmp_path)
    (entry,) = held.queue.entries

    assert entry.token is not None
    assert held.text[entry.token.start : entry.token.end] == entry.token.text
    changed = set_status(held.text, held.queue, entry.token, "completed")

    assert changed == text.replace(said, expected)
    assert find_entry(held.queue, "TASK-1", where="").sha256 == entry.sha256
