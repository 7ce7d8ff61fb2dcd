"""`agentflow submit`, `worker` and `cluster`, as a user meets them; no worker is needed for most."""

import gc
import json
import os
import re
import signal
import subprocess
import time
import tracemalloc
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path

import pytest

from agentflow.cli.submitted import RUNS, row_of
from agentflow.cluster.board import Board
from agentflow.cluster.database import open_client
from agentflow.cluster.elsewhere import reports_of, summaries_of
from agentflow.cluster.execution import MAX_STARTS, check_progress, due_answer
from agentflow.cluster.liveness import shown
from agentflow.cluster.submission import find_submissions
from agentflow.errors import EnvironmentFailure, UsageError
from agentflow.records import Json
from agentflow.sinks.tables import formed
from agentflow.web.local import LocalSource
from agentflow.web.shared import SharedSource
from agentflow.web.shelf import as_row
from tests.cli.shell import Shell
from tests.conformance.machines import Machines, machines, processes, until
from tests.conformance.postgresql import Server
from tests.run.project import bash, turn

Given = tuple[Shell, dict[str, str]]


@pytest.fixture
def given(server: Server, tmp_path: Path) -> Given:
    """A shell in a repository with a remote, and the environment with a database."""
    shell = Shell(tmp_path)
    origin = tmp_path / "origin.git"
    subprocess.run(["git", "init", "--quiet", "--bare", str(origin)], check=True)
    shell.project.git("remote", "add", "origin", str(origin))
    shell.project.git("push", "--quiet", "origin", "main")
    return shell, {"AGENTFLOW_DATABASE_URL": server.make_database()}


def test_a_task_is_submitted_once_and_seen_everywhere(given: Given) -> None:
    shell, database = given
    made = shell.run("submit", "TASK-1", **database)
    assert made.returncode == 0, made.stderr
    run = made.stdout.strip()
    again = json.loads(shell.run("submit", "TASK-1", "--json", **database).stdout)
    assert (again["run"], again["is_new"]) == (run, False)
    assert (again["task"], again["state"], again["priority"]) == ("TASK-1", "waiting", 100)
    listed = json.loads(shell.run("runs", "list", "--json", **database).stdout)
    assert (listed["run"], listed["outcome"]) == (run, "waiting")
    assert shell.run("runs", "show", "TASK-1", **database).stdout.split()[:2] == [run, "waiting"]
    waited = shell.run("wait", "TASK-1", "--timeout", "1s", **database)
    assert waited.returncode == 124
    assert f"waiting for {run}" in waited.stderr
    assert shell.run("cluster", "cancel", "TASK-1", **database).returncode == 0
    assert shell.run("wait", "TASK-1", **database).returncode == 143
    refused = shell.run("submit", "TASK-1", **database)
    assert refused.returncode == 2
    assert f"agentflow cluster retry {run}" in refused.stderr


def test_a_list_asks_for_no_report(given: Given) -> None:
    """It shows, filters and sums up the same as with whole reports."""
    shell, database = given
    run = shell.run("submit", "TASK-1", **database).stdout.strip()
    usage = {"input_tokens": 1200, "output_tokens": 30}
    paid = {"usage": usage, "total_cost_usd": 0.25, "num_turns": 7}
    models = {"sonnet": {"turns": 7, "usage": usage, "cost_usd": 0.25}}
    told = {"title": "Say \0 hello", "model": "sonnet", "prompt": {"name": "plain"}, **paid}
    report = {**told, "models": models, "duration_ms": 61_000, "verification": {"x": "y" * 900_000}}
    with open_client(database["AGENTFLOW_DATABASE_URL"]) as client:
        Board(client).note_report(run, report)

    world = shell.project.world
    known = replace(world, environment={**world.environment, **database})
    [whole], [summary] = reports_of(known), summaries_of(known, "TASK-1")

    assert (summaries_of(known, "TASK-2"), summaries_of(world)) == ([], [])
    assert len(json.dumps(summary)) < len(json.dumps(whole)) // 100
    assert "verification" in whole
    assert {**whole, "verification": None} == {**summary, "verification": None}
    shown = shell.run("runs", "list", "--model", "sonnet", "--prompt", "plain", **database).stdout
    assert shown == f"{formed(RUNS, row_of(whole).cells)}\n"
    as_json = json.loads(shell.run("runs", "list", "--json", **database).stdout)
    assert as_json["verification"] == report["verification"]
    status = shell.run("cluster", "status", "--json", **database)
    assert json.loads(status.stdout)["run"] == run


