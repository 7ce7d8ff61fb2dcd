"""The acceptance script over tasks.md documents, on documents of our own."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.tasks_md import batch_lines, difference

SCRIPT = Path(__file__).parent / "tasks_md.py"


def run(folder: Path) -> tuple[int, list[str]]:
    ended = subprocess.run(
        [sys.executable, SCRIPT, folder], capture_output=True, text=True, check=False, timeout=60
    )
    return ended.returncode, [" ".join(line.split()) for line in ended.stdout.splitlines()]


def test_versions_of_a_document(tmp_path: Path) -> None:
    text = "## Batch 1: a - {}\n\n## Batch 2: b - {}\n"
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
            "3 files, 6 batches",
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
    ],
)
def test_what_counts_as_another_byte(old: str, new: str, same: bool) -> None:
    assert (difference(old.encode(), new.encode()) == "") == same
