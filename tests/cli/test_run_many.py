"""`agentflow run` with several tasks, as a user meets it."""

import asyncio
import json
import subprocess
from collections.abc import Generator
from pathlib import Path
from xml.etree.ElementTree import parse

import pytest

from agentflow.models.scripted import ScriptedServer, read_script
from agentflow.records import Json
from tests.cli.shell import Shell
from tests.forks.programs import scripted_model
from tests.many.fleet import writes
from tests.run.project import bash, call, turn

GATE = ("--gate", "test=true", "--prompt", "plain")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    made = Shell(tmp_path)
    for name in "ABC":
        text = f"---\nallow: [{name.lower()}/]\n---\n\n# Do {name}\n"
        made.project.write(f".orchestrator/tasks/{name}.md", text)
    (made.project.root / ".orchestrator/tasks/TASK-1.md").unlink()
    made.project.commit()
    return made


@pytest.fixture
def url(tmp_path: Path) -> Generator[str]:
    talks = {f"# Task {name}:": writes(f"{name.lower()}/x.txt") for name in "AB"}
    talks["# Task F:"] = [turn(bash("echo x > a/BROKEN")), turn(), turn(), turn()]
    asks = call("Write", file_path=".orchestrator/complete/Q.blocked", content="Which one?")
    talks["# Task Q:"] = [turn(asks), turn()]
    script = {"turns": [turn()], "conversations": talks}
    (tmp_path / "script.json").write_text(json.dumps(script))
    command = scripted_model(str(tmp_path / "script.json"))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().split()[-1]
        server.terminate()


def test_a_dry_run_draws_the_plan_and_starts_nothing(shell: Shell) -> None:
    ended = shell.run("run", "A", "B", "--dry-run", *GATE)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == (
        "2 tasks in 1 wave, at most 4 at once; each lands on its own branch\n\nwave 1\n"
        "  A  Do A  [a/]\n  B  Do B  [b/]\n"
    )
    plan = json.loads(shell.run("run", "--all", "--dry-run", "--output-format=json", *GATE).stdout)
    assert [(task["task"], task["wave"]) for task in plan["tasks"]] == [
        ("A", 1),
        ("B", 1),
        ("C", 1),
    ]


def test_what_is_wrong_with_one_of_them_is_said_before_any_starts(shell: Shell) -> None:
    shell.project.write(".orchestrator/tasks/D.md", "---\ndepends_on: E\n---\n\n# D\n")
    shell.project.write(".orchestrator/tasks/E.md", "---\ndepends_on: D\n---\n\n# E\n")
    cycle = shell.run("run", "A", "D", "E", *GATE)
    assert (cycle.returncode, cycle.stdout) == (2, "")
    assert (
        "these tasks wait for each other: D → E → D" in cycle.stderr or "E → D → E" in cycle.stderr
    )
    unknown = shell.run("run", "A", "NOPE", *GATE)
    assert unknown.returncode == 2
    assert "there is no task 'NOPE'" in unknown.stderr
    shell.project.write(".orchestrator/tasks/D.md", "---\ngate: t=true\n---\n\n# D\n")
    shell.project.write(".orchestrator/tasks/E.md", "---\nallow: [x]\n# E\n")
    folder = f"{shell.project.root}/.orchestrator/tasks"
    unread = shell.run("run", "--all", "--output-format=json", *GATE)
    told = json.loads(unread.stdout)
    not_closed = {
        "reason": f"{folder}/E.md: the header that `---` begins is not closed",
        "hint": "Write `---` alone on a line, below the header.",
    }
    unknown_key = f"{folder}/D.md:2: unknown key 'gate'; did you mean 'gates'?"
    assert unread.returncode == told["exit_code"] == 2
    assert told["each"] == [{"reason": unknown_key, "hint": ""}, not_closed]
    assert unread.stderr == (
        f"error: {told['reason']}\n  {unknown_key}\n  {not_closed['reason']}\n    {not_closed['hint']}\n"
    )
    for wrong in (("--all", "A"), ("A", "B", "--text", "x"), ("A", "-")):
        assert shell.run("run", *wrong, *GATE).returncode == 2


