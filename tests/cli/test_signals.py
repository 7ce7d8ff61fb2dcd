"""SIGINT and SIGTERM at moments that a user picks without knowing: what ends, how, and what is left."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agentflow.models.scripted import ScriptedServer, read_script
from agentflow.records import Json
from tests.cli.test_cli import Terminal
from tests.forks.programs import fresh_agentflow
from tests.patience import PATIENCE
from tests.run.project import HELLO, Project, bash, turn

SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
GATE = ("--new-gate", "test=test -s app/hello.txt", "--prompt", "plain")


@pytest.fixture
def terminal(project: Project, tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(project, tmp_path)
    yield terminal
    terminal.close()


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def sleeping(seconds: str) -> list[int]:
    """Processes of this machine that sleep for exactly so long."""
    found: list[int] = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if entry.read_bytes() == b"sleep\0" + seconds.encode() + b"\0":
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return found


def ended(process: "subprocess.Popen[str]", code: int) -> Json:
    """The report of a run that a signal ended, after what holds for all of them was checked."""
    output, talk = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, talk
    assert "Traceback" not in talk
    assert "Exception ignored" not in talk
    (line,) = output.splitlines()
    report: Json = json.loads(line)
    assert (report["outcome"], report["exit_code"]) == ("interrupted", code)
    go_on = f"agentflow resume {report['run']}" if report["num_turns"] else report["again"]
    assert report["hint"] == (go_on or "the same command")
    return report


def resumed(terminal: Terminal, *turns: Json) -> Json:
    """The report of the same task, gone on with."""
    url = terminal.serve(*turns)
    again = terminal.run(
        "run", "TASK-1", *GATE, "--resume", "--base-url", url, "--output-format", "json"
    )
    assert again.returncode == 0, again.stderr
    return json.loads(again.stdout)


def test_a_signal_while_a_reply_streams(terminal: Terminal) -> None:
    first, slow = turn(bash("true")), turn(HELLO, text="word " * 2000, pace=0.5)  # hours

    async def interrupted() -> "subprocess.Popen[str]":
        async with ScriptedServer(read_script({"turns": [first, slow]})) as server:
            process = terminal.start_fresh(
                "run", "TASK-1", *GATE, "--base-url", server.url, "--output-format", "json"
            )
            await asyncio.to_thread(wait_until, lambda: len(server.requests) == 2)
            await asyncio.sleep(0.6)  # pieces are on their way
            process.send_signal(signal.SIGINT)
            await asyncio.to_thread(process.wait, PATIENCE)
            return process

    report = ended(asyncio.run(interrupted()), 130)

    kinds = [line["type"] for line in terminal.project.journal(report["run"])]
    assert kinds[-3:] == ["user", "agentflow.reply_failed", "agentflow.run_finished"]
    assert report["num_turns"] == 1
    failed = terminal.project.journal(report["run"])[-2]
    assert failed["cost"] > 0, "the prompt was paid for"
    again = resumed(terminal, first, turn(HELLO), turn())
    assert (again["run"], again["num_turns"]) == (report["run"], 3)


def test_a_signal_while_the_base_is_checked(terminal: Terminal) -> None:
    seconds = f"65.{os.getpid()}"
    process = terminal.start_fresh(
        "run", "TASK-1", "--gate", f"test=sleep {seconds}", "--prompt", "plain",
        "--base-url", "http://127.0.0.1:1", "--output-format", "json",
    )  # fmt: skip
    wait_until(lambda: bool(sleeping(seconds)))
    process.send_signal(signal.SIGTERM)

    report = ended(process, 143)

    wait_until(lambda: not sleeping(seconds))
    kinds = [line["type"] for line in terminal.project.journal(report["run"])]
    assert (kinds[-1], report["num_turns"]) == ("agentflow.run_finished", 0)


@pytest.mark.parametrize(
    ("number", "second"),
    [(signal.SIGINT, signal.SIGTERM), (signal.SIGTERM, signal.SIGTERM)],
    ids=lambda number: number.name,
)
def test_a_second_signal_cuts_the_ending_short(
    terminal: Terminal, tmp_path: Path, number: signal.Signals, second: signal.Signals
) -> None:
    """The ending waits for a hook. What it leaves and its code are those of the first signal."""
    hook = f"67.{os.getpid()}{number * 100 + second}"
    config = tmp_path / "config/agentflow/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f'[[hooks]]\non = ["run.finished"]\ncommand = "exec sleep {hook}"\n')
    url = terminal.serve(turn(bash("true")), turn(HELLO, latency=PATIENCE))
    process = terminal.start_fresh(
        "run", "TASK-1", *GATE, "--base-url", url, "--output-format", "json"
    )
    runs = terminal.project.root / ".orchestrator/runs"
    wait_until(lambda: any("tool_finished" in x.read_text() for x in runs.glob("*/*.jsonl")))
    process.send_signal(number)
    wait_until(lambda: bool(sleeping(hook)))
    process.send_signal(second)

    report = ended(process, 128 + number)

    wait_until(lambda: not sleeping(hook))
    kinds = [line["type"] for line in terminal.project.journal(report["run"])]
    assert (kinds[-1], report["num_turns"]) == ("agentflow.run_finished", 1)


def test_a_third_signal_ends_the_process_itself(terminal: Terminal, tmp_path: Path) -> None:
    """What holds everything up is a program of the user: the signer."""
    seconds = f"68.{os.getpid()}"
    signer = tmp_path / "signer"
    signer.write_text(f"#!/bin/sh\nexec sleep {seconds}\n")
    signer.chmod(0o755)
    for key, value in (("commit.gpgSign", "true"), ("gpg.program", str(signer))):
        terminal.project.git("config", key, value)
    process = terminal.start_fresh("run", "TASK-1", *GATE, "--base-url", terminal.serve(turn()))
    wait_until(lambda: bool(sleeping(seconds)))
    for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
        process.send_signal(number)
        time.sleep(0.2)

    _, talk = process.communicate(timeout=PATIENCE)
    for each in sleeping(seconds):  # git and its signer end by git's own clock, 30 s
        os.kill(each, signal.SIGKILL)
    assert process.returncode == 143
    assert "Traceback" not in talk


NOT_HEARD = """
import asyncio, os
from agentflow.cli.execution import interruptible
from agentflow.cli.output import exit_codes
from agentflow.signals import leave_on_signals
leave_on_signals()

