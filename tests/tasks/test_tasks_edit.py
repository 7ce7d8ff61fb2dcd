"""Changing statuses and commits in a tasks.md."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentflow.errors import UsageError
from agentflow.tasks.document import Document
from agentflow.tasks.statuses import FINISHED, STATUSES, Status
from agentflow.tasks.tasks_edit import Change, apply, apply_all
from agentflow.tasks.tasks_md import parse_tasks_md

SHA = "0123456789abcdef0123456789abcdef01234567"


def changed(
    text: str, status: Status = "COMPLETE", commit: str | None = None, task: str | None = None
) -> str:
    return apply(parse_tasks_md(text), Change("1", status, commit, task))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("## Batch 1: x ⏸️ PENDING\r\n\r\ntext  \r\n", "## Batch 1: x ✅ COMPLETE\r\n\r\ntext  \r\n"),
        ("\ufeff## Batch 1: x - PENDING", "\ufeff## Batch 1: x - COMPLETE"),
        ("## Batch 1: x [IN PROGRESS] (2 hours)\n", "## Batch 1: x [COMPLETE] (2 hours)\n"),
        ("## Batch 1: x\n**Status**: Pending  \n", "## Batch 1: x\n**Status**: Complete  \n"),
        ("## Batch 1: x - PENDING\n**Status**: ⏳ PENDING\n", "## Batch 1: x - COMPLETE\n**Status**: ✅ COMPLETE\n"),
        (
            "## Batch 1: x\n### Task 1.1: a - COMPLETE\n### Task 1.2: b - PENDING\n",
            "## Batch 1: x\n### Task 1.1: a - COMPLETE\n### Task 1.2: b - COMPLETE\n",
        ),
        ("## Batch 1: x - COMPLETED\n", "## Batch 1: x - COMPLETED\n"),
        ("## Batch 0: y ✔ DONE\n## Batch 1: x ⏳ TODO\n", "## Batch 0: y ✔ DONE\n## Batch 1: x ✔ COMPLETE\n"),
        ("## [ ] Batch 1: x - PENDING\n- [ ] a\n", "## [x] Batch 1: x - COMPLETE\n- [ ] a\n"),
        ("\ufeff##  [ ]  Batch 1: x  \r\n", "\ufeff##  [x]  Batch 1: x  \r\n"),
        ("## Batch 1: [ ] x [a]\n", "## Batch 1: [x] x [a]\n"),
        ("## Batch 1 - x [ ] ##\n", "## Batch 1 - x [x] ##\n"),
        ("## Batch 1: x - [ ] NOT STARTED\n", "## Batch 1: x - [x] COMPLETE\n"),
        ("## Batch 1: x[ ] - PENDING\n", "## Batch 1: x[ ] - COMPLETE\n"),
        ("## Batch 1: x[ ] PENDING\n", "## Batch 1: x[ ] COMPLETE\n"),
        ("## Batch 1: x\n**Status**: [~] IN PROGRESS\n", "## Batch 1: x\n**Status**: [x] COMPLETE\n"),
        (
            "## Batch 1: x [ ]\n### [x] Task 1.1: a\n### [ ] Task 1.2: b\n### Task 1.3: c [ ] PENDING\n",
            "## Batch 1: x [x]\n### [x] Task 1.1: a\n### [x] Task 1.2: b\n### Task 1.3: c [x] COMPLETE\n",
        ),
    ],
)  # fmt: skip
def test_only_the_status_changes(old: str, new: str) -> None:
    assert changed(old) == new


@pytest.mark.parametrize(
    ("old", "status", "new"),
    [
        ("## [x] Batch 1: x\n", "PENDING", "## [ ] Batch 1: x\n"),
        ("## [X] Batch 1: x - COMPLETE\n", "FAILED", "## [ ] Batch 1: x - FAILED\n"),
        ("## [X] Batch 1: x - COMPLETE\n", "VERIFIED", "## [X] Batch 1: x - VERIFIED\n"),
        ("## Batch 1: x [~] PENDING\n", "PARTIAL", "## Batch 1: x [~] PARTIAL\n"),
        ("## Batch 1: x [~] PARTIAL\n", "SKIPPED", "## Batch 1: x [ ] SKIPPED\n"),
        ("## [ ] Batch 1: x - COMPLETE\n", "COMPLETE", "## [x] Batch 1: x - COMPLETE\n"),
    ],
)
def test_a_box_is_ticked_where_all_is_done(old: str, status: Status, new: str) -> None:
    assert changed(old, status) == new
    assert changed(new, status) == new


def test_of_a_batch_that_follows_from_its_tasks_the_finished_ones_stay() -> None:
    text = "## Batch 1: x\n### Task 1.1: a - COMPLETE\n### Task 1.2: b - PENDING\n"
    assert changed(text, "FAILED") == text.replace("PENDING", "FAILED")


def test_of_several_changes_only_a_tasks_may_have_no_place() -> None:
    text = "## Batch 1: x - PENDING\n### Task 1.1: a\n## Batch 2: y\n"
    first, task = Change("1", "COMPLETE"), Change("1", "COMPLETE", task="1.1")
    document = parse_tasks_md(text)
    assert apply_all(document, [task, first]) == text.replace("PENDING", "COMPLETE")
    with pytest.raises(UsageError, match="batch 2 has no status"):
        apply_all(document, [first, Change("2", "COMPLETE")])


@pytest.mark.parametrize("status", sorted({*STATUSES} - {"PENDING", "COMPLETE"}))
def test_what_a_box_cannot_say_is_refused(status: Status) -> None:
    with pytest.raises(UsageError, match=f"no status that could be set to {status}"):
        changed("## [ ] Batch 1: x\n", status)


@pytest.mark.parametrize(
    ("field", "new"),
    [
        ("**Commit**: [pending]", f"**Commit**: {SHA}"),
        ("**Git Commit**: TBD", f"**Git Commit**: {SHA}"),
        ("**Git Commit**: Pending (team-leader will commit)", f"**Git Commit**: {SHA}"),
        ("**Commit**:", f"**Commit**: {SHA}"),
        ("**Commit**: ", f"**Commit**: {SHA}"),
        ("- **Commit**: `pending`  ", f"- **Commit**: `{SHA}`  "),
        ("**Commit**: `a1b2c3d` feat: x", f"**Commit**: `{SHA}` feat: x"),
        ("**Batch 1 Git Commit**: a1b2c3d - feat: x", f"**Batch 1 Git Commit**: {SHA} - feat: x"),
    ],
)
def test_only_the_sha_or_its_placeholder_changes(field: str, new: str) -> None:
    text = "## Batch 1: x - COMPLETE\n{}\ntext\n"

    assert changed(text.format(field), commit=SHA) == text.format(new)


def test_the_sha_of_a_heading() -> None:
    assert changed("## Batch 1 — x ✅ COMPLETE (a1b2c3d)\n", commit=SHA) == (
        f"## Batch 1 — x ✅ COMPLETE ({SHA})\n"
    )


def test_one_task() -> None:
    text = "## Batch 1: x - PENDING\n### Task 1.1: a - PENDING\n### Task 1.2: b - PENDING\n"

    assert changed(text, task="1.2") == text.replace("b - PENDING", "b - COMPLETE")


@pytest.mark.parametrize(
    ("text", "more", "told"),
    [
        ("## Batch 2: x - PENDING\n", {}, "there is no batch '1'"),
        ("## Batch 1: x - PENDING\n## Batch 1: y - PENDING\n", {}, r"2 times .*lines 1, 2"),
        ("## Batch 1: x\n", {}, "line 1: batch 1 has no status"),
        ("## Batch 1: x\n- [ ] a\n", {}, "line 1: batch 1 has no status"),
        ("## Batch 1: x - FAILED - COMPLETE\n", {}, "has no status"),
        ("## ⏳ Batch 1: x\n", {}, "line 1: batch 1 has no status"),
        ("## ⏳ [ ] Batch 1: x\n", {}, "line 1: batch 1 has no status"),
        ("## Batch 1: x [ ]\n- [ ] a\n", {}, "line 1: batch 1 has no status"),
        ("## Batch 1: x\n### ⏳ Task 1.1: a\n", {}, "line 2: task 1.1 has no status"),
        ("## Batch 1: x - PENDING\n", {"commit": SHA}, "has no field"),
        ("## Batch 1: x - PENDING\n**Commit**: a1b2c3d, b1b2c3d\n", {"commit": SHA}, "names 2"),
        ("## Batch 1: x - PENDING\n**Commit**: tbd\n", {"commit": "HEAD"}, "no commit's SHA"),
        ("## Batch 1: x - PENDING\n", {"task": "1.1"}, "has no task '1.1'"),
    ],
)
def test_what_has_no_place_is_refused(text: str, more: dict[str, str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        changed(text, commit=more.get("commit"), task=more.get("task"))


HEADS = st.sampled_from([
    "## Batch 1: x ✅ COMPLETE", "## Batch 1 — x — PENDING", "## Batch 1: x [IN_PROGRESS] (2 h)",
    "## Batch 1: x\n**Status**: ⏳ Pending (soon)", "## Batch 1: x 🔄 IN PROGRESS - IMPLEMENTED",
    "## Batch 1: x ✅ `a1b2c3d`", "## Batch 1: x COMPLETE ✅", "## [ ] Batch 1: x - PENDING",
    "## Batch 1: [x] x\n**Status**: [ ] TODO",
])  # fmt: skip


@given(
    HEADS, st.sampled_from(STATUSES), st.text(max_size=30), st.sampled_from(["\n", "\r\n", "\r"])
)
@settings(max_examples=200, deadline=None)
def test_every_status_is_set_and_nothing_else(
    head: str, status: Status, tail: str, end: str
) -> None:
    text = f"before{end}{end}{head}{end}{end}text {tail}"
    old = parse_tasks_md(text)

    new = changed(text, status)

    again = parse_tasks_md(new)
    assert masked(again) == masked(old)
    assert again.batches[0].status == status
    assert again.batches[0].name == old.batches[0].name
    assert {box.text for box in again.batches[0].boxes} <= {"[x]" if status in FINISHED else "[ ]"}
    assert apply(again, Change("1", status)) == new


def masked(document: Document) -> str:
    """The text without statuses and boxes of the only batch."""
    text, batch = document.text, document.batches[0]
    for token in sorted((*batch.tokens, *batch.boxes), key=lambda each: -each.start):
        text = f"{text[: token.start]}\0{text[token.end :]}"
    return text


@pytest.mark.parametrize(
    "text",
    [
        "## Batch 1: x **commit**: PENDING\nthe rest\n",
        "## Batch 1: x - PENDING **sha**: PENDING tail\n\nthe rest\n",
    ],
)
def test_words_that_are_status_and_commit_at_once_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="line 1 says a status and a commit with the same words"):
        changed(text, commit=SHA)


def test_a_field_within_the_heading_is_written_once() -> None:
    text = "## Batch 1: x **status**: PENDING abc\n"
    assert changed(text) == "## Batch 1: x **status**: COMPLETE abc\n"
