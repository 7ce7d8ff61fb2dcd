"""The command line as a user meets it: a process, its output, its exit code."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from agentflow.runs import list_runs
from tests.forks.programs import agentflow, fresh_agentflow, scripted_model
from tests.needs import miss
from tests.patience import PATIENCE
from tests.run.project import HELLO, Project, bash, turn


class Terminal:
    """Runs `agentflow` in a project, with a scripted server beside it."""

    def __init__(self, project: Project, folder: Path) -> None:
        self.project = project
        self.environment = {
            **project.world.environment,
            "XDG_CACHE_HOME": str(folder / "cache"),
            "COLUMNS": "100",
        }
        self._folder = folder
        self._servers: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return self._start(agentflow(*arguments), environment)

    def _start(self, command: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.project.root,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def start_fresh(self, *arguments: str) -> subprocess.Popen[str]:
        """The same in an interpreter of its own: for what concerns the process as such."""
        return self._start(fresh_agentflow(*arguments), {})

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, **environment)
        output, talk = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, output, talk)

    def serve(self, *turns: object, **script_: object) -> str:
        script = self._folder / f"script-{len(self._servers)}.json"
        script.write_text(json.dumps({"turns": turns, **script_}))
        server = subprocess.Popen(
            scripted_model(str(script)),
            stdout=subprocess.PIPE,
            text=True,
        )
        self._servers.append(server)
        assert server.stdout is not None
        return server.stdout.readline().split()[-1]

    def close(self) -> None:
        for server in self._servers:
            server.terminate()
            server.communicate(timeout=10)


@pytest.fixture
def terminal(project: Project, tmp_path: Path):
    terminal = Terminal(project, tmp_path)
    yield terminal
    terminal.close()


GATE = ("--new-gate", "test=test -s app/hello.txt", "--prompt", "plain")


def test_a_task_is_run_to_its_end(terminal: Terminal) -> None:
    url = terminal.serve(turn(HELLO), turn(text="I wrote it."))

    ended = terminal.run("run", "TASK-1", *GATE, "--base-url", url)

    assert ended.returncode == 0, ended.stderr
    assert "done  TASK-1  Say hello" in ended.stdout
    assert "✓ passed  build:test" in ended.stdout
    assert "landed   agentflow/TASK-1" in ended.stdout
    assert "Write app/hello.txt" in ended.stderr
    assert "\x1b" not in ended.stdout + ended.stderr


def test_json_is_one_object_alone_on_standard_output(terminal: Terminal) -> None:
    url = terminal.serve(turn(HELLO), turn())

    ended = terminal.run(
        "run", "TASK-1", *GATE, "--base-url", url, "--output-format", "json", "--quiet"
    )

    report = json.loads(ended.stdout)
    assert (report["type"], report["subtype"], report["is_error"]) == ("result", "success", False)
    assert (report["outcome"], report["num_turns"], report["session_id"]) == (
        "done", 2, report["run"],
    )  # fmt: skip
    assert ended.stderr == ""


def test_stream_json_has_the_fields_line_types_and_ends_with_the_result(
    terminal: Terminal,
) -> None:
    url = terminal.serve(turn(HELLO), turn())

    ended = terminal.run("run", "TASK-1", *GATE, "--base-url", url, "--output-format=stream-json")

    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    kinds = [line["type"] for line in lines]
    assert kinds[0] == "system"
    assert kinds[-1] == "result"
    assert {"assistant", "user", "agentflow.gate_finished", "agentflow.landed"} <= set(kinds)
    assert {line["session_id"] for line in lines} == {lines[-1]["run"]}


def test_a_dry_run_shows_everything_and_needs_no_key(terminal: Terminal) -> None:
    ended = terminal.run("run", "TASK-1", *GATE, "--dry-run")
    assert ended.returncode == 0, ended.stderr
    for words in (
        "app/**                           kernel-exact",
        "test         test -s app/hello.txt",
        "──── system prompt",
        "Do what the task says.",
        "# Task TASK-1: Say hello",
    ):
        assert words in ended.stdout

    plan = json.loads(
        terminal.run("run", "TASK-1", *GATE, "--dry-run", "--output-format=json").stdout
    )
    assert plan["boundaries"] == [{"glob": "app/**", "enforced_by": "kernel-exact"}]
    assert plan["mounts"]["writable"] == ["app"]


def _sentence(value: object) -> str | None:
    return " ".join(cast("list[str]", value)) if isinstance(value, list) else None


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["TASK-2"], 2, "there is no task 'TASK-2' in .orchestrator/tasks; did you mean 'TASK-1'?"),
        (["TASK-1", "--prompt", "agnet"], 2, "there is no prompt 'agnet'; did you mean 'agent'?"),
        (["TASK-1", "--model", "sonet"], 2, "there is no model 'sonet'; did you mean 'sonnet'?"),
        (["TASK-1", "--base", "nowhere"], 2, "there is no commit 'nowhere'"),
        (["TASK-1", "--allow", "../x"], 2, "--allow: the boundary '../x' leaves the repository"),
        (["TASK-1", "--allow", "appp/**"], 2, "matches nothing in the base; did you mean 'app'?"),
        (["TASK-1", "--timeout", "soon"], 2, "--timeout: 'soon' is not a duration"),
        (["../TASK-1"], 2, "there is no task file ../TASK-1"),
        (["TASK-1"], 5, "the environment variable ANTHROPIC_API_KEY is not set"),
        (["TASK-1", "--base-url", "ftp://x"], 2, "'ftp://x' is not like https://host/path"),
        ([], 2, "no task given"),
        (["TASK-1", "--text", "both"], 2, "both a task (TASK-1) and --text are given"),
    ],
    ids=_sentence,
)
def test_bad_input_is_one_sentence_and_a_code(
    terminal: Terminal, arguments: list[str], code: int, words: str
) -> None:
    before = terminal.project.git("status", "--porcelain", "--ignored")

    ended = terminal.run("run", *GATE, *arguments)

    assert (ended.returncode, ended.stdout) == (code, "")
    assert words in ended.stderr
    assert len(ended.stderr.splitlines()) <= 2
    assert "Traceback" not in ended.stderr
    assert terminal.project.git("status", "--porcelain", "--ignored") == before


def test_an_error_is_an_object_for_a_program(terminal: Terminal) -> None:
    ended = terminal.run("run", "TASK-2", "--output-format", "json")
    result = json.loads(ended.stdout)
    assert (result["outcome"], result["exit_code"], result["is_error"]) == ("usage", 2, True)


def test_outside_a_repository_and_without_commits(terminal: Terminal, tmp_path: Path) -> None:
    terminal.project.root = tmp_path / "empty"
    terminal.project.root.mkdir()
    ended = terminal.run("run", "TASK-1")
    assert ended.returncode == 2
    assert "is not inside a git work tree" in ended.stderr
    terminal.project.git("init", "--quiet")
    ended = terminal.run("run", "TASK-1")
    assert ended.returncode == 2
    assert "has no commits yet" in ended.stderr


def test_free_text_comes_as_an_option_or_on_standard_input(terminal: Terminal) -> None:
    ended = terminal.run("run", "--text", "Add a greeting", *GATE, "--dry-run")
    assert "# Task TEXT-" in ended.stdout
    piped = subprocess.run(
        agentflow("run", "-", *GATE, "--dry-run"),
        cwd=terminal.project.root,
        env=terminal.environment,
        input="Add a greeting",
        capture_output=True,
        text=True,
        check=True,
    )
    assert piped.stdout == ended.stdout


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_a_signal_ends_a_run_cleanly(terminal: Terminal, number: int, code: int) -> None:
    seconds = f"61.{os.getpid()}{code}"  # of this test alone: others run at the same time
    url = terminal.serve(turn(bash(f"touch app/started; sleep {seconds}"), HELLO))
    process = terminal.start_fresh(
        "run", "TASK-1", *GATE, "--base-url", url, "--output-format", "json"
    )
    assert _becomes(seconds, sleeping=True)

    process.send_signal(number)
    output, _ = process.communicate(timeout=PATIENCE)

    assert process.returncode == code
    report = json.loads(output)
    assert (report["outcome"], report["exit_code"]) == ("interrupted", code)
    answers = terminal.project.journal(report["run"])[-2]["message"]["content"]
    assert [answer["is_error"] for answer in answers] == [True, True]
    assert not _sleeping(seconds)
    assert terminal.project.marker("done") is None


def _becomes(seconds: str, *, sleeping: bool) -> bool:
    """Wait until a process sleeps for exactly so long, or none does any more."""
    deadline = time.monotonic() + PATIENCE
    while _sleeping(seconds) is not sleeping and time.monotonic() < deadline:
        time.sleep(0.05)
    return _sleeping(seconds) is sleeping


def _sleeping(seconds: str) -> bool:
    """Whether any process of this machine sleeps for exactly so long."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if entry.read_bytes() == b"sleep\0" + seconds.encode() + b"\0":
                return True
        except OSError:
            continue
    return False