def test_the_dashboard_asks_for_no_report_until_its_run_is_opened(given: Given) -> None:
    """What all rows together take is less than one report."""
    shell, database = given
    names = [f"TASK-{number}" for number in range(1, 13)]
    for name in names:
        shell.project.write(f".orchestrator/tasks/{name}.md", "# Say hello\n\nWrite it.\n")
    runs = shell.run("submit", *names, **database).stdout.split()
    whole: dict[str, Json] = {}
    with open_client(database["AGENTFLOW_DATABASE_URL"]) as client:
        for number, run in enumerate(runs):
            spent = {"num_turns": number, "total_cost_usd": 0.5, "duration_ms": 61_000}
            said = {"outcome": "failed", "exit_code": 1, "reason": "no", "hint": "Mend it."}
            detail = {"gate": "build:test", "status": "failed", "detail": "y" * 900_000}
            whole[run] = {**spent, **said, "verification": {"gates": [detail]}}
            Board(client).note_report(run, whole[run])
            client.cancel_workflow(run)
    world = shell.project.world
    known = replace(world, environment={**world.environment, **database})
    source = SharedSource(LocalSource(known), known)
    assert len(source.board().rows) == len(names)  # all is imported now, and connected once
    source.forget()

    gc.collect()
    tracemalloc.start()
    board = source.board()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 900_000
    rows = {report["run"]: as_row(report) for report in reports_of(known)}
    assert {row.run: row for row in board.rows} == rows
    assert board.rows[0].hint == "Mend it."
    details = source.details(runs[3])
    assert details is not None
    assert len(details.evidence[0].detail) == 900_000
    assert source.details(runs[3]) is details


def _unpushed(shell: Shell) -> list[str]:
    shell.project.write("new.txt", "new")
    shell.project.commit()
    return ["TASK-1"]


def _secret(shell: Shell) -> list[str]:
    shell.project.task(text="# Use it\n\nThe key is ghp_" + "a1B2c3D4e5" * 3 + "a1B2c3.")
    return ["TASK-1"]


def _password(shell: Shell) -> list[str]:
    shell.project.git("remote", "set-url", "origin", "https://ada:hunter22@example.com/x.git")
    return ["TASK-1"]


def _command(shell: Shell) -> list[str]:
    shell.project.git("remote", "set-url", "origin", "ext::sh -c true")
    return ["TASK-1"]


def _unknown(_: Shell) -> list[str]:
    return ["TASK-9"]


def _no_remote(_: Shell) -> list[str]:
    return ["TASK-1", "other"]


def _document(shell: Shell, text: str) -> list[str]:
    shell.project.task("allow: [app/]\ndepends_on: DOCUMENT")
    shell.project.write("task-tracking/DOCUMENT/tasks.md", text)
    return ["TASK-1"]


def _batch_left(shell: Shell) -> list[str]:
    task = _document(shell, "## Batch 1: a COMPLETE\n\n## Batch 2: b PENDING\n")
    shell.project.commit()
    shell.project.git("push", "--quiet", "origin", "main")
    return task


