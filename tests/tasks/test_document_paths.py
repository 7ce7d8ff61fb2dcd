"""Paths in documents, and their places in the workspace."""

import time

import pytest

from agentflow.tasks.document_paths import map_paths, mentions

TREE = {"apps", "apps/api", "apps/api/src", "apps/api/src/main.ts", "docs", "package.json"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("`D:\\x\\src\\a.ts` (CREATE)", [("D:\\x\\src\\a.ts", "create")]),
        ("D:\\x\\src\\a.ts (NEW FILE)", [("D:\\x\\src\\a.ts", "create")]),
        ("D:/x/src/[id].ts", [("D:/x/src/[id].ts", None)]),
        ("src/a.ts:45-60", [("src/a.ts", None)]),
        ("[NEW] src/a.ts", [("src/a.ts", "create")]),
        ("`a.ts` (MODIFY), `b.ts` (DELETE)", [("a.ts", "modify"), ("b.ts", "delete")]),
        ("src/a.ts, src/b.ts", [("src/a.ts", None), ("src/b.ts", None)]),
        ("/home/me/x/src/a.ts", [("/home/me/x/src/a.ts", None)]),
        ("N/A (verification task)", []),
        ("All files of the library", []),
        ("Multiple files - see below", []),
        ("https://example.test/a.ts", []),
        ("DELETE: D:\\x\\a.ts", [("D:\\x\\a.ts", "delete")]),
        ("Create new file: src/a.ts", [("src/a.ts", "create")]),
        ("Add to the tests of src", []),
        ("src/a.ts (new, ~290 lines)", [("src/a.ts", "create")]),
        ("src/a.ts (lines 156, 293)", [("src/a.ts", None)]),
        ("", []),
        ("DELETE: `a.ts`, `b.ts`", [("a.ts", "delete"), ("b.ts", "delete")]),
        ("Delete `a.ts` and `b.ts`", [("a.ts", "delete"), ("b.ts", "delete")]),
        ("**Delete** `a.ts` - no longer used", [("a.ts", "delete")]),
        ("Delete `a.ts` and create `b.ts`", [("a.ts", "delete"), ("b.ts", "create")]),
        ("Delete src/a.ts and create src/b.ts", [("src/a.ts", "delete"), ("src/b.ts", "create")]),
        ("Remove the unused import from `a.ts`", [("a.ts", None)]),
        ("Remove `a.ts` usage from `b.ts`", [("a.ts", None), ("b.ts", None)]),
        ("Remove `a.ts` from the barrel", [("a.ts", None)]),
        ("Delete dead code in `a.ts` and `b.ts` (NEW)", [("a.ts", None), ("b.ts", "create")]),
        ("Create `a.ts` that uses `b.ts`", [("a.ts", None), ("b.ts", None)]),
    ],
)
def test_what_a_value_names(value: str, expected: list[tuple[str, str | None]]) -> None:
    assert [(each.written, each.action) for each in mentions(value, 1)] == expected


def test_an_absolute_path_is_its_longest_suffix_that_exists() -> None:
    written = "D:\\work\\repo\\apps\\api\\src\\main.ts"

    assert map_paths([written], TREE.__contains__) == {written: "apps/api/src/main.ts"}


def test_a_name_that_every_folder_may_hold_decides_nothing() -> None:
    alone = "/home/x/repo/package.json"
    assert map_paths([alone], TREE.__contains__) == {alone: None}
    written = [
        "D:\\proj\\x\\apps\\api\\src\\main.ts",
        "D:\\proj\\x\\package.json",
        "D:\\proj\\x\\libs\\new\\package.json",
        "D:\\proj\\x\\libs\\new\\docs\\a.md",
    ]
    assert list(map_paths(written, TREE.__contains__).values()) == [
        "apps/api/src/main.ts", "package.json", "libs/new/package.json", "libs/new/docs/a.md",
    ]  # fmt: skip


