"""Dependencies of batches and tasks."""

import pytest

from agentflow.tasks.batch_dependencies import Known, Reference, find_cycle, parse_dependencies


def names(text: str) -> list[str]:
    return [f"{each.kind} {each.id}" for each in parse_dependencies(text).references]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("None", []),
        ("None (parallel with Task 1.2)", []),
        ("N/A", []),
        ("-", []),
        ("Batch 1 complete", ["batch 1"]),
        ("Batch 1 must complete first (Task 1.2 too)", ["batch 1"]),
        ("Batches 1 & 2 complete", ["batch 1", "batch 2"]),
        ("Batches 1, 2A and 3", ["batch 1", "batch 2A", "batch 3"]),
        ("Batches 1-3", ["batch 1", "batch 2", "batch 3"]),
        ("Batch 1 through 3", ["batch 1", "batch 2", "batch 3"]),
        ("Batch -1 (COMPLETE)", ["batch -1"]),
        ("Batch A", ["batch A"]),
        ("B0, B1 (done)", ["batch 0", "batch 1"]),
        ("Task 1.1", ["task 1.1"]),
        ("Tasks 1.1, 1.2", ["task 1.1", "task 1.2"]),
        ("Tasks 1.1-1.3", ["task 1.1", "task 1.2", "task 1.3"]),
        ("Task 2B.1, Task 2B.2", ["task 2B.1", "task 2B.2"]),
        ("T5.1, T5.2", ["task 5.1", "task 5.2"]),
        ("Batch 1 (types), can run in parallel with Batch 3", ["batch 1"]),
        ("Task 1.2 (parallel execution - no direct dependency)", ["task 1.2"]),
    ],
)
def test_the_shapes(text: str, expected: list[str]) -> None:
    found = parse_dependencies(text)

    assert (names(text), found.unread) == (expected, "")


def test_a_range_names_what_lies_between_in_the_document() -> None:
    known = [Reference("batch", name) for name in ("2A", "2B", "2B.5", "2C", "3")]

    found = parse_dependencies("Batches 2A-2C", Known(known))

    assert [each.id for each in found.references] == ["2A", "2B", "2B.5", "2C"]


def test_prose_is_reported_and_not_guessed() -> None:
    assert parse_dependencies("Stable EventBus infrastructure").unread
    assert parse_dependencies("TASK_2025_078 (infrastructure)").unread


def test_all_previous() -> None:
    assert parse_dependencies("All previous tasks").previous


def test_a_range_of_a_hostile_size_is_bounded() -> None:
    assert len(parse_dependencies("Batches 1-9999").references) < 300


def test_cycles() -> None:
    assert find_cycle({"1": ["2"], "2": ["3"], "3": []}) == ()
    assert find_cycle({"0": ["1"], "1": ["2"], "2": ["1"]}) == ("1", "2", "1")
    assert find_cycle({"1": ["1"]}) == ("1", "1")
