"""Runs: names, the lock of a task, and reports that a repository may have brought."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agentflow.done_runs import choose_run, open_runs
from agentflow.errors import EnvironmentFailure, Held, UsageError
from agentflow.run_reports import MAX_REPORT, REPORT, read_report
from agentflow.runs import (
    FOLDER,
    JOURNAL,
    MAX_JOURNAL,
    batch_runs,
    find_report,
    is_running,
    landed_by,
    list_runs,
    new_run,
    newest_run,
    run_name,
    task_lock,
    unfinished_run,
)

IDS = [
    "TASK-001",
    "TASK-T01",
    "BUILD-015",
    "TASK_2025_064_1",
    "GAQNO-1170",
    "03a-PROMPT-ARCHITECTURE",
    "A-20250101T000000-abcd",
    "v1.2",
]


def add(root: Path, run: str, *, answered: bool = True, **report: Any) -> Path:
    folder = root / FOLDER / run
    folder.mkdir(parents=True)
    if answered:
        (folder / JOURNAL).write_text('{"n": 3, "type": "assistant"}\n', encoding="utf-8")
    if report:
        task = run.rsplit("-", 2)[0]
        (folder / REPORT).write_text(json.dumps({"task": task, "run": run, **report}))
    return folder


def test_a_later_run_has_a_later_name_also_within_a_second(tmp_path: Path) -> None:
    now = datetime(2025, 1, 2, 3, 4, 5, 900_000, tzinfo=UTC)
    names = list[str]()
    for entropy in (b"\xff\xff", b"\x80\0", b"\0\0"):
        names.append(new_run(tmp_path, "TASK-1", now, entropy))
        add(tmp_path, names[-1])
        assert [newest_run(tmp_path, "TASK-1"), unfinished_run(tmp_path, "TASK-1")] == names[
            -1:
        ] * 2
    assert [report["run"] for report in list_runs(tmp_path)] == names
    assert names[0] == run_name("TASK-1", now, b"\xff\xff")
    assert new_run(tmp_path, "TASK-2", now, b"\0\0") == run_name("TASK-2", now, b"\0\0")


def test_a_later_batch_of_a_document_has_a_later_run(tmp_path: Path) -> None:
    """The newest run is the document's, and batches can take less than a second."""
    now = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
    names = list[str]()
    for batch, entropy in ((1, b"\xff\xff"), (2, b"\x80\0"), (10, b"\0\0")):
        names.append(new_run(tmp_path, f"T-batch-{batch}", now, entropy))
        add(tmp_path, names[-1])
        assert find_report(tmp_path, "T")["run"] == names[-1]
    assert batch_runs(tmp_path, "T") == names


def test_a_name_far_ahead_is_nothing_to_go_by(tmp_path: Path) -> None:
    """A repository may bring one."""
    now = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
    for name in ("TASK-1-20990101T000000-abcd", "TASK-1-20259999T000000-abcd"):
        add(tmp_path, name)
        assert new_run(tmp_path, "TASK-1", now, b"\0\0") == run_name("TASK-1", now, b"\0\0")


@pytest.mark.parametrize("task", IDS)
def test_a_name_gives_the_task_back_and_is_a_ref(tmp_path: Path, task: str) -> None:
    run = run_name(task, datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC), b"\x0a\xbc")
    assert run == f"{task}-20250102T030405-0abc"
    assert read_report(add(tmp_path, run))["task"] == task
    for ref in (f"refs/agentflow/runs/{run}", f"refs/heads/agentflow/{task}@{run}"):
        subprocess.run(["git", "check-ref-format", ref], check=True)


def test_runs_are_listed_oldest_first_and_by_task(tmp_path: Path) -> None:
    add(tmp_path, "B-20250101T000001-0000", outcome="done")
    add(tmp_path, "A-20250101T000003-0000", outcome="failed")
    add(tmp_path, "A-B-20250101T000002-ffff")
    (tmp_path / FOLDER / "notes").mkdir()
    (tmp_path / FOLDER / "A-20250101T000009-0000").write_text("a file")
    assert [(r["run"], r["task"], r["outcome"]) for r in list_runs(tmp_path)] == [
        ("B-20250101T000001-0000", "B", "done"),
        ("A-B-20250101T000002-ffff", "A-B", "unfinished"),
        ("A-20250101T000003-0000", "A", "failed"),
    ]
    assert [r["run"] for r in list_runs(tmp_path, "A")] == ["A-20250101T000003-0000"]
    assert list_runs(tmp_path / "nowhere") == []


