"""`agentflow phase-6` as a process: its words, its JSON, and what a kill in the middle leaves."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentflow.backlog import find_start, named_tasks
from tests.cli.test_cli import Terminal
from tests.forks.programs import agentflow
from tests.patience import patiently
from tests.run.project import Project, bash, call, turn
from tests.workflows.test_batches import DOCUMENT, PATH, TASK

pytestmark = pytest.mark.sandbox

GATE = ("--gate", "test=! grep -rq wrong app")
WORK = 'f=app/hello.txt; [ ! -e $f ] || f=app/bye.txt; echo x > $f; git add -A; git commit -qm "feat: $f"'
"""The first batch's file, or if that is there, the second's."""


@pytest.fixture
def terminal(project: Project, tmp_path: Path) -> Iterator[Terminal]:
    project.write(PATH, DOCUMENT)
    project.commit("docs: tasks")
    terminal = Terminal(project, tmp_path)
    yield terminal
    terminal.close()


OTHERS = "batch 3 is for frontend-developer"


def finished(terminal: Terminal) -> None:
    """Check that each batch is there once, with its bookkeeping."""
    git, branch = terminal.project.git, f"agentflow/{TASK}"
    assert git("log", "--reverse", "--format=%s", f"main..{branch}").splitlines() == [
        "feat: app/hello.txt",
        f"docs({TASK}): batch 1 is complete",
        "feat: app/bye.txt",
        f"docs({TASK}): batch 2 is complete",
    ]
    document = git("show", f"{branch}:{PATH}")
    assert document.count("✅ COMPLETE") == 4
    for back in (3, 1):
        assert f"**Commit**: {git('rev-parse', f'{branch}~{back}')}" in document


@pytest.mark.parametrize(
    ("talk", "line"),
    [
        (True, "run TASK_2025_001-batch-1"),
        (True, "the agent is finished"),
        (True, "verifying build:test"),
        (False, "Batch 1 complete: Greeting"),
        (True, "run TASK_2025_001-batch-2"),
    ],
)
def test_killed_anywhere_the_next_call_goes_on(terminal: Terminal, talk: bool, line: str) -> None:
    url = terminal.serve(turn(bash(WORK)), turn(text="Done."))
    order = ("phase-6", TASK, "--base-url", url, *GATE)
    process = terminal.start(*order)
    stream = process.stderr if talk else process.stdout
    assert stream is not None
    assert any(line in each for each in iter(stream.readline, ""))
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)

    ended = terminal.run(*order)

    assert ended.returncode == 0, ended.stderr
    assert "Next: /phase-6-frontend-execution" in ended.stdout
    finished(terminal)


def test_what_is_printed_and_what_json_says(terminal: Terminal) -> None:
    url = terminal.serve(turn(bash(WORK)), turn(text="Done."))
    order = ("phase-6", TASK, "--base-url", url, *GATE)

    planned = terminal.run(*order, "--dry-run")
    assert "task       TASK_2025_001-batch-1" in planned.stdout
    one = json.loads(terminal.run(*order, "--one-batch", "--json").stdout.splitlines()[-1])
    assert (one["outcome"], [each["id"] for each in one["batches"]]) == ("done", ["1"])
    assert one["hint"].startswith(f"For the next batch: agentflow phase-6 {TASK} --base-url ")
    ended = terminal.run("run", TASK, "--prompt", "phase-6", *order[2:], "--output-format", "json")
    report = json.loads(ended.stdout.splitlines()[-1])
    assert (report["outcome"], [each["id"] for each in report["batches"]]) == ("done", ["2"])
    again = terminal.run(*order)
    assert (again.returncode, again.stdout.splitlines()) == (
        0,
        [
            f"done  {TASK}",
            "  reason   no batch is left for the backend developer",
            f"  note     {OTHERS}",
            f"  branch   agentflow/{TASK}",
        ],
    )
    finished(terminal)
    _check_it_is_attested_and_packed(terminal)
    _check_changes_here_are_told(terminal, order)
    shown = terminal.run("tasks", "next", TASK)
    assert shown.stderr.startswith(f"note: agentflow/{TASK} has another version: git show ")
    assert terminal.run("tasks", "next", TASK, "--json").stdout.startswith("{")
    _check_builds_on_batches(terminal.project)


def test_a_failed_batch_is_taken_up_when_asked(terminal: Terminal) -> None:
    failed = DOCUMENT.replace("Greeting ⏸️ PENDING", "Greeting ❌ FAILED")
    terminal.project.write(PATH, failed)
    terminal.project.commit("docs: batch 1 failed")
    order = ("phase-6", TASK, "--base-url", "http://127.0.0.1:1", *GATE)

    stopped = terminal.run(*order, "--json")
    told = terminal.run(*order).stdout.splitlines()[-2:]
    planned = terminal.run(*order, "--retry", "--dry-run")

    report = json.loads(stopped.stdout)
    assert (stopped.returncode, report["reason"]) == (1, "batch 1 is marked FAILED")
    assert report["hint"].startswith(f"To try it again: agentflow phase-6 {TASK} --base-url ")
    assert report["hint"].endswith(" --retry")
    begin, command = report["hint"].split(": ", 1)
    assert told == [f"  next     {begin}:", f"  next     {command}"]
    assert f"task       {TASK}-batch-1" in planned.stdout, planned.stderr


def _check_changes_here_are_told(terminal: Terminal, order: tuple[str, ...]) -> None:
    """The document that counts is the branch's, whatever somebody writes beside it, committed or not."""
    project, branch = terminal.project, f"agentflow/{TASK}"
    told = f"{PATH} was changed here, which is not seen: that of {branch} counts. See: git diff {branch}"
    text = (project.root / PATH).read_text()
    project.write(PATH, project.git("show", f"{branch}:{PATH}") + "\n")
    assert json.loads(terminal.run(*order, "--json").stdout)["notices"] == [OTHERS]
    project.write(PATH, text + "\n## Batch 4: More ⏸️ PENDING\n")
    assert json.loads(terminal.run(*order, "--json").stdout)["notices"] == [
        f"{told} -- {PATH}",
        OTHERS,
    ]
    project.commit("docs: batch 4")
    assert told in terminal.run(*order).stdout
    project.git("revert", "--no-edit", "HEAD")


