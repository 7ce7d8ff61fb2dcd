"""What a command does when its standard output or standard error takes nothing."""

import json
import os
import re
import subprocess
import sys

import pytest

from tests.cli.at_once import ROOT, at_once
from tests.cli.forked import SAID
from tests.cli.shell import Shell

RUN = "TASK-1-20260101T000000-abcd"
SHOWING = (
    "run TASK-1 --prompt plain --dry-run",
    "init --print",
    "runs list",
    "runs show TASK-1 --json",
    "runs prune --keep 0s --dry-run",
    "runs export TASK-1 --no-checkpoints -o out.tar.gz",
    "report TASK-1 -o -",
    "trust --json",
    "config show",
    "prompts list",
    "prompts show plain --raw",
    "prompts render plain TASK-1",
    "prompts lint --json",
    "tasks lint --json",
    "tasks show task_queue.md",
    "tasks next task_queue.md",
    "version",
    "--version",
    "--help",
)
"""Commands that show something and end with 0, without a sandbox, a model, a remote or a database."""

ELSEWHERE = {
    "handoff", "reply", "doctor", "demo", "phase-6", "resume", "answer", "submit", "worker",
    "cluster status", "cluster cancel", "cluster retry", "cluster drain", "cluster migrate",
    "cluster doctor", "wait", "runs diff", "runs rewind", "runs fork", "runs import", "ui",
    "prompts add", "prompts test", "tasks set", "verify", "bundle", "land", "pr", "attest", "mcp",
}  # fmt: skip
"""The other commands: they need more than a repository, or show nothing."""

ONE_OF_EACH = ("--help", "version", "config show", "trust --json", "prompts show plain --raw")
"""A command for each way to print: typer's own, a printer, JSON and bytes."""

NO_PLACE = (
    "report TASK-1 -o no/place",
    "runs export TASK-1 -o no/place",
    "attest TASK-1 -o no/place",
    "run TASK-1 --junit no/place",
    "run TASK-1 --sarif no/place",
)
"""Commands with a file that they write, in a folder that is not there; `bundle` needs a verified run."""

VERDICT = "wait TASK-1"

Ended = dict[str, tuple[int, str]]


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Ended]:
    """What commands ended with, by what their two streams were."""
    shell = Shell(tmp_path_factory.mktemp("shell"))
    shell.project.write("task_queue.md", "### TASK-3: Serve\n**Status:** pending\n")
    gate = '[[gates]]\nname = "test"\ncommand = "true"\n'
    shell.project.write(".orchestrator/config.toml", gate)
    shell.project.write(".gitignore", f"{SAID}\n*.gz\n")
    shell.project.commit()
    report = {"task": "TASK-1", "run": RUN, "outcome": "done", "exit_code": 0}
    shell.project.write(f".orchestrator/runs/{RUN}/report.json", json.dumps(report))
    shell.project.write(f".orchestrator/runs/{RUN}/journal.jsonl", "")
    few = (*ONE_OF_EACH, VERDICT)
    streams = {
        ("/dev/full", SAID): (*SHOWING, VERDICT),
        ("closed", SAID): few,
        ("nobody", SAID): few,
        (os.devnull, "/dev/full"): few,
        (os.devnull, "closed"): few,
        ("closed", "closed"): few,
        (os.devnull, SAID): NO_PLACE,
    }
    cases = [(line, *pair) for pair, lines in streams.items() for line in lines]
    found: dict[tuple[str, str], Ended] = {pair: {} for pair in streams}
    for (line, output, talk), (code, said) in zip(cases, at_once(shell, cases), strict=True):
        found[output, talk][line] = (code, said)
    return found


@pytest.mark.parametrize(
    ("output", "why"),
    [("/dev/full", "No space left on device"), ("closed", "Bad file descriptor")],
)
def test_lost_output_is_told_and_only_a_verdict_stays(
    ended: dict[tuple[str, str], Ended], output: str, why: str
) -> None:
    found = dict(ended[output, SAID])
    told = f"error: standard output was not written: {why}\n"
    assert found.pop(VERDICT) == (0, told)
    assert {line: code for line, (code, _) in found.items()} == dict.fromkeys(found, 5)
    assert [line for line, (_, said) in found.items() if not said.endswith(told)] == []
    assert [line for line, (_, said) in found.items() if "Traceback" in said] == []


def test_a_reader_that_wants_no_more_is_no_failure(ended: dict[tuple[str, str], Ended]) -> None:
    found = ended["nobody", SAID]
    assert {line: code for line, (code, _) in found.items()} == dict.fromkeys(found, 0)
    assert [line for line, (_, said) in found.items() if "error" in said] == []


@pytest.mark.parametrize(
    ("output", "talk", "code"),
    [(os.devnull, "/dev/full", 0), (os.devnull, "closed", 0), ("closed", "closed", 5)],
)
def test_lost_talk_changes_nothing(
    ended: dict[tuple[str, str], Ended], output: str, talk: str, code: int
) -> None:
    found = ended[output, talk]
    assert {line: code for line, (code, _) in found.items()} == {
        **dict.fromkeys(found, code), VERDICT: 0,
    }  # fmt: skip


def test_a_file_without_a_folder_is_refused_by_every_command(
    ended: dict[tuple[str, str], Ended],
) -> None:
    found = ended[os.devnull, SAID]
    assert {line: code for line, (code, _) in found.items()} == dict.fromkeys(NO_PLACE, 2)
    told = "error: no/place cannot be written: there is no folder "
    assert [line for line, (_, said) in found.items() if not said.startswith(told)] == []


def test_every_command_is_among_them_or_elsewhere() -> None:
    text = (ROOT / "docs/reference/commands.md").read_text("utf-8")
    names = set(re.findall(r"^## agentflow (.+)$", text, re.MULTILINE))
    shown = {name for name in names for line in SHOWING if f"{line} ".startswith(f"{name} ")}
    assert names - shown == ELSEWHERE


def test_a_stream_that_does_not_wait_gets_everything() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    script = "from agentflow import cli; import sys; sys.stdout.write('x' * (1 << 20)); cli.end(0)"
    command = [sys.executable, "-c", f"import agentflow.__main__; {script}"]
    with subprocess.Popen(command, stdout=writer) as process, os.fdopen(reader, "rb") as file:
        os.close(writer)
        got = len(file.read())
    assert (process.returncode, got) == (0, 1 << 20)