RUN = "A-20250101T000000-abcd"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "[" * 100_000,
        "\udcff",
        '{"task": "A", "outcome": "done"}',
        '{"task": "B", "run": "A-20250101T000000-abcd", "outcome": "done"}',
        '{"task": "A", "run": "A-20250101T000000-ffff", "outcome": "done"}',
        '{"task": "A", "run": "A-20250101T000000-abcd", "outcome": ["done"]}',
        '{"task": "A", "run": "A-20250101T000000-abcd", "outcome": "done", "landed": "x"}',
        '{"task": "A", "run": "A-20250101T000000-abcd", "outcome": "done", "landed": {"ref": "x"}}',
        '{"task": "A", "run": "A-20250101T000000-abcd", "outcome": "done", "task_sha256": []}',
        '{"task": "A", "run": "A-20250101T000000-abcd", "outcome": "done", "x": NaN}',
        '{"task": "A", "run": "A-20250101T000000-abcd", "outcome": "done", "x": [-1e999]}',
        '{"task": "A", "run": "A-20250101T000000-abcd", "outcome": "done", "x": %s}'
        % ("[" * 150 + "]" * 150),
    ],
)
def test_a_report_that_does_not_fit_counts_as_unfinished(tmp_path: Path, text: str) -> None:
    folder = add(tmp_path, RUN)
    (folder / REPORT).write_bytes(text.encode("utf-8", "surrogateescape"))
    bare = {"task": "A", "run": RUN, "outcome": "unfinished", "exit_code": None}
    assert read_report(folder) == bare
    assert unfinished_run(tmp_path, "A") == RUN
    assert landed_by(tmp_path, "A", "x") is None


@pytest.mark.parametrize(
    ("outcome", "left"),
    [
        ("budget", True),
        ("provider", True),
        ("interrupted", True),
        ("unfinished", True),
        ("done", False),
        ("failed", False),
        ("blocked", False),
        ("environment", True),
        ("conflict", False),
    ],
)
def test_only_the_newest_run_can_be_left_unfinished(
    tmp_path: Path, outcome: str, left: bool
) -> None:
    add(tmp_path, "A-20250101T000000-ffff", outcome="budget")
    add(tmp_path, "A-20250101T000001-0000", outcome=outcome)
    assert unfinished_run(tmp_path, "A") == ("A-20250101T000001-0000" if left else None)
    assert unfinished_run(tmp_path, "B") is None


@pytest.mark.parametrize(
    "outcome", ["budget", "provider", "interrupted", "unfinished", "environment"]
)
def test_a_run_that_the_model_never_answered_holds_nobody_up(tmp_path: Path, outcome: str) -> None:
    add(tmp_path, "A-20250101T000001-0000", answered=False, outcome=outcome)
    assert unfinished_run(tmp_path, "A") is None


def test_a_report_of_any_length_is_not_read(tmp_path: Path) -> None:
    path = add(tmp_path, RUN, outcome="done") / REPORT
    with path.open("ab") as file:
        file.write(b" " * (MAX_REPORT - file.tell()))
    assert read_report(path.parent)["outcome"] == "done"
    with path.open("ab") as file:
        file.write(b" ")
    assert read_report(path.parent)["outcome"] == "unfinished"


@pytest.mark.parametrize("kind", ["link", "device", "pipe", "folder"])
def test_only_regular_files_are_read(tmp_path: Path, kind: str) -> None:
    folder = add(tmp_path, RUN, outcome="budget")
    for name in (REPORT, JOURNAL):
        path = folder / name
        path.rename(tmp_path / name)
        match kind:
            case "link":
                path.symlink_to(tmp_path / name)
            case "device":
                path.symlink_to("/dev/zero")
            case "pipe":
                os.mkfifo(path)
            case _:
                path.mkdir()
    assert read_report(folder)["outcome"] == "unfinished"
    assert unfinished_run(tmp_path, "A") is None