def _check_it_is_attested_and_packed(terminal: Terminal) -> None:
    task = f"{TASK}-batch-2"
    attested = terminal.run("attest", task, "-o", "../batch.json")
    assert attested.returncode == 0, attested.stderr
    statement = json.loads((terminal.project.root.parent / "batch.json").read_text())
    assert task in str(statement)
    packed = terminal.run("bundle", TASK, "-o", "../batch.tar")
    assert packed.returncode == 0, packed.stderr
    clone = str(terminal.project.root.parent / "clone")
    terminal.project.git("clone", "--quiet", ".", clone)
    landed = subprocess.run(
        agentflow("land", "../batch.tar", "--base", "origin/agentflow/" + TASK + "~2", "--allow", "**", *GATE),
        cwd=clone, env=terminal.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert landed.returncode == 0, landed.stdout + landed.stderr


def _check_builds_on_batches(project: Project) -> None:
    """A task may depend on a batch, by the name of its run's task."""
    header = f"---\nallow: [app/]\ndepends_on: {TASK}-batch-2\n---\n\n# Next\n"
    project.write(".orchestrator/tasks/NEXT.md", header)
    gate = {"gates": [{"name": "t", "command": "true"}]}
    backlog = named_tasks(["NEXT"], find_start(None, gate, project.world), project.world)
    tip = project.git("rev-parse", f"agentflow/{TASK}")
    assert backlog.items[0].builds_on == {f"{TASK}-batch-2": tip}


def test_a_document_beside_other_tasks(terminal: Terminal, tmp_path: Path) -> None:
    header = "---\nallow: [a/]\nprompt: plain\n---\n\n"
    terminal.project.write(".orchestrator/tasks/A.md", f"{header}# Do A\n")
    talks = {"# Task A:": [turn(bash("echo x > a/x.txt")), turn()]}
    url = terminal.serve(turn(bash(WORK)), turn(), conversations=talks)
    order = ("run", TASK, "A", "--base-url", url, *GATE)

    planned = terminal.run(*order, "--dry-run")
    ended = terminal.run(*order, "--junit", str(tmp_path / "junit.xml"))
    streamed = terminal.run(*order, "--output-format", "stream-json").stdout.splitlines()

    assert planned.stdout.splitlines()[2:] == [
        "wave 1",
        f"  {TASK}  batch 1: Greeting; batch 2: Farewell"
        f"  [app/hello.txt, app/bye.txt, task-tracking/{TASK}/tasks.md]",
        "  A              Do A  [a/]",
    ]
    assert ended.returncode == 0, ended.stderr
    row = ended.stdout.splitlines()[1].split()
    assert (row[:3], row[-2]) == ([TASK, "done", "2"], f"agentflow/{TASK}")
    told = [line.split(None, 1)[1] for line in ended.stderr.splitlines()]
    assert f"{TASK}-batch-2 task done" in told
    finished(terminal)
    names = re.findall(r'<testsuite name="([^"]+)"', (tmp_path / "junit.xml").read_text())
    assert names == [f"{TASK}-batch-1", f"{TASK}-batch-2", "A"]
    assert [json.loads(line)["type"] for line in streamed] == ["result", "tasks"]
    assert json.loads(streamed[-1])["tasks"][0]["already_done"] is True


def test_a_name_alone_means_the_document_if_it_means_no_task(terminal: Terminal) -> None:
    planned = terminal.run("run", TASK, *GATE, "--dry-run")
    assert f"task       {TASK}-batch-1" in planned.stdout, planned.stderr
    other = terminal.run("run", TASK, *GATE, "--dry-run", "--prompt", "plain")
    assert f"there is no task '{TASK}'" in other.stderr
    queue = f"### {TASK}: Queued\n\n**Status:** pending\n\nDo it.\n"
    terminal.project.write("task_queue.md", queue)
    queued = terminal.run("run", TASK, *GATE, "--dry-run")
    assert f"task       {TASK}  Queued" in queued.stdout, queued.stderr
    asked = terminal.run("run", TASK, *GATE, "--dry-run", "--prompt", "phase-6")
    assert f"task       {TASK}-batch-1" in asked.stdout
    (terminal.project.root / "task_queue.md").unlink()
    terminal.project.write(f".orchestrator/tasks/{TASK}.md", "# A task file\n")
    filed = terminal.run("run", TASK, *GATE, "--dry-run")
    assert f"task       {TASK}  A task file" in filed.stdout, filed.stderr


def test_two_at_once_are_refused(terminal: Terminal) -> None:
    url = terminal.serve(turn(bash(WORK), latency=2), turn(text="Done."))
    order = ("phase-6", TASK, "--base-url", url, *GATE, "--one-batch")
    process = terminal.start(*order)
    assert process.stderr is not None
    assert any(" run " in each for each in iter(process.stderr.readline, ""))

    second = terminal.run(*order)

    assert second.returncode == 7
    assert f"another run of {TASK} is at work" in second.stderr
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted" in output


def test_a_batch_that_was_cut_off_is_gone_on_with_as_a_run_too(terminal: Terminal) -> None:
    again = turn(bash("true"), latency=4)
    url = terminal.serve(turn(bash(WORK)), again, turn(text="Done."))
    process = terminal.start("phase-6", TASK, "--base-url", url, *GATE)
    runs = terminal.project.root / ".orchestrator/runs"
    with patiently():
        while not any('"agentflow.tool_finished"' in x.read_text() for x in runs.glob("*/*.jsonl")):
            time.sleep(0.05)
    time.sleep(1)  # until the checkpoint is made, which happens while the model is asked
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    (run,) = (path.name for path in runs.iterdir() if path.is_dir())

    url = terminal.serve(turn(bash(WORK)), turn(text="Done."))
    ended = terminal.run("resume", "--base-url", url, "--output-format", "json")

    report = json.loads(ended.stdout.splitlines()[-1])
    assert (ended.returncode, report["type"], report["outcome"]) == (0, "batches", "done")
    assert [each["run"] for each in report["batches"]] == [run]
    assert report["hint"].startswith(f"For the next batch: agentflow phase-6 {TASK} --base-url ")
    assert "✅ COMPLETE" in terminal.project.git("show", f"agentflow/{TASK}:{PATH}")
    assert run in terminal.run("runs", "show", TASK, "--json").stdout
    late = terminal.run("resume", run)
    assert (late.returncode, f"the run {run} is done" in late.stderr) == (2, True)
    rest = terminal.run("phase-6", TASK, "--base-url", url, *GATE, "--json", "--timeout", "5m")
    assert (rest.returncode, json.loads(rest.stdout)["outcome"]) == (0, "done")
    finished(terminal)


def test_an_agent_that_asks_is_answered_and_its_batch_lands(terminal: Terminal) -> None:
    ask = call("AskUserQuestion", questions=[{"question": "Which words?"}])
    prompt = "---\ntools: Bash, AskUserQuestion\n---\nDo what the task says.\n"
    terminal.project.write(".orchestrator/prompts/asks.md", prompt)
    terminal.project.commit("docs: a prompt")
    url = terminal.serve(turn(ask), turn(bash(WORK)), turn(text="Done."))
    order = ("phase-6", TASK, "--base-url", url, *GATE, "--one-batch", "--prompt", "asks")

    early = terminal.run("wait", TASK, "--timeout", "0.1s")
    assert (early.returncode, early.stderr.splitlines()[0]) == (124, f"waiting for a run of {TASK}")
    asked = terminal.run(*order, "--json")
    report = json.loads(asked.stdout)
    assert (asked.returncode, report["outcome"]) == (3, "blocked"), asked.stderr
    waited = terminal.run("wait", TASK)
    assert (waited.returncode, waited.stdout) == (
        3,
        f"blocked  {report['batches'][0]['run']}  Which words?\n",
    )
    assert report["hint"] == f"agentflow answer {report['batches'][0]['run']} 'your answer'"
    ended = terminal.run("answer", f"{TASK}-batch-1", "Hello.", "--output-format", "json")

    answered = json.loads(ended.stdout.splitlines()[-1])
    assert (ended.returncode, answered["outcome"]) == (0, "done"), ended.stderr
    assert answered["batches"][0]["run"] == report["batches"][0]["run"]
    assert "✅ COMPLETE" in terminal.project.git("show", f"agentflow/{TASK}:{PATH}")


def test_an_answer_for_a_batch_that_somebody_did_is_refused(terminal: Terminal) -> None:
    ask = call("Write", file_path=f".orchestrator/complete/{TASK}-batch-1.blocked", content="Who?")
    url = terminal.serve(turn(ask))
    asked = terminal.run("phase-6", TASK, "--base-url", url, *GATE, "--one-batch", "--json")
    assert asked.returncode == 3, asked.stderr
    run = json.loads(asked.stdout)["batches"][0]["run"]
    terminal.project.write(PATH, DOCUMENT.replace("⏸️ PENDING", "✅ COMPLETE"))
    terminal.project.commit("docs: done by hand")

    late = terminal.run("answer", run, "Me.")

    assert late.returncode == 2, late.stdout
    assert f"the run {run} cannot go on: document or branch changed since" in late.stderr


def test_the_document_need_not_be_in_the_work_tree(terminal: Terminal) -> None:
    git = terminal.project.git
    git("branch", f"agentflow/{TASK}")
    git("reset", "-q", "--hard", "HEAD~1")
    assert not (terminal.project.root / PATH).exists()
    url = terminal.serve(turn(bash(WORK)), turn(text="Done."))

    ended = terminal.run(
        "run", TASK, "--prompt", "phase-6", "--base-url", url, *GATE, "--output-format", "json"
    )

    report = json.loads(ended.stdout.splitlines()[-1])
    assert (ended.returncode, report["type"], report["outcome"]) == (0, "batches", "done")
    assert git("show", f"agentflow/{TASK}:{PATH}").count("✅ COMPLETE") == 4
    unknown = terminal.run("run", "TASK_NONE", "--prompt", "phase-6", "--base-url", url)
    assert (unknown.returncode, "there is no task 'TASK_NONE'" in unknown.stderr) == (2, True)


def test_what_passed_is_proposed_and_what_failed_is_named(
    terminal: Terminal, tmp_path: Path
) -> None:
    git = terminal.project.git
    git("init", "--quiet", "--bare", "--initial-branch=main", str(tmp_path / "remote"))
    git("remote", "add", "origin", str(tmp_path / "remote"))
    git("push", "--quiet", "origin", "main")
    fails = WORK.replace("echo x > $f", "[ $f = app/hello.txt ] && echo x > $f || echo wrong > $f")
    url = terminal.serve(turn(bash(fails)), *[turn(text="Done.")] * 4)
    ended = terminal.run("phase-6", TASK, "--base-url", url, *GATE)
    assert ended.returncode == 1, ended.stderr

    asked = terminal.run("pr", TASK, "--json")

    assert asked.returncode == 0, asked.stderr
    told = json.loads(asked.stdout)
    assert (told["title"], told["branch"]) == (f"{TASK}: batch 1", f"agentflow/{TASK}")
    (notice,) = told["notices"]
    assert notice.startswith("batch 2 is not in it: its run ")
    assert f"{notice}\npushed agentflow/{TASK} to origin\n" == terminal.run("pr", TASK).stderr
    pushed = git("ls-remote", "origin", f"refs/heads/agentflow/{TASK}").split()[0]
    assert pushed == git("rev-parse", f"agentflow/{TASK}~1")

    git("push", "--quiet", "origin", f"{pushed}:main")
    git("update-ref", "-d", "refs/remotes/origin/main")
    refused = terminal.run("pr", TASK)
    assert (refused.returncode, refused.stderr) == (
        2,
        f"error: main of origin has all that {TASK} verified\n  {notice}\n",
    )
