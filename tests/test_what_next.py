"""The next step after a run: one text, for people, for programs and in the report."""

from typing import Any

import pytest

from agentflow.records import Json
from agentflow.what_next import next_lines, next_step, with_next_step

RUN = "TASK-1-20250101T000000-abcd"
RESUME, ANSWER = f"agentflow resume {RUN}", f"agentflow answer {RUN} 'your answer'"


def report(outcome: str, hint: str = "", **fields: Any) -> Json:
    return {"task": "TASK-1", "run": RUN, "outcome": outcome, "hint": hint, "again": "", **fields}


@pytest.mark.parametrize(
    ("ended", "step"),
    [
        (report("done"), ""),
        (report("done", "Look."), "Look."),
        (report("blocked"), ANSWER),
        (report("blocked", "Answer the block."), "Answer the block."),
        (report("interrupted", num_turns=2), RESUME),
        (report("interrupted"), "the same command"),
        (report("interrupted", again="agentflow run TASK-1"), "agentflow run TASK-1"),
        (report("budget", "Give more.", num_turns=2), f"Give more.\n{RESUME}"),
        (
            report("budget", replay=True, num_turns=2, again="agentflow run A"),
            "agentflow run A --replay FILE",
        ),
        (
            report("budget", num_turns=2, enough={"max_turns": 4, "timeout": None}),
            f"{RESUME} --max-turns 4",
        ),
        (report("failed", "Give it.", replay=True, num_turns=2), "Give it."),
        (report("environment", "Mend it."), "Mend it.\nthe same command"),
        (
            report("conflict", f"Rename it. Then go on: {RESUME}"),
            f"Rename it. Then go on: {RESUME}",
        ),
        (report("failed", again="agentflow run TASK-1"), "agentflow run TASK-1"),
    ],
)
def test_the_next_step_stays_what_it_is_when_it_is_asked_for_again(ended: Json, step: str) -> None:
    assert next_step(ended) == step
    whole = with_next_step(ended)
    assert whole == {**ended, "hint": step}
    assert with_next_step(whole) == whole
    lines = next_lines(whole)
    assert lines == next_lines(ended)
    assert " ".join(lines) == step.replace("\n", " ")
    for line in lines:
        assert line.startswith("agentflow ") or "agentflow" not in line
