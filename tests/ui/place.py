"""A repository with runs of every kind, and its dashboard as a process."""

import json
import os
import signal
import subprocess
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from agentflow.events import Event, RunFinished, RunStarted
from agentflow.journal import Journal
from agentflow.markers import write_marker
from agentflow.records import Json
from agentflow.report import Summary
from agentflow.run_reports import REPORT
from agentflow.runs import FOLDER, JOURNAL, run_name
from tests.cli.shell import Shell
from tests.forks.programs import agentflow
from tests.sinks.sample import events, started

EVIL = (
    "</textarea></script><script>document.title='owned'</script><img src=x onerror=alert(1)>"
    "\"'><svg onload=alert(1)> {{ 7*7 }} \x1b]0;owned\x07 \u202e &amp;"
)


def tell(
    root: Path,
    task: str,
    began: datetime,
    *,
    story: Sequence[Event] | None = None,
    finished: bool = True,
    **report: Any,
) -> str:
    """Leave a run of the sample's events in a work tree; return its name."""
    run = run_name(task, began, len(task).to_bytes() + began.second.to_bytes())
    folder = root / FOLDER / run
    folder.mkdir(parents=True)
    clock = began
    summary = Summary(lambda: clock)
    journal = Journal(folder / JOURNAL, lambda: clock)
    for event in story if story is not None else events():
        if isinstance(event, RunStarted):
            event = replace(event, run=run, task=task, title=report.get("title", event.title))
        journal.append(event)
        summary(event)
        clock += timedelta(seconds=7)
    journal.close()
    if finished:
        (folder / REPORT).write_text(json.dumps({**summary.as_json(), **report}))
    return run


def ended(outcome: str, code: int, reason: str, hint: str = "") -> list[Event]:
    """The sample's story with another end, before anything landed."""
    return [*events()[:-3], RunFinished(outcome, code, reason, hint)]


TITLES = {
    "TASK-2": "Page the list of notes",
    "TASK-3": "Send a mail when a note is shared",
    "TASK-4": "Tags for notes",
    "TASK-5": "Export notes as CSV",
    "TASK-6": "Count requests per user",
}
QUESTION = (
    "The task says that old notes are archived, the model has no such field.\n"
    "Shall I add `archived_at` to the table, or a table of its own?"
)


@dataclass
class Place:
    """The repository, and the runs in it by their tasks."""

    shell: Shell
    runs: dict[str, str]

    @property
    def root(self) -> Path:
        return self.shell.project.root


def make_place(folder: Path) -> Place:
    """A repository with tasks that wait for each other, and runs that ended in every way."""
    shell = Shell(folder)
    project = shell.project
    project.write(".orchestrator/config.toml", 'prompt = "plain"\n[[gates]]\nname = "test"\n'
                  'command = "test -s app/hello.txt"\nmust_fail_on_base = true\n')  # fmt: skip
    for task, title in TITLES.items():
        after = {"TASK-4": "depends_on: [TASK-2]\n", "TASK-6": "depends_on: [TASK-4]\n"}
        where = "notes" if task in {"TASK-5"} else task.lower()
        project.write(
            f".orchestrator/tasks/{task}.md",
            f"---\n{after.get(task, '')}allow: ['{where}/**']\n---\n\n# {title}\n\nDo it.\n",
        )
    project.commit("feat: tasks")
    day = datetime.now(UTC).replace(microsecond=0)
    root, runs = project.root, dict[str, str]()

    def add(task: str, ago: timedelta, **more: Any) -> None:
        runs[task] = tell(root, task, day - ago, **more)

    add("TASK-2", timedelta(days=2, hours=1), title=TITLES["TASK-2"],
        story=ended("failed", 1, "not verified after 2 repairs: build:test", "agentflow report TASK-2"))  # fmt: skip
    add("TASK-5", timedelta(days=1, hours=3), title=TITLES["TASK-5"],
        story=ended("budget", 4, "80 turns are used up", "agentflow resume TASK-5 --max-turns 120"))  # fmt: skip
    add("TASK-1", timedelta(hours=5))
    add("TASK-3", timedelta(hours=1), title=TITLES["TASK-3"],
        story=ended("blocked", 3, QUESTION, "agentflow answer TASK-3 'TEXT'"))  # fmt: skip
    write_marker(root, "TASK-1", "done")
    write_marker(root, "TASK-3", "blocked")
    return Place(shell, runs)


def tell_hostile(root: Path) -> str:
    """A blocked run with an attack in the place of every text of its report."""
    story: list[Event] = [started(), RunFinished("blocked", 3, EVIL, EVIL)]
    report: Json = {
        "title": EVIL, "model": EVIL, "result": EVIL, "prompt": {"name": EVIL},
        "models": {EVIL: {"turns": 1, "usage": {}, "cost_usd": 1}},
        "commits": [{"sha": EVIL, "subject": EVIL}],
    }  # fmt: skip
    return tell(root, "TASK-666", datetime.now(UTC), story=story, **report)


@contextmanager
def serving(place: Place, *arguments: str) -> Generator[str]:
    """The dashboard as a process; the URL that it printed."""
    process = subprocess.Popen(
        agentflow("ui", *arguments),
        cwd=place.root,
        env=place.shell.environment,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stderr
        line = process.stderr.readline()
        assert line.startswith("serving http"), line + process.stderr.read()
        yield line.split()[1]
    finally:
        os.kill(process.pid, signal.SIGINT)
        process.communicate(timeout=30)
