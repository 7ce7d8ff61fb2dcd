"""Where runs and tasks stand, for another program."""

import json
from pathlib import Path

import pytest

from agentflow.errors import UsageError
from agentflow.records import Json
from agentflow.run_processes import RunProcesses
from agentflow.run_states import run_state, task_states
from agentflow.runs import FOLDER, task_lock
from agentflow.workspace.repository import open_repository
from tests.run.project import Project, make_project

RUN = "TASK-1-20261128T070000-0a0b"
QUEUE = """# Tasks

### TASK-1
**Objective:** the file's one wins

### TASK-7: Count them
**Status:** pending
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


def left(project: Project, run: str = RUN, **fields: object) -> Json:
    """A run that left a report."""
    report = {"run": run, "task": "TASK-1", "landed": None, **fields}
    project.write(f"{FOLDER}/{run}/report.json", json.dumps(report))
    return report


def test_tasks_of_files_and_queue_are_listed_with_what_is_wrong(project: Project) -> None:
    project.write(".orchestrator/tasks/TASK-2.md", "---\nallowed: [x]\n---\n# Two\n")
    project.write(".orchestrator/task_queue.md", QUEUE)
    left(project, outcome="failed")
    project.write(".orchestrator/complete/TASK-1.failed", "failed")

    one, two, seven = task_states(project.world)

    assert one == {
        "id": "TASK-1", "title": "Say hello", "source": "file", "state": "failed", "run": RUN,
    }  # fmt: skip
    assert (two["id"], two["state"], two["run"]) == ("TASK-2", "new", None)
    assert "allowed" in two["problem"]
    assert (seven["id"], seven["title"], seven["source"]) == ("TASK-7", "Count them", "queue")


def test_a_run_at_work_is_running_whatever_an_earlier_end_says(project: Project) -> None:
    left(project, outcome="blocked", exit_code=3, reason="Which?")
    lines = ['{"n": 0, "type": "agentflow.run_started"}', '{"n": 1, "type": "assistant"}']
    project.write(f"{FOLDER}/{RUN}/journal.jsonl", "\n".join(lines) + "\n")
    locks = open_repository(project.root, project.world.environment).locks(project.world.cache)
    with task_lock(locks, "TASK-1"):
        state = run_state(project.world, "TASK-1")
    assert state == {
        "run": RUN, "task": "TASK-1", "state": "running", "turns": 1, "progress": "assistant",
    }  # fmt: skip
    blocked = run_state(project.world, RUN)
    assert (blocked["state"], blocked["question"], blocked["exit_code"]) == ("blocked", "Which?", 3)


@pytest.mark.parametrize("outcome", ["budget", "provider", "environment", "conflict"])
def test_what_may_go_on_is_stopped(project: Project, outcome: str) -> None:
    left(project, outcome=outcome, reason="why", hint="agentflow resume")
    state = run_state(project.world, "TASK-1")
    assert (state["state"], state["outcome"], state["question"]) == ("stopped", outcome, None)
    assert (state["reason"], state["hint"]) == ("why", "agentflow resume")


def test_a_killed_run_is_stopped_and_a_report_of_the_repository_is_refused(
    project: Project,
) -> None:
    project.write(f"{FOLDER}/{RUN}/prompt.md", "x")
    state = run_state(project.world, RUN)
    assert (state["state"], state["outcome"], state["exit_code"]) == ("stopped", "interrupted", 143)
    left(project, outcome="done", landed={"ref": "refs/heads/x", "tip": "0" * 40, "replaced": None})
    project.git("add", "--force", f"{FOLDER}/{RUN}/report.json")
    with pytest.raises(UsageError, match="tracked by git"):
        run_state(project.world, RUN)


async def test_no_more_commands_than_are_allowed_are_at_work(project: Project) -> None:
    processes = RunProcesses(project.root, project.world.environment, most=0)
    with pytest.raises(UsageError, match="0 runs are at work here"):
        await processes.start(["version"])
