"""The acceptance script over tasks.md documents, on documents of our own."""

import subprocess
import sys
from pathlib import Path

import pytest

from agentflow.tasks.tasks_md import parse_tasks_md
from tests.acceptance.tasks_md import batch_lines, difference, elsewhere, misread, misread_task

SCRIPT = Path(__file__).parent / "tasks_md.py"


def run(folder: Path) -> tuple[int, list[str]]:
    ended = subprocess.run(
        [sys.executable, SCRIPT, folder], capture_output=True, text=True, check=False, timeout=60
    )
    return ended.returncode, [" ".join(line.split()) for line in ended.stdout.splitlines()]


def test_versions_of_a_document(tmp_path: Path) -> None:
    text = "## [ ] Batch 1: a - {}\n\n### Task 1.1: x - DONE\n\n## Batch 2: b - {}\n\n### Task 2.1: y\n"
    (tmp_path / "tasks.v00-a.md").write_text(text.format("PENDING", "PENDING"))
    (tmp_path / "tasks.v01-b.md").write_text(text.format("COMPLETE", "PENDING"))
    (tmp_path / "tasks.md").write_text(text.format("COMPLETE", "COMPLETE"))

    assert run(tmp_path) == (
        0,
        [
            "6 batch status from heading",
            "2 hit the only one",
            "2 plausible PENDING -> COMPLETE",
            "6 set every status",
            "3 task not set line : task has no status that could be set to PENDING",
            "3 task set",
            "3 files, 6 batches",
            "100.0% of the batches have a status (6 of 6)",
            "100.0% of the transitions are plausible (2 of 2)",
            "100.0% of the next batches were the ones done (2 of 2)",
        ],
    )


def test_an_empty_folder_is_a_failure(tmp_path: Path) -> None:
    assert run(tmp_path) == (1, ["0 files, 0 batches"])


def test_the_independent_reading_of_raw_lines() -> None:
    text = (
        "## Batch 1: a\n```\n## Batch 2: b\n~~~\n```\n\n### Sub-Batch 2.1 — c\r## Batch 1 Notes\n"
    )

    assert batch_lines(text) == {1, 7}


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("## x ✅ COMPLETE", "## x ⏸️ PENDING", True),
        ("## x - COMPLETE", "## x - BLOCKED", True),
        ("## x - COMPLETE", "## y - COMPLETE", False),
        ("## x - COMPLETE", "## x - COMPLETE\n", False),
        ("## x - COMPLETE ", "## x - COMPLETE now", False),
        ("## [ ] x - PENDING", "## [x] x - COMPLETE", True),
        ("## [ ] x - PENDING", "## [y] x - PENDING", False),
        ("## [ ] x", "## [x] x", True),
        ("- [ ] x", "- [x] x", False),
    ],
)
def test_what_counts_as_another_byte(old: str, new: str, same: bool) -> None:
    assert (difference(old.encode(), new.encode()) == "") == same


TWO = "## Batch 1: a - PENDING\n\n**Commit**: pending\n\n## Batch 2: b - PENDING\n"


@pytest.mark.parametrize(
    ("new", "outside", "wrong"),
    [
        (TWO.replace("a - PENDING", "a - COMPLETE"), False, ""),
        (TWO.replace("b - PENDING", "b - COMPLETE"), True, "batch 1 is read as PENDING"),
        (TWO.replace("PENDING", "COMPLETE"), True, "batch 2 is read as COMPLETE"),
        (TWO.replace("a - PENDING", "a - "), False, "batch 1 is read as None"),
        (TWO.replace("a - PENDING", "x - COMPLETE"), False, "another name"),
        (TWO.replace("a - PENDING", "a - COMPLETE").replace("pending", "1234567"), False, "commit"),
        (TWO.split("## Batch 2")[0], True, "2 batches became 1"),
    ],
)
def test_a_changed_text_is_read_again(new: str, outside: bool, wrong: str) -> None:
    document = parse_tasks_md(TWO)
    batch = document.batches[0]
    assert bool(elsewhere(TWO, new, batch)) == outside
    told = misread(document, new, batch, "COMPLETE")
    assert wrong in told
    assert bool(told) == bool(wrong)


@pytest.mark.parametrize(
    ("new", "wrong"),
    [
        ("## Batch 1: a - PENDING\n\n### Task 1.1: x - DONE\n\n### Task 1.2: y - PENDING\n", ""),
        (
            "## Batch 1: a - DONE\n\n### Task 1.1: x - DONE\n\n### Task 1.2: y - PENDING\n",
            "batch 1",
        ),
        (
            "## Batch 1: a - PENDING\n\n### Task 1.1: x - DONE\n\n### Task 1.2: y - DONE\n",
            "task 1.2",
        ),
        (
            "## Batch 1: a - PENDING\n\n### Task 1.1: z - DONE\n\n### Task 1.2: y - PENDING\n",
            "name",
        ),
    ],
)
def test_a_changed_task_is_read_again(new: str, wrong: str) -> None:
    document = parse_tasks_md(
        "## Batch 1: a - PENDING\n\n### Task 1.1: x - PENDING\n\n### Task 1.2: y - PENDING\n"
    )
    batch = document.batches[0]
    told = misread_task(document, new, batch, batch.tasks[0], "COMPLETE")
    assert wrong in told
    assert bool(told) == bool(wrong)
