"""The last line after an outcome: a command that works when a shell gets it as it is."""

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from agentflow.runs import task_lock
from agentflow.workspace.repository import open_repository
from tests.cli.person import person
from tests.cli.shell import Shell
from tests.forks.programs import scripted_model
from tests.many.fleet import writes
from tests.run.project import bash, turn

pytestmark = pytest.mark.sandbox
GATE = ("--gate", "test=test ! -e c/BROKEN", "--prompt", "plain")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    made = Shell(tmp_path)
    for name in "BC":
        text = f"---\nallow: [{name.lower()}/]\n---\n\n# Do {name}\n"
        made.project.write(f".orchestrator/tasks/{name}.md", text)
    made.project.commit()
    return made


@pytest.fixture
def url(tmp_path: Path) -> Generator[str]:
    talks = {"# Task B:": writes("b/x.txt"), "# Task C:": [turn(bash("echo x > c/BROKEN"))]}
    talks["# Task C:"] += [turn()] * 20
    (tmp_path / "script.json").write_text(json.dumps({"turns": [turn()], "conversations": talks}))
    command = scripted_model(str(tmp_path / "script.json"))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().split()[-1]
        server.terminate()


def last_step(shown: str) -> list[str]:
    """The words of the last line's command, without its label."""
    return shlex.split(shown.splitlines()[-1].strip().removeprefix("next").lstrip(": "))


def test_a_failed_run_is_asked_for_with_its_base_and_all_options(shell: Shell, url: str) -> None:
    shell.project.git("branch", "old")
    shell.project.write("later", "x")
    shell.project.commit()
    given = ("C", "--base", "old", "--base-url", url, "--target", "release", *GATE)
    failed = shell.run("run", *given)
    assert failed.returncode == 1, failed.stderr
    step = last_step(failed.stdout)
    assert step[:2] == ["agentflow", "run"]
    assert sorted(step[2:]) == sorted(given)
    report = json.loads(shell.run("runs", "show", "C", "--json").stdout)
    assert shlex.split(report["hint"]) == shlex.split(report["again"]) == step
    again = shell.run(*step[1:], "--output-format=json")
    assert json.loads(again.stdout)["base"] == shell.project.git("rev-parse", "old")


@pytest.mark.parametrize(
    ("option", "value"), [("--max-turns", "1"), ("--max-cost", "0.001"), ("--max-tokens", "9")]
)
def test_after_a_limit_the_command_goes_on(shell: Shell, url: str, option: str, value: str) -> None:
    cut = shell.run("run", "B", "--base-url", url, "--model", "sonnet", *GATE, option, value)
    assert cut.returncode == 4, cut.stderr
    step = last_step(cut.stdout)
    assert option in step
    went_on = shell.run(*step[1:])
    assert went_on.returncode == 0, went_on.stdout + went_on.stderr


def test_a_run_that_failed_after_it_was_gone_on_with_keeps_the_higher_limit(
    shell: Shell, url: str
) -> None:
    based = ("--base", "main", "--base-url", url)
    cut = shell.run("run", "C", *based, *GATE, "--max-turns", "1")
    assert cut.returncode == 4, cut.stderr
    failed = shell.run(*last_step(cut.stdout)[1:-1], "9", "--model", "opus")
    assert failed.returncode == 1, failed.stderr
    step = last_step(failed.stdout)
    assert step[1:5] == ["run", "C", "--base", "main"]
    assert step[step.index("--max-turns") + 1] == "9"
    assert step[step.index("--model") + 1] == "opus"


def test_a_report_that_somebody_wrote_ends_nothing(shell: Shell, url: str) -> None:
    done = shell.run("run", "B", "--base-url", url, *GATE)
    assert done.returncode == 0, done.stderr
    (path,) = shell.project.root.glob(".orchestrator/runs/B-*/report.json")
    report = json.loads(path.read_text())
    enough = {"max_turns": "x", "max_cost": 1e300, "timeout": True, "base_url": "http://evil"}
    for wrong in ("abc", {"gates": 5}, {"max_tokens": -1}, enough, [1]):
        path.write_text(json.dumps({**report, "enough": wrong}))
        ended = shell.run("run", "B", "C", "--base-url", url, *GATE, "--max-turns", "1")
        assert ended.returncode == 4, ended.stderr
        step = last_step(ended.stdout)
        assert (step[:4], step[6:8]) == (["agentflow", "run", "B", "C"], ["--base-url", url])
        shell.run("resume", "C", "--base-url", url, "--max-turns", "9")


