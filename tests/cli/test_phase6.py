"""`agentflow phase-6` as a process: its words, its JSON, and what a kill in the middle leaves."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_cli import Terminal
from tests.run.project import Project, bash, turn
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
    process = terminal.start(*order, PYTHONUNBUFFERED="1")
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
    ended = terminal.run("run", TASK, "--prompt", "phase-6", *order[2:], "--output-format", "json")
    report = json.loads(ended.stdout.splitlines()[-1])
    assert (report["outcome"], [each["id"] for each in report["batches"]]) == ("done", ["1", "2"])
    again = terminal.run(*order)
    assert (again.returncode, again.stdout.splitlines()) == (
        0,
        [
            f"done  {TASK}",
            "  reason   no batch is left for the backend developer",
            "  note     batch 3 is for frontend-developer",
            f"  branch   agentflow/{TASK}",
        ],
    )
    finished(terminal)
    shown = terminal.run("tasks", "next", TASK)
    assert shown.stderr.startswith(f"note: agentflow/{TASK} has another version: git show ")
    assert terminal.run("tasks", "next", TASK, "--json").stdout.startswith("{")


def test_two_at_once_are_refused(terminal: Terminal) -> None:
    url = terminal.serve(turn(bash(WORK), latency=2), turn(text="Done."))
    order = ("phase-6", TASK, "--base-url", url, *GATE, "--one-batch")
    process = terminal.start(*order)
    assert process.stderr is not None
    assert any(each.startswith("run ") for each in iter(process.stderr.readline, ""))

    second = terminal.run(*order)

    assert second.returncode == 2
    assert f"another run of {TASK} is at work" in second.stderr
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted" in output