def test_the_prefix_that_most_have_wins_over_a_suffix_by_chance() -> None:
    tree = {*TREE, "apps/api/src/mail.ts", "src", "src/a.ts"}
    written = [
        "D:\\x\\libs\\new\\src\\a.ts",
        "D:\\x\\apps\\api\\src\\main.ts",
        "D:\\x\\apps\\api\\src\\mail.ts",
    ]
    assert map_paths(written, tree.__contains__)[written[0]] == "libs/new/src/a.ts"


def test_a_new_file_lies_where_its_neighbours_do() -> None:
    old, new = "D:\\work\\repo\\apps\\api\\src\\main.ts", "D:\\work\\repo\\libs\\new\\a.ts"

    assert map_paths([new, old], TREE.__contains__)[new] == "libs/new/a.ts"


def test_without_neighbours_its_folder_decides() -> None:
    new = "C:/somewhere/apps/api/src/new.ts"

    assert map_paths([new], TREE.__contains__) == {new: "apps/api/src/new.ts"}
    assert map_paths(["C:/else/new.ts"], TREE.__contains__) == {"C:/else/new.ts": None}


def test_a_configured_prefix_comes_first() -> None:
    path = "D:\\repo\\backend\\apps\\api\\src\\main.ts"

    assert map_paths([path], TREE.__contains__, ["D:\\repo\\"])[path] == (
        "backend/apps/api/src/main.ts"
    )


@pytest.mark.parametrize("path", ["../x.ts", "D:\\repo\\..\\package.json", "apps/../../etc/passwd"])
def test_nothing_leads_out(path: str) -> None:
    assert map_paths([path], lambda _: True) == {path: None}


def test_what_is_relative_stays() -> None:
    assert map_paths(["./libs/a.ts"], TREE.__contains__) == {"./libs/a.ts": "libs/a.ts"}


@pytest.mark.parametrize(
    "value",
    [
        "`a/old.ts` → `a/new.ts` (RENAME)",
        "a/old.ts -> a/new.ts (moved)",
        "RENAME: a/old.ts => a/new.ts",
        "Rename `a/old.ts` to `a/new.ts`",
        "`a/old.ts` (RENAME to `a/new.ts`)",
        "a/new.ts (RENAMED FROM a/old.ts)",
        "[RENAME] a/old.ts → a/new.ts",
    ],
)
def test_a_rename_is_an_old_name_to_be_gone_and_a_new_one(value: str) -> None:
    found = [(each.written, each.action) for each in mentions(value, 1)]
    assert sorted(found) == [("a/new.ts", "rename"), ("a/old.ts", "delete")]


def test_the_field_or_the_task_may_say_that_it_is_a_rename() -> None:
    found = [(each.written, each.action) for each in mentions("a.ts → b.ts", 1, "rename")]
    assert found == [("a.ts", "delete"), ("b.ts", "rename")]
    assert [each.action for each in mentions("a.ts → b.ts", 1)] == [None, None]
    assert [each.action for each in mentions("a/b.ts (RENAME exports)", 1)] == ["rename"]


def test_a_verb_in_front_does_not_overrule_what_the_label_says() -> None:
    def actions(value: str) -> list[str | None]:
        return [each.action for each in mentions(value, 1, "modify")]

    assert actions("Remove `a.ts`") == actions("Remove src/a.ts") == [None]
    assert actions("REMOVE: `a.ts`") == actions("REMOVE: src/a.ts") == ["delete"]
    assert actions("`a.ts` (DELETE)") == ["delete"]


def test_long_runs_of_blanks_are_read_once() -> None:
    def seconds(length: int) -> float:
        started = time.process_time()
        for _ in range(5):
            list(mentions(f"a/b{' ' * length}c", 1))
        return time.process_time() - started

    # Looked at from each of their places, eight times as many would take 64 times as long.
    assert seconds(3200) < 30 * max(seconds(400), 0.0005)