def test_what_is_done_elsewhere_than_on_the_target_is_said(shell: Shell) -> None:
    git = shell.project.git
    landed = "c\n\nAgentflow-Task: C"
    tip = git("commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", landed)
    git("branch", "agentflow/C", tip)
    for name in "AB":
        (shell.project.root / f".orchestrator/tasks/{name}.md").unlink()
    report: Json = {"task": "C", "run": "C-20250101T000000-aaaa", "outcome": "done"}
    report |= {"reason": "", "hint": ""}
    report["landed"] = {"ref": "refs/heads/agentflow/C", "tip": tip}
    folder = f".orchestrator/runs/{report['run']}"
    shell.project.write(f"{folder}/report.json", json.dumps(report))
    shell.project.write(".orchestrator/complete/C.done", "done")
    told = (
        "done elsewhere, so left out: C (agentflow/C). new does not hold that. "
        "Begin it there: git branch new agentflow/C"
    )
    ended = shell.run("run", "--all", "--target", "new", *GATE)
    assert (ended.returncode, ended.stderr) == (0, f"no task is ready\n{told}\n")
    dry = shell.run("run", "--all", "--target", "new", "--dry-run", *GATE)
    assert dry.stdout.splitlines()[-1] == told
    for format in ("--output-format=json", "--output-format=stream-json"):
        given = json.loads(shell.run("run", "--all", "--target", "new", format, *GATE).stdout)
        assert given["notices"] == [told]

    assert shell.run("run", "C", *GATE).returncode == 0
    one = shell.run("run", "C", "--target", "new", *GATE)
    assert one.returncode == 2
    assert one.stderr.startswith("error: C is done on agentflow/C, and new does not hold that\n")
    assert "git branch new agentflow/C" in one.stderr
    assert "--fresh" in one.stderr
    git("branch", "new", "agentflow/C")
    assert shell.run("run", "C", "--target", "new", *GATE).returncode == 0


@pytest.mark.sandbox
def test_the_table_the_lines_and_the_json(shell: Shell, url: str, bwrap: str) -> None:
    ended = shell.run("run", "A", "B", "--base-url", url, *GATE)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[0].split() == ["task", "outcome", "commits", "cost", "time", "where"]
    assert lines[1].split()[:3] == ["A", "done", "1"]
    assert "agentflow/A" in lines[1]
    assert lines[3].startswith("2 of 2 done · 4 turns")
    told = [line.split(None, 3) for line in ended.stderr.splitlines()]
    assert {line[1] for line in told} == {"A", "B"}
    assert ["A", "tool", "Write a/x.txt"] in [
        [*line[1:3], " ".join(line[3].split()[:2])] for line in told
    ]
    assert [line[1:] for line in told if line[2] == "task"].count(["A", "task", "done"]) == 1

    again = shell.run(
        "run", "A", "B", "--base-url", url, *GATE, "--output-format=stream-json", "--fresh"
    )
    streamed = [json.loads(line) for line in again.stdout.splitlines()]
    assert streamed[-1]["type"] == "tasks"
    assert [task["outcome"] for task in streamed[-1]["tasks"]] == ["done", "done"]
    assert [line["type"] for line in streamed].count("result") == 2
    sessions = {line["session_id"] for line in streamed[:-1]}
    assert sessions == {task["run"] for task in streamed[-1]["tasks"]}


