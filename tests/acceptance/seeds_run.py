"""Runs five prompts of other systems end to end: `python tests/acceptance/seeds_run.py FOLDER`.

FOLDER holds the files `000_*` to `004_*`, each a prompt as its system wrote it. Each is put, byte for
byte, where its system keeps it, in a repository as that system expects one, and run on a task with a
scripted model, everything else real, under the profile that its own text shows. Exits with 1 if one
does not end as its system says it does, or if the model got another text than the file's.
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from agentflow.order import Order
from agentflow.records import Json
from tests.run.project import HELLO, Project, bash, call, make_project, turn

GATE: Json = {"name": "test", "command": "test -s app/hello.txt", "must_fail_on_base": True}
EARLIER = "# Say hello\n\nWrite hello into `app/hello.txt`."
ANSWER: Json = {
    "implementation": {"summary": "A greeting", "approach": "One file"},
    "files": [
        {"path": "app/hello.txt", "action": "create", "description": "hello", "linesChanged": 1},
        {"path": "app/main.py", "action": "delete", "description": "no longer used"},
    ],
    "verification": {"typecheck": "pass", "tests": "pass", "lint": "pass"},
}
REPORT = """## Implemented
- [x] A greeting

## Tests
- [x] test -s app/hello.txt passes

## Promises Verified
- [x] PRM-001

## Notes
- None
"""
BLOCK = """--- BACKEND TASK HANDOFF ---
- **Trigger**: the greeting is missing
- **Expected backend work**: write hello into app/hello.txt
- **Frontend context**: none
- **Service(s)**: app
- **Contract requirements**: none
--- END HANDOFF ---
"""
BATCHES = """# Development Tasks - TASK_2025_001

## Batch 1: Greeting 🔄 IN PROGRESS - Assigned to backend-developer

### Task 1.1: Write the greeting

**File**: app/hello.txt
"""


PERSONA = """---
name: backend-developer
---

