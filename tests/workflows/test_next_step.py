"""The commits in the block of the next step."""

import pytest

from agentflow.tasks.tasks_md import parse_tasks_md
from agentflow.workflows.next_step import next_step

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
