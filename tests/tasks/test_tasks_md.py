"""Reading tasks.md."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agentflow.errors import UsageError
from agentflow.tasks.markdown_lines import MAX_LINES, read_lines
from agentflow.tasks.tasks_lint import describe
from agentflow.tasks.tasks_md import MAX_DOCUMENT, parse_tasks_md, read_tasks_md
from tests.growth import check_growth, repeated

DOCUMENT = """# Development Tasks - TASK_2025_019

**Status**: 1/3 batches complete (33%)

## Batch 1: Types ✅ COMPLETE

**Developer**: backend-developer
**Dependencies**: None
**Git Commit**: 2576295 - feat: types

### Task 1.1: Add `Foo` ✅ COMPLETE

**File**: D:\\work\\repo\\src\\foo.ts (CREATE)
**Quality Requirements**:

- ✅ no any
- tested

**Batch 1 Verification**:

- build passes

## Batch 2A: Service — IN PROGRESS

**Assigned To**: backend-developer **Tasks**: 2 | **Dependencies**: Batch 1 (types - COMPLETE)
**Commit**: [pending]

### Task 2A.1: Write it

- **File**: `src/a.ts`
- **Status**: PENDING
- **Dependencies**: Task 1.1

### Task 2A.2: Wire it

**Files**:

- `src/b.ts` (MODIFY)
- `src/c.ts` [NEW]

**Status**: ⏸️ PENDING

## Batch 3: Cleanup

**Dependencies**: Batches 1, 2A complete

### Task 3.1: Remove old - COMPLETE
### Task 3.2: Remove older - PENDING

```bash
## Batch 4: in a fence ✅ COMPLETE
```

## Batch Execution Protocol