@pytest.mark.sandbox
def test_the_worst_outcome_counts_and_what_was_not_begun_is_skipped_for_a_pipeline(
    shell: Shell, url: str, tmp_path: Path, bwrap: str
) -> None:
    for name, header in (("F", "allow: [a/]"), ("G", "depends_on: F"), ("Q", "allow: [q/]")):
        text = f"---\n{header}\n---\n\n# Do {name}\n"
        shell.project.write(f".orchestrator/tasks/{name}.md", text)
    files = {name: tmp_path / name for name in ("junit.xml", "found.sarif")}
    ended = shell.run(
        "run", "Q", "F", "G", "A", "--keep-going", "--base-url", url, "--prompt", "plain",
        "--gate", "test=! test -e a/BROKEN", "--junit", str(files["junit.xml"]),
        "--sarif", str(files["found.sarif"]), "--output-format=json", GITHUB_ACTIONS="true",
    )  # fmt: skip
    report = json.loads(ended.stdout)
    assert (ended.returncode, report["exit_code"], report["outcome"]) == (1, 1, "failed")
    assert [task["outcome"] for task in report["tasks"]] == ["blocked", "failed", "skipped", "done"]
    suites = {
        suite.get("name"): [suite.get(name) for name in ("failures", "errors", "skipped")][:2]
        for suite in parse(files["junit.xml"]).iter("testsuite")
    }
    assert (suites["Q"], suites["G"], suites["A"]) == (["0", "1"], ["0", "0"], ["0", "0"])
    assert suites["F"][0] != "0"
    (found,) = json.loads(files["found.sarif"].read_text())["runs"]
    assert [each["executionSuccessful"] for each in found["invocations"]] == [
        *(False, False, False),
        True,
    ]
    commands = [line for line in ended.stderr.splitlines() if line.startswith("::error")]
    titles = [line.split("title=")[1].split("::")[0] for line in commands]
    assert titles == ["Q%3A blocked", "F%3A build%3Atest"], commands


MINUTE = 60_000
"""Tokens of input that a minute bears: a thousand each second."""


async def refused(shell: Shell, talks: dict[str, list[Json]], *tasks: str) -> int:
    """Run tasks at a server that bears so little; return how many requests it refused."""
    script = {"turns": [turn()], "conversations": talks, "limits": {"input_tokens": MINUTE}}
    async with ScriptedServer(read_script(script)) as server:
        arguments = ("run", *tasks, "--fresh", "--base-url", server.url, *GATE)
        ended = await asyncio.to_thread(shell.run, *arguments)
        assert ended.returncode == 0, ended.stderr
        return server.limits.refused


@pytest.mark.sandbox
async def test_tasks_keep_one_pace_that_the_server_or_the_configuration_says(
    shell: Shell, bwrap: str
) -> None:
    text = "---\nallow: [b/]\ndepends_on: A\n---\n\n# Do B\n"
    shell.project.write(".orchestrator/tasks/B.md", text)
    more = {"usage": {"input_tokens": MINUTE + 4_000, "output_tokens": 5}}
    first, last = writes("a/x.txt")
    talks = {"# Task A:": [first, {**last, **more}], "# Task B:": writes("b/x.txt")}
    assert await refused(shell, talks, "A", "B") == 0, "B does not know what A used"

    talks = {"# Task A:": [{**first, **more}, last]}
    assert await refused(shell, talks, "A") > 0
    config = shell.project.root.parent / "config/agentflow/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f"[rate_limits]\ninput_tokens = {MINUTE}\n")
    assert await refused(shell, talks, "A") == 0, "what is configured is not kept"


@pytest.mark.sandbox
def test_the_hint_of_a_run_that_asks_is_the_step_that_its_text_names(
    shell: Shell, url: str, bwrap: str
) -> None:
    shell.project.write(".orchestrator/tasks/Q.md", "---\nallow: [q/]\n---\n\n# Do Q\n")
    asked = shell.run("run", "Q", "--base-url", url, *GATE, "--output-format=json")
    report = json.loads(asked.stdout)
    assert (asked.returncode, report["outcome"]) == (3, "blocked"), asked.stderr
    step = f"agentflow answer {report['run']} 'your answer'"
    assert report["hint"] == step
    for json_ in (("runs", "show", "Q", "--json"), ("wait", "Q", "--json")):
        assert json.loads(shell.run(*json_).stdout)["hint"] == step
    text = shell.run("runs", "show", "Q").stdout.splitlines()
    assert [line for line in text if line.startswith("  next")] == [f"  next     {step}"]
