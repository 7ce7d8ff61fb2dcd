"""Three batches, one repair and one escalation: where nx builds, and where a command does."""

import pytest

from agentflow.events import GateFinished
from agentflow.records import Json
from tests.run.project import Project, bash, call, turn
from tests.workflows.test_batches import PATH, TASK, phase6

pytestmark = pytest.mark.sandbox

NX = """#!/bin/sh
if [ "$1" = affected ]; then
  case "$*" in *--files=libs/mail/*--exclude=@acme/mail*) ! grep -qn breaks libs/mail/* ;; esac
  exit
fi
[ "$1" = build ] || exit 2
case "$2" in
  api) folder=apps/api ;;
  @acme/mail) folder=libs/mail ;;
  *) echo "Cannot find project '$2'" >&2; exit 1 ;;
esac
! grep -rqn wrong "$folder"
"""
BATCH = """## Batch {id}: {name} - PENDING

**Assigned To**: backend-developer
**Commit**: pending

### Task {id}.1: {name} - PENDING

**File**: {path}

"""
BATCHES = (
    ("1", "Route", "apps/api/route.ts"),
    ("2", "Mail", "libs/mail/mail.ts"),
    ("3", "Both", "apps/api/both.ts"),
)
PLAIN = {"name": "test", "command": "! grep -rqn wrong apps libs"}


def work(*steps: tuple[str, str]) -> list[Json]:
    """The conversation of a batch: each file with its text, and a commit, once for each verdict."""
    return [
        reply
        for path, text in steps
        for reply in (
            turn(
                call("Write", file_path=path, content=f"{text}\n"),
                bash("git add -A && git commit -qm 'feat: it'"),
            ),
            turn(text="Done."),
        )
    ]


@pytest.mark.parametrize("nx", [True, False])
async def test_three_batches_a_repair_and_an_escalation(project: Project, nx: bool) -> None:
    text = "".join(BATCH.format(id=i, name=name, path=path) for i, name, path in BATCHES)
    project.write(PATH, f"# Tasks\n\n{text}")
    for path in ("apps/api/main.ts", "libs/mail/index.ts"):
        project.write(path, "export {}\n")
    if nx:
        project.write("nx.json", "{}\n")
        project.write("apps/api/project.json", '{"name": "api"}\n')
        project.write("libs/mail/package.json", '{"name": "@acme/mail"}\n')
        project.write("node_modules/.bin/nx", NX).chmod(0o755)
    project.commit("docs: tasks")
    flags = {"gates": [] if nx else [PLAIN], "max_repairs": 1}

    report, steps = await phase6(
        project,
        work(("apps/api/route.ts", "wrong"), ("apps/api/route.ts", "right")),
        work(("libs/mail/mail.ts", "breaks the api"), ("libs/mail/mail.ts", "right"))
        if nx
        else work(("libs/mail/mail.ts", "right")),
        work(("tool.ts", "right"), ("apps/api/both.ts", "wrong"))
        if nx
        else work(("apps/api/both.ts", "wrong"), ("apps/api/both.ts", "very wrong")),
        flags=flags,
    )

    assert (report["outcome"], report["exit_code"]) == ("failed", 1), report
    assert [each["outcome"] for each in report["batches"]] == ["done", "done", "failed"]
    assert [step["batch"]["id"] for step in steps] == ["1", "2"]
    shown = project.git("show", f"agentflow/{TASK}:{PATH}")
    assert shown.count("COMPLETE") == 4
    assert "## Batch 3: Both - FAILED" in shown
    measured = [event.evidence for event in project.events if isinstance(event, GateFinished)]
    gates = [
        (evidence.gate, evidence.status)
        for evidence in measured
        if evidence.gate.startswith(("build:", "nx"))
    ]
    if not nx:
        assert [status for _, status in gates] == ["failed", "passed", "passed", "failed", "failed"]
        return
    assert gates == [
        ("nx-projects", "passed"),
        ("build:nx-api", "failed"),
        ("build:nx-dependents", "passed"),
        ("nx-projects", "passed"),
        ("build:nx-api", "passed"),
        ("build:nx-dependents", "passed"),
        ("nx-projects", "passed"),
        ("build:nx-@acme/mail", "passed"),
        ("build:nx-dependents", "failed"),
        ("nx-projects", "passed"),
        ("build:nx-@acme/mail", "passed"),
        ("build:nx-dependents", "passed"),
        ("nx-projects", "failed"),
        ("nx-projects", "failed"),
        ("build:nx-api", "failed"),
        ("build:nx-dependents", "passed"),
    ]