def _document_of_this_machine(shell: Shell) -> list[str]:
    """Complete and landed, but no worker can see it."""
    message = "x\n\nAgentflow-Task: DOCUMENT-batch-1"
    shell.project.git("commit", "--quiet", "--allow-empty", "--message", message)
    shell.project.git("push", "--quiet", "origin", "main")
    return _document(shell, "## Batch 1: a COMPLETE\n")


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (_batch_left, "TASK-1 depends on DOCUMENT, which is not complete in the base"),
        (_document_of_this_machine, "TASK-1 depends on DOCUMENT, which the base"),
        (_unpushed, "is known to hold the base"),
        (_secret, "TASK-1 holds a secret"),
        (_password, "holds a password"),
        (_command, "is no address for a worker"),
        (_unknown, "there is no task 'TASK-9'"),
        (_no_remote, "has no remote 'other'"),
    ],
)
def test_what_no_worker_could_run_is_refused(
    given: Given, prepare: Callable[[Shell], list[str]], said: str
) -> None:
    shell, _ = given
    task, *others = prepare(shell)
    remote = others[0] if others else "origin"
    with pytest.raises(UsageError, match=re.escape(said)) as refused:
        find_submissions([task], None, remote, {}, shell.project.world)
    assert "hunter22" not in f"{refused.value.message} {refused.value.hint}"


def test_a_database_that_is_missing_away_or_empty_is_named(given: Given, server: Server) -> None:
    shell, _ = given
    unset = shell.run("submit", "TASK-1")
    assert (unset.returncode, unset.stdout) == (2, "")
    assert "AGENTFLOW_DATABASE_URL is not set" in unset.stderr
    away = "postgresql://me:hunter22@127.0.0.1:1/x"
    gone = shell.run("cluster", "status", AGENTFLOW_DATABASE_URL=away)
    assert gone.returncode == 5
    assert "the cluster's database" in gone.stderr
    assert "hunter22" not in gone.stderr
    empty = {"AGENTFLOW_DATABASE_URL": server.make_empty()}
    bare = shell.run("cluster", "status", **empty)
    assert bare.returncode == 5
    assert "agentflow cluster migrate" in bare.stderr
    assert shell.run("cluster", "migrate", **empty).returncode == 0
    assert shell.run("cluster", "status", **empty).returncode == 0


def test_what_happened_here_is_shown_without_the_database(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    run = "TASK-1-20260101T000000-abcd"
    report = {"task": "TASK-1", "run": run, "outcome": "blocked", "exit_code": 3}
    shell.project.write(f".orchestrator/runs/{run}/report.json", json.dumps(report))
    away = {"AGENTFLOW_DATABASE_URL": "postgresql://me:hunter22@127.0.0.1:1/x"}
    said = "only what happened here: the cluster's database"
    for wanted in ("list", "show TASK-1"):
        shown = shell.run("runs", *wanted.split(), "--json", **away)
        assert (shown.returncode, json.loads(shown.stdout)["run"]) == (0, run), shown.stderr
        assert said in shown.stderr
        assert "hunter22" not in shown.stderr
    named = shell.run("runs", "show", run, "--json", **away)
    assert (json.loads(named.stdout)["run"], named.stderr) == (run, "")
    unknown = shell.run("runs", "show", "TASK-2", **away)
    assert (unknown.returncode, unknown.stdout) == (5, "")


def test_a_worker_without_a_state_remote_refuses(given: Given) -> None:
    shell, database = given
    refused = shell.run("worker", **database)
    assert refused.returncode == 2
    assert "no state remote is configured" in refused.stderr


def test_the_database_takes_no_pickles(given: Given, server: Server) -> None:
    import psycopg

    _, database = given
    with (
        psycopg.connect(database["AGENTFLOW_DATABASE_URL"]) as session,
        pytest.raises(psycopg.errors.CheckViolation),
    ):
        session.execute(
            "insert into dbos.workflow_status (workflow_uuid, status, name, inputs, serialization)"
            " values ('x', 'ENQUEUED', 'agentflow_run', 'gASVAAAA', 'py_pickle')"
        )


def test_the_packages_of_the_extra_are_named_if_they_are_missing(given: Given) -> None:
    shell, database = given
    blocked = shell.project.root.parent / "blocked"
    (blocked / "dbos").mkdir(parents=True)
    (blocked / "dbos/__init__.py").write_text("raise ModuleNotFoundError('no', name='dbos')\n")
    refused = shell.run("cluster", "status", **database, PYTHONPATH=str(blocked))
    assert refused.returncode == 5
    assert "pip install '.[cluster]'" in refused.stderr


def test_a_run_that_kills_its_workers_is_not_begun_for_ever() -> None:
    said: dict[str, object] = {}
    for _ in range(MAX_STARTS):
        check_progress(said.get("starts"), "a" * 40, said.update)
    check_progress(said.get("starts"), "b" * 40, said.update)
    for _ in range(MAX_STARTS - 1):
        check_progress(said.get("starts"), "b" * 40, said.update)
    with pytest.raises(EnvironmentFailure, match="5 workers in a row"):
        check_progress(said.get("starts"), "b" * 40, said.update)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (90, "1 min 30 s"),
        (1e12, "its time"),
        ("x", "its time"),
        (None, "its time"),
        (float("nan"), "its time"),
    ],
)
def test_a_duration_in_the_database_may_be_anything(seconds: object, told: str) -> None:
    assert shown(seconds) == told


