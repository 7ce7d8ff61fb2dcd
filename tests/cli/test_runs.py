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

from agentflow.cli.completion import complete_outcome, complete_prompt, complete_run, complete_task
from agentflow.journal import Journal, follow
from agentflow.run_reports import REPORT
from agentflow.runs import FOLDER, JOURNAL, task_lock
from agentflow.workspace.repository import open_repository
from tests.forks.programs import agentflow
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
            agentflow("runs", *arguments),
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


def started(run: str, **fields: object) -> str:
    known: dict[str, object] = {
        "run": run, "task": "A", "task_sha256": "", "title": "Title", "prompt": "agent",
        "prompt_sha256": "", "model": "m", "base": "b", "sandbox": "s", "branch": "x",
        "tools": list[str](), "system": "", "version": "0",
    }  # fmt: skip
    line = {"n": 0, "at": "2025-01-01T00:00:00+00:00", "type": "agentflow.run_started"}
    return json.dumps({**line, **known, **fields}) + "\n"


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ((), ["A1", "B2", "A3"]),
        (("A",), ["A1", "A3"]),
        (("--outcome", "failed"), ["B2"]),
        (("--outcome", "failed", "--outcome", "done"), ["A1", "B2", "A3"]),
        (("--since", "2025-01-02"), ["B2", "A3"]),
        (("--since", "2025-01-02T00:00:01"), ["A3"]),
        (("--since", "9999d"), ["A1", "B2", "A3"]),
        (("--since", "1d"), []),
        (("--prompt", "engineer"), ["B2"]),
        (("--model", "sonnet"), ["A1", "A3"]),
        (("--limit", "2"), ["B2", "A3"]),
        (("A", "-n", "1"), ["A3"]),
    ],
    ids=" ".join,
)
def test_runs_are_filtered(
    runs: Runs, add: Callable[..., Path], filters: tuple[str, ...], found: list[str]
) -> None:
    for day, task in enumerate("ABA", start=1):
        name = f"{task}-2025010{day}T000000-abcd"
        fields = {"outcome": "failed", "model": "haiku-1", "prompt": {"name": "engineer"}}
        add(whole(task=task, run=name, **(fields if task == "B" else {"model": "sonnet-5"})), name)
    listed = [
        json.loads(line)["run"] for line in runs("list", *filters, "--json").stdout.splitlines()
    ]
    assert [f"{run[0]}{run[9]}" for run in listed] == found
    assert len(runs("list", *filters).stdout.splitlines()) == len(found)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--outcome", "faild"), "--outcome: 'faild' is none; did you mean 'failed'?"),
        (("--since", "yesterday"), "--since: 'yesterday' is no time like 7d, 2h, 2026-11-20"),
        (("--limit", "0"), "Invalid value for '--limit'"),
    ],
    ids=str,
)
def test_a_wrong_filter_is_named(runs: Runs, arguments: tuple[str, ...], words: str) -> None:
    ended = runs("list", *arguments)
    assert ended.returncode == 2
    assert words in ended.stderr


def test_nothing_found_is_said(runs: Runs, tmp_path: Path) -> None:
    assert runs("list").stderr == "no runs yet\n"
    unknown = runs("list", "A")
    assert unknown.returncode == 2
    assert "there is no task 'A', and no run of it" in unknown.stderr
    tasks = tmp_path / "root/.orchestrator/tasks"
    tasks.mkdir(parents=True)
    (tasks / "A.md").write_text("# A\n")
    known = runs("list", "A")
    assert (known.returncode, known.stderr) == (0, "no runs of A yet\n")
    assert runs("list", "--prompt", "x").stderr == "no such runs\n"


def test_a_run_that_was_killed_is_followed_to_where_it_died(
    runs: Runs, add: Callable[..., Path]
) -> None:
    (add() / JOURNAL).write_text(started(RUN, title=EVIL) + '{"torn')
    ended = runs("show", "A", "--follow")
    assert (ended.returncode, ended.stdout.split()[:2]) == (0, [RUN, "unfinished"])
    assert ended.stderr.startswith("2025-01-01T00:00:00Z A run : :error::x")
    assert not {"\x1b", "\x07", "\u202e"} & set(ended.stderr)
    journal = runs("show", "A", "--follow", "--journal").stdout.splitlines()
    assert [json.loads(line)["n"] for line in journal] == [0]


def test_a_run_at_work_is_followed_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / JOURNAL
    path.write_text('{"n": 0}\n{"n"')
    pauses = iter([": 1}\n", '{"n": 2}\n{"n": 3}\n', ""])
    at_work = iter([True, True, True, False])

    def sleep(_seconds: float) -> None:
        with path.open("a") as file:
            file.write(next(pauses))

    def is_running() -> bool:
        if next(at_work):
            return True
        with path.open("a") as file:  # the last words of a process that has just ended
            file.write('{"n": 4}\n')
        return False

    assert [line["n"] for line in follow(path, is_running, sleep)] == [0, 1, 2, 3, 4]


def test_the_shell_completes_runs_prompts_and_outcomes(
    runs: Runs, add: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(whole())
    add("{}", f"\x1b[2J{RUN}")
    deep = tmp_path / "root" / "deep"
    deep.mkdir()
    monkeypatch.chdir(deep)
    assert complete_run("A") == ["A", RUN]
    assert complete_run("") == ["A", RUN]
    assert complete_outcome("f") == ["failed"]
    (tmp_path / "root/.orchestrator/tasks").mkdir(parents=True, exist_ok=True)
    (tmp_path / "root/.orchestrator/tasks/TASK-7.md").write_text("# Do it\n")
    assert complete_task("T") == ["TASK-7"]
    assert "engineer" in complete_prompt("e")
    asked = {"_AGENTFLOW_COMPLETE": "complete_bash", "COMP_WORDS": "agentflow runs show A-2"}
    ended = subprocess.run(
        [Path(sys.executable).with_name("agentflow")],
        cwd=deep,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "COMP_CWORD": "3", **asked},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout.split() == [RUN]


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


def test_what_is_not_pruned_is_said(runs: Runs, add: Callable[..., Path], tmp_path: Path) -> None:
    for task, time in (
        ("A", "20250101T000000"),
        ("B", "20250101T000000"),
        ("C", "20259999T000000"),
    ):
        add("{}", f"{task}-{time}-abcd")
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    repository = open_repository(tmp_path / "root", environment)
    with task_lock(repository.locks(tmp_path / ".cache/agentflow"), "A"):
        ended = runs("prune", "--json")
        again = runs("prune")

    reasons = {line["run"][0]: line["stays"] for line in map(json.loads, ended.stdout.splitlines())}
    assert reasons == {
        "A": "another run of A is at work",
        "B": None,
        "C": "its name does not say when it began",
    }
    assert [line[0] for line in again.stdout.splitlines()] == ["A", "C"]
    assert "stays: another run of A is at work" in again.stdout
    assert again.stderr == "0 runs removed\n"


def test_what_is_to_be_pruned_is_shown_without_control_sequences(
    runs: Runs, add: Callable[..., Path]
) -> None:
    add(json.dumps({"task": "A", "run": RUN, "outcome": EVIL[:10], "exit_code": 1}))
    ended = runs("prune", "--keep", "0s", "--dry-run")
    assert (ended.returncode, ended.stdout.split()[0]) == (0, RUN)
    assert ended.stdout.replace("\n", "").isprintable()
