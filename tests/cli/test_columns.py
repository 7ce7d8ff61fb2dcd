"""What commands print for people, on terminals of 60, 80 and 120 columns, and off them."""

import json
import re
from pathlib import Path

import pytest

from agentflow.folding import columns
from tests.cli.person import person
from tests.cli.shell import EVIL, Shell
from tests.golden import check_golden
from tests.sinks.test_screens import WIDTHS

GOLDEN = Path(__file__).parent / "golden"
RUN = "TASK-1-20261129T110905-d2b9"
LONG = "BILLING-REFUNDS-EVENTS-2026-20261129T120905-d2b9"
COMMANDS = {
    "runs-list": "runs list",
    "runs-by-task": "runs list --by task",
    "runs-by-model": "runs list --by model",
    "runs-show": f"runs show {LONG}",
    "runs-prune": "runs prune --keep 0s --dry-run",
    "runs-diff": f"runs diff {RUN}",
    "tasks-show": "tasks show TASK_7",
    "tasks-lint": "tasks lint",
    "tasks-next": "tasks next TASK_7",
    "queue-show": "tasks show .orchestrator/task_queue.md",
    "queue-next": "tasks next",
    "prompts-list": "prompts list",
    "prompts-lint": "prompts lint",
    "config-show": "config show",
    "doctor": "doctor",
    "wait": "wait TASK-1",
    "dry-run-of-many": "run --all --dry-run",
    "unknown": "run TASK-8",
    "option": "run --max-turns many",
    "help": "--help",
    "help-of-runs": "runs --help",
}
SHOWN = (
    "runs-list",
    "runs-show",
    "tasks-show",
    "queue-show",
    "config-show",
    "dry-run-of-many",
    "help",
)
"""Commands whose screens are kept: they say nothing of this machine."""
REPORT = {
    "usage": {"input_tokens": 31_000, "output_tokens": 789},
    "num_turns": 5, "total_cost_usd": 0.0447, "duration_ms": 8300, "model": "claude-sonnet-5-5",
    "prompt": "agent",
}  # fmt: skip
LAST = {
    "run": LONG, "task": "BILLING-REFUNDS-EVENTS-2026", "outcome": "failed",
    "title": f"Refunds for orders that were paid in several parts {EVIL}",
    "reason": "not verified after 2 repairs: build:test; the same failure came twice, and no more was tried",
    "hint": "Look at the agent's files, and raise the limit with --max-repairs if it was close.",
    "again": "agentflow run BILLING-REFUNDS-EVENTS-2026 --gate 'test=pytest -q' --max-cost 12 --prompt plain",
    "work_tree": "/cache/runs/r/tree",
}  # fmt: skip
DOCUMENT = """# Tasks

## Batch 1: Types of the payment service, shared between modules ✅ COMPLETE

**Developer**: backend-developer
**Commit**: a1b2c3d4e5f6

## Batch 2: Service that books refunds and tells the ledger ⏸️ PENDING

**Developer**: backend-developer
**Dependencies**: Batch 1 complete

### Task 2.1: Write the service class with its repository and its unit of work ⏸️ PENDING

**File**: app/main.py

## Batch 3: Page ⏸️ PENDING

**Developer**: frontend-developer
**Dependencies**: Batch 2 complete, Batch 9
"""
QUEUE = """# Queue

### TASK-002-BILLING-REFUNDS: Serve refunds of orders over HTTP with idempotency keys
**Status:** in_progress
### TASK-003: Show
**Status:** pending
**Depends On:** TASK-002-BILLING-REFUNDS, TASK-777
"""
SETUP = "pip install --no-deps -r requirements-development.txt && npm ci --no-audit --no-fund"
CONFIG = f"""\
max_cost = 12
[environment]
setup = "{SETUP}"
network = ["pypi.org", "files.pythonhosted.org", "registry.npmjs.org"]
[[gates]]
name = "test"
command = "true"
"""
UNBREAKABLE = re.compile(r"\S+|agentflow run .*")
"""What may be wider than the terminal: a word, and a command to copy."""


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    shell = Shell(tmp_path_factory.mktemp("columns"))
    project = shell.project
    project.write("task-tracking/TASK_7/tasks.md", DOCUMENT)
    project.write(".orchestrator/task_queue.md", QUEUE)
    project.write(".orchestrator/config.toml", CONFIG)
    project.write(".orchestrator/.gitignore", "runs/\n")
    project.write(
        ".orchestrator/prompts/careful-backend-developer.md",
        '---\ndescription: "Writes a test before each change, as our house rules of backend'
        f' development ask for {json.dumps(EVIL)[1:-1]}"\n---\nWork.\n',
    )
    project.write(
        ".orchestrator/tasks/TASK-2-BILLING-REFUNDS.md",
        "---\nallow: [app/**, tests/**]\n---\n\n# Refunds for orders that were paid in parts\n",
    )
    project.commit()
    done = {"run": RUN, "task": "TASK-1", "outcome": "done", "title": "Say hello"}
    for fields in (done, LAST):
        project.write(
            f".orchestrator/runs/{fields['run']}/report.json", json.dumps(REPORT | fields)
        )
    assert shell.run("trust", "--yes").returncode == 0
    return shell