@pytest.mark.parametrize("stored", [None, "x", [], {}, {"text": 1}, {"said": 2}])
def test_an_answer_in_the_database_may_be_anything(stored: object) -> None:
    assert due_answer(stored, 2, lambda _: None) is None


@pytest.fixture
def slow(server: Server, tmp_path: Path, bwrap: str) -> Generator[Machines]:
    """One worker, whose agent begins something that takes long."""
    talks = {"# Task TASK-1:": [turn(bash("exec sleep 613.7"))]}
    with machines(tmp_path, server, [turn()], talks) as all_:
        all_.task("TASK-1")
        all_.push()
        all_.start_worker()
        yield all_


def _sleeps() -> list[int]:
    return processes("sleep", "613.7")


@pytest.mark.sandbox
def test_cancel_ends_the_processes_and_retry_goes_on(slow: Machines) -> None:
    [run] = slow.submit("TASK-1")
    for _ in range(2):
        until(lambda: bool(_sleeps()), slow)
        with slow.board() as board:
            board.cancel(board.get(run), "cancelled")
        until(lambda: not _sleeps(), slow)
        [entry] = slow.entries()
        assert (entry.state, entry.outcome) == ("cancelled", "interrupted")
        with slow.board() as board:
            board.retry(entry)
    until(lambda: bool(_sleeps()), slow)
    with slow.board() as board:
        board.note(run, deadline=time.time(), seconds=1)
    until(lambda: not _sleeps(), slow)
    until(lambda: slow.entries()[0].facts.get("outcome") == "interrupted", slow)
    [entry] = slow.entries()
    assert (entry.state, entry.report["reason"]) == ("cancelled", "not done within 1.0 s")


@pytest.mark.sandbox
def test_a_worker_that_is_told_to_stop_leaves_its_run_to_others(slow: Machines) -> None:
    [run] = slow.submit("TASK-1")
    until(lambda: bool(_sleeps()), slow)
    first = slow.workers[0]
    assert first.pid is not None
    os.kill(first.pid, signal.SIGTERM)
    first.join(60)
    assert first.exitcode == 0, slow.logs()
    assert not _sleeps()
    [entry] = slow.entries()
    assert entry.state == "running"
    slow.start_again(0)
    until(lambda: bool(_sleeps()), slow)
    [entry] = slow.entries()
    assert (entry.run, entry.state) == (run, "running")
    with slow.board() as board:
        board.cancel(board.get(run), "the test is over")
    until(lambda: not _sleeps(), slow)
