"""`agentflow report`, from a run's folder and a repository's commits."""

import json
import time
from dataclasses import replace
from pathlib import Path

from agentflow.details.reading import read_details
from agentflow.disk import write_atomically
from agentflow.events import Collected, LandingDone, RunStarted, Verified
from agentflow.journal import Journal
from agentflow.pages.report import render_report
from agentflow.records import Json
from agentflow.redaction import redactor
from agentflow.report import Summary
from agentflow.run_reports import REPORT
from agentflow.runs import FOLDER, JOURNAL, find_report
from agentflow.strict_json import parse_object
from agentflow.workspace.repository import open_repository
from tests.cli.shell import EVIL, Shell
from tests.patience import PATIENCE
from tests.sinks.sample import BEGAN, RUN, timed

KEY = "sk-ant-api03-" + "a1B2c3D4e5" * 9 + "AA"
WORD = "correct-horse"


def make_run(shell: Shell, *, finished: bool = True) -> Path:
    """The sample run in a repository, with a commit that holds a key and an attack."""
    project = shell.project
    project.write(".orchestrator/config.toml", '[environment]\nenv_from = ["WORD"]\n')
    base = project.commit("chore: configuration")
    project.write(
        "app/search.py",
        f"KEY = '{KEY}'\nWORD = '{WORD}'\n# </td><script>alert(1)</script> {EVIL}\n",
    )
    tip = project.commit("feat: search")
    folder = project.root / FOLDER / RUN
    folder.mkdir(parents=True)
    clock = iter(at for at, _ in timed())
    journal, summary = Journal(folder / JOURNAL, lambda: next(clock)), Summary(lambda: BEGAN)
    for _, event in timed():
        match event:
            case RunStarted() | Verified():
                event = replace(event, base=base)
            case Collected() | LandingDone():
                event = replace(event, tip=tip)
            case _:
                pass
        journal.append(event)
        summary(event)
    journal.close()
    if finished:
        write_atomically(folder / REPORT, json.dumps(summary.as_json()))
    return folder


def test_a_page_is_opened_in_the_user_s_browser(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    make_run(shell)
    told, browser, page = tmp_path / "told", tmp_path / "browser", tmp_path / "my page.html"
    browser.write_text(f'#!/bin/sh\necho "$1" >{told}.part && mv {told}.part {told}\n')
    browser.chmod(0o755)
    ended = shell.run("report", "TASK-1", "-o", str(page), "--open", BROWSER=f"{browser} %s")
    assert (ended.returncode, ended.stderr) == (0, "")
    deadline = time.monotonic() + PATIENCE
    while not told.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert told.read_text() == f"{page.as_uri()}\n"


def test_a_page_is_written_where_the_run_is(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    folder = make_run(shell)
    ended = shell.run("report", "TASK-1", WORD=WORD)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == f"{folder / 'report.html'}\n"
    text = (folder / "report.html").read_text()
    assert "app/search.py" in text
    assert "Now the route, and its tests." in text
    assert KEY not in text
    assert WORD not in text
    assert text.count("[redacted]") == 2
    assert "<script>alert" not in text
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
    missing = shell.run("report", "TASK-9")
    assert missing.returncode == 2


def test_a_run_without_a_report_is_shown_as_far_as_it_came(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    folder = make_run(shell, finished=False)
    repository = open_repository(shell.project.root, shell.project.world.environment)
    found = find_report(repository.root, "TASK-1")
    details = read_details(repository, tmp_path, found, redactor(()))
    assert (details.report["outcome"], details.report["title"]) == ("unfinished", "Search notes")
    assert [turn.number for turn in details.turns] == [1, 2, 3, 4, 5]
    assert [(call.name, call.is_error) for call in details.turns[1].calls] == [
        ("Write", False), ("Bash", True),
    ]  # fmt: skip
    assert [file.path for file in details.files] == ["app/search.py"]
    assert parse_object(folder.joinpath(JOURNAL).read_bytes().splitlines()[0])["run"] == RUN
    assert "unfinished" in render_report(details)


def test_commits_that_are_gone_are_said_to_be(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    make_run(shell)
    repository = open_repository(shell.project.root, shell.project.world.environment)
    found = {**find_report(repository.root, "TASK-1"), "base": "0" * 40, "landed": None}
    details = read_details(repository, tmp_path, found, redactor(()))
    assert (details.files, details.diff_problem) == ((), "the commits are gone")
    evil = {**found, "base": "--output=/tmp/x"}
    assert read_details(repository, tmp_path, evil, redactor(())).files == ()


ODD: list[Json] = [
    {"message": {}},
    {"message": {"content": 7}},
    {"message": {"content": [7, {"type": "text"}, {"type": "tool_use", "input": [EVIL]}]}},
    {"usage": {"input_tokens": 10**18, "output_tokens": -5}, "cost": 1e308},
    {"usage": {"cache_read_tokens": -1}, "cost": -1e308},
]


def test_a_journal_that_a_repository_brought_is_shown_or_refused(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    folder = make_run(shell, finished=False)
    first, *_ = folder.joinpath(JOURNAL).read_bytes().splitlines(keepends=True)
    begun: Json = {
        **parse_object(first),
        "limits": {"timeout": EVIL, "max_cost": [], "max_turns": {}},
    }
    reply: Json = {
        "at": begun["at"], "type": "assistant", "message": {"content": EVIL}, "stop_reason": "x",
        "usage": {}, "discarded": {}, "cost": None,
    }  # fmt: skip
    results: Json = {
        "at": begun["at"],
        "type": "user",
        "message": {"content": [{"type": "tool_result"}]},
    }
    lines = [begun, *({**reply, **odd} for odd in ODD), results]
    folder.joinpath(JOURNAL).write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    ended = shell.run("report", "TASK-1", "-o", "-")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert not {"\x1b", "\x07", "\u202e"} & set(ended.stdout)
    followed = shell.run("runs", "show", "TASK-1", "--follow")
    assert followed.returncode == 0, followed.stderr
    assert not {"\x1b", "\x07", "\u202e"} & set(followed.stderr)
    with folder.joinpath(JOURNAL).open("a") as file:
        file.write('{"type": "unknown"}\n')
    refused = shell.run("report", "TASK-1")
    assert refused.returncode == 5
    assert "is no event of this version (unknown)" in refused.stderr
