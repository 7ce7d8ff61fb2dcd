"""`agentflow runs`, in a repository that brought reports and journals of its own."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agentflow.journal import Journal
from agentflow.runs import FOLDER, JOURNAL, REPORT, task_lock
from agentflow.workspace.repository import open_repository
from tests.test_history import BEGUN, reply

RUN = "A-20250101T000000-abcd"
EVIL = "\x1b]0;owned\x07\x1b[2J::error::x \u202e"
MEMORY = 1 << 30

Runs = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    root = tmp_path / "root"
    subprocess.run(["git", "init", "-q", root], check=True)
    author = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    commit = ("commit", "-q", "--allow-empty", "-m", "start")
    subprocess.run(["git", "-C", root, *author, *commit], check=True)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "agentflow", "runs", *arguments],
            cwd=root,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LANG": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            preexec_fn=limit,
        )

    return run


@pytest.fixture
def add(tmp_path: Path) -> Callable[..., Path]:
    def make(text: str | None = None, run: str = RUN) -> Path:
        folder = tmp_path / "root" / FOLDER / run
        folder.mkdir(parents=True)
        if text is not None:
            (folder / REPORT).write_text(text)
        return folder

    return make


def whole(**fields: object) -> str:
    return json.dumps({"task": "A", "run": RUN, "outcome": "done", **fields})


@pytest.mark.parametrize(
    "text",
    [
        whole(),
        whole(total_cost_usd="x", duration_ms=[], title={}),
        whole(total_cost_usd=10**400, duration_ms=10**400),
        whole(outcome=EVIL, title=EVIL, reason=EVIL, marker=EVIL, base=EVIL, hint=EVIL),
        whole(verification={"gates": [{"status": "odd"}, 1]}, usage=[], commits=[0], changes=0),
        whole(total_cost_usd=float("nan")),
        whole(deep=json.loads("[" * 900 + "]" * 900)),
    ],
)
def test_any_report_is_listed_and_shown(runs: Runs, add: Callable[..., Path], text: str) -> None:
    add(text)
    for arguments in (["list"], ["show", "A"], ["list", "--json"], ["show", "A", "--json"]):
        ended = runs(*arguments)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert not {"\x1b", "\x07", "\u202e"} & set(ended.stdout)
        assert "NaN" not in ended.stdout
        assert "A" in ended.stdout


def test_a_folder_s_name_cannot_reach_the_terminal(runs: Runs, add: Callable[..., Path]) -> None:
    add("{}", f"::error title=owned::{RUN}")
    add("{}", f"\x1b[2J\x1b]0;owned\x07{RUN}")
    listed = runs("list").stdout
    assert len(listed.splitlines()) == 2
    assert not [line for line in listed.splitlines() if line.startswith("::")]
    assert not {"\x1b", "\x07"} & set(listed)


def test_links_to_devices_end_no_memory(runs: Runs, add: Callable[..., Path]) -> None:
    folder = add()
    for name in (REPORT, JOURNAL):
        (folder / name).symlink_to("/dev/zero")
    listed = runs("list")
    assert (listed.returncode, listed.stdout.split()) == (0, [RUN, "unfinished"])
    shown = runs("show", "A", "--journal")
    assert shown.returncode != 70
    assert shown.stderr.startswith("error: cannot use the journal ")


def test_a_journal_that_is_no_json_is_named(runs: Runs, add: Callable[..., Path]) -> None:
    (add() / JOURNAL).write_text('{"n": 0}\n{"n": NaN}\n')
    shown = runs("show", "A", "--journal")
    assert shown.stdout == '{"n": 0}\n'
    assert f"{JOURNAL}:2: the journal is damaged" in shown.stderr


def test_what_runs_cost_also_one_that_was_killed(runs: Runs, add: Callable[..., Path]) -> None:
    usage = {"input_tokens": 1000, "output_tokens": 20}
    models = {"other": {"turns": 2, "cost_usd": 0.5, "usage": usage}}
    add(whole(num_turns=2, total_cost_usd=0.5, usage=usage, models=models, duration_ms=61_000))
    killed = "A-20250102T000000-abcd"
    journal = Journal(add(run=killed) / JOURNAL, lambda: datetime(2025, 1, 2, tzinfo=UTC))
    journal.append(BEGUN)
    journal.append(reply("1", cost=0.25))
    journal.close()

    listed = runs("list")
    assert [line.split("  ")[-1] for line in listed.stdout.splitlines()] == [
        "1 min 01 s",
        BEGUN.title,
    ]
    assert "2 turns · 1,020 tokens · $0.5000" in listed.stdout
    assert "unfinished" in listed.stdout
    assert "1 turn · 1 token · $0.2500" in listed.stdout
    assert listed.stderr == "2 runs: 3 turns · 1,021 tokens · $0.7500\n"
    assert runs("list", "--by", "task").stdout.split("  ")[-2:] == [
        "2 runs",
        "3 turns · 1,021 tokens · $0.7500\n",
    ]
    sums = map(json.loads, runs("list", "--by", "model", "--json").stdout.splitlines())
    assert [(each["model"], each["runs"], each["turns"], each["cost_usd"]) for each in sums] == [
        ("other", 1, 2, 0.5),
        (BEGUN.model, 1, 1, 0.25),
    ]


def test_the_run_that_goes_on_is_the_one_that_runs(
    runs: Runs, add: Callable[..., Path], tmp_path: Path
) -> None:
    older, newer = "A-20250101T000000-abcd", "A-20250102T000000-abcd"
    for run, text, written in ((older, whole(outcome="budget"), 2), (newer, None, 1)):
        (add(text, run=run) / JOURNAL).touch()
        os.utime(tmp_path / "root" / FOLDER / run / JOURNAL, (written, written))
    locks = open_repository(tmp_path / "root", {"PATH": os.environ["PATH"]}).locks(
        tmp_path / ".cache/agentflow"
    )
    with task_lock(locks, "A"):
        listed = runs("list").stdout.splitlines()
    assert [line.split()[:2] for line in listed] == [[older, "running"], [newer, "unfinished"]]
    assert runs("list").stdout.split()[1] == "budget"
