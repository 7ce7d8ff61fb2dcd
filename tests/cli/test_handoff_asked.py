"""A handoff that asks before its run begins, as a process: blocked, answered, gone on with."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import parse

import pytest

from agentflow.records import Json
from tests.cli.shell import on_terminal
from tests.cli.test_cli import Terminal
from tests.run.project import Project, bash, call, turn

pytestmark = pytest.mark.sandbox

BLOCK = """--- BACKEND TASK HANDOFF (copy below) ---
- **Trigger**: the inbox
- **Expected backend work**: add GET /v1/mails
- **Service(s)**: mail
--- END HANDOFF ---
"""
GATE = ("--gate", "test=true", "--prompt", "plain")
DTO = call(
    "Write", file_path="services/mail/mail.dto.ts", content="export class MailDto { to: string }\n"
)


@pytest.fixture
def terminal(project: Project, tmp_path: Path) -> Iterator[Terminal]:
    project.write("services/mail/main.ts", "export {}\n")
    project.commit()
    terminal = Terminal(project, tmp_path)
    yield terminal
    terminal.close()


def block(terminal: Terminal, text: str = BLOCK) -> str:
    return str(terminal.project.write("../block.md", text))


def last(output: str) -> Json:
    return json.loads(output.splitlines()[-1])


def marker(terminal: Terminal, task: str) -> list[str]:
    folder = terminal.project.root / ".orchestrator/complete"
    return [path.suffix for path in folder.glob(f"{task}.*")]


def test_a_missing_contract_is_asked_for_and_the_same_run_completes(terminal: Terminal) -> None:
    url = terminal.serve(turn(DTO), turn(text="Done."))
    order = ("handoff", block(terminal), "--base-url", url, *GATE)

    junit = terminal.project.root.parent / "junit.xml"

    asked = terminal.run(*order, "--json", "--junit", str(junit))

    report = last(asked.stdout)
    (suite,) = parse(junit).iter("testsuite")
    assert (suite.get("name"), suite.get("errors")) == (report["task"], "1")
    task, run = report["task"], report["run"]
    assert (asked.returncode, report["outcome"], report["exit_code"]) == (3, "blocked", 3)
    assert [each["id"] for each in report["questions"]] == ["contract"]
    assert report["hint"] == f"Answer: agentflow answer {run} 'TEXT'"
    assert marker(terminal, task) == [".blocked"]
    (line,) = terminal.project.journal(run)
    assert line["type"] == "agentflow.handoff_asked"
    assert "add GET /v1/mails" in line["text"]
    assert run in terminal.run("runs", "list").stdout
    again = last(terminal.run(*order, "--json").stdout)
    assert again["run"] == run, "the same handoff waits under the same name"
    resumed = terminal.run("resume", run)
    assert (resumed.returncode, "waits for answers" in resumed.stderr) == (2, True)

    ended = terminal.run("answer", run, "`{ to: string }`", "--output-format", "json")

    report = last(ended.stdout)
    assert (ended.returncode, report["outcome"], report["run"]) == (0, "done", run), ended.stderr
    assert marker(terminal, task) == [".done"]
    (audit,) = [each for each in report["verification"]["gates"] if each["gate"] == "api-contract"]
    assert audit["status"] == "passed"
    assert "GET /v1/mails -> { to: string }" in terminal.run("reply", run).stdout
    # The answers are kept with the block: it is done, and asks nothing again.
    repeated = terminal.run(*order, "--json")
    assert (repeated.returncode, last(repeated.stdout)["already_done"]) == (0, True)
    late = terminal.run("answer", run, "more")
    assert (late.returncode, "asks nothing" in late.stderr) == (2, True)


def test_several_questions_and_answers_from_a_file(terminal: Terminal) -> None:
    url = terminal.serve(turn(DTO), turn(text="Done."))
    text = BLOCK.replace("add GET /v1/mails", "TBD").replace(": mail\n", ": mial\n")
    order = ("handoff", block(terminal, text), "--base-url", url, *GATE)
    run = last(terminal.run(*order, "--json").stdout)["run"]

    vague = terminal.run("answer", run, "do it")
    part = terminal.run("answer", run, "work: write a class\n", "--output-format", "json")
    file = terminal.project.write("../answers.yaml", "'service:mial': services/mail\n")
    wrong = terminal.run("answer", run, "x", "--answers", str(file))
    ended = terminal.run("answer", run, "--answers", str(file), "--output-format", "json")

    assert (vague.returncode, wrong.returncode) == (2, 2)
    assert "2 questions are open" in vague.stderr
    assert "Open: work, service:mial" in vague.stderr
    assert (part.returncode, last(part.stdout)["run"]) == (3, run)
    assert [each["id"] for each in last(part.stdout)["questions"]] == ["service:mial"]
    report = last(ended.stdout)
    assert (ended.returncode, report["outcome"], report["run"]) == (0, "done", run), ended.stderr
    kinds = [line["type"] for line in terminal.project.journal(run)]
    assert kinds[:3] == ["agentflow.handoff_asked"] * 2 + ["agentflow.run_started"]


def test_on_a_terminal_the_questions_are_asked_at_once(terminal: Terminal) -> None:
    text = BLOCK.replace("add GET /v1/mails", "TBD").replace(": mail\n", ": mial\x1b[2J\n")
    where = (terminal.project.root, terminal.environment)
    url = terminal.serve(turn(DTO), turn(text="Done."))
    order = ("handoff", block(terminal, text), "--base-url", url, *GATE)

    open_, shown = on_terminal(*where, "write a class\n\n", *order)
    assert (open_, "the handoff leaves 1 point open: service:" in shown) == (3, True), shown
    (waiting,) = (terminal.project.root / ".orchestrator/runs").glob("*/")

    assert "What should be implemented?" in shown
    assert "\x1b[2J" not in shown

    ended, shown = on_terminal(*where, "services/mail\n", *order)

    assert ended == 0, shown
    assert "What should be implemented?" not in shown, "that was answered before"
    assert [path.name for path in waiting.parent.glob("*/")] == [waiting.name]
    assert terminal.project.git("show", f"agentflow/{waiting.name[:16]}:services/mail/mail.dto.ts")


def test_an_answer_that_names_no_folder_does_not_end_the_conversation(terminal: Terminal) -> None:
    url = terminal.serve(turn(DTO), turn(text="Done."))
    shaped = BLOCK.replace(": mail\n", ": post\n- **Contract requirements**: `{ to: string }`\n")
    order = ("handoff", block(terminal, shaped), "--base-url", url, *GATE)
    wrong = terminal.project.write("../wrong.yaml", "'service:post': nofolder\n")

    at_once = terminal.run(*order, "--answers", str(wrong), "--json")
    assert (at_once.returncode, last(at_once.stdout)["reason"]) == (
        2,
        "the answer to 'service:post' names no folder: no folder, package or submodule is called "
        "'nofolder'; the workspace has services/mail",
    )
    run = last(terminal.run(*order, "--json").stdout)["run"]
    refused = terminal.run("answer", run, "nofolder")
    assert (refused.returncode, "; the workspace has services/mail" in refused.stderr) == (2, True)
    left, shown = on_terminal(
        terminal.project.root, terminal.environment, "nofolder\n?\n\n", *order
    )
    assert (left, shown.count("Which folder is 'post'? []")) == (3, 3), shown

    ended = terminal.run("answer", run, "service:post: mail", "--output-format", "json")

    report = last(ended.stdout)
    assert (ended.returncode, report["outcome"], report["run"]) == (0, "done", run), ended.stderr


def test_a_service_of_the_command_line_that_is_no_folder_can_be_answered(
    terminal: Terminal,
) -> None:
    url = terminal.serve(turn(DTO), turn(text="Done."))
    shaped = BLOCK.replace("inbox\n", "inbox\n- **Contract requirements**: `{ to: string }`\n")
    order = ("handoff", block(terminal, shaped), "--base-url", url, *GATE, "--service", "post")
    asked = last(terminal.run(*order, "--json").stdout)
    assert [each["id"] for each in asked["questions"]] == ["service:post"]

    ended = terminal.run("answer", asked["run"], "mail", "--output-format", "json")

    assert (ended.returncode, last(ended.stdout)["outcome"]) == (0, "done"), ended.stderr


def test_answers_given_with_the_block_go_on_with_its_run_after_a_kill_too(
    terminal: Terminal,
) -> None:
    url = terminal.serve(turn(DTO), turn(bash("true"), latency=3), turn(text="Done."))
    order = ("handoff", block(terminal), "--base-url", url, *GATE)
    run = last(terminal.run(*order, "--json").stdout)["run"]
    file = terminal.project.write("../answers.yaml", "contract: '`{ to: string }`'\n")

    process = terminal.start(*order, "--answers", str(file))
    journal = terminal.project.root / ".orchestrator/runs" / run / "journal.jsonl"
    while '"agentflow.tool_finished"' not in journal.read_text():
        time.sleep(0.05)
    time.sleep(0.5)  # until the checkpoint is made, which happens while the model is asked
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    ended = terminal.run("resume", run, "--output-format", "json")

    report = last(ended.stdout)
    assert (ended.returncode, report["outcome"], report["run"]) == (0, "done", run), ended.stderr


def test_a_run_that_came_with_a_repository_is_no_question(terminal: Terminal) -> None:
    run = "HANDOFF-12345678-20250101T000000-0000"
    report = {"type": "questions", "task": "HANDOFF-12345678", "run": run, "outcome": "blocked"}
    terminal.project.write(f".orchestrator/runs/{run}/report.json", json.dumps(report))

    ended = terminal.run("answer", run, "yes")

    assert (ended.returncode, "nothing is kept of the run" in ended.stderr) == (2, True)