You build the backend. Never run git commands: the team-leader commits.
"""
"""Of the file that the workflow orders the agent to become; it contradicts the workflow."""


@dataclass(frozen=True)
class Seed:
    """One prompt, its surroundings, and what must become of it."""

    place: str
    """Where its system keeps it."""
    name: str
    """By which it is found."""
    profile: str
    turns: list[Json]
    tools: list[str]
    """Offered to the model."""
    values: dict[str, str] = field(default_factory=dict[str, str])
    """What stands in the rendered text instead of each of these placeholders."""
    task: str = "TASK-1"
    text: str | None = None
    allow: str = "app/**"
    files: dict[str, str] = field(default_factory=dict[str, str])
    encoding: str = ""
    """The misreading that agentflow undoes before it reads the text."""
    check: Callable[[Project, Json], list[str]] = lambda _project, _report: []


def _listed(project: Project, report: Json) -> list[str]:
    notices = [each for gate in report["verification"]["gates"] for each in gate["notices"]]
    told = "the answer lists what no commit changes: app/none.txt"
    return [] if told in notices else [f"its list of files was not compared: {notices}"]


def _answered(project: Project, report: Json) -> list[str]:
    found = report["structured_output"]
    return [] if found == ANSWER else [f"the answer is not the JSON object: {found!r:.200}"]


def _one_commit(project: Project, report: Json) -> list[str]:
    subjects = [commit["subject"] for commit in report["commits"]]
    wrong = [] if subjects == ["feat(app): batch 1 - greeting"] else [f"commits: {subjects}"]
    first = str(project.requests[0])
    if "the team-leader commits" not in first:
        wrong.append("the persona is not there")
    if "The line above decides about commits" not in first:
        wrong.append("nothing says who decides about commits")
    return wrong


def _reported(project: Project, report: Json) -> list[str]:
    return [] if report["result"].strip() == REPORT.strip() else ["the report is not the result"]


def _marked(project: Project, report: Json) -> list[str]:
    marker = project.root / ".orchestrator/complete/TASK-T01.done"
    landed = project.git("ls-tree", "-r", "--name-only", report["landed"]["tip"])
    late = "app/late.txt" in landed.splitlines()
    problems = [] if marker.is_file() else ["no marker of the task's own name"]
    return [*problems, "a call after the marker was run"] if late else problems


ALL = ["Read", "Write", "Edit", "Bash", "Grep", "Glob"]
SEEDS: dict[str, Seed] = {
    "000": Seed(
        place=".cursor/agents/backend-task-handoff-prompt.md",
        name="backend-task-handoff-prompt",
        profile="handoff",
        text=BLOCK,
        turns=[
            turn(HELLO, text="I will write the greeting."),
            turn(text="Files created:\n- app/hello.txt\n- app/none.txt\n"),
        ],
        tools=ALL,
        check=_listed,
    ),
    "001": Seed(
        place=".orchestrator/prompts/backend-dev.md",
        name="backend-dev",
        profile="json",
        files={
            "ARCHITECTURE.md": "# Architecture\n",
            "apps/api/src/main.ts": "// the service\n",
            "packages/database/src/schema/index.ts": "// no tables\n",
            ".meta/current-phase.md": "**Phase**: 1 (Foundation)\n**Status**: in_progress\n",
        },
        values={
            "$CURRENT_PHASE": "1 (Foundation), in_progress",
            "$IMPLEMENTATION_PLAN": "none recorded",
            "$RELEVANT_LESSONS": "none recorded",
            "$TASK_DESCRIPTION": EARLIER,
            "$FILE_BOUNDARIES": "- `app/**`",
            "$PARALLEL_AGENTS": "none, you work alone",
        },
        turns=[
            turn(HELLO, bash("git rm -q app/main.py || rm app/main.py")),
            turn(text="I have written the greeting. All tests pass."),
            turn(text=f"```json\n{json.dumps(ANSWER)}\n```"),
        ],
        tools=ALL,
        check=_answered,
    ),
    "002": Seed(
        place=".agent/workflows/phase-6-backend-execution.md",
        name="phase-6-backend-execution",
        profile="batch",
        task="TASK_2025_001",
        allow="app/**, task-tracking/**",
        files={
            "task-tracking/TASK_2025_001/tasks.md": BATCHES,
            ".claude/agents/backend-developer.md": PERSONA,
        },
        values={"{TASK_ID}": "TASK_2025_001"},
        encoding="mac_roman",
        turns=[
            turn(HELLO),
            turn(bash("git add app && git commit -q -m 'feat(app): batch 1 - greeting'")),
            turn(text="Batch 1 is complete."),
        ],
        tools=ALL,
        check=_one_commit,
    ),
    "003": Seed(
        place=".claude/agents/backend-engineer.md",
        name="backend-engineer",
        profile="report",
        files={
            "docs/plans/backend-plan.md": "# Plan\n\nA greeting.\n",
            "docs/intent/product-intent.md": "# Intent\n\n- PRM-001: the product greets.\n",
        },
        turns=[
            turn(call("Edit", file_path="app/hello.txt", old_string="", new_string="hello\n")),
            turn(text=REPORT),
        ],
        tools=["Read", "Edit", "Bash", "Grep", "Glob"],
        check=_reported,
    ),
    "004": Seed(
        place=".claude/agents/backend-agent.md",
        name="backend-agent",
        profile="marker",
        task="TASK-T01",
        values={"TASK-XXX": "TASK-T01"},
        turns=[
            turn(HELLO),
            turn(
                call("Write", file_path=".orchestrator/complete/TASK-T01.done", content="done"),
                call("Write", file_path="app/late.txt", content="too late"),
            ),
        ],
        tools=ALL,
        check=_marked,
    ),
}


def expected(data: bytes, seed: Seed) -> str:
    """The text that the model must get: the file's, without its header, placeholders filled.

    Knows nothing of how agentflow reads a file.
    """
    text = data.decode("utf-8")
    if seed.encoding:
        text = text.encode(seed.encoding).decode("utf-8")
    body = text.split("\n---\n", 1)[1]
    for name, value in seed.values.items():
        body = body.replace(name, value)
    return body.strip()


async def run(data: bytes, seed: Seed, folder: Path) -> list[str]:
    """Run one seed; return what is wrong."""
    project = make_project(folder)
    prompt = project.root / seed.place
    prompt.parent.mkdir(parents=True, exist_ok=True)
    prompt.write_bytes(data)
    for path, text in seed.files.items():
        project.write(path, text)
    task = None if seed.text else seed.task
    if task:
        project.write(
            f".orchestrator/tasks/{task}.md", f"---\nallow: [{seed.allow}]\n---\n\n{EARLIER}\n"
        )
    project.commit("feat: as the prompt's system has it")
    flags: dict[str, Any] = {"prompt": seed.name, "gates": [GATE]}
    order = Order(task, seed.text, flags={} if task else {"allow": [seed.allow]})
    report = await project.run(seed.turns, order=order, **flags)

    wrong = seed.check(project, report) if report["outcome"] == "done" else []
    if report["outcome"] != "done":
        wrong.append(f"ended {report['outcome']}: {report['reason']}")
    request = project.requests[0]
    system = "".join(block["text"] for block in request["system"])
    if expected(data, seed) not in system:
        wrong.append("the model did not get the file's own text")
    offered = [tool["name"] for tool in request["tools"]]
    if offered != seed.tools:
        wrong.append(f"tools: {', '.join(offered)}")
    if prompt.read_bytes() != data:
        wrong.append("the file was changed")
    shown = read_profile_name(prompt)
    if shown != seed.profile:
        wrong.append(f"profile {shown} instead of {seed.profile}")
    return wrong


def read_profile_name(prompt: Path) -> str:
    """The profile that the prompt's own text shows."""
    from agentflow.prompts.reading import read_prompt

    return read_prompt(prompt, ()).detected.name


def main(folder: Path) -> int:
    """Run all seeds; return the exit code."""
    failed = False
    for number, seed in SEEDS.items():
        file = next(iter(sorted(folder.glob(f"{number}_*"))), None)
        if file is None:
            sys.stdout.write(f"{number} is missing in {folder}\n")
            failed = True
            continue
        with tempfile.TemporaryDirectory() as place:
            wrong = asyncio.run(run(file.read_bytes(), seed, Path(place)))
        failed = failed or bool(wrong)
        sys.stdout.write(f"{number} {seed.profile:<8} {'; '.join(wrong) or 'ends as it says'}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
