"""The block of the next step: its commits, its words, its data."""

import pytest

from agentflow.records import Json
from agentflow.tasks.tasks_md import parse_tasks_md
from agentflow.workflows.next_step import as_text, next_step

FIRST, SECOND = "1a2b3c4d5e" * 4, "9f8e7d6c5b" * 4


@pytest.mark.parametrize(
    ("field", "commits"),
    [
        ("", [SECOND]),
        (f"**Commit**: {SECOND}\n", [SECOND]),
        (f"**Commit**: {SECOND[:9]}\n", [SECOND[:9]]),
    ],
)
def test_the_commit_of_this_batch_is_named_once(field: str, commits: list[str]) -> None:
    text = (
        f"## Batch 1: One ✅ COMPLETE\n\n**Commit**: {FIRST}\n\n### Task 1.1: a ✅ COMPLETE\n\n"
        f"## Batch 2: Two ✅ COMPLETE\n\n{field}\n### Task 2.1: b ✅ COMPLETE\n"
    )
    document = parse_tasks_md(text, folder="TASK_2025_001")

    step = next_step(document, document.batches[1], SECOND, [])

    assert step["commits"] == [FIRST, *commits]


def step(second: str, third: str) -> Json:
    """After the first of two backend batches; the third one is the frontend's."""
    text = (
        f"## Batch 1: One - COMPLETE\n\n**Commit**: {FIRST}\n\n### Task 1.1: Add a - COMPLETE\n\n"
        "**File**: a.ts\n\n### Task 1.2: Add b - COMPLETE\n\n"
        f"## Batch 2: Two - {second}\n\n### Task 2.1: c - {second}\n\n"
        f"## Batch 3: Page - {third}\n\n**Developer**: frontend-developer\n\n### Task 3.1: d - {third}\n"
    )
    document = parse_tasks_md(text, folder="TASK_2025_001")
    return next_step(document, document.batches[0], FIRST, ["a.ts", "b.ts"])


DELIVERED = f"""Batch 1 complete: One

Deliverables created:
- a.ts - Add a
- b.ts
- Git commit: {FIRST}

Quality verification: all gates passed

"""
BACKEND = """Next: /phase-6-backend-execution TASK_2025_001
      agentflow phase-6 TASK_2025_001

Context summary:
- Completed: batch 1 (2 tasks)
- Next: batch 2 (1 task)
- Progress: 1/2 backend batches

What to expect:
- Agent: team-leader MODE 2 + backend-developer
- Deliverable: the next batch's implementation
- Duration: 1-3 hours
"""
FRONTEND = """Next: /phase-6-frontend-execution TASK_2025_001

Context summary:
- Backend complete: 2 batches, 3 tasks
- Frontend pending: 1 batch, 1 task

What to expect:
- Agent: team-leader MODE 2 + frontend-developer
- Deliverable: frontend batch implementations
- Duration: 1-3 hours per batch
"""
COMPLETION = f"""Next: /phase-7-completion TASK_2025_001

Context summary:
- All batches complete: 2 backend batches, 3 tasks
- All commits verified: {FIRST}

What to expect:
- Agent: team-leader MODE 3
- Deliverable: the final verification report
- Duration: 15-30 minutes
"""


@pytest.mark.parametrize(
    ("second", "third", "kind", "own", "words"),
    [
        ("PENDING", "PENDING", "backend", "agentflow phase-6 TASK_2025_001", BACKEND),
        ("COMPLETE", "PENDING", "frontend", None, FRONTEND),
        ("COMPLETE", "COMPLETE", "completion", None, COMPLETION),
    ],
)
def test_the_block_as_words_and_as_data(
    second: str, third: str, kind: str, own: str | None, words: str
) -> None:
    found = step(second, third)

    assert as_text(found) == DELIVERED + words
    assert (found["kind"], found["agentflow"]) == (kind, own)
    assert f"Next: {found['command']}\n" in words
    lines = [f"- {name.capitalize()}: {value}" for name, value in found["expect"].items()]
    assert words.endswith("What to expect:\n" + "\n".join(lines) + "\n")
    assert list(found["expect"]) == ["agent", "deliverable", "duration"]


def test_only_what_is_to_come_of_the_frontend_is_counted() -> None:
    for third, left in (("PENDING", 1), ("COMPLETE", 0)):
        progress = step("PENDING", third)["progress"]
        assert (progress["frontend_pending"], progress["frontend_tasks"]) == (left, left)


@pytest.mark.parametrize(
    ("second", "third", "kind", "following", "aside"),
    [
        ("DEFERRED", "PENDING", "frontend", "3", {"2": "DEFERRED"}),
        ("PENDING", "DEFERRED", "backend", "2", {"3": "DEFERRED"}),
        ("BLOCKED", "PENDING", "backend", None, {"2": "BLOCKED"}),
        ("COMPLETE", "DEFERRED", "frontend", None, {"3": "DEFERRED"}),
        ("DEFERRED", "COMPLETE", "backend", None, {"2": "DEFERRED"}),
        ("SKIPPED", "CANCELLED", "completion", None, {}),
    ],
)
def test_what_is_deferred_holds_up_nobody_and_is_named(
    second: str, third: str, kind: str, following: str | None, aside: dict[str, str]
) -> None:
    found = step(second, third)

    assert (found["kind"], found["next"] and found["next"]["id"]) == (kind, following)
    assert {each["id"]: each["status"] for each in found["progress"]["set_aside"]} == aside
    named = [line for line in as_text(found).splitlines() if line.startswith("- Set aside: ")]
    assert named == [f"- Set aside: batch {name} is {status}" for name, status in aside.items()]
    assert found["progress"]["frontend_pending"] == (third == "PENDING")
    ours = "agentflow phase-6 TASK_2025_001" if (kind, following) == ("backend", "2") else None
    assert found["agentflow"] == ours, "a command that would do nothing is none"


def test_where_no_batch_can_be_done_now_the_block_says_so() -> None:
    assert "- Next: none that could be done now\n" in as_text(step("BLOCKED", "PENDING"))