- one batch at a time
"""


def test_a_document_as_it_is_linted() -> None:
    found = describe("x", parse_tasks_md(DOCUMENT, exists={"src/foo.ts"}.__contains__))

    assert found["task_id"] == "TASK_2025_019"
    rows = [
        (b["id"], b["name"], b["status"], b["status_source"], b["developer"], b["depends_on"])
        for b in found["batches"]
    ]
    backend = "backend-developer"
    assert rows == [
        ("1", "Types", "COMPLETE", "heading", backend, []),
        ("2A", "Service", "IN PROGRESS", "heading", backend, ["1"]),
        ("3", "Cleanup", "PARTIAL", "tasks", None, ["1", "2A"]),
    ]
    assert [(b["line"], b["commit"]) for b in found["batches"]] == [
        (5, "2576295"),
        (23, None),
        (43, None),
    ]
    tasks = {task["id"]: task for batch in found["batches"] for task in batch["tasks"]}
    assert list(tasks) == ["1.1", "2A.1", "2A.2", "3.1", "3.2"]
    assert tasks["1.1"]["files"] == [{"path": "src/foo.ts", "action": "create", "exists": True}]
    assert tasks["2A.2"]["files"] == [
        {"path": "src/b.ts", "action": "modify", "exists": False},
        {"path": "src/c.ts", "action": "create", "exists": False},
    ]
    assert [(p["line"], p["code"]) for p in found["problems"]] == [(51, "fenced-batch")]


def test_requirements_and_the_batchs_own_lines_within_a_task() -> None:
    batch = parse_tasks_md(DOCUMENT).batches[0]

    assert batch.tasks[0].quality == ("✅ no any", "tested")
    assert batch.verification == ("build passes",)
    assert batch.tasks[0].verification == ()


@pytest.mark.parametrize(
    ("heading", "identifier"),
    [
        ("## Batch 1: x", "1"),
        ("## Batch 2A — x", "2A"),
        ("## Batch 1.5 - x", "1.5"),
        ("## Batch 1-A: x", "1-A"),
        ("## Batch 1-A", "1-A"),
        ("## Batch 1-API: x", "1"),
        ("## Batch 1 - A", "1"),
        ("### Sub-Batch 7.1: x", "7.1"),
        ("## 🚨 CRITICAL: Batch -1 - x", "-1"),
        ("## BATCH 3: x", "3"),
        ("## Batch A: x", "A"),
        ("## Batch 7", "7"),
        ("  ### Batch 0 — Token ✅ COMPLETE (620453a2)", "0"),
        ("## Batch 1: x ##", "1"),
        ("## Batch Execution Protocol", None),
        ("### Batch 1 Verification", None),
        ("### Batch 2 Commits:", None),
        ("## Batch: Sequential", None),
        ("## Batches 1-3", None),
        ("# After Batch 1", None),
        ("    ## Batch 1: code", None),
        ("##Batch 1", None),
    ],
)
def test_which_headings_are_batches(heading: str, identifier: str | None) -> None:
    found = parse_tasks_md(f"{heading}\n").batches

    assert [batch.id for batch in found] == ([] if identifier is None else [identifier])


def test_a_code_block_in_a_list_ends_where_its_fence_ends() -> None:
    text = "- run:\n  ```bash\n# Batch 9: not this\n  ```\n\n## Batch 1: x - PENDING\n"

    assert [batch.id for batch in parse_tasks_md(text).batches] == ["1"]


def test_a_comment_hides_and_another_tag_does_not() -> None:
    text = "<!--\n## Batch 1: x - PENDING\n-->\n<details>\n## Batch 2: x - PENDING\n</details>\n"

    assert [batch.id for batch in parse_tasks_md(text).batches] == ["2"]


def test_a_rule_below_a_line_makes_no_heading() -> None:
    batch = parse_tasks_md(
        "## Batch 1: x\n**Status**: PENDING\n---\n**Commit**: a1b2c3d\n"
    ).batches[0]

    assert (batch.status, batch.source, batch.commits) == ("PENDING", "field", ("a1b2c3d",))


@pytest.mark.parametrize(
    ("heading", "field", "expected"),
    [
        (" - COMPLETE", "PENDING", ("COMPLETE", "heading")),
        (" - FAILED - COMPLETE", "PENDING", ("PENDING", "field")),
    ],
)
def test_the_heading_counts_before_the_field_unless_it_contradicts_itself(
    heading: str, field: str, expected: tuple[str, str]
) -> None:
    batch = parse_tasks_md(f"## Batch 1: x{heading}\n**Status**: {field}\n").batches[0]
    assert (batch.status, batch.source) == expected


def test_a_task_of_the_batchs_own_level_is_a_part_of_it() -> None:
    text = "## Batch 1: x\n## Task 1.1: a - PENDING\n## Task 1.2: b - PENDING\n## Notes\n## Task 9: c\n"
    document = parse_tasks_md(text)
    assert [task.id for task in document.batches[0].tasks] == ["1.1", "1.2"]
    assert [task.id for task in document.loose] == ["9"]


@pytest.mark.parametrize(
    ("body", "status", "source"),
    [
        ("- [x] a\n- [ ] b\n", "PARTIAL", "boxes"),
        ("- [X] a\n- [x] b\n", "COMPLETE", "boxes"),
        ("| Task | Status |\n| - | - |\n| a | ✅ |\n| b | COMPLETE |\n", "COMPLETE", "table"),
        ("### Task 1.1: a ✅ COMPLETE\n### Task 1.2: b IMPLEMENTED\n", "IMPLEMENTED", "tasks"),
        ("### Task 1.1: a - FAILED\n### Task 1.2: b - PENDING\n", "FAILED", "tasks"),
        ("### Task 1.1: a - COMPLETE\n### Task 1.2: b\n", None, None),
        ("text\n", None, None),
    ],
)
def test_a_status_that_follows(body: str, status: str | None, source: str | None) -> None:
    document = parse_tasks_md(f"## Batch 1: x\n\n{body}")

    batch = document.batches[0]
    assert (batch.status, batch.source) == (status, source)
    codes = [problem.code for problem in document.problems]
    assert codes == ([] if status else ["status-missing"])


@pytest.mark.parametrize(
    ("text", "line", "code"),
    [
        ("## Batch 1: x - PENDING\n\n## Batch 1: y - PENDING\n", 3, "duplicate-batch"),
        ("## Batch 1: x - PENDING\n**Dependencies**: Batch 9\n", 1, "dependency-unknown"),
        ("## Batch 1: x - PENDING\n**Dependencies**: a queue\n", 1, "dependency-prose"),
        ("## Batch 1: x - PENDING\n**Dependencies**: Batch 1\n", 1, "dependency-cycle"),
        ("## Batch 1: x - COMPLETE\n### Task 1.1: a - PENDING\n", 2, "task-unfinished"),
        ("## Batch 1: x - COMPLETE\n**Status**: PENDING\n", 2, "status-conflict"),
        ("## Batch 1: x - COMPLETE - FAILED\n", 1, "status-ambiguous"),
        ("## Batch 1: x\n**Status**: soon\n", 2, "status-unknown"),
        ("## Batch 1: x - PENDING\n```\n", 2, "unclosed-fence"),
        ("# Tasks\n", 1, "no-batches"),
    ],
)
def test_what_is_wrong_has_its_line(text: str, line: int, code: str) -> None:
    assert (line, code) in [(each.line, each.code) for each in parse_tasks_md(text).problems]


def test_the_folder_is_the_tasks_id(tmp_path: Path) -> None:
    path = tmp_path / "TASK_1" / "tasks.md"
    path.parent.mkdir()
    path.write_bytes(b"\xef\xbb\xbf## Batch 1: x - PENDING\r\n**Commit**: TBD\r\n")

    document = read_tasks_md(path)

    assert document.task_id == "TASK_1"
    assert document.text.encode() == path.read_bytes()


@pytest.mark.parametrize(
    "data", [b"\xff", b"x" * (MAX_DOCUMENT + 1), b"\n" * (MAX_LINES + 1), b"## Batch 1: x\n" * 1001]
)
def test_what_is_no_document_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "tasks.md"
    path.write_bytes(data)

    with pytest.raises(UsageError, match=r"tasks\.md"):
        read_tasks_md(path)


PIECES = st.sampled_from([
    "## Batch 1: x ", "## Batch 2A — y ", "### Task 1.1: z ", "✅ COMPLETE", "⏸️ PENDING", " - ",
    "**Status**: ", "**Commit**: ", "**Dependencies**: ", "Batch 1", "Tasks 1.1-1.4", "a1b2c3d4",
    "**File**: `C:\\a\\b.ts` (NEW)", "\n", "\r\n", "\r", "```", "~~~", "- [x] ", "[ ] ", " [x]", "| Status |", "<!--",
    "-->", "\t", " ", "\0", "\u2028", "\f", "(", "[", "*", "`", "T1", "—",
])  # fmt: skip


@given(st.lists(PIECES | st.text(max_size=4), max_size=60).map("".join))
@settings(max_examples=150, deadline=None)
@example("## Batch 1: x\n**Status**:")
def test_no_text_crashes_the_parser_and_every_token_stands_where_it_says(text: str) -> None:
    document = parse_tasks_md(text, exists=lambda path: len(path) % 2 == 0)

    assert document.text == text
    for batch in document.batches:
        for entry in (batch, *batch.tasks):
            for token in (*entry.tokens, *entry.boxes, *([entry.commit] if entry.commit else [])):
                assert text[token.start : token.end] == token.text
                line = read_lines(text).all[token.line - 1]
                assert line.start <= token.start <= token.end <= line.start + len(line.text)


ADVERSARIES = [
    "- a\n", "> ", "- ", "`", "```\n", "~", "*", "**", "**a", "**a**: ", "[", "(", "((a", " ", "\t",
    "# ", "#", "## Batch 1: ", "## Batch 1: x - PENDING\n", "PENDING ", "✅ ", "- [ ] x\n", "|", "<!--",
    "| Status |\n", "1.", "1-", "a1b2c3d ", "**Dependencies**: Batches 1-9999\n",
    "**Files**:\n- `a/b.ts`\n", "### Task 1.1: x\n**Files**:\n", "\r", "C:\\", "a/", "&", "-----",
]  # fmt: skip


@pytest.mark.parametrize("start", ["## Batch 1: x ", "## Batch 1: x\n**Files**: "])
@pytest.mark.parametrize("unit", ADVERSARIES)
def test_time_grows_with_the_length_of_a_line_only(start: str, unit: str) -> None:
    line = repeated(unit.replace("\n", " ").replace("\r", " "))
    check_growth(read, lambda size: start + line(size), 64 * 1024)


@pytest.mark.parametrize("unit", ADVERSARIES[::3])
def test_time_grows_with_the_number_of_lines_only(unit: str) -> None:
    line = repeated(unit.replace("\n", " ").replace("\r", " "))(50)
    check_growth(read, lambda lines: "\n".join([line] * lines), MAX_LINES)


@pytest.mark.parametrize(
    "unit", ["```\n", "- a\n", "**Files**:\n- `a`\n", "## Batch 1: x\n### Task 1: y\n"]
)
def test_time_grows_with_the_number_of_short_lines_only(unit: str) -> None:
    check_growth(read, lambda lines: unit * (lines // unit.count("\n")), MAX_LINES)


@pytest.mark.parametrize("sign", ["[ ]  \t ", "[x] ", "* ", "[ ]"])
def test_time_grows_with_the_number_of_signs_before_a_heading_only(sign: str) -> None:
    check_growth(read, lambda signs: f"## {sign * signs}z\n" * 20, 16)


@pytest.mark.parametrize("unit", ["-", "- ", "—", "*", "n"])
def test_time_grows_with_the_length_of_an_item_that_names_no_file_only(unit: str) -> None:
    item = repeated(unit)
    check_growth(
        read,
        lambda size: f"## Batch 1: x\n### Task 1.1: y\n**Files**:\n- {item(size)}x\n",
        64 * 1024,
    )


def test_time_grows_with_the_number_of_tasks_and_of_ranges_over_them_only() -> None:
    def made(size: int) -> str:
        tasks = "".join(f"### Task 1.{n}: a\n" for n in range(size))
        ranges = ", ".join([f"Tasks 1.1-1.{size - 1}"] * 29)
        waiting = "".join(
            f"### Task 2.{n}: b\n**Dependencies**: {ranges}\n" for n in range(size // 90)
        )
        return f"## Batch 1: x\n{tasks}## Batch 2: y\n{waiting}"

    check_growth(read, made, 9000)


def read(text: str) -> None:
    with suppress(UsageError):
        parse_tasks_md(text, exists=lambda _: False)


def test_what_is_waited_for_is_read_in_a_list_and_without_a_word_too() -> None:
    text = (
        "## Batch 1: a PENDING\n### Task 1.1: x PENDING\n"
        "## Batch 2: b PENDING\n**Dependencies**:\n- Batch 1 complete\n- Task 1.1\n"
        "## Batch 3: c PENDING\n**Dependencies**: 1, 2\n"
        "## Batch 4: d PENDING\n**Blocked by**: Batch 1 through Batch 3\n"
        "## Batch 5: e PENDING\n**Depends on**: #1.1\n"
        "## Batch 6: f PENDING\nDepends On: Batch 1 and Task 1.1\n"
    )

    said = [each.dependencies for each in parse_tasks_md(text).batches[1:]]

    assert [[f"{one.kind} {one.id}" for one in each.references] for each in said if each] == [
        ["batch 1", "task 1.1"],
        ["batch 1", "batch 2"],
        ["batch 1", "batch 2", "batch 3"],
        ["task 1.1"],
        ["batch 1", "task 1.1"],
    ]


def test_a_heading_that_seems_to_be_a_batchs_is_told() -> None:
    odd = ("Batch No. 9: x", "Batch One: x", "Batch B1: x", "Batches 1-3", "📦 Batch IV: x")
    plain = ("Batch Execution Order", "Batch Summary", "Batch\u00a02: y PENDING")
    text = "".join(f"## {name}\n" for name in (*odd, *plain))

    document = parse_tasks_md(text)

    assert [batch.id for batch in document.batches] == ["2"]
    told = [each.line for each in document.problems if each.code == "batch-unread"]
    assert told == [1, 2, 3, 4, 5]


def test_a_batchs_heading_after_another_or_in_a_list_is_told() -> None:
    odd = (
        "## Phase 1 / Batch 1: x ⏸️ PENDING",
        "### 📦 Phase 2 - Batch 3",
        "- ## Batch 4: y",
        "2. ## [ ] Batch 5",
    )
    plain = (
        "## Phase 1: Batch processing",
        "## Why Batch 3 failed",
        "- Batch 4: y",
        "- ## Notes on Batch 4",
    )

    document = parse_tasks_md(
        "".join(f"{line}\n\n" for line in (*odd, *plain, "```", odd[2], "```"))
    )

    assert document.batches == ()
    told = [each.line for each in document.problems if each.code == "batch-unread"]
    assert told == [1, 3, 5, 7]


def test_an_underlined_heading_of_a_batch_is_told() -> None:
    text = "Batch 1: x - PENDING\n----\n\nBatch 2: y\n===\n\n```\nBatch 3: z\n---\n```\nBatch 4\n\n---\n"

    document = parse_tasks_md(text)

    assert document.batches == ()
    assert [each.line for each in document.problems if each.code == "batch-unread"] == [1, 4]


@pytest.mark.parametrize(
    ("heading", "status"),
    [
        ("## ✅ Batch 1: x", "COMPLETE"),
        ("## 📦 ⏳ Batch 1: x", "PENDING"),
        ("## ✅ Batch 1: x ⏸️ PENDING", "PENDING"),
        ("## ✅ Batch 1: x\n**Status**: PENDING", "PENDING"),
        ("## ✅ ⏳ Batch 1: x", None),
        ("## ❌ Batch 1: x", None),
        ("## ✅ CRITICAL: Batch 1: x", "COMPLETE"),
    ],
)
def test_a_sign_before_the_word_counts_where_nothing_else_says_a_status(
    heading: str, status: str | None
) -> None:
    (batch,) = parse_tasks_md(f"{heading}\n").batches

    assert (batch.id, batch.name, batch.status) == ("1", "x", status)


def test_what_waits_for_a_batch_whose_letter_has_a_dash() -> None:
    text = "".join(f"## Batch {name}: x - PENDING\n" for name in ("1-A", "1-B", "2"))
    text += "**Dependencies**: Batch 1-B complete\n\n### Task 1-A.1: y\n"

    (*_, last) = parse_tasks_md(text).batches

    assert last.dependencies is not None
    assert [each.id for each in last.dependencies.references] == ["1-B"]
    assert [task.id for task in last.tasks] == ["1-A.1"]


def test_brackets_links_and_strokes_of_a_path() -> None:
    text = (
        "### Task 1.1: x\n**Files**:\n- app/[id]/(auth)/page.tsx (NEW)\n- [e.ts](src/e.ts)\n"
        "- ~~src/old.ts~~ (DELETE)\n- [NEW] src/n.ts\n"
    )

    (task,) = parse_tasks_md(text).loose

    assert [(file.path, file.action) for file in task.files] == [
        ("app/[id]/(auth)/page.tsx", "create"),
        ("src/e.ts", None),
        ("src/old.ts", "delete"),
        ("src/n.ts", "create"),
    ]


def test_fields_without_a_bold_label() -> None:
    text = "## Batch 1: x\n\nStatus: pending\nAssigned To: frontend-developer\n"
    (batch,) = parse_tasks_md(text).batches
    assert (batch.status, batch.developer) == ("PENDING", "frontend-developer")
    sign = parse_tasks_md("## Batch 1: x\n**Status**: ✅\n").batches[0]
    code = parse_tasks_md("## Batch 1: x `PENDING`\n").batches[0]
    assert (sign.status, code.status, code.tokens[0].text) == ("COMPLETE", "PENDING", "PENDING")


@pytest.mark.parametrize(
    ("heading", "status", "name"),
    [
        ("## [x] Batch 1: name", "COMPLETE", "name"),
        ("## [ ] Batch 1: name", "PENDING", "name"),
        ("## Batch 1 - name [x]", "COMPLETE", "name"),
        ("## Batch 1 - [ ] name", "PENDING", "name"),
        ("### 1. Batch 1: name - PENDING", "PENDING", "name"),
        ("## Batch 1: name 🎉 COMPLETE", "COMPLETE", "name"),
        ("##\tBatch 1:\tname\t🏗️ IN PROGRESS", "IN PROGRESS", "name"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_boxes_numbers_and_any_sign_in_headings(
    heading: str, status: str, name: str, end: str
) -> None:
    (batch,) = parse_tasks_md(f"\ufeff# T{end}{end}{heading}{end}{end}text{end}").batches
    assert (batch.id, batch.status, batch.name) == ("1", status, name)


def test_of_a_box_and_tasks_the_tasks_count() -> None:
    text = "## Batch 1: a [ ]\n\n### Task 1.1: b - COMPLETE\n\n### Task 1.2: c [x]\n"
    document = parse_tasks_md(text)
    assert (document.batches[0].status, document.batches[0].source) == ("COMPLETE", "tasks")
    assert [task.status for task in document.batches[0].tasks] == ["COMPLETE", "COMPLETE"]
