"""The journal: lines on the disk, torn ends, damage, and a disk that refuses."""

import json
import resource
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agentflow.errors import EnvironmentFailure
from agentflow.events import Notice, TextDelta, UserMessage
from agentflow.journal import MAX_LINE, Journal, load


def now() -> datetime:
    return datetime(2025, 1, 2, 3, 4, 5, 678901, UTC)


def line(number: int, text: str) -> dict[str, object]:
    at = "2025-01-02T03:04:05.678+00:00"
    return {"n": number, "at": at, "type": "agentflow.notice", "text": text}


def test_durable_events_become_lines_and_others_are_let_go(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "a" / "journal.jsonl"
    journal = Journal(path, now)
    journal.append(Notice("one"))
    journal.append(TextDelta("not kept"))
    journal.append(Notice("two\r\n\u2028"))
    journal.close()
    assert load(path) == [line(0, "one"), line(1, "two\r\n\u2028")]
    assert path.stat().st_mode & 0o777 == 0o600


def test_text_that_is_no_unicode_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    message = {"role": "user", "content": "half \udcff and \ud83d, whole 😀"}
    journal = Journal(path, now)
    journal.append(UserMessage(message))
    journal.close()
    assert load(path)[0]["message"] == message


def test_a_torn_last_line_is_cut_off_and_the_count_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path, now)
    journal.append(Notice("one"))
    journal.close()
    with path.open("ab") as file:
        file.write(b'{"n": 1, "at": "20')
    assert load(path) == [line(0, "one")]
    journal = Journal(path, now)
    journal.append(Notice("two"))
    journal.close()
    assert load(path) == [line(0, "one"), line(1, "two")]


def test_a_journal_that_is_one_torn_line_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'{"n": 0')
    Journal(path, now).close()
    assert (load(path), path.read_bytes()) == ([], b"")


@pytest.mark.parametrize("bad", [b'{"n": 1', b"[1]", b"\xff", b"", b"[" * 100_000, b'{"a": NaN}'])
def test_damage_in_the_middle_is_named_by_line(tmp_path: Path, bad: bytes) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'{"n": 0}\n' + bad + b'\n{"n": 2}\n')
    for read in (lambda: load(path), lambda: Journal(path, now)):
        with pytest.raises(EnvironmentFailure) as caught:
            read()
        assert caught.value.message.startswith(f"{path}:2: the journal is damaged")
        assert "--fresh" in caught.value.hint


def test_a_place_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "journal.jsonl", tmp_path):
        with pytest.raises(EnvironmentFailure, match=f"^cannot use the journal {path}: "):
            Journal(path, now)


def test_a_number_that_is_none_is_kept_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path, now)
    numbers = [float("nan"), float("inf"), -float("inf"), 1.5]
    journal.append(UserMessage({"content": numbers, "text": "half \udcff"}))
    journal.close()
    assert load(path)[0]["message"] == {
        "content": ["NaN", "Infinity", "-Infinity", 1.5],
        "text": "half \udcff",
    }


def test_only_regular_files_with_lines_of_some_length_are_read(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/zero")
    with (tmp_path / "long").open("wb") as file:
        file.truncate(MAX_LINE + 1)
    for name, reason in (
        ("link", "Too many levels of symbolic links"),
        ("long", f"a line is longer than {MAX_LINE} bytes"),
    ):
        path = tmp_path / name
        with pytest.raises(EnvironmentFailure, match=f"{name}: {reason}$"):
            load(path)
        with pytest.raises(EnvironmentFailure, match=f"{name}: {reason}$"):
            Journal(path, now)
    with pytest.raises(EnvironmentFailure, match=r"not a regular file$"):
        load(Path("/dev/null"))


FULL = """
import resource, sys
from datetime import UTC, datetime
from pathlib import Path
from agentflow.errors import EnvironmentFailure
from agentflow.events import Notice
from agentflow.journal import Journal

journal = Journal(Path(sys.argv[1]), lambda: datetime(2025, 1, 2, 3, 4, 5, 678901, UTC))
journal.append(Notice("one"))
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (150, hard))
try:
    journal.append(Notice("x" * 500))
except EnvironmentFailure as failure:
    print(failure.message)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
journal.append(Notice("two"))
"""


def test_a_full_disk_leaves_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    ended = subprocess.run(
        [sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=True
    )
    assert ended.stdout == f"cannot use the journal {path}: No space left on device\n"
    assert load(path) == [line(0, "one"), line(1, "two")]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 150


def test_each_line_is_there_when_append_returns(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path, now)
    journal.append(Notice("one"))
    assert [json.loads(each) for each in path.read_text().splitlines()] == [line(0, "one")]
    journal.close()
