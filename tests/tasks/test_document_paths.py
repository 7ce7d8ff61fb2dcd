"""Paths in documents, and their places in the workspace."""

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
        ("", []),
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
