"""`agentflow runs`, in a repository that brought reports and journals of its own."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agentflow.runs import FOLDER, JOURNAL, REPORT

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