def test_a_killed_run_leaves_nothing_behind_and_is_named(terminal: Terminal) -> None:
    seconds = f"62.{os.getpid()}"
    url = terminal.serve(turn(bash(f"sleep {seconds}")))
    process = terminal.start_fresh("run", "TASK-1", *GATE, "--base-url", url)
    assert _becomes(seconds, sleeping=True)
    process.kill()
    process.communicate(timeout=PATIENCE)

    assert _becomes(seconds, sleeping=False)
    ended = terminal.run("run", "TASK-1", *GATE, "--base-url", url)
    run = list_runs(terminal.project.root)[0]["run"]
    assert ended.returncode == 2
    assert f"the run {run} of TASK-1 was left unfinished" in ended.stderr


def test_runs_are_listed_and_shown(terminal: Terminal) -> None:
    assert "no runs yet" in terminal.run("runs", "list").stderr
    url = terminal.serve(turn(HELLO), turn())
    terminal.run("run", "TASK-1", *GATE, "--base-url", url)

    listed = terminal.run("runs", "list").stdout
    assert listed.split()[1] == "done"
    shown = terminal.run("runs", "show", "TASK-1").stdout
    assert "✓ passed  build:test" in shown
    report = json.loads(terminal.run("runs", "show", "TASK-1", "--json").stdout)
    assert report == json.loads(terminal.run("runs", "list", "--json").stdout)
    journal = terminal.run("runs", "show", report["run"], "--journal").stdout.splitlines()
    assert json.loads(journal[-1])["type"] == "agentflow.run_finished"
    missing = terminal.run("runs", "show", "TASK-9")
    assert missing.returncode == 2
    assert "there is no run or task 'TASK-9' here" in missing.stderr


