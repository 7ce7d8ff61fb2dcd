"""What the shell completes, asked as bash asks."""

import json
import subprocess
import sys
from pathlib import Path

from tests.cli.shell import EVIL, Shell

ASK = """\
eval "$(_AGENTFLOW_COMPLETE=source_bash agentflow)"
complete -p agentflow
while IFS= read -r line; do
    IFS=' ' read -r -a COMP_WORDS <<<"$line"
    [ "${line: -1}" = ' ' ] && COMP_WORDS+=("")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    COMPREPLY=()
    _agentflow_completion agentflow
    echo "${COMPREPLY[*]}"
done
"""
RUN = "TASK-1-20260101T000000-abcd"


def asked(shell: Shell, *lines: str) -> list[list[str]]:
    """What bash would offer at the end of each line."""
    programs = Path(sys.executable).parent
    environment = {**shell.environment, "PATH": f"{programs}:{shell.environment['PATH']}"}
    ended = subprocess.run(
        ["bash", "--noprofile", "--norc", "-c", ASK],
        cwd=shell.project.root / "app", env=environment, input="".join(f"{line}\n" for line in lines),
        capture_output=True, encoding="utf-8", check=True, timeout=60,
    )  # fmt: skip
    assert ended.stderr == ""
    first, *found = ended.stdout.splitlines()
    assert first == "complete -o default -F _agentflow_completion agentflow"
    return [line.split() for line in found]


def test_tasks_runs_and_prompts_are_completed_and_nothing_that_commands_a_terminal(
    tmp_path: Path,
) -> None:
    shell = Shell(tmp_path)
    project = shell.project
    project.write(".orchestrator/tasks/TASK-2.md", "# Second\n")
    project.write(f".orchestrator/tasks/TASK-3{EVIL}.md".replace("/0", "0"), "# Third\n")
    project.write(".orchestrator/task_queue.md", "## TASK-77: Queued\n\nStatus: READY\n")
    for run, outcome in ((RUN, "budget"), ("TASK-2-20260101T000000-abcd", "done")):
        report = {"task": run[:6], "run": run, "outcome": outcome}
        folder = f".orchestrator/runs/{run}"
        project.write(f"{folder}/report.json", json.dumps(report))
        project.write(f"{folder}/journal.jsonl", '{"type": "assistant"}\n')

    tasks, options, shown, open_runs, prompts, outcomes = asked(
        shell,
        "agentflow run TASK-",
        "agentflow run --pro",
        "agentflow runs show TASK-1",
        "agentflow resume ",
        "agentflow run TASK-1 --prompt pl",
        "agentflow runs list --outcome bl",
    )

    assert tasks == ["TASK-1", "TASK-2", "TASK-77"]
    assert options == ["--prompt", "--profile"]
    assert shown == ["TASK-1", RUN]
    assert open_runs == [RUN]
    assert prompts == ["plain"]
    assert outcomes == ["blocked"]
