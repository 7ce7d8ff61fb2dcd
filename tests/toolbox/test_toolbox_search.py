"""Grep, with both engines, and Glob of a real toolbox."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Ask = Callable[..., dict[str, Any]]

TREE = {
    ".gitignore": "ignored/\n*.log\n",
    ".ignore": "*.py\n",
    ".hidden/h.txt": "needle\n",
    "a.log": "needle\n",
    "ignored/x.py": "needle\n",
    "src/.gitignore": "local.py\n",
    "src/local.py": "needle\n",
    "src/app.py": "one\nneedle two\nthree\nfour\nfive\nsix\nNeedle seven\neight\n",
    "src/app.test.ts": "const needle = 1\n",
    "src/deep/view.tsx": "needle needle\nneedle\n",
    "src/deep/style.css": ".needle {}\n",
    "docs/readme.md": "no match\nrouter|x\na {b} 12\n12-34-with-dashes:1:needle\n",
    "odd [name]/f.txt": "needle\n",
    "--pre=sh": "needle\n",
}

QUERIES: list[dict[str, Any]] = [
    {"pattern": "needle"},
    {"pattern": "needle", "output_mode": "count"},
    {"pattern": "needle", "output_mode": "content"},
    {"pattern": "needle", "output_mode": "content", "-n": False},
    {"pattern": "needle", "output_mode": "content", "-i": True},
    {"pattern": "needle", "output_mode": "content", "-C": 1},
    {"pattern": "needle", "output_mode": "content", "-i": True, "-A": 1, "-B": 2},
    {"pattern": "needle", "output_mode": "content", "-C": 1, "-n": False},
    {"pattern": "needle", "output_mode": "content", "-C": 2, "-A": 1},
    {"pattern": "needle", "output_mode": "content", "head_limit": 2, "offset": 1},
    {"pattern": "needle", "glob": "*.py"},
    {"pattern": "needle", "glob": "*.{ts,tsx}", "output_mode": "count"},
    {"pattern": "needle", "glob": "src/*.py"},
    {"pattern": "needle", "glob": "src/**/*.{css,tsx}"},
    {"pattern": "needle", "glob": "**/*.tsx"},
    {"pattern": "needle", "glob": "/src/**"},
    {"pattern": "needle", "glob": "src/"},
    {"pattern": "needle", "glob": "!*.py"},
    {"pattern": "needle", "glob": "!src/**", "path": "src"},
    {"pattern": "needle", "glob": "deep/*.css", "path": "src"},
    {"pattern": "needle", "glob": "*.css", "path": "src/deep"},
    {"pattern": "needle", "type": "py"},
    {"pattern": "needle", "type": "ts", "output_mode": "count"},
    {"pattern": "needle", "type": "ts", "glob": "*.test.*"},
    {"pattern": "needle", "path": "src"},
    {"pattern": "needle", "path": "src/app.py", "output_mode": "content"},
    {"pattern": "needle", "path": "a.log"},
    {"pattern": "needle", "path": "odd [name]"},
    {"pattern": "needle", "path": "odd [name]", "glob": "*.txt"},
    {"pattern": "needle", "path": "--pre=sh", "output_mode": "content"},
    {"pattern": "--pre=sh"},
    {"pattern": "-needle"},
    {"pattern": r"^needle\s+\w+$", "output_mode": "content"},
    {"pattern": r"(?<=const )needle", "output_mode": "content"},
    {"pattern": r"\d{2}-\d{2}", "output_mode": "content"},
    {"pattern": r"router\|x", "output_mode": "content"},
    {"pattern": "a {b}", "output_mode": "content"},
    {"pattern": "absent"},
    {"pattern": r"absent\|missing"},
]


@pytest.fixture
def tree(root: Path) -> Path:
    for number, (name, text) in enumerate(TREE.items()):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (1_000_000 + number // 2, 1_000_000 + number // 2))
    (root / "binary.bin").write_bytes(b"needle\0needle")
    (root / ".git").mkdir()
    (root / ".git/config").write_text("needle\n")
    return root


@pytest.fixture
def without_ripgrep(tmp_path: Path) -> str:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("git", "bash"):
        found = shutil.which(name)
        assert found
        (programs / name).symlink_to(found)
    return str(programs)


def test_both_engines_give_the_same_answers(
    open_toolbox: Callable[..., Any], tree: Path, without_ripgrep: str
) -> None:
    ripgrep, git = open_toolbox(), open_toolbox(path=without_ripgrep)
    differences = {
        str(query): (first, second)
        for query in QUERIES
        if (first := ripgrep.ask("Grep", **query)) != (second := git.ask("Grep", **query))
    }
    assert differences == {}


@pytest.fixture(params=["ripgrep", "git"])
def search(
    request: pytest.FixtureRequest, open_toolbox: Callable[..., Any], without_ripgrep: str
) -> Ask:
    return open_toolbox(path=None if request.param == "ripgrep" else without_ripgrep).ask


def test_grep_lists_files_newest_first(search: Ask, tree: Path) -> None:
    assert search("Grep", pattern="needle") == {
        "result": {
            "lines": [
                "--pre=sh",
                "odd [name]/f.txt",
                "docs/readme.md",
                "src/deep/style.css",
                "src/app.test.ts",
                "src/deep/view.tsx",
                "src/app.py",
                ".hidden/h.txt",
            ],
            "total": 8,
            "truncated": False,
            "hint": "",
        }
    }


def test_grep_prints_context(search: Ask, tree: Path) -> None:
    query = {"pattern": "needle", "path": "src/app.py", "output_mode": "content"}
    assert search("Grep", **query, **{"-i": True, "-C": 1})["result"]["lines"] == [
        "src/app.py-1-one",
        "src/app.py:2:needle two",
        "src/app.py-3-three",
        "--",
        "src/app.py-6-six",
        "src/app.py:7:Needle seven",
        "src/app.py-8-eight",
    ]


def test_grep_counts(search: Ask, tree: Path) -> None:
    result = search("Grep", pattern="needle", output_mode="count", type="ts")["result"]
    assert result["lines"] == ["src/app.test.ts:1", "src/deep/view.tsx:2"]


def test_grep_pages(search: Ask, root: Path) -> None:
    (root / "a.txt").write_text("".join(f"x{n}\n" for n in range(300)))
    query = {"pattern": "x", "output_mode": "content"}
    first = search("Grep", **query)["result"]
    assert (len(first["lines"]), first["total"], first["truncated"]) == (250, 300, True)
    rest = search("Grep", **query, offset=250)["result"]
    assert (len(rest["lines"]), rest["truncated"]) == (50, False)
    assert len(search("Grep", **query, head_limit=0)["result"]["lines"]) == 300


def test_grep_cuts_long_lines_and_long_answers(search: Ask, root: Path) -> None:
    (root / "a.txt").write_text(("x" * 100_000 + "\n") * 200)
    result = search("Grep", pattern="x+", output_mode="content")["result"]
    assert result["lines"][0] == "a.txt:1:" + "x" * 500 + "… [line cut]"
    assert result["truncated"] is True
    assert sum(len(line) + 1 for line in result["lines"]) <= 30_000


def test_grep_hints_at_gnu_alternatives(search: Ask, root: Path) -> None:
    (root / "a.txt").write_text("router\n")
    assert search("Grep", pattern="router\\|service")["result"] == {
        "lines": [],
        "total": 0,
        "truncated": False,
        "hint": "Alternatives are separated by `|` without a backslash here: try `router|service`.",
    }


def test_grep_reports_a_bad_pattern(open_toolbox: Callable[..., Any], without_ripgrep: str) -> None:
    ripgrep, git = open_toolbox(), open_toolbox(path=without_ripgrep)
    assert ripgrep.ask("Grep", pattern="foo(") == {"error": "Grep: error: unclosed group"}
    assert "missing closing parenthesis" in git.ask("Grep", pattern="foo(")["error"]
    assert "type nope is not known" in git.ask("Grep", pattern="x", type="nope")["error"]
    assert git.ask("Grep", pattern="x", path="nope") == {"error": "nope does not exist."}
    assert "NUL" in git.ask("Grep", pattern="a\0b")["error"]
    assert "NUL" in git.ask("Grep", pattern="\ud800")["error"]


SPANS = {
    "a.txt": "one\ntwo\nthree\nOne\ntwo\nfour\nfive\nsix\n",
    "deep/b.py": "def f(\n    x,\n    y,\n):\n    one two\n\n\nlast",
    "windows.txt": "one\r\ntwo\r\n",
    "bytes.txt": "ä\nö\n",
    "raw.txt": "caf\udce9 one\ntwo\n",
    "blank.txt": "\n\none\n\n",
    "empty.txt": "",
    "binary.bin": "one\0\ntwo\n",
    ".gitignore": "ignored.txt\n",
    "ignored.txt": "one\ntwo\n",
}

SPANNING: list[dict[str, Any]] = [
    *({"pattern": "one.*?two", "output_mode": mode} for mode in ("content", "count", None)),
    {"pattern": "one.*?two", "output_mode": "content", "-i": True, "-n": False},
    {"pattern": "ONE\\s+TWO", "output_mode": "count", "-i": True},
    {"pattern": "two\\n(four|three)", "output_mode": "content", "-C": 1},
    {"pattern": "two\\nfour\\n", "output_mode": "content", "-A": 1, "-C": 2},
    {"pattern": "three\\n", "output_mode": "content", "-B": 9},
    {"pattern": "def \\w+\\([^)]*\\)", "output_mode": "content", "glob": "*.py"},
    {"pattern": "^last$", "output_mode": "content", "type": "py"},
    {"pattern": "^$", "output_mode": "content"},
    {"pattern": "\\n", "output_mode": "count"},
    {"pattern": "x*", "output_mode": "count", "path": "a.txt"},
    {"pattern": "o", "output_mode": "count"},
    {"pattern": "o.", "output_mode": "count"},
    {"pattern": "x*", "output_mode": "content", "path": "blank.txt"},
    {"pattern": "ä.ö", "output_mode": "content"},
    {"pattern": "^[[:alpha:]]+\\nt[[:lower:][:digit:]]+$", "output_mode": "content"},
    {"pattern": "one\\ntwo", "path": "ignored.txt", "output_mode": "content"},
    {"pattern": "one.*two", "glob": "deep/*"},
    {"pattern": "nowhere\\nat all"},
]


def test_a_match_over_lines_is_found_alike_without_ripgrep(
    open_toolbox: Callable[..., Any], root: Path, without_ripgrep: str
) -> None:
    for place, text in SPANS.items():
        (root / place).parent.mkdir(exist_ok=True)
        (root / place).write_bytes(text.encode("utf-8", "surrogateescape"))
    ripgrep, git = open_toolbox(), open_toolbox(path=without_ripgrep)
    for query in SPANNING:
        expected = ripgrep.ask("Grep", **query, multiline=True)
        assert git.ask("Grep", **query, multiline=True) == expected, query
        assert "error" not in expected, query


def test_the_nearer_context_counts(search: Ask, root: Path) -> None:
    (root / "a.txt").write_text("1\n2\n3\n4\n5\n")
    result = search("Grep", pattern="3", output_mode="content", **{"-C": 2, "-A": 1})["result"]
    assert result["lines"] == ["a.txt-1-1", "a.txt-2-2", "a.txt:3:3", "a.txt-4-4"]


def test_a_pattern_that_never_ends_keeps_no_read_waiting(
    open_toolbox: Callable[..., Any], root: Path, without_ripgrep: str
) -> None:
    (root / "a.txt").write_text("a" * 60 + "\n")
    box = open_toolbox(path=without_ripgrep)
    endless = {"pattern": "(a|a)+b", "multiline": True}
    box.process.stdin.write(
        json.dumps({"id": 1, "tool": "Grep", "arguments": endless}).encode() + b"\n"
    )
    read = {"id": 2, "tool": "Read", "arguments": {"file_path": "a.txt"}}
    assert box.send(json.dumps(read).encode())["id"] == 2


def test_a_bad_pattern_over_lines_is_told_without_ripgrep(
    open_toolbox: Callable[..., Any], root: Path, without_ripgrep: str
) -> None:
    (root / "a.txt").write_text("one\n")
    git = open_toolbox(path=without_ripgrep)
    told = git.ask("Grep", pattern="one(", multiline=True)["error"]
    assert told == "Grep: error: missing ), unterminated subpattern at position 3"
    assert "NUL" in git.ask("Grep", pattern="a\0b", multiline=True)["error"]


def test_grep_needs_an_engine(open_toolbox: Callable[..., Any], tmp_path: Path) -> None:
    assert open_toolbox(path=str(tmp_path)).ask("Grep", pattern="x") == {
        "error": "Neither ripgrep nor git is installed here: use grep in Bash."
    }


def test_grep_uses_no_configuration(search: Ask, root: Path, tmp_path: Path) -> None:
    (tmp_path / "ripgreprc").write_text("--pre=/bin/false\n")
    (root / ".git").write_text("gitdir: /nonexistent\n")
    (root / "a.txt").write_text("needle\n")
    assert search("Grep", pattern="needle")["result"]["lines"] == ["a.txt"]


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*.py", None, ["top.py"]),
        ("**/*.py", None, ["src/b/deep.py", "src/a.py", "top.py"]),
        ("src/**/*.py", None, ["src/b/deep.py", "src/a.py"]),
        ("src/**/b/**/deep.py", None, ["src/b/deep.py"]),
        ("**/**/deep.py", None, ["src/b/deep.py"]),
        ("src/**", None, ["src/.env", "src/b/deep.py", "src/a.py"]),
        ("**", "src/b", ["src/b/deep.py"]),
        ("./src/*.py", None, ["src/a.py"]),
        ("../top.py", "src", ["top.py"]),
        ("{top,src/a,src/{b,c}/deep}.{py,js}", None, ["src/b/deep.py", "src/a.py", "top.py"]),
        ("src/[!a]*", None, ["src/.env"]),
        ("?op.py", None, ["top.py"]),
        ("*.log", None, ["old.log"]),
        ("**/config", None, []),
        ("link/*", None, ["link/.env", "link/a.py"]),
        ("{unpaired", None, []),
        ("TOP.py", None, []),
    ],
)
def test_glob(ask: Ask, root: Path, pattern: str, path: str | None, expected: list[str]) -> None:
    names = ["old.log", "top.py", "src/a.py", "src/b/deep.py", "src/.env", ".git/config"]
    for number, name in enumerate(names):
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        os.utime(file, (number, number))
    (root / ".gitignore").write_text("*.log\n")
    (root / "link").symlink_to("src")
    arguments = {"pattern": pattern} | ({"path": path} if path else {})
    assert ask("Glob", **arguments) == {"result": {"paths": expected, "truncated": False}}


def test_glob_shows_links_and_does_not_follow_them(ask: Ask, root: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret.txt").touch()
    (root / "out").symlink_to(tmp_path / "outside")
    (root / "loop").symlink_to("loop")
    assert ask("Glob", pattern="**/secret.txt")["result"]["paths"] == []
    assert sorted(ask("Glob", pattern="**")["result"]["paths"]) == ["loop", "out"]
    for pattern in ("../**/*", "/**", "out/*", "../../**/*"):
        assert "Glob looks only below" in ask("Glob", pattern=pattern)["error"]
    assert ask("Glob", pattern="*/../*") == {"error": "`..` must stand before the first wildcard."}


def test_glob_returns_the_newest_hundred(ask: Ask, root: Path) -> None:
    for number in range(105):
        (root / f"{number:03d}").touch()
        os.utime(root / f"{number:03d}", (number // 2, number // 2))
    result = ask("Glob", pattern="*")["result"]
    assert result["truncated"] is True
    assert result["paths"][:4] == ["104", "102", "103", "100"]
    assert len(result["paths"]) == 100


def test_glob_costs_little_on_bad_patterns(ask: Ask, root: Path) -> None:
    (root / ("a" * 200)).touch()
    assert ask("Glob", pattern="*a" * 60 + "b")["result"]["paths"] == []
    assert ask("Glob", pattern="**/" * 500 + "b")["result"]["paths"] == []
    assert "256 patterns" in ask("Glob", pattern="{a,b}" * 9)["error"]
    assert ask("Glob", pattern="{" * 5000 + "a,b" + "}" * 5000)
    assert "NUL" in ask("Glob", pattern="a\0b", path="a\0")["error"]
