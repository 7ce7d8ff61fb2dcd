"""What is written into a document, against those who chose its words."""

from dataclasses import replace
from pathlib import Path

import pytest

from agentflow.errors import UsageError
from agentflow.kept_documents import Kept, find_kept
from agentflow.tasks.next_batch import next_batch
from agentflow.tasks.tasks_md import parse_tasks_md
from agentflow.workflows.assignment import assignment
from agentflow.workflows.ledger import (
    batch_ledger,
    changes,
    check_place,
    rewritten,
    with_failure,
)
from agentflow.workspace.repository import open_repository
from tests.run.project import Project

DOCUMENT = "# T\n\n## Batch 1: x\n\n**Status**: FAILED\n\n## Batch 2: y PENDING\n"


def kept(text: str) -> Kept:
    return Kept("task-tracking/T1/tasks.md", parse_tasks_md(text, folder="T1"), tracked=True)


def test_a_document_behind_a_link_is_none(project: Project, tmp_path: Path) -> None:
    """Writing to it would write outside the repository."""
    repository = open_repository(project.root, project.world.environment)
    folder = project.root / "task-tracking/T1"
    folder.mkdir(parents=True)
    (tmp_path / "elsewhere.md").write_text(DOCUMENT)
    (folder / "tasks.md").symlink_to(tmp_path / "elsewhere.md")
    asked = (repository, repository.resolve("HEAD"), "T1", ("task-tracking",), ())
    with pytest.raises(UsageError):
        find_kept(*asked)
    (folder / "tasks.md").unlink()
    (folder / "tasks.md").write_text(DOCUMENT)
    assert find_kept(*asked).path == "task-tracking/T1/tasks.md"


@pytest.mark.parametrize(
    "words",
    [
        "**Status**: COMPLETE",
        "***Status***: COMPLETE **Developer**: frontend-developer",
        "**Batch 1 Status:** COMPLETE **Commit**: deadbeef1",
        "| Status |",
    ],
)
def test_the_words_of_a_failure_are_no_field(words: str) -> None:
    document = parse_tasks_md(DOCUMENT, folder="T1")
    before = document.batches[0]
    after = parse_tasks_md(with_failure(document, "1", words), folder="T1").batches[0]
    moved = tuple(
        replace(each, start=before.tokens[0].start, end=before.tokens[0].end, line=5)
        for each in after.tokens
    )
    assert replace(after, line=before.line, end=before.end, tokens=moved) == before


def test_a_failure_leaves_the_blocks_below_as_they_are() -> None:
    document = parse_tasks_md("## Batch 1: x FAILED\n\t~~~\n**Developer**: frontend\n\t~~~\n")
    after = parse_tasks_md(with_failure(document, "1", "why"))
    assert document.batches[0].developer is None
    assert after.batches[0].developer is None


def test_a_lone_carriage_return_ends_a_line_here_too() -> None:
    document = parse_tasks_md(
        "# T\r\r## Batch 1: x PENDING\rdo this\r## Batch 2: y PENDING\r", folder="T1"
    )
    task = assignment(document, document.batches[0], "tasks.md", (), "do")
    assert "Do its tasks in order, stage the files of each" in " ".join(task.text.split())
    assert task.text.endswith("## Batch 1: x PENDING\rdo this")
    assert with_failure(document, "2", "why") == f"{document.text}\r> why\r"


@pytest.mark.parametrize(
    "text",
    [
        "## Batch 1: x\n\n- [ ] a\n",
        "## Batch 1: x\n\n**Commit**: pending\n\n- [ ] a\n",
        "## Batch 1: x\n\n| Task | Status |\n|---|---|\n| a | PENDING |\n",
        "## Batch 1: x\n\n### Task 1.1: a PENDING\n\n### Task 1.1: b PENDING\n",
    ],
)
def test_a_batch_that_could_never_be_complete_is_refused(text: str) -> None:
    here = kept(text)
    choice = next_batch(here.document)
    assert choice.state == "next"
    assert choice.batch
    with pytest.raises(UsageError, match="batch 1 has no status that could be set to COMPLETE"):
        check_place(here, choice.batch, choice.tasks)


@pytest.mark.parametrize(
    "text",
    ["## [ ] Batch 1: x\n\n**Commit**: pending\n", "## Batch 1: x\n\n### [ ] Task 1.1: a\n"],
)
def test_a_batch_that_could_be_complete_and_not_failed_is_refused(text: str) -> None:
    here = kept(text)
    batch = here.document.batches[0]
    with pytest.raises(UsageError, match="batch 1 has no status that could be set to FAILED"):
        check_place(here, batch, batch.tasks)
    after = rewritten(here.document, changes(batch, batch.tasks, "COMPLETE", "1" * 40))
    assert after.batches[0].finished


def test_boxes_are_ticked_with_the_statuses_of_a_batch() -> None:
    text = "## [ ] Batch 1: x - PENDING\n\n### [ ] Task 1.1: a\n\n### Task 1.2: b [ ] PENDING\n"
    here = kept(text)
    batch = here.document.batches[0]
    check_place(here, batch, batch.tasks)
    after = rewritten(here.document, changes(batch, batch.tasks, "COMPLETE", "1" * 40))
    assert after.text == text.replace("[ ]", "[x]").replace("PENDING", "COMPLETE")


def test_a_batchs_box_waits_for_the_tasks_of_others() -> None:
    text = "## Batch 1: x [ ]\n\n### Task 1.1: a - PENDING\n\n### Task 1.2: b - PENDING\n"
    here = kept(text)
    batch = here.document.batches[0]
    after = rewritten(here.document, changes(batch, batch.tasks[:1], "COMPLETE", None))
    assert after.text == text.replace("PENDING", "COMPLETE", 1)
    after = rewritten(here.document, changes(batch, batch.tasks, "COMPLETE", None))
    assert after.text == text.replace("PENDING", "COMPLETE").replace("[ ]", "[x]")


def test_no_document_of_the_task_is_the_agents_wherever_it_lies() -> None:
    here = kept(DOCUMENT)
    ledger = batch_ledger(here, here.document.batches[1], (), "feat: y", ("a", "task-tracking"))
    assert ledger.paths == ("a/T1/tasks.md", "task-tracking/T1/tasks.md")


def test_what_is_required_of_the_tasks_becomes_boxes() -> None:
    text = """## Batch 1: x PENDING

### Task 1.1: a COMPLETE

**Quality Requirements**:
- done before

### Task 1.2: b PENDING

**Quality Requirements**:
- no `any` types
- [ ] a box of its own

**Verification**: `nx test api` passes

**Batch 1 Verification**:
- no `any` types
- all files exist
"""
    batch = parse_tasks_md(text, folder="T1").batches[0]
    task = assignment(
        parse_tasks_md(text, folder="T1"), batch, "tasks.md", batch.tasks[1:], "finish"
    )
    assert task.text.split("## What it must meet\n\n")[1].splitlines() == [
        "- [ ] no `any` types",
        "- [ ] `nx test api` passes",
        "- [ ] all files exist",
    ]
    assert "What is left of the batch is yours: task 1.2." in task.text
