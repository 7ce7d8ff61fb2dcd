"""Bash of a real toolbox."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Ask = Callable[..., dict[str, Any]]


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_bash_merges_output_and_returns_the_exit_code(ask: Ask, root: Path) -> None:
    result = ask("Bash", command="echo out; echo err >&2; printf end; exit 3")["result"]
    assert result.pop("seconds") < 5
    assert result == {
        "exit_code": 3,
        "killed": None,
        "reason": None,
        "output": "out\nerr\nend",
        "truncated": False,
        "full_output": None,
        "notes": [],
        "cwd": str(root),
    }


@pytest.mark.parametrize(
    ("command", "code", "place"),
    [
        ("cd sub", 0, "sub"),
        ("cd sub; exit 3", 3, "sub"),
        ("cd sub\nfalse", 1, "sub"),
        ("set -e; cd sub; false; cd /", 1, "sub"),
        ("cd sub && exec 1>&- 2>&-", 0, "sub"),
        ("cd sub; if", 2, ""),
        ("cd /usr", 0, ""),
        ("cd .. ", 0, ""),
        ("(cd sub)", 0, ""),
        ("cd sub; kill -9 $$", 137, ""),
        ("cd sub; exec true", 0, ""),
        ("cd sub; rmdir ../sub", 0, ""),
        ("cd 'with\nnewline'", 0, ""),
        ("cat <<'E'\nit's $HOME\nE\ncd sub", 0, "sub"),
    ],
)
def test_bash_keeps_the_directory_inside_the_root(
    ask: Ask, root: Path, command: str, code: int, place: str
) -> None:
    (root / "sub").mkdir()
    (root / "with\nnewline").mkdir()
    result = ask("Bash", command=command)["result"]
    assert (result["exit_code"], result["cwd"]) == (code, str(root / place))
    assert ask("Bash", command="pwd")["result"]["output"] == f"{root / place}\n"


def test_bash_starts_afresh_when_its_directory_is_gone(ask: Ask, root: Path) -> None:
    (root / "sub").mkdir()
    ask("Bash", command="cd sub")
    (root / "sub").rmdir()
    assert ask("Bash", command="pwd")["result"]["output"] == f"{root}\n"


def test_bash_runs_once_in_another_directory(ask: Ask, root: Path) -> None:
    (root / "sub").mkdir()
    assert ask("Bash", command="pwd", cwd="sub")["result"]["output"] == f"{root}/sub\n"
    assert ask("Bash", command="pwd")["result"]["output"] == f"{root}\n"
    assert ask("Bash", command="pwd", cwd="no") == {"error": "no is not a directory."}


def test_bash_keeps_no_environment_and_reads_no_startup_files(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / ".bashrc").write_text("echo HIJACKED\n")
    assert ask("Bash", command="export A=1; echo $A")["result"]["output"] == "1\n"
    assert ask("Bash", command="echo $A$0$#")["result"]["output"] == "bash0\n".replace(
        "bash", "/bin/bash"
    )


def test_bash_has_no_input_and_no_pipes_of_ours(ask: Ask) -> None:
    assert ask("Bash", command="cat; readlink /proc/self/fd/0")["result"]["output"] == "/dev/null\n"
    descriptors = ask("Bash", command="readlink /proc/$$/fd/*")["result"]["output"].split()
    assert sum(name.startswith("pipe:") for name in descriptors) == 2
    assert ask("Bash", command="echo '{}' > /proc/$PPID/fd/1; echo ok")["result"]["exit_code"] == 0


@pytest.mark.parametrize("command", ["sleep 60", "trap '' TERM INT HUP; while :; do :; done"])
def test_bash_kills_at_the_timeout(ask: Ask, command: str) -> None:
    result = ask("Bash", command=f"echo first; {command}", timeout=0.2)["result"]
    assert result["seconds"] < 2
    assert (result["exit_code"], result["killed"], result["output"]) == (None, "timeout", "first\n")
    assert ask("Bash", command="echo next")["result"]["output"] == "next\n"


WAIT = "until [ -s pid ]; do sleep 0.01; done; cat pid"
"""Until the process that stays behind has said which it is."""


@pytest.mark.parametrize(
    "command",
    [
        "sleep 60 & echo $!",
        "nohup sleep 60 >/dev/null 2>&1 & echo $!; disown",
        "setsid sh -c 'echo $$ > pid; exec sleep 60' & " + WAIT,
        "(setsid sh -c 'echo $$ > pid; trap \"\" TERM; (sleep 60); :' &) ; " + WAIT,
        "sh -c 'sh -c \"setsid sleep 60 & echo \\$! > pid\" &' ; " + WAIT,
    ],
)
def test_bash_leaves_no_process_behind(ask: Ask, command: str) -> None:
    result = ask("Bash", command=command, timeout=10)["result"]
    assert result["seconds"] < 3
    pid = int(result["output"])
    assert not is_alive(pid)


def test_bash_kills_nothing_that_is_not_its_own(ask: Ask) -> None:
    ask("Bash", command="setsid sleep 60 & true")
    assert is_alive(os.getppid())
    assert ask("Bash", command="echo still here")["result"]["output"] == "still here\n"


def test_bash_reaps_orphans_while_it_runs(ask: Ask) -> None:
    command = (
        "for i in 1 2 3 4 5; do (sh -c 'sleep 0.05' &); done; sleep 0.6; "
        "ps -o stat= --ppid $PPID | grep -c Z"
    )
    assert ask("Bash", command=command)["result"]["output"] == "0\n"


def test_bash_cuts_long_output_and_keeps_the_whole(ask: Ask, tmp_path: Path) -> None:
    result = ask("Bash", command="seq 1 20000; echo last")["result"]
    whole = "".join(f"{n}\n" for n in range(1, 20001)) + "last\n"
    assert result["truncated"] is True
    head, tail = whole[:10000].rpartition("\n")[0], whole[-20000:].partition("\n")[2]
    assert result["output"] == (f"{head}\n[… the middle of {len(whole):,} bytes is cut …]\n{tail}")
    assert Path(result["full_output"]).read_text("utf-8") == whole
    assert Path(result["full_output"]).parent == tmp_path / "scratch"
    assert ask("Read", file_path=result["full_output"], offset=3000, limit=1)["result"][
        "lines"
    ] == ["3000"]


def test_bash_keeps_output_of_the_limit_and_of_wide_characters_whole(ask: Ask) -> None:
    for text in ("x" * 30000, "🦀" * 30000):
        command = f"{sys.executable} -c 'print(chr({ord(text[0])}) * 30000, end=\"\")'"
        result = ask("Bash", command=command)["result"]
        assert (result["output"] == text, result["truncated"]) == (True, False)
    longer = ask("Bash", command='python3 -c \'print("é" * 30001, end="")\'')["result"]
    assert longer["truncated"] is True
    assert Path(longer["full_output"]).read_text("utf-8") == "é" * 30001


def test_bash_reads_what_the_dead_left_in_the_pipe(ask: Ask) -> None:
    program = "import fcntl, os; fcntl.fcntl(1, 1031, 1 << 20); os.write(1, b'x' * 900000)"
    result = ask("Bash", command=f'exec {sys.executable} -I -S -c "{program}"')["result"]
    assert Path(result["full_output"]).stat().st_size == 900_000


def test_bash_kills_endless_output(ask: Ask, tmp_path: Path) -> None:
    result = ask("Bash", command="yes", timeout=20)["result"]
    assert (result["killed"], result["truncated"]) == ("output", True)
    assert len(result["output"]) < 31000
    assert Path(result["full_output"]).stat().st_size < 66 << 20
    for _ in range(9):
        ask("Bash", command="seq 1 20000")
    assert len(list((tmp_path / "scratch").iterdir())) == 8


def test_bash_goes_on_when_the_whole_output_cannot_be_kept(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "scratch").rmdir()
    result = ask("Bash", command="seq 1 40000")["result"]
    assert (result["truncated"], result["full_output"]) == (True, None)
    assert result["output"].endswith("39999\n40000\n")


def test_bash_decodes_what_is_no_text(ask: Ask) -> None:
    assert ask("Bash", command=r"printf 'a\xff\0b'")["result"]["output"] == "a\ufffd\0b"


def test_bash_refuses_what_bash_cannot_take(ask: Ask) -> None:
    for command in ("echo \0", "echo \ud800"):
        assert ask("Bash", command=command) == {
            "error": "The command holds a NUL or a lone surrogate."
        }
    assert ask("Bash", command="#" * 200_000) == {
        "error": "bash did not start: Argument list too long: put a long text into a file first."
    }


def test_bash_children_have_limits(ask: Ask) -> None:
    output = ask("Bash", command="ulimit -c; ulimit -n; ulimit -f")["result"]["output"]
    assert output.split() == ["0", "1024", str((512 << 20) // 1024)]


@pytest.mark.parametrize(
    ("command", "edits", "writes"),
    [
        ("cat f", True, True),
        ("cat ./f", True, True),
        ("head -n 1 f", True, False),
        ("tail f", True, False),
        ("sed -n '1,2p' f", True, False),
        ("grep -En 'a|b$' f", True, False),
        ("cat f | tail -1", False, False),
        ("cat f g", False, False),
        ("cat f; true", False, False),
        ("cat < f", False, False),
        ("sed -i s/a/b/ f", False, False),
        ("echo f", False, False),
        ("cat f missing", False, False),
    ],
)
def test_a_plain_look_at_one_file_counts_as_a_read(
    ask: Ask, root: Path, command: str, edits: bool, writes: bool
) -> None:
    (root / "f").write_text("a\nb\n")
    (root / "g").write_text("g\n")
    ask("Bash", command=command)
    assert ("result" in ask("Write", file_path="f", content="a\nb\n")) is writes
    assert ("result" in ask("Edit", file_path="f", old_string="b\n", new_string="c\n")) is edits


def test_bash_reports_markers_once_and_again_when_they_change(ask: Ask, tmp_path: Path) -> None:
    complete = tmp_path / "complete"
    (complete / "link.done").symlink_to("/etc/passwd")
    os.mkfifo(complete / "fifo.failed")
    (complete / "note.txt").touch()
    written = ask("Write", file_path=f"{complete}/TASK-1.done", content="x" * 5000)
    assert written["signals"] == [{"name": "TASK-1.done", "text": "x" * 4000}]
    assert "signals" not in ask("Bash", command="true")
    answer = ask("Bash", command=f"cd {complete}; echo why > T.failed; echo who > T.blocked")
    assert answer["signals"] == [
        {"name": "T.blocked", "text": "who\n"},
        {"name": "T.failed", "text": "why\n"},
    ]
    time.sleep(0.01)
    answer = ask("Edit", file_path=f"{complete}/TASK-1.done", old_string="x" * 5000, new_string="y")
    assert answer["signals"] == [{"name": "TASK-1.done", "text": "y"}]