@pytest.mark.parametrize(("before", "found"), [(0, True), (1 << 21, True), (MAX_JOURNAL, False)])
def test_a_journal_is_searched_up_to_a_limit(tmp_path: Path, before: int, *, found: bool) -> None:
    journal = add(tmp_path, RUN) / JOURNAL
    with journal.open("wb") as file:
        file.truncate(before)
        file.seek(before)
        file.write(b'\n{"n": 1, "type": "assistant"}\n')
    assert unfinished_run(tmp_path, "A") == (RUN if found else None)


def test_a_run_at_work_is_told_by_its_lock(tmp_path: Path) -> None:
    assert not is_running(tmp_path, "A")
    with task_lock(tmp_path, "A"):
        assert is_running(tmp_path, "A")
    assert not is_running(tmp_path, "A")


def test_the_run_that_landed_a_commit_is_found(tmp_path: Path) -> None:
    add(tmp_path, "A-20250101T000000-0000", outcome="done", landed={"tip": "aaa"})
    add(tmp_path, "A-20250101T000001-0000", outcome="done", landed={"tip": "bbb"})
    add(tmp_path, "A-20250101T000002-0000", outcome="failed", landed=None)
    assert landed_by(tmp_path, "A", "aaa") == "A-20250101T000000-0000"
    assert landed_by(tmp_path, "A", "bbb") == "A-20250101T000001-0000"
    assert landed_by(tmp_path, "A", "ccc") is None
    assert landed_by(tmp_path, "B", "aaa") is None


HOLD = """
import sys
from pathlib import Path
from agentflow.runs import task_lock
with task_lock(Path(sys.argv[1]), "A"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_is_held_by_one_process_and_dies_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "locks"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        with task_lock(folder, "B"):
            pass
        with (
            pytest.raises(Held, match=r"^another run of A is at work$"),
            task_lock(folder, "A"),
        ):
            pass
        holder.kill()
        holder.wait()
    with task_lock(folder, "A"):
        pass
    with task_lock(folder, "A"):
        pass


def test_a_lock_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "locks").write_text("")
    with (
        pytest.raises(EnvironmentFailure, match=rf"^cannot make the lock {tmp_path}/locks/A\.lock"),
        task_lock(tmp_path / "locks", "A"),
    ):
        pass


def test_a_replay_does_not_hide_what_can_go_on(tmp_path: Path) -> None:
    for number, facts in enumerate(({"outcome": "budget"}, {"outcome": "failed", "replay": True})):
        run = f"T-1-2026112{number}T000000-0000"
        folder = tmp_path / FOLDER / run
        folder.mkdir(parents=True)
        (folder / REPORT).write_text(json.dumps({"task": "T-1", "run": run, **facts}))
        (folder / JOURNAL).write_text('{"type": "assistant"}\n')
    first = "T-1-20261120T000000-0000"
    assert open_runs(tmp_path) == [first]
    assert unfinished_run(tmp_path, "T-1") == first
    assert choose_run(tmp_path, "T-1", blocked=False) == first


def test_of_several_runs_each_is_named_by_its_command(tmp_path: Path) -> None:
    runs = [f"T-{number}-20261120T000000-0000" for number in (1, 2)]
    for number, run in enumerate(runs, 1):
        folder = tmp_path / FOLDER / run
        folder.mkdir(parents=True)
        report = {"task": f"T-{number}", "run": run, "outcome": "budget"}
        (folder / REPORT).write_text(json.dumps(report))
        (folder / JOURNAL).write_text('{"type": "assistant"}\n')
    with pytest.raises(UsageError, match="several runs can go on") as refused:
        choose_run(tmp_path, None, blocked=False)
    assert refused.value.hint.split("\n") == [f"agentflow resume {run}" for run in runs]