def test_a_handoff_is_asked_for_by_its_id(shell: Shell, url: str, tmp_path: Path) -> None:
    """Its block may have come from standard input."""
    block = tmp_path / "block.md"
    block.write_text(
        "--- BACKEND TASK HANDOFF (copy below) ---\n- **Expected backend work**: tidy the code\n"
        "- **Service(s)**: nobody\n--- END HANDOFF ---\n"
    )
    given = ("--service", "b", "--base", "main", *GATE)
    shell.project.write("b/main.py", "x")
    shell.project.commit()
    cut = shell.run(
        "handoff", str(block), "--base-url", "http://127.0.0.1:1", "--timeout", "1s", *given
    )
    assert cut.returncode in {4, 6}, cut.stderr
    step = last_step(cut.stdout)
    assert step[:2] == ["agentflow", "handoff"]
    assert step[3:5] == ["--base", "main"]
    block.unlink()
    step[step.index("--base-url") + 1] = url
    step[step.index("--timeout") + 1] = "1m"
    ended = shell.run(*step[1:], "--json")
    report = json.loads(ended.stdout.splitlines()[-1])
    assert (report["task"], report["num_turns"] > 0) == (step[2], True), ended.stderr
    refused = shell.run("handoff", "HANDOFF-01234567")
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: no handoff HANDOFF-01234567 was given here\n")


def test_what_is_left_of_several_begins_anew_and_nothing_else(shell: Shell, url: str) -> None:
    ways = ("--jobs", "2", "--keep-going", "--accept-followups")
    given = ("B", "C", "--target", "release", "--base-url", url, "--fresh", *ways, *GATE)
    ended = shell.run("run", *given)
    assert ended.returncode == 1, ended.stderr
    step = last_step(ended.stdout)
    assert step[:4] == ["agentflow", "run", "B", "C"]
    assert "--fresh" not in step
    assert tuple(step[-4:]) == ways
    assert "same command" not in ended.stdout
    assert ended.stdout.count("agentflow run ") == 1
    again = shell.run(*step[1:], "--output-format=json")
    assert again.returncode == 1
    assert [task["already_done"] for task in json.loads(again.stdout)["tasks"]] == [True, False]
    runs = [json.loads(line) for line in shell.run("runs", "list", "--json").stdout.splitlines()]
    assert [run["task"] for run in runs].count("B") == 1


def test_what_was_to_be_done_anew_still_is(shell: Shell, url: str) -> None:
    given = ("B", "C", "--base-url", url, "--keep-going", *GATE)
    done = shell.run("run", "B", "--base-url", url, *GATE)
    assert done.returncode == 0, done.stderr
    shell.project.write("c/BROKEN", "x")
    shell.project.commit("red")
    red = shell.run("run", *given, "--fresh")
    assert red.returncode == 5, red.stderr
    step = last_step(red.stdout)
    assert "--fresh" not in step
    shell.project.git("revert", "--no-edit", "HEAD")
    ended = json.loads(shell.run(*step[1:], "--output-format=json").stdout)
    assert [(each["outcome"], each["already_done"]) for each in ended["tasks"]] == [
        ("done", False),
        ("failed", False),
    ]
    again = json.loads(shell.run(*step[1:], "--output-format=json").stdout)
    assert [each["already_done"] for each in again["tasks"]] == [True, False]
    assert (
        again["tasks"][1]["hint"] == f"Look at it: agentflow runs show {again['tasks'][1]['run']}"
    )


def test_a_red_base_and_a_result_end_with_a_command_too(shell: Shell, url: str) -> None:
    red = shell.run("run", "B", "--base-url", url, "--prompt", "plain", "--gate", "test=false")
    assert red.returncode == 5, red.stderr
    assert last_step(red.stdout)[:3] == ["agentflow", "run", "B"]
    done = shell.run("run", "B", "--base-url", url, *GATE)
    before = shell.run("run", "B", "--base-url", url, *GATE)
    assert before.returncode == 0, before.stderr
    assert last_step(before.stdout) == last_step(done.stdout)
    assert last_step(done.stdout)[:3] == ["git", "log", "-p"]


