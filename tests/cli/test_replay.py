"""A run is recorded, and repeated without a model: as it was, until a request differs."""

import json
from pathlib import Path

import pytest

from agentflow.records import Json
from tests.cli.test_cli import GATE, Terminal
from tests.run.project import HELLO, Project, bash, turn

pytestmark = pytest.mark.sandbox

KEY = "sk-ant-api03-" + "a1B2c3D4e5" * 9 + "AA"


@pytest.fixture
def terminal(project: Project, tmp_path: Path):
    terminal = Terminal(project, tmp_path)
    yield terminal
    terminal.close()


def replay(terminal: Terminal, tape: Path, *arguments: str) -> tuple[int, Json]:
    """The exit code and the report. There is no server, and no key."""
    ended = terminal.run(
        "run", "TASK-1", *GATE, "--fresh", "--replay", str(tape), "--output-format=json", *arguments
    )
    return ended.returncode, json.loads(ended.stdout)


def check_counts_for_nothing(terminal: Terminal, report: Json) -> None:
    """A replay is told as such, spent nothing, and is not handed on in place of the recorded run."""
    listed = terminal.run("runs", "list")
    first, second = listed.stdout.splitlines()
    paid = first.split("$")[1].split()[0]
    assert (report["replay"], " replay " in second, "$" in second) == (True, True, False)
    assert listed.stderr.strip().endswith(f"${paid}")
    assert f"{report['task_total']['cost_usd']:.4f}" == paid
    assert paid in terminal.run("runs", "list", "--by", "model").stdout
    shown = terminal.run("runs", "show", report["run"])
    assert "· a replay: nothing was paid ·" in shown.stdout
    attested = terminal.run("attest", "TASK-1")
    assert json.loads(attested.stdout)["predicate"]["run"] == first.split()[0]
    for back in (("fork", "--at"), ("rewind", "--to")):
        ended = terminal.run("runs", back[0], report["run"], back[1], "1")
        assert (ended.returncode, "repeats a recording" in ended.stderr) == (2, True), ended.stderr
        assert "runs fork" not in ended.stderr
    for command in ("attest", "bundle", "pr"):
        refused = terminal.run(command, report["run"])
        assert (refused.returncode, "no model was asked" in refused.stderr) == (2, True), command


def test_what_landed_nowhere_is_not_said_to_have_landed(terminal: Terminal) -> None:
    url = terminal.serve(turn(HELLO), turn())
    done = terminal.run(
        "run", "TASK-1", *GATE, "--base-url", url, "--land", "none", "--output-format=json"
    )
    report = json.loads(done.stdout)
    again = terminal.run("run", "TASK-1", *GATE)
    tip = report["landed"]["tip"][:12]
    assert again.stdout.splitlines()[0] == f"TASK-1 is done already: {tip}, on no branch"
    wanted = f"git branch agentflow/TASK-1 {tip}"
    assert (again.returncode, wanted in again.stdout) == (0, True)
    terminal.project.git(*wanted.split()[1:])
    there = terminal.run("run", "TASK-1", *GATE)
    assert there.stdout.splitlines()[:2] == [
        f"TASK-1 is done already: {tip}",
        "  to run it again, give --fresh",
    ]
    back = terminal.run("runs", "rewind", report["run"], "--to", "1")
    assert "is done, and what was verified stays" in back.stderr


