"""What a batch declares of files, as far as it can be measured."""

from agentflow.tasks.tasks_md import parse_tasks_md
from agentflow.workflows.declared import Declared, declared_by

TREE = {"a/old.ts", "a/b.ts", "lib/x/y.ts", "lib/x/z.ts", "lib/k.ts"}
FOLDERS = {"a", "lib", "lib/x"}


def declared(*values: str) -> Declared:
    listed = "".join(f"- {value}\n" for value in values)
    text = f"## Batch 1: x PENDING\n\n### Task 1.1: y\n\n**Files**:\n{listed}"
    document = parse_tasks_md(text, exists=lambda path: path in TREE | FOLDERS)
    return declared_by(document.batches[0].tasks, TREE)


def test_each_form() -> None:
    found = declared(
        "a/new.ts (CREATE)", "a/b.ts", "a/new.ts", "`a/old.ts` → `a/new.ts` (RENAME)", "lib/x/",
        "`src/**/*.ts`", "lib/x (DELETE)", "`lib/*.ts` (DELETE)",
    )  # fmt: skip

    assert found.files == ("a/new.ts", "a/b.ts")
    assert set(found.deleted) == {"a/old.ts", "lib/x/y.ts", "lib/x/z.ts", "lib/k.ts"}
    assert found.areas == ("lib/x/", "src/**/*.ts")
    assert found.unplaced == ()


def test_a_rename_of_one_name_is_measured_only_where_it_is_the_new_one() -> None:
    found = declared("a/b.ts (RENAME)", "a/brand-new.ts (RENAME)")

    assert (found.files, found.deleted) == (("a/brand-new.ts",), ())
    assert [each.written for each in found.unplaced] == ["a/b.ts"]


def test_the_new_name_of_a_rename_that_is_done_is_measured() -> None:
    found = declared("`a/older.ts` → `a/b.ts` (RENAME)")

    assert (found.files, found.deleted, found.unplaced) == (("a/b.ts",), ("a/older.ts",), ())


def test_what_has_no_place_is_kept_apart() -> None:
    found = declared("E:\\away\\x.ts", "../x.ts", "a/b.ts")

    assert [each.written for each in found.unplaced] == ["E:\\away\\x.ts", "../x.ts"]
    assert not found.nothing_measured
    assert declared("E:\\away\\x.ts").nothing_measured
    assert not declared().nothing_measured