def test_on_a_terminal_a_command_of_a_refusal_stands_alone(shell: Shell, url: str) -> None:
    cut = shell.run("run", "B", "--base-url", url, *GATE, "--max-turns", "1")
    assert cut.returncode == 4, cut.stderr
    with person(shell, "answer", "B", "hi") as user:
        user.sees("Go on with it:")
        assert user.waits() == 2
        shown = [line.strip() for line in user.printed[-2:]]
    assert shown == ["Go on with it:", " ".join(last_step(cut.stdout)[:3])]


def test_words_that_stand_for_an_answer_are_none(shell: Shell) -> None:
    refused = shell.run("answer", "B", "your answer")
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: 'your answer' stands for your words\n")


def test_what_was_merged_is_named_and_seen_alone(shell: Shell, url: str) -> None:
    git = shell.project.git
    git("branch", "release")
    git("switch", "-q", "--detach")
    shell.project.write("theirs", "x")
    theirs, here = shell.project.commit("theirs"), shell.project.root
    git("switch", "-q", "main")
    moves = f"git -C {here} update-ref refs/heads/release {theirs} {git('rev-parse', 'main')}"
    configuration = here.parent / "config/agentflow/config.toml"
    configuration.parent.mkdir(parents=True)
    hook = f"[[hooks]]\non = ['gate.finished']\ncommand = \"{moves} || true\"\n"
    configuration.write_text(hook)
    ended = shell.run("run", "B", "--target", "release", "--base-url", url, *GATE)
    assert ended.returncode == 0, ended.stderr
    assert f"release (merged as {git('rev-parse', 'release')[:12]})" in ended.stdout
    step = last_step(ended.stdout)
    assert step[:3] == ["git", "log", "-p"]
    assert (
        git("log", "--format=%s", step[3]).splitlines()
        == git("log", "--format=%s", "release^1..release^2").splitlines()
    )


def test_a_run_whose_task_is_gone_is_named(shell: Shell, url: str) -> None:
    cut = shell.run("run", "B", "--base-url", url, *GATE, "--max-turns", "1")
    assert cut.returncode == 4, cut.stderr
    (shell.project.root / ".orchestrator/tasks/B.md").unlink()
    shell.project.commit()
    refused = shell.run("resume", "--output-format=json")
    told = json.loads(refused.stdout)
    assert refused.returncode == 2
    assert told["reason"].startswith("B-")
    assert (
        "is the only run here that can go on, and it cannot: there is no task 'B'" in told["reason"]
    )
    remove = shlex.split(told["hint"].rpartition(": ")[2])
    subprocess.run(remove, cwd=shell.project.root, check=True)
    assert "no run here can go on" in shell.run("resume").stderr


def test_a_run_at_work_says_how_it_is_waited_for(shell: Shell, url: str) -> None:
    cut = shell.run("run", "B", "--base-url", url, *GATE, "--max-turns", "1")
    assert cut.returncode == 4, cut.stderr
    (report,) = shell.project.root.glob(".orchestrator/runs/B-*/report.json")
    report.unlink()
    world = shell.project.world
    repository = open_repository(shell.project.root, world.environment)
    with task_lock(repository.locks(world.cache), "B"):
        for words in (("answer", "B", "hi"), ("resume", report.parent.name)):
            refused = shell.run(*words)
            assert refused.returncode == 2
            assert refused.stderr == (
                f"error: the run {report.parent.name} is at work\n  Wait for it: agentflow wait B\n"
            )
        shown = shell.run("runs", "show", "B").stdout.splitlines()
        assert shown[-2:] == [
            "  next     agentflow runs show B --follow",
            "  next     agentflow wait B",
        ]
        spent = json.loads(shell.run("runs", "show", "B", "--json").stdout)["duration_ms"]
        assert json.loads(shell.run("runs", "show", "B", "--json").stdout)["duration_ms"] > spent
        older = report.parent.with_name("B-20250101T000000-abcd")
        shutil.copytree(report.parent, older)
        os.utime(older / "journal.jsonl", (0, 0))
        refused = shell.run("resume", older.name)
        assert f"{older.name} is at work" not in refused.stderr
        shutil.rmtree(older)
        held = shell.run("run", "B", "--fresh", "--base-url", url, *GATE)
        assert held.stderr.endswith("wait for it: agentflow wait B\n")
    shown = shell.run("runs", "show", "B").stdout.splitlines()
    assert shown[-1] == f"  next     agentflow resume {report.parent.name}"