def on_terminal(shell: Shell, command: str, width: int, **environment: str) -> list[str]:
    """The lines that a command prints there."""
    words = command.split()
    with person(shell, *words, size=(width, 40), **environment) as ada:
        ada.waits()
        assert not [line for line in ada.lines if "Traceback" in line]
        return ada.printed


def too_wide(lines: list[str], width: int) -> list[str]:
    """Those that a terminal breaks, and need not."""
    wide = (line for line in lines if columns(line) > width)
    return [line for line in wide if not UNBREAKABLE.fullmatch(line.strip())]


@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}], ids=["colours", "plain"])
@pytest.mark.parametrize("name", COMMANDS)
def test_no_line_is_wider_than_the_terminal(
    shell: Shell, name: str, environment: dict[str, str]
) -> None:
    lines = on_terminal(shell, COMMANDS[name], 60, **environment)
    assert too_wide(lines, 60) == []
    assert "\x1b" not in "".join(lines)
    assert "owned" not in "".join(lines)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", SHOWN)
def test_a_screen(shell: Shell, name: str, width: int) -> None:
    text = "\n".join(line.rstrip() for line in on_terminal(shell, COMMANDS[name], width))
    head = shell.project.git("rev-parse", "--short=12", "HEAD")
    text, _, _ = text.partition(str(shell.project.root))  # how long it is differs
    check_golden(GOLDEN / f"{name}_{width}.txt", text.replace(head, "0" * 12) + "\n")


def test_a_plan_is_folded_and_the_texts_for_the_model_are_as_they_are(shell: Shell) -> None:
    command = "run TASK-1 --dry-run --prompt careful-backend-developer"
    lines = on_terminal(shell, command, 60)
    first = next(number for number, line in enumerate(lines) if line.startswith("────"))
    facts, texts = lines[:first], lines[first:]
    assert [line.strip() for line in too_wide(facts, 60)] == [SETUP]
    assert "  read-only on top: .gitmodules, .github, .gitlab-ci.yml," in facts
    assert {columns(line) for line in texts if line.startswith("────")} == {60}
    assert texts[1] == "Work."
    piped = shell.run(*command.split()).stdout.splitlines()
    whole = piped[piped.index(f"──── system prompt {'─' * 60}") :]
    assert [line for line in texts if line[:1] != "─"] == [
        line for line in whole if line[:1] != "─"
    ]
    assert max(map(len, texts)) > 60


def test_names_and_commands_are_whole(shell: Shell) -> None:
    lines = on_terminal(shell, "runs list", 60)
    assert [line.split()[0] for line in lines if line.startswith(("TASK", "BILL"))] == [RUN, LONG]
    shown = on_terminal(shell, f"runs show {LONG}", 60)
    assert LAST["again"] in [line.strip() for line in shown]
    assert f".orchestrator/runs/{LONG}/report.json" in [line.strip() for line in shown]


@pytest.mark.parametrize("name", ["runs-list", "runs-show", "tasks-show", "config-show", "unknown"])
def test_elsewhere_a_line_is_whole(shell: Shell, name: str) -> None:
    """Into a pipe, and in a CI job that has a terminal."""
    ended = shell.run(*COMMANDS[name].split(), COLUMNS="60")
    piped = (ended.stdout + ended.stderr).splitlines()
    assert max(map(len, piped)) > 60
    assert sorted(on_terminal(shell, COMMANDS[name], 60, CI="true")) == sorted(piped)


def test_a_row_in_a_pipe_is_one_line_with_all_its_columns(shell: Shell) -> None:
    first, last = shell.run("runs", "list").stdout.splitlines()
    spent = "5 turns · 31,789 tokens · $0.0447"
    assert first == f"{RUN:<40} {'done':<12} {spent:>45}  {'8.3 s':>10}  Say hello"
    assert last.startswith(f"{LONG} failed       {spent:>45}       8.3 s  Refunds for orders")
