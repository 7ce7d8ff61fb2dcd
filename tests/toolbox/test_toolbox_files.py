"""Read, Write and Edit of a real toolbox."""

import base64
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Ask = Callable[..., dict[str, Any]]

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20


def test_read_returns_the_lines_of_a_file(ask: Ask, root: Path) -> None:
    (root / "a.txt").write_bytes(b"one\r\ntwo\nthree")
    assert ask("Read", file_path="a.txt") == {
        "result": {
            "kind": "text",
            "size": 14,
            "lines": ["one", "two", "three"],
            "start": 1,
            "total": 3,
            "partial": False,
        }
    }


def test_read_returns_a_window(ask: Ask, root: Path) -> None:
    (root / "a.txt").write_text("".join(f"{n}\n" for n in range(1, 11)))
    result = ask("Read", file_path="a.txt", offset=4, limit=3)["result"]
    assert result == {
        "kind": "text",
        "size": 21,
        "lines": ["4", "5", "6"],
        "start": 4,
        "total": 10,
        "partial": True,
    }
    assert ask("Read", file_path="a.txt", offset=11) == {
        "error": "a.txt has only 10 lines; offset 11 is beyond its end."
    }


def test_read_stops_after_2000_lines(ask: Ask, root: Path) -> None:
    (root / "a.txt").write_text("x\n" * 2500)
    result = ask("Read", file_path="a.txt")["result"]
    assert (len(result["lines"]), result["total"], result["partial"]) == (2000, 2500, True)
    rest = ask("Read", file_path="a.txt", offset=2001)["result"]
    assert (len(rest["lines"]), rest["total"], rest["partial"]) == (500, 2500, True)


def test_read_stops_after_100_kilobytes_and_refuses_a_longer_range(ask: Ask, root: Path) -> None:
    (root / "a.txt").write_text(("x" * 999 + "\n") * 500)
    result = ask("Read", file_path="a.txt")["result"]
    assert (len(result["lines"]), result["total"], result["partial"]) == (100, 500, True)
    assert ask("Read", file_path="a.txt", offset=5, limit=200) == {
        "error": "Lines 5 to 204 of a.txt hold more than 100 KB: "
        "ask for at most 100 lines from line 5."
    }


@pytest.mark.parametrize("character", ["x", "é", "€", "🦀"])
def test_read_cuts_a_long_line_between_characters(ask: Ask, root: Path, character: str) -> None:
    (root / "a.txt").write_text(f"{character * 100_000}\nend\n", "utf-8")
    result = ask("Read", file_path="a.txt")["result"]
    assert result["lines"] == [character * 2000 + "… [line cut]", "end"]
    assert result["total"] == 2


def test_read_counts_no_lines_beyond_its_scan_limit(ask: Ask, root: Path) -> None:
    with (root / "huge").open("wb") as file:
        file.write(b"start\n" * 3000)
        file.truncate(1 << 40)
    result = ask("Read", file_path="huge")["result"]
    assert (len(result["lines"]), result["total"], result["partial"]) == (2000, None, True)


def test_read_of_an_empty_file(ask: Ask, root: Path) -> None:
    (root / "a.txt").touch()
    result = ask("Read", file_path="a.txt")["result"]
    assert (result["lines"], result["total"], result["partial"]) == ([], 0, False)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\xef\xbb\xbfbom\n", "bom"),
        ("caf\u00e9".encode("latin-1"), "caf\u00e9"),
        ("\u201cquoted\u201d".encode("cp1252"), "\u201cquoted\u201d"),
        (b"\x81\xe9", "\x81\u00e9"),
    ],
)
def test_read_decodes(ask: Ask, root: Path, data: bytes, text: str) -> None:
    (root / "a.txt").write_bytes(data)
    assert ask("Read", file_path="a.txt")["result"]["lines"] == [text]


