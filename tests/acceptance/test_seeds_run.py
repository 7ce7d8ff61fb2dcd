"""The script that runs other systems' prompts, on prompts of our own."""

from pathlib import Path

import pytest

from tests.acceptance.seeds_run import main

pytestmark = pytest.mark.sandbox

MARKER = """---
name: backend-agent
tools: Read, Write, Edit, Glob, Grep, Bash
---

At the end: Write(".orchestrator/complete/TASK-XXX.done", "done")
"""


def test_what_is_right_wrong_and_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "000_x.txt").write_text(
        MARKER.replace("backend-agent", "backend-task-handoff-prompt")
    )
    (tmp_path / "004_x.txt").write_text(MARKER)

    assert main(tmp_path) == 1

    handoff, *missing, marker = capsys.readouterr().out.splitlines()
    assert handoff.startswith("000 handoff  ")
    assert "the model did not get the file's own text" in handoff
    assert "profile marker instead of handoff" in handoff
    assert missing == [f"{number} is missing in {tmp_path}" for number in ("001", "002", "003")]
    assert marker == "004 marker   ends as it says"
