"""`task_queue.md` in its dialects."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentflow.errors import UsageError
from agentflow.setting_tables import QueueSetting
from agentflow.tasks.queue import Queue, read_queue
from agentflow.tasks.queue_task import make_task
from tests.growth import check_growth

TABLE = """# Queue

### TASK-001: Store users

| Field | Value |
|-------|-------|
| Status | completed |
| Category | backend |
| Complexity | easy |
| Depends On | None |

---

**Objective:** Write the model.
**Acceptance Criteria:**
- It stores
- It loads

### TASK-T02 - Serve users
| **Status** | \u23f3 In_Progress |
| Depends On | TASK-001 |
**Notes:** none

#### TASK-003

**Status:** pending
**Category:** Backend
**Complexity:** complex
**Depends On:** [TASK-001]
```
**Status:** failed
### TASK-9: no task
```

## Summary
| Category | Count |
| backend | 3 |
"""


def read(text: str) -> Queue:
    return read_queue(text, where="task_queue.md")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_table_rows_and_bold_fields_are_read_alike(end: str) -> None:
    queue = read(TABLE.replace("\n", end))
    first, second, third = queue.entries

    assert [(each.id, each.title, each.line, each.status) for each in queue.entries] == [
        ("TASK-001", "Store users", 3, "completed"),
        ("TASK-T02", "Serve users", 19, "in_progress"),
        ("TASK-003", "", 24, "pending"),
    ]
    assert (first.category, first.complexity, first.depends_on) == ("backend", "easy", ())
    assert first.fields is not None
    assert first.fields["acceptance criteria"] == "- It stores\n- It loads"
    assert (second.depends_on, third.depends_on) == (("TASK-001",), ("TASK-001",))
    assert "### TASK-9: no task" in third.text
    assert "Summary" not in third.text
    assert queue.problems == ()
    assert [each.id for each in queue.ready()] == ["TASK-003"]


def test_a_task_is_made_by_category_and_complexity() -> None:
    queue = read(TABLE)
    names = QueueSetting(categories={"backend": "backend-dev"})
    first, second, third = (
        make_task(each, queue, names, Path("task_queue.md")) for each in queue.entries
    )

    assert (first.prompt, first.model) == ("backend-dev", "haiku")
    assert (second.prompt, second.model) == (None, None)
    assert (third.prompt, third.model, third.depends_on) == ("backend-dev", "opus", ())
    assert first.text.startswith("# TASK-001: Store users\n\n| Field")
    assert len({first.sha256, second.sha256, third.sha256}) == 3


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("None", []),
        ("[]", []),
        ("TASK-1, TASK-2", ["TASK-1", "TASK-2"]),
        ("TASK-1 to TASK-3", ["TASK-1", "TASK-2", "TASK-3"]),
        ("TASK-1..3", ["TASK-1", "TASK-2", "TASK-3"]),
        ("[`TASK-1`](#task-1) and TASK-3", ["TASK-1", "TASK-3"]),
    ],
)
def test_dependencies_in_every_form(said: str, expected: list[str]) -> None:
    heads = "".join(f"### TASK-{n}: x\n**Status:** done\n" for n in (1, 2, 3))
    queue = read(f"{heads}### TASK-4: y\n**Status:** pending\n**Depends On:** {said}\n")

    assert sorted(queue.entries[-1].depends_on) == expected
    assert queue.problems == ()


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("### TASK-1: a\n", 1, "no status that is known: ''"),
        ("### TASK-1: a\n**Status:** maybe\n", 1, "no status that is known: 'maybe'"),
        ("### TASK-1: a\n| Status | done |\n**Status:** pending", 3, "two kinds of status"),
        ("### TASK-1: a\n**Status:** done\n**Depends On:** TASK-7", 1, "TASK-7, which is not"),
        ("### TASK-1: a\n**Status:** done\n**Depends On:** the others", 3, "name no task"),
        ("### TASK-1: a\n**Status:** done\n### TASK-1: b\n**Status:** done", 3, "line 1 already"),
        (
            "### TASK-1: a\n**Status:** done\n**Depends On:** TASK-2\n"
            "### TASK-2: a\n**Status:** done\n**Depends On:** TASK-1",
            1,
            "wait for each other: TASK-1, TASK-2",
        ),
    ],
)
def test_what_cannot_be_told_is_a_problem(text: str, line: int, reason: str) -> None:
    assert any(each.line == line and reason in each.message for each in read(text).problems)


@pytest.mark.parametrize("said", ["TASK-1, AUTH", "TASK-1\n- login-page", "`setup` and TASK-1"])
def test_a_name_without_a_number_beside_others_is_not_passed_over(said: str) -> None:
    queue = read(
        "### TASK-1: x\n**Status:** done\n"
        f"### TASK-2: y\n**Status:** pending\n**Depends On:** {said}\n"
    )

    (problem,) = queue.problems
    assert (problem.line, problem.severity) == (5, "error")
    assert problem.message.startswith("the dependencies hold what is no task's id: ")
    assert queue.ready() == ()


@pytest.mark.parametrize("said", ["TASK-1 (storage, api)", "TASK-1, none", "TASK-1: the store"])
def test_words_about_a_dependency_are_no_dependency(said: str) -> None:
    queue = read(
        "### TASK-1: x\n**Status:** done\n"
        f"### TASK-2: y\n**Status:** pending\n**Depends On:** {said}\n"
    )

    assert ([each.id for each in queue.ready()], queue.problems) == (["TASK-2"], ())


def test_text_below_a_status_is_not_the_status() -> None:
    queue = read("### TASK-1: a\n**Status:** pending\n\nWrite it.\n")

    assert (queue.entries[0].status, queue.problems) == ("pending", ())


def test_acceptance_criteria_become_boxes() -> None:
    def text(criteria: str) -> str:
        queue = read(f"### TASK-1: - a\n**Notes:** - a\n**Acceptance Criteria:**{criteria}\n")
        return make_task(queue.entries[0], queue, QueueSetting(), Path("q.md")).text

    assert text("\n- a\n- [x] b\n  1. c").endswith("\n- [ ] a\n- [x] b\n  1. [ ] c")
    assert "**Notes:** - a\n" in text("\n- a")
    assert text(" it works").endswith("## Acceptance criteria\n\n- [ ] it works")


@pytest.mark.parametrize("identifier", ["TASK-001", "BUILD-015", "TEST-UNIT-025", "TASK-V01",
                                        "TASK_2025_064_1", "TASK_SESSION_MANAGEMENT",
                                        "SHUTDOWN-BUTTON", "03a-PROMPT-ARCHITECTURE"])  # fmt: skip
def test_ids_of_every_dialect(identifier: str) -> None:
    (entry,) = read(f"### {identifier}: Title: more\n**Status:** done\n").entries
    assert (entry.id, entry.title) == (identifier, "Title: more")


@pytest.mark.parametrize("text", ["", "### End-to-End tests\n", "x" * 1_100_000, "\n" * 100_001])
def test_a_file_without_tasks_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"task_queue\.md"):
        read(text)


def chain(entry: str) -> Callable[[int], str]:
    """A queue of so many entries, each of which is given its number and the next one."""
    return lambda size: "".join(entry.format(n, n + 1) for n in range(size))


LINES = st.sampled_from([
    "### TASK-1: a", "#### TASK-2 - b", "| Status | done |", "**Status:** pending", "---", "```",
    "**Depends On:** TASK-1 to TASK-99999", "| Depends On | TASK-2 |", "<!--", "## Summary",
])  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(LINES | st.text(max_size=20), max_size=30).map("\n".join))
def test_no_text_crashes(text: str) -> None:
    with contextlib.suppress(UsageError):
        queue = read(text)
        assert len({each.id for each in queue.entries}) == len(queue.entries)
        queue.ready()


HOSTILE: list[tuple[Callable[[int], str], int]] = [
    (chain("### TASK-{}: x\n**Depends On:** TASK-{}\n"), 6_000),
    (lambda size: "### TASK-1: x\n**Depends On:** " + "TASK-1 to TASK-200, " * size, 8_000),
    (lambda size: "### TASK-1: " + "A-1 " * size, 40_000),
    (lambda size: "### " + "A-" * size, 80_000),
    (chain("### T-{}: x\n**Depends On:** T-1..49\n"), 6_000),
    (lambda size: "### TASK-1: x\n" + "| a | b |\n" * size, 24_000),
    (lambda size: "### TASK-1: x\n" + "**Depends On:** TASK-1..200\n" * size, 8_000),
    (lambda size: "|" + " " * size + "|", 160_000),
    (lambda size: "### TASK-1: x\n" + f"{'| a ' * 9}|\n" * size, 27_000),  # a megabyte of rows
    (lambda size: "### TASK-1: x\n| " + "a | " * size, 250_000),  # and in one
    (lambda size: "### TASK-1: x\n" + ("| a" + " " * size + "\n") * 10, 16_000),
]


@pytest.mark.parametrize(("made", "size"), HOSTILE)
def test_time_grows_with_the_length_only(made: Callable[[int], str], size: int) -> None:
    def attempt(text: str) -> None:
        with contextlib.suppress(UsageError):
            read(text)

    check_growth(attempt, made, size)


TITLED = (
    "### TASK-1: Set up the database\n**Status:** pending\n"
    "### TASK-2: Write docs, and print them\n**Status:** pending\n"
    "### TASK-3: Twice\n**Status:** pending\n### TASK-4: Twice\n**Status:** pending\n"
    "### TASK-5: y\n**Status:** pending\n**Depends On:** {}\n"
)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Set up the database", ["TASK-1"]),
        ("`set up  the Database`.", ["TASK-1"]),
        ("Write docs, and print them", ["TASK-2"]),
        ("TASK-3, Set up the database", ["TASK-1", "TASK-3"]),
        ("- TASK-3\n- Set up the database\n\nSet up the database", ["TASK-1", "TASK-3"]),
        ("Set up the database\nTASK-1", ["TASK-1"]),
        ("Set up the database and TASK-3", ["TASK-1", "TASK-3"]),
        ("Set up the database (the first), TASK-3", ["TASK-1", "TASK-3"]),
        ("TASK-3\n\nSet up the database", ["TASK-1", "TASK-3"]),
    ],
)
def test_the_whole_title_of_one_task_is_that_task(said: str, expected: list[str]) -> None:
    queue = read(TITLED.format(said))
    last = queue.entries[-1]
    assert (sorted(last.depends_on), last.doubts, last.remarks) == (expected, (), ())
    assert queue.problems == ()


@pytest.mark.parametrize("said", ["Set up the", "Set up the database first"])
def test_what_is_the_title_of_no_task_is_a_doubt(said: str) -> None:
    assert read(TITLED.format(said)).entries[-1].doubts == (
        f"the dependencies name no task: '{said}'",
    )


@pytest.mark.parametrize("said", ["Twice", "TASK-1, Twice", "TASK-1 and twice (both)"])
def test_what_is_the_title_of_two_tasks_is_a_doubt(said: str) -> None:
    assert read(TITLED.format(said)).entries[-1].doubts == (
        "the dependencies name a title that several tasks have: 'twice' is TASK-3, TASK-4",
    )


@pytest.mark.parametrize("title", ["TASK-2", "TASK-2 to TASK-4", "and", "none"])
def test_a_title_never_stands_for_an_id(title: str) -> None:
    text = (
        f"### TASK-1: {title}\n**Status:** pending\n### TASK-2: b\n**Status:** pending\n"
        "### TASK-3: c\n**Status:** pending\n### TASK-4: d\n**Status:** pending\n"
        "### TASK-5: e\n**Status:** pending\n**Depends On:** TASK-2 to TASK-4, and TASK-2\n"
    )
    last = read(text).entries[-1]
    assert (set(last.depends_on), last.doubts) == ({"TASK-2", "TASK-3", "TASK-4"}, ())


@pytest.mark.parametrize(
    "said", ["TASK-1, the new schema", "- TASK-1\n- the new schema\n\nIt is a long story."]
)
def test_several_words_beside_ids_are_a_remark_that_is_told(said: str) -> None:
    queue = read(TITLED.format(said))
    (problem,) = queue.problems
    told = "not waited for, as it names no task: 'the new schema' among the dependencies"
    assert (problem.line, problem.severity, problem.message) == (11, "warning", told)
    assert (queue.entries[-1].depends_on, queue.entries[-1].remarks) == (("TASK-1",), (problem,))
    assert queue.entries[-1].doubts == ()
