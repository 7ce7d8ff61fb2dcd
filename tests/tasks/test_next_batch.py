"""The next batch of a tasks.md."""

import pytest

from agentflow.tasks.next_batch import is_for, next_batch
from agentflow.tasks.tasks_md import parse_tasks_md


def document(*batches: str) -> str:
    return "\n".join(f"## Batch {batch}\n" for batch in batches)


def found(*batches: str, retry: bool = False) -> tuple[str, str | None, str | None]:
    result = next_batch(parse_tasks_md(document(*batches)), retry=retry)
    return result.state, result.batch.id if result.batch else None, result.work


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("PENDING", ("next", "2", "do")),
        ("IN PROGRESS", ("next", "2", "do")),
        ("PARTIAL", ("next", "2", "finish")),
        ("IMPLEMENTED", ("next", "2", "verify")),
        ("FAILED", ("failed", "2", None)),
        ("BLOCKED", ("next", "3", "do")),
        ("DEFERRED", ("next", "3", "do")),
        ("SKIPPED", ("next", "3", "do")),
        ("CANCELLED", ("next", "3", "do")),
        ("COMPLETE", ("next", "3", "do")),
        ("VERIFIED", ("next", "3", "do")),
    ],
)
def test_what_each_status_means(status: str, expected: tuple[str, str, str | None]) -> None:
    assert found("1: a - COMPLETE", f"2: b - {status}", "3: c - PENDING") == expected


@pytest.mark.parametrize(
    ("status", "state"), [("BLOCKED", "blocked"), ("DEFERRED", "none"), ("SKIPPED", "complete")]
)
def test_what_is_blocked_is_named_when_nothing_else_is_left(status: str, state: str) -> None:
    name = "2" if state == "blocked" else None
    assert found("1: a - COMPLETE", f"2: b - {status}") == (state, name, None)
    theirs = f"3: c - {status}\n**Assigned To**: frontend-developer\n"
    assert found("1: a - COMPLETE", theirs)[0] == ("none" if state == "blocked" else state)


def test_what_failed_is_taken_up_when_asked() -> None:
    assert found("1: a - FAILED", retry=True) == ("next", "1", "do")


def test_only_the_unfinished_tasks_of_a_partial_batch() -> None:
    text = "## Batch 1: a - PARTIAL\n### Task 1.1: x - COMPLETE\n### Task 1.2: y - PENDING\n"

    assert [task.id for task in next_batch(parse_tasks_md(text)).tasks] == ["1.2"]


@pytest.mark.parametrize("status", ["BLOCKED", "DEFERRED", "SKIPPED", "CANCELLED"])
def test_dependents_wait_and_are_named(status: str) -> None:
    result = next_batch(
        parse_tasks_md(
            document(
                f"1: a - {status}",
                "2: b - PENDING\n**Dependencies**: Batch 1",
                "3: c - PENDING\n**Dependencies**: Batch 9\n",
                "4: d - PENDING\n### Task 4.1: e\n**Dependencies**: Task 2.1",
            )
        )
    )

    assert result.state == "waiting"
    assert [(each.batch, each.awaited) for each in result.waiting] == [
        ("2", ("1",)),
        ("3", ("9",)),
        ("4", ("task 2.1",)),
    ]


def test_a_finished_task_of_an_unfinished_batch_is_waited_for_no_more() -> None:
    first = "1: a - BLOCKED\n### Task 1.1: x - COMPLETE\n### Task 1.2: x - PENDING"

    assert found(first, "2: b - PENDING\n**Dependencies**: Task 1.1") == ("next", "2", "do")
    for awaited in ("Task 1.2", "Tasks 1.2, 1.1", "All previous batches"):
        second = f"2: b - PENDING\n**Dependencies**: {awaited}"
        assert found(first, second) == ("waiting", None, None), awaited


@pytest.mark.parametrize(
    ("developer", "is_next", "notice"),
    [
        ("backend-developer", True, ""),
        ("nitro-backend-developer", True, ""),
        ("Backend Developer", True, ""),
        ("backend-developer (Task 1.1) + frontend-developer (Task 1.2)", True, "several"),
        ("any", True, "nobody"),
        ("", True, "nobody"),
        ("frontend-developer", False, "is for frontend-developer"),
        ("team-leader", False, "is for team-leader"),
    ],
)
def test_whose_batch_it_is(developer: str, is_next: bool, notice: str) -> None:
    line = f"**Developer**: {developer}\n" if developer else ""

    result = next_batch(parse_tasks_md(f"## Batch 1: a - PENDING\n{line}"))

    assert result.state == ("next" if is_next else "none")
    assert notice in " ".join(result.notices)
    assert bool(result.notices) == bool(notice)


def test_the_documents_own_developer_counts_where_a_batch_names_none() -> None:
    text = "# T\n\n**Developer Type**: frontend-developer\n\n## Batch 1: a - PENDING\n"

    assert next_batch(parse_tasks_md(text)).state == "none"


def test_what_cannot_be_decided_stops() -> None:
    assert found("1: a", "2: b - PENDING") == ("undecided", "1", None)
    assert found("1: a - PENDING", "1: b - PENDING") == ("undecided", "1", None)


def test_the_end() -> None:
    assert found("1: a - COMPLETE", "2: b - VERIFIED") == ("complete", None, None)
    assert found("1: a - COMPLETE", "2: b - SKIPPED", "3: c - CANCELLED") == (
        "complete",
        None,
        None,
    )
    assert next_batch(parse_tasks_md("")).state == "none"


@pytest.mark.parametrize(
    ("said", "mine"),
    [
        ("backend-developer", True),
        ("nitro-backend-developer", True),
        ("`backend-developer`", True),
        ("Backend Developer", True),
        ("back-end developer", True),
        ("backend_dev", True),
        ("Backend", True),
        (".claude/agents/backend-developer.md", True),
        ("@.claude\\agents\\backend-developer", True),
        ("frontend-developer (Tasks 1, 2), backend-developer (Task 3)", True),
        ("team-leader (backend-developer)", True),
        ("frontend-developer (consumes the backend API)", False),
        ("frontend-developer, see docs/backend/plan.md", False),
        ("non-backend developer", False),
        ("backendless-developer", False),
        ("mybackend", False),
        ("backend/frontend", True),
        ("frontend-developer", False),
    ],
)
def test_the_developers_name_counts_as_a_whole(said: str, mine: bool) -> None:
    text = f"## Batch 1: a PENDING\n\n**Assigned To**: {said}\n"
    (batch,) = parse_tasks_md(text).batches
    assert is_for(batch) is mine