@pytest.mark.parametrize(
    ("data", "kind", "media"),
    [
        (PNG, "image", "image/png"),
        (b"\xff\xd8\xff\xe0rest", "image", "image/jpeg"),
        (b"GIF89a rest", "image", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image", "image/webp"),
        (b"%PDF-1.7\nrest", "document", "application/pdf"),
    ],
)
def test_read_returns_media(ask: Ask, root: Path, data: bytes, kind: str, media: str) -> None:
    (root / "any.name").write_bytes(data)
    assert ask("Read", file_path="any.name") == {
        "result": {
            "kind": kind,
            "media_type": media,
            "data": base64.b64encode(data).decode(),
        }
    }


def test_read_refuses_media_over_the_limit(ask: Ask, root: Path) -> None:
    (root / "a.png").write_bytes(PNG + b"\0" * (4 << 20))
    assert ask("Read", file_path="a.png") == {
        "error": "a.png is too large to be shown: images have at most 3,932,160 bytes."
    }


def test_read_refuses_what_is_no_text(ask: Ask, root: Path) -> None:
    (root / "a.bin").write_bytes(b"ab\0cd")
    (root / "directory").mkdir()
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{root}/s")
        errors = {
            name: ask("Read", file_path=name)["error"]
            for name in ("a.bin", "directory", "fifo", "s", "/dev/zero", "a.bin/x")
        }
    assert errors == {
        "a.bin": "a.bin is a binary file of 5 bytes.",
        "directory": "directory is a directory: list it with Glob, or with `ls` in Bash.",
        "fifo": "fifo is not a regular file.",
        "s": "s: No such device or address.",
        "/dev/zero": "/dev/zero is not a regular file.",
        "a.bin/x": "a.bin/x does not exist: a part of the path is a file.",
    }


def test_read_names_the_nearest_files(ask: Ask, root: Path) -> None:
    (root / "src").mkdir()
    (root / "src/Router.ts").touch()
    (root / "src/zebra.md").touch()
    (root / "dangling").symlink_to(root / "nowhere")
    assert ask("Read", file_path="src/router.js") == {
        "error": "src/router.js does not exist in src. Nearest there: Router.ts."
    }
    assert ask("Read", file_path="source/x/y.ts") == {
        "error": "source does not exist in the root. Nearest there: src."
    }
    assert ask("Read", file_path="dangling") == {
        "error": f"dangling is a symbolic link to {root}/nowhere, which does not exist."
    }


def test_hostile_paths_are_errors(ask: Ask, root: Path) -> None:
    (root / "loop").symlink_to("loop")
    for tool, extra in (
        ("Read", {}),
        ("Write", {"content": ""}),
        ("Edit", {"old_string": "a", "new_string": "b"}),
    ):
        errors = [
            ask(tool, file_path=path, **extra)["error"]
            for path in ("", "a\0b", "\ud800", "loop", "x" * 300, "/")
        ]
        assert not any("failed" in error for error in errors), errors


def test_an_absolute_path_that_does_not_exist_means_the_root(ask: Ask, root: Path) -> None:
    (root / "docs").mkdir()
    (root / "docs/x.md").write_text("text\n")
    assert ask("Read", file_path="/docs/x.md")["result"]["lines"] == ["text"]
    ask("Write", file_path="/docs-of-agentflow/y.md", content="new")
    assert (root / "docs-of-agentflow/y.md").read_text() == "new"
    assert ask("Grep", pattern="text", path="/docs")["result"]["lines"] == ["docs/x.md"]
    assert ask("Glob", pattern="*.md", path="/docs")["result"]["paths"] == ["docs/x.md"]
    assert ask("Glob", pattern="/docs/*.md")["result"]["paths"] == ["docs/x.md"]


def test_write_creates_a_file_and_its_directories(ask: Ask, root: Path) -> None:
    assert ask("Write", file_path="a/b/c.txt", content="h\u00e9\r\n") == {
        "result": {"path": "a/b/c.txt", "created": True, "bytes": 5}
    }
    assert (root / "a/b/c.txt").read_bytes() == "h\u00e9\r\n".encode()
    assert [path.name for path in (root / "a/b").iterdir()] == ["c.txt"]


def test_write_replaces_only_what_was_read_completely(ask: Ask, root: Path) -> None:
    path = root / "run.sh"
    path.write_text("old\n" * 3)
    path.chmod(0o751)
    refusal = {"error": "run.sh exists and was not read completely: Read it before you Write."}
    assert ask("Write", file_path="run.sh", content="new") == refusal
    ask("Read", file_path="run.sh", limit=2)
    assert ask("Write", file_path="run.sh", content="new") == refusal
    assert path.read_text() == "old\n" * 3
    ask("Read", file_path="run.sh")
    assert ask("Write", file_path="run.sh", content="new")["result"]["created"] is False
    assert ask("Write", file_path="run.sh", content="newer")["result"]["bytes"] == 5
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("newer", 0o751)


def test_write_stays_inside(ask: Ask, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / "link").symlink_to(outside)
    (root / "file").write_text("x")
    for path in ("../outside/n", f"{outside}/n", "link/n", "a/../../outside/n", "/etc/n"):
        error = ask("Write", file_path=path, content="")["error"]
        assert "is outside this task's boundaries" in error
    assert list(outside.iterdir()) == []
    assert "a part of the path is a file" in ask("Write", file_path="file/n", content="")["error"]
    assert ask("Write", file_path=f"{tmp_path}/scratch/n", content="")["result"]["created"]
    assert "lone" not in ask("Write", file_path="n", content="\ud800")["error"]
    assert not (root / "n").exists()


def test_write_through_a_link_keeps_the_link(ask: Ask, root: Path) -> None:
    (root / "real.txt").write_text("")
    (root / "link.txt").symlink_to("real.txt")
    ask("Write", file_path="link.txt", content="new")
    assert (root / "link.txt").is_symlink()
    assert (root / "real.txt").read_text() == "new"


def test_edit_replaces_a_unique_piece(ask: Ask, root: Path) -> None:
    (root / "a.py").write_text("".join(f"line {n}\n" for n in range(1, 11)))
    arguments = {"file_path": "a.py", "old_string": "line 5\n", "new_string": "five\nmore\n"}
    assert ask("Edit", **arguments) == {"error": "a.py was not read: Read it before you Edit."}
    ask("Read", file_path="a.py", limit=1)
    assert ask("Edit", **arguments) == {
        "result": {
            "path": "a.py",
            "replacements": 1,
            "start": 5,
            "snippet": [
                "line 2",
                "line 3",
                "line 4",
                "five",
                "more",
                "line 6",
                "line 7",
                "line 8",
                "line 9",
            ],
            "snippet_start": 2,
        }
    }
    assert (root / "a.py").read_text().split("\n")[3:7] == ["line 4", "five", "more", "line 6"]


def test_edit_names_every_place_of_an_ambiguous_piece(ask: Ask, root: Path) -> None:
    (root / "a.py").write_text("x = 1\ny = 2\nx = 1\n")
    ask("Read", file_path="a.py")
    arguments = {"file_path": "a.py", "old_string": "x = 1", "new_string": "x = 3"}
    assert ask("Edit", **arguments) == {
        "error": "old_string occurs 2 times in a.py (lines 1, 3): "
        "add surrounding lines until it is unique, or set replace_all."
    }
    assert ask("Edit", **arguments, replace_all=True)["result"]["replacements"] == 2
    assert (root / "a.py").read_text() == "x = 3\ny = 2\nx = 3\n"


def test_edit_shows_the_nearest_match(ask: Ask, root: Path) -> None:
    (root / "a.py").write_text("import os\n\ndef run(path):\n    return open(path)\n")
    ask("Read", file_path="a.py")
    assert ask(
        "Edit", file_path="a.py", old_string="def run(paths):\n    return open(path)", new_string=""
    ) == {
        "error": "old_string was not found in a.py. What is nearest, from line 3:\n"
        "def run(path):\n    return open(path)"
    }
    assert ask("Edit", file_path="a.py", old_string="\treturn open( path )", new_string="") == {
        "error": "old_string was not found in a.py. What differs only in white space, "
        "from line 4:\n    return open(path)"
    }
    assert ask("Edit", file_path="a.py", old_string="zzzz", new_string="") == {
        "error": "old_string was not found in a.py, nor anything like it: Read the file again."
    }


def test_edit_searches_the_nearest_match_for_a_bounded_time(ask: Ask, root: Path) -> None:
    (root / "a").write_text("abcdefghijklmnopqrstuvwxyz " * 40 + "\n" + "ab cd ef gh\n" * 200_000)
    ask("Read", file_path="a")
    error = ask("Edit", file_path="a", old_string="abcdefg hijklmn\n" * 100, new_string="")["error"]
    assert error.startswith("old_string was not found in a")


@pytest.mark.parametrize(
    ("before", "old", "new", "after"),
    [
        (b"a\r\nb\r\nc\r\n", "a\nb", "x\ny\nz", b"x\r\ny\r\nz\r\nc\r\n"),
        (b"a\r\nb\r\nc\r\n", "b", "x\r\ny", b"a\r\nx\r\ny\r\nc\r\n"),
        (b"a\nb\r\nc\nd\n", "c", "x\ny", b"a\nb\r\nx\ny\nd\n"),
        (b"\xef\xbb\xbfa\n", "a", "\u00e9", b"\xef\xbb\xbf\xc3\xa9\n"),
        (b"caf\xe9 \x93q\x94\n", "caf\u00e9 \u201cq", "th\u00e9 \u201dq", b"th\xe9 \x94q\x94\n"),
        (b"\x81 caf\xe9\n", "caf\u00e9", "th\u00e9", b"\x81 th\xe9\n"),
    ],
)
def test_edit_keeps_line_ends_and_encoding(
    ask: Ask, root: Path, before: bytes, old: str, new: str, after: bytes
) -> None:
    (root / "a").write_bytes(before)
    ask("Read", file_path="a")
    assert "result" in ask("Edit", file_path="a", old_string=old, new_string=new)
    assert (root / "a").read_bytes() == after


def test_edit_refuses_a_character_that_the_encoding_lacks(ask: Ask, root: Path) -> None:
    (root / "a").write_bytes(b"caf\xe9\n")
    ask("Read", file_path="a")
    assert ask("Edit", file_path="a", old_string="caf\u00e9", new_string="\u2192") == {
        "error": "a is cp1252, which cannot hold the character '\\u2192'."
    }
    assert (root / "a").read_bytes() == b"caf\xe9\n"


def test_edit_with_an_empty_piece_creates_or_fills(ask: Ask, root: Path) -> None:
    (root / "empty").touch()
    (root / "full").write_text("x")
    for name in ("new", "empty"):
        assert "result" in ask("Edit", file_path=name, old_string="", new_string="text\n")
        assert (root / name).read_text() == "text\n"
    assert ask("Edit", file_path="full", old_string="", new_string="text") == {
        "error": "old_string is empty, but full exists and is not empty."
    }
    assert ask("Edit", file_path="full", old_string="x", new_string="x") == {
        "error": "old_string and new_string are the same: nothing to change."
    }
