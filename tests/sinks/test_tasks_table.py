"""What `agentflow run` says in the end of several tasks, at every width."""

from pathlib import Path
from typing import Any

import pytest

from agentflow.sinks.tasks_table import print_tasks
from tests.golden import check_golden
from tests.sinks.screen import terminal

GOLDEN = Path(__file__).parent / "golden"


def task(name: str, outcome: str, **fields: Any) -> dict[str, Any]:
    known: dict[str, Any] = {
        "task": name,
        "outcome": outcome,
        "reason": "",
        "hint": "",
        "commits": [],
        "total_cost_usd": 0.0,
        "duration_ms": 0,
        "landed": None,
        "already_done": False,
        "combined": None,
        "follow_ups": [],
    }
    return {**known, **fields}


REPORT: dict[str, Any] = {
    "tasks": [
        task(
            "TASK-123",
            "done",
            commits=["a", "b"],
            total_cost_usd=1.25,
            duration_ms=754_000,
            landed={"ref": "refs/heads/agentflow/TASK-123", "tip": "0123456789abcdef"},
            follow_ups=["TASK-123-followup-1"],
        ),
        task(
            "TASK-124",
            "conflict",
            reason="agentflow/all moved meanwhile: app/main.py changed there too",
            hint="The verified commits are on refs/agentflow/verified/TASK-124-1.",
            total_cost_usd=None,
            duration_ms=61_000,
        ),
        task(
            "TASK-128",
            "budget",
            reason="the limit of 4 turns is reached",
            hint="agentflow resume TASK-128-20261120T193318-abcd --max-turns 8",
        ),
        task("TASK-125\x1b[2J", "skipped", reason="TASK-124 did not end well"),
    ],
    "num_turns": 31,
    "total_cost_usd": None,
    "hint": "Do what the tasks say.\n"
    "agentflow run TASK-123 TASK-124 TASK-125 --target agentflow/all",
    "again": "agentflow run TASK-123 TASK-124 TASK-125 --target agentflow/all",
    "left_out": {"TASK-126": "it waits for TASK-999, which nobody knows"},
}


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_table_of_several_tasks(width: int) -> None:
    with terminal(width) as (screen, printer):
        print_tasks(printer, REPORT)
    check_golden(GOLDEN / f"tasks_{width}.txt", screen.text)
    told = screen.text.replace("\n", "").count(REPORT["again"])
    assert told == 1, "below the table alone, and whole"
    assert all(len(line) <= width for line in screen.lines)