def test_a_run_is_followed_from_another_terminal(terminal: Terminal) -> None:
    url = terminal.serve(turn(HELLO), turn(bash("sleep 3")), turn(text="It is written."))
    process = terminal.start("run", "TASK-1", *GATE, "--base-url", url)
    assert process.stderr is not None
    assert any("Write app/hello.txt" in line for line in iter(process.stderr.readline, ""))

    ended = terminal.run("runs", "show", "TASK-1", "--follow")

    process.communicate(timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert "tool Write app/hello.txt" in ended.stderr
    assert "gate ✓ passed  build:test" in ended.stderr
    assert "done  TASK-1  Say hello" in ended.stdout


def test_what_a_model_says_cannot_reach_the_terminal(terminal: Terminal) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J::set-output name=x::y\n::add-mask::z \u202e"
    url = terminal.serve(turn(HELLO, bash("printf '\\033[31mred'"), text=evil), turn(text=evil))

    ended = terminal.run("run", "TASK-1", *GATE, "--base-url", url, "--verbose")

    assert ended.returncode == 0
    printed = ended.stdout + ended.stderr
    assert not {"\x1b", "\x07", "\u202e"} & set(printed)
    assert not [line for line in printed.splitlines() if line.lstrip().startswith("::")]


def test_version_and_help_know_what_there_is() -> None:
    def run(*arguments: str) -> str:
        return subprocess.run(
            fresh_agentflow(*arguments), capture_output=True, text=True, check=True
        ).stdout

    assert json.loads(run("version", "--json"))["agentflow"]
    assert "130/143 interrupted by SIGINT" in " ".join(run("--help").split())
    assert "agentflow run TASK-123 --dry-run" in run("run", "--help")
    for option in ("--max-cost", "--allow", "--gate", "--fresh", "--sandbox", "--output-format"):
        assert option in run("run", "--help")


HEAVY = (
    "anthropic", "dbos", "git", "httpx2", "jinja2", "mcp", "opentelemetry", "psycopg", "pydantic",
    "pytest", "starlette", "uvicorn", "yaml",
)  # fmt: skip


def _imports(project: Project, *arguments: str) -> set[str]:
    """The packages that a command imports."""
    code = (
        "import sys\nfrom agentflow.cli import application\n"
        f"try: application({arguments[0]!r})({arguments!r})\nexcept SystemExit as end: assert not end.code\n"
        "print(*sorted(m for m in sys.modules if '.' not in m), file=sys.stderr)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project.root,
        env=project.world.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(ended.stderr.splitlines()[-1].split())


def test_help_does_not_import_what_is_heavy(project: Project) -> None:
    assert _imports(project, "--help").isdisjoint(HEAVY)


@pytest.mark.parametrize(
    "arguments",
    [["version"], ["runs", "list", "--json"], ["prompts", "list"],
     ["run", "TASK-1", *GATE, "--dry-run"], ["run", "--all", *GATE, "--dry-run"]],
    ids=lambda arguments: " ".join(arguments[:2]),
)  # fmt: skip
def test_what_asks_no_model_does_not_import_the_sdk(project: Project, arguments: list[str]) -> None:
    others = {"markdown_it", "dbos", "mcp", "opentelemetry", "psycopg", "starlette", "uvicorn"}
    assert _imports(project, *arguments).isdisjoint({"anthropic", "httpx2", *others})


def test_a_full_disk_is_one_sentence(terminal: Terminal) -> None:
    if os.geteuid():
        miss("only root can make a small file system here")
    url = terminal.serve(turn(HELLO), turn())
    cache = Path(terminal.environment["XDG_CACHE_HOME"])
    cache.mkdir()
    script = (
        f"mount -t tmpfs -o size=60k tmpfs {cache} && "
        f"exec {sys.executable} -m agentflow run TASK-1 --base-url {url} --prompt plain "
        "--gate 'test=test -s app/hello.txt'"
    )
    ended = subprocess.run(
        ["unshare", "--mount", "/bin/sh", "-c", script],
        cwd=terminal.project.root,
        env=terminal.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 5, ended.stderr
    assert "No space left on device" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    assert terminal.project.marker("done") is None


def run_with_streams(
    terminal: Terminal, line: str, command: Callable[..., list[str]] = agentflow
) -> subprocess.CompletedProcess[str]:
    """`line` follows the command; bash stays its parent, and ends as it does."""
    return subprocess.run(
        ["bash", "-c", f"{shlex.join(command())} {line}; exit $?"],
        cwd=terminal.project.root,
        env=terminal.environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "arguments",
    ["2>&1 | head -1", "--output-format stream-json | head -1", "2>/dev/null | true", ">/dev/full"],
)
def test_nobody_reading_does_not_change_the_outcome(terminal: Terminal, arguments: str) -> None:
    url = terminal.serve(turn(HELLO), turn())
    gate = "--new-gate 'test=test -s app/hello.txt' --prompt plain"
    line = f"run TASK-1 {gate} --base-url {url} {arguments}; exit ${{PIPESTATUS[0]}}"
    ended = run_with_streams(terminal, line)
    assert ended.returncode == 0, ended.stderr
    assert terminal.project.marker("done") == "done"


SHOWN = ("--help", "config show --json", "prompts show plain --raw", "--show-completion bash")


@pytest.mark.parametrize(
    ("place", "why"), [(">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")]
)
def test_what_was_to_be_shown_and_could_not_be_is_a_failure(
    terminal: Terminal, place: str, why: str
) -> None:
    dry = "run TASK-1 --new-gate test=true --prompt plain --dry-run"
    for line in (*SHOWN, dry):
        of_its_shell = "--show-completion" in line  # who started it is asked for
        command = fresh_agentflow if of_its_shell else agentflow
        ended = run_with_streams(terminal, f"{line} {place}", command)
        told = f"error: standard output was not written: {why}"
        assert (ended.returncode, ended.stderr.splitlines()[-1]) == (5, told), line
        assert "Traceback" not in ended.stderr


def test_streams_that_are_closed_are_missed_by_nobody(terminal: Terminal) -> None:
    nothing_said = run_with_streams(terminal, "runs list 2>&- <&-")
    assert (nothing_said.returncode, nothing_said.stdout) == (0, "")
    no_input = run_with_streams(terminal, "handoff <&-")
    assert (no_input.returncode, no_input.stderr.splitlines()[0]) == (
        2,
        "error: standard input holds no handoff block",
    )


def test_a_terminal_that_does_not_know_a_character(terminal: Terminal) -> None:
    url = terminal.serve(turn(HELLO), turn(text="Größe ✓"))
    ended = terminal.run("run", "TASK-1", *GATE, "--base-url", url, PYTHONIOENCODING="ascii")
    assert ended.returncode == 0
    assert "? passed  build:test" in ended.stdout


def test_done_is_said_with_the_commit_and_only_while_it_is_true(terminal: Terminal) -> None:
    url = terminal.serve(turn(HELLO), turn())
    command = ("run", "TASK-1", *GATE, "--base-url", url)
    terminal.run(*command)
    tip = terminal.project.git("rev-parse", "agentflow/TASK-1")

    again = terminal.run(*command)
    assert again.returncode == 0
    assert f"TASK-1 is done already: {tip[:12]} on agentflow/TASK-1" in again.stdout

    terminal.project.git("branch", "-D", "agentflow/TASK-1")
    gone = terminal.run(*command)
    assert gone.returncode == 2
    assert f"its commit {tip[:12]} is on no branch" in gone.stderr

    terminal.project.task(text="# Say goodbye")
    changed = terminal.run(*command)
    assert changed.returncode == 2
    assert "its text changed since" in changed.stderr


def test_a_failed_run_names_what_to_do_and_where_the_work_is(terminal: Terminal) -> None:
    ended = terminal.run("run", "TASK-1", *GATE, "--base-url", terminal.serve(turn(), turn()))
    assert ended.returncode == 1
    assert "next     agentflow run TASK-1 --prompt plain --base-url http" in ended.stdout
    work = ended.stdout.split("work     ")[1].split(" (the agent's files, kept)")[0]
    assert (Path(work) / "app/main.py").is_file()


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "TASK-1", "--max-turns", "0", "--output-format", "json"),
        ("run", "TASK-1", "--no-such-flag", "--output-format=json"),
        ("runs", "list", "--no-such-flag", "--json"),
    ],
)
def test_arguments_that_cannot_be_read_are_refused_in_json_too(
    terminal: Terminal, arguments: tuple[str, ...]
) -> None:
    ended = terminal.run(*arguments)

    assert ended.returncode == 2
    assert "Error: " in ended.stderr
    refusal = json.loads(ended.stdout)
    assert refusal["exit_code"] == 2
    assert refusal["reason"]