async def work():
    asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), {number})
    await asyncio.sleep(60)

try:
    with exit_codes("json"):
        interruptible(work())
except Exception as ended:
    os._exit(ended.exit_code)
"""


@SIGNALS
def test_work_without_an_answer_to_a_signal_is_interrupted(number: signal.Signals) -> None:
    """What lies between the runs of a workflow: planning one, judging linked parts together."""
    script = NOT_HEARD.format(number=int(number))
    told = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert (told.returncode, told.stderr) == (128 + number, f"error: stopped by {number.name}\n")
    assert json.loads(told.stdout)["outcome"] == "interrupted"


EARLY = """
import os, signal, sys
class Signalled:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), {number})
sys.meta_path.insert(0, Signalled())
sys.argv = ["agentflow", "tasks", "lint", {path!r}]
import agentflow.__main__
agentflow.__main__.main()
"""


@pytest.mark.parametrize("module", ["typer", "agentflow.cli.output", "agentflow.cli.tasks",
                                    "agentflow.task_documents"])  # fmt: skip
@SIGNALS
def test_a_signal_while_modules_are_imported(
    tmp_path: Path, number: signal.Signals, module: str
) -> None:
    script = EARLY.format(module=module, number=int(number), path=str(tmp_path))
    told = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert (told.returncode, told.stdout) == (128 + number, ""), told.stderr
    assert told.stderr in {"", "interrupted\n"}


@SIGNALS
def test_a_signal_while_the_last_words_are_written(tmp_path: Path, number: signal.Signals) -> None:
    """Nobody reads: the command hangs in writing its result, and after a signal in what is left of it."""
    batches = "".join(f"## Batch {n}: {'name ' * 40}⏸️ PENDING\n\n" for n in range(1, 900))
    document = tmp_path / "tasks.md"
    document.write_text(f"# Tasks\n\n{batches}")
    process = subprocess.Popen(
        fresh_agentflow("tasks", "lint", "--json", str(document)),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_until(lambda: Path(f"/proc/{process.pid}/syscall").read_text("ascii").startswith("1 0x1 "))
    for _ in range(2):
        process.send_signal(number)
        time.sleep(0.2)

    assert process.wait(timeout=PATIENCE) == 128 + number
    assert process.stderr is not None
    assert process.stderr.read() in {"", "interrupted\n"}
    assert process.stdout is not None
    process.stdout.close()
    process.stderr.close()


WRITTEN = """
import os, sys
from agentflow.signals import raise_on_signals
from agentflow.streams import hold_standard_streams
hold_standard_streams()
raise_on_signals()
left = {moment}
def interrupt(frame, event, _):
    global left
    if event in ("return", "c_return") and frame.f_code.co_filename.endswith("streams.py"):
        left -= 1
        if left == 0:
            sys.setprofile(None)
            os.kill(os.getpid(), {number})
sys.setprofile(interrupt)
try:
    print("once", file=sys.{stream}, flush=True)
except KeyboardInterrupt:
    pass
sys.setprofile(None)
print("more", file=sys.{stream}, flush=True)
os._exit(left)
"""


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@SIGNALS
def test_a_signal_while_a_line_is_written_writes_nothing_twice(
    number: signal.Signals, stream: str
) -> None:
    """After each step of ours in writing, until there are no more."""
    for moment in range(1, 20):
        script = WRITTEN.format(number=int(number), moment=moment, stream=stream)
        told = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=False
        )
        shown = told.stdout + told.stderr
        assert "Traceback" not in shown
        assert shown in {"once\nmore\n", "more\n"}, f"moment {moment}"
        if told.returncode:  # it was over before that many
            assert (moment > 2, shown) == (True, "once\nmore\n")
            return
    pytest.fail("there are more moments")