def test_a_run_is_recorded_and_replayed(terminal: Terminal, tmp_path: Path) -> None:
    project, tape = terminal.project, tmp_path / "replies.jsonl"
    commit = bash('date +%N; git add -A && git commit -qm "feat: hello"; echo $RANDOM')
    last = turn(text=f"I wrote it with {KEY}.")
    url = terminal.serve(turn(HELLO, thinking="Hm."), turn(commit), last)
    recorded = terminal.run("run", "TASK-1", *GATE, "--base-url", url, "--record", str(tape))
    assert recorded.returncode == 0, recorded.stderr
    landed = "--format=%T %s"
    before = project.git("log", landed, "main..agentflow/TASK-1")

    code, report = replay(terminal, tape)

    assert (code, report["outcome"], report["num_turns"]) == (0, "done", 3)
    assert project.git("log", landed, "main..agentflow/TASK-1") == before
    assert report["total_cost_usd"] is not None
    check_counts_for_nothing(terminal, report)
    code, tried = replay(terminal, tape, "--land", "none")
    assert (code, tried["landed"]["ref"]) == (0, None)
    told = terminal.run("run", "TASK-1", *GATE).stdout.splitlines()[0]
    assert told == f"TASK-1 is done already: {report['landed']['tip'][:12]} on agentflow/TASK-1"
    assert tape.stat().st_mode & 0o777 == 0o600
    assert KEY not in tape.read_text()
    lines = [json.loads(line) for line in tape.read_text().splitlines()]
    assert [line.get("turn") for line in lines] == [None, 1, 2, 3]
    assert (lines[0]["task"], lines[0]["prompt"]) == ("TASK-1", "plain")

    again = terminal.run(
        "run", "TASK-1", *GATE, "--fresh", "--base-url", url, "--record", str(tape)
    )
    assert (again.returncode, "is there already" in again.stderr) == (2, True)

    project.write(".orchestrator/prompts/plain.md", "Do what the task says.\nBe quick.\n")
    code, report = replay(terminal, tape)
    assert (code, report["outcome"]) == (6, "provider")
    assert report["reason"] == (
        "the replay diverges at turn 1: the system prompt (the prompt is not plain as it was recorded)"
    )
    notice = next(n for n in report["notices"] if "differs from the recording" in n)
    assert "\n+Be quick.\n" in f"{notice}\n"
    refused = terminal.run("resume", report["run"])
    assert "repeats a recording, and cannot go on" in refused.stderr
    resumed = terminal.run("resume", "TASK-1")
    assert (resumed.returncode, "is done" in resumed.stderr) == (2, True)


def test_a_call_that_now_fails_and_a_longer_run_end_the_replay(
    terminal: Terminal, tmp_path: Path
) -> None:
    project, tape = terminal.project, tmp_path / "replies.jsonl"
    url = terminal.serve(turn(bash("cat README.md")), turn(HELLO), turn(text="I wrote it."))
    ended = terminal.run("run", "TASK-1", *GATE, "--base-url", url, "--record", str(tape))
    assert ended.returncode == 0, ended.stderr

    whole = tape.read_text()
    tape.write_text("".join(whole.splitlines(keepends=True)[:-1]) + '{"turn": 3, "dig')
    code, report = replay(terminal, tape)
    assert (code, report["reason"]) == (
        6,
        "the replay has no reply for turn 3: replies.jsonl holds 2",
    )

    tape.write_text(whole)
    project.git("rm", "-q", "README.md")
    project.git("commit", "-qm", "docs: no readme")
    code, report = replay(terminal, tape)
    assert (code, report["reason"]) == (6, "the replay diverges at turn 2: message 3")
    notices = "\n".join(report["notices"])
    assert "-the result of toolu_0000_00: text\n+the result of toolu_0000_00: an error" in notices


def test_flags_that_do_not_fit(terminal: Terminal, tmp_path: Path) -> None:
    tape = tmp_path / "replies.jsonl"
    tape.write_text("{}\n")
    both = terminal.run("run", "TASK-1", "--record", str(tape), "--replay", str(tape))
    assert (both.returncode, "exclude each other" in both.stderr) == (2, True)
    bad = terminal.run("run", "TASK-1", "--replay", str(tape))
    assert bad.returncode == 2
    assert f"{tape}:1: not a line of a recording" in bad.stderr


def test_a_run_that_went_over_to_another_model_is_replayed(
    terminal: Terminal, tmp_path: Path
) -> None:
    tape = tmp_path / "replies.jsonl"
    url = terminal.serve(
        turn(HELLO),
        turn(text="Done.", faults=["rate_limited_absurd"]),
    )
    flags = ("--fallback-model", "haiku")
    recorded = terminal.run(
        "run", "TASK-1", *GATE, "--base-url", url, "--record", str(tape), *flags
    )
    assert recorded.returncode == 0, recorded.stderr

    code, report = replay(terminal, tape, *flags)
    assert (code, report["outcome"], report["num_turns"]) == (0, "done", 2)
    assert list(report["models"]) == ["claude-sonnet-5-5", "claude-haiku-5-5"]

    code, report = replay(terminal, tape)
    assert (code, report["outcome"]) == (6, "provider")
    assert report["reason"] == (
        "the replay diverges at turn 2: claude-sonnet-5-5 failed there, and claude-haiku-5-5 went on"
    )
    assert report["hint"] == "Give --fallback-model claude-haiku-5-5, as the recorded run did."