def test_unreadable_arguments_leave_standard_output_alone(terminal: Terminal) -> None:
    ended = terminal.run("run", "TASK-1", "--max-turns", "0")

    assert ended.returncode == 2
    assert ended.stdout == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_before_the_run_begins_is_told_in_json_too(
    terminal: Terminal, number: signal.Signals
) -> None:
    process = subprocess.Popen(
        fresh_agentflow("run", "-", *GATE, "--output-format", "json"),
        cwd=terminal.project.root,
        env=terminal.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: _reads_standard_input(process.pid))
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    told = json.loads(output)
    assert (told["outcome"], told["exit_code"]) == ("interrupted", 128 + number)
    assert list_runs(terminal.project.root) == []


def _reads_standard_input(process: int) -> bool:
    """Whether it waits in a read of descriptor 0: the call's number and first argument."""
    return Path(f"/proc/{process}/syscall").read_text("ascii").startswith("0 0x0 ")


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("land", "said", "branch"),
    [("branch", "branch: agentflow/TASK-1", "agentflow/TASK-1"), ("current", "current: main", "main"),
     ("none", "none", None)],
)  # fmt: skip
def test_a_dry_run_says_where_the_result_lands(
    terminal: Terminal, land: str, said: str, branch: str | None
) -> None:
    shown = terminal.run("run", "TASK-1", *GATE, "--dry-run", "--land", land)
    assert f"landing    {said}\n" in shown.stdout
    told = terminal.run(
        "run", "TASK-1", *GATE, "--dry-run", "--land", land, "--output-format", "json"
    )
    assert json.loads(told.stdout)["branch"] == branch


def test_a_target_for_what_lands_on_no_branch_is_refused(terminal: Terminal) -> None:
    refused = terminal.run("run", "TASK-1", *GATE, "--land", "none", "--target", "other")
    assert refused.returncode == 2
    assert "--target names a branch, and --land none lands on no branch" in refused.stderr


def test_what_to_do_next_can_be_done(terminal: Terminal) -> None:
    """A text has an id, but no file under it: its command gives the text, not the id."""
    silent = terminal.run(
        "run", "--text", "Add a greeting", *GATE, "--base-url", terminal.serve(turn(), turn())
    )
    step = silent.stdout.splitlines()[-1]
    assert step.startswith("  next     agentflow run --prompt plain "), silent.stderr
    assert step.endswith(" --text 'Add a greeting'")
