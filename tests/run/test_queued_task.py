"""A task that stands in a `task_queue.md`."""

import json
from pathlib import Path

import pytest

from agentflow.errors import UsageError
from agentflow.order import Order
from agentflow.plan import Plan, make_plan
from tests.run.project import GATE, HELLO, Project, make_project, turn

QUEUE = """# Queue

### TASK-001: Say hello
| Status | pending |
| Category | backend |
| Complexity | complex |
| Depends On | None |

**Acceptance Criteria:**
- It says hello

### TASK-002: Say goodbye
**Status:** pending
**Depends On:** TASK-001
"""
CONFIG = '[queue]\ncategories = { backend = "speaker" }\n'
PLACES = (".orchestrator/task_queue.md", "task_queue.md")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = make_project(tmp_path)
    project.write(".orchestrator/prompts/speaker.md", "You are the speaker.\n")
    project.write(".orchestrator/config.toml", CONFIG)
    project.commit()
    return project


async def plan(project: Project, task: str = "TASK-001", base: str | None = None) -> Plan:
    return await make_plan(Order(task, base=base, flags={"gates": [GATE]}), project.world)


@pytest.mark.sandbox
async def test_a_task_of_a_queue_runs_to_its_landed_commit(project: Project) -> None:
    project.write("task_queue.md", QUEUE)
    project.commit()

    report = await project.run([turn(HELLO), turn()], order=Order("TASK-001"), prompt="speaker")

    assert (report["outcome"], report["branch"]) == ("done", "agentflow/TASK-001")
    assert "- [ ] It says hello" in json.dumps(project.requests[0])
    assert (project.root / "task_queue.md").read_text() == QUEUE
    with pytest.raises(UsageError, match="TASK-002 depends on TASK-001"):
        await plan(project, "TASK-002")
    after = await plan(project, "TASK-002", base="agentflow/TASK-001")
    assert after.task.depends_on == ("TASK-001",)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("committed", [True, False])
async def test_prompt_and_model_follow_category_and_complexity(
    project: Project, place: str, committed: bool
) -> None:
    project.write(place, QUEUE)
    if committed:
        project.commit()
        project.write(place, "changed since")

    made = await plan(project)

    assert made.prompt.name == "speaker"
    assert "opus" in made.model
    assert made.task.path == project.root / place


async def test_a_task_file_wins_and_unknown_ids_get_the_nearest_of_both(project: Project) -> None:
    project.write("task_queue.md", QUEUE.replace("TASK-002", "TASK-1"))

    assert (await plan(project, "TASK-1")).task.title == "Say hello"
    with pytest.raises(UsageError, match="did you mean 'TASK-001'") as told:
        await plan(project, "TASK-0011")
    assert told.value.hint == "Known tasks: TASK-001, TASK-1"


async def test_another_status_is_said_and_no_other_task(project: Project) -> None:
    project.write("task_queue.md", QUEUE)
    before = await plan(project)
    project.write("task_queue.md", QUEUE.replace("| pending |", "| completed |"))
    after = await plan(project)

    assert any("TASK-001 is completed there" in each for each in after.notices)
    assert before.task.sha256 == after.task.sha256
    project.write("task_queue.md", QUEUE.replace("It says hello", "It shouts"))
    assert (await plan(project)).task.sha256 != before.task.sha256


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("### TASK-001: a\n**Depends On:** the others\n", "the dependencies name no task"),
        ("### TASK-001: a\n### TASK-001: b\n", "it stands in line 2 too"),
        ("### TASK-001: a\n**Depends On:** TASK-9\n", "depends on TASK-9"),
        ("### TASK-001..LOCK-1: a\n", "no task"),
        ("### " + "A-1" * 400_000, "l(ong|arg)er than"),
        ("nothing", "holds no task"),
    ],
)
@pytest.mark.parametrize("committed", [True, False])
async def test_what_cannot_be_decided_is_refused(
    project: Project, text: str, reason: str, committed: bool
) -> None:
    project.write("task_queue.md", text)
    if committed:
        project.commit()

    with pytest.raises(UsageError, match=reason):
        await plan(project)


@pytest.mark.parametrize("committed", [True, False])
async def test_a_link_out_of_the_repository_is_not_followed(
    project: Project, tmp_path: Path, committed: bool
) -> None:
    (tmp_path / "outside.md").write_text(QUEUE)
    (project.root / "task_queue.md").symlink_to(tmp_path / "outside.md")
    if committed:
        project.commit()

    with pytest.raises(UsageError, match=r"link|outside of the repository"):
        await plan(project)


async def test_ids_that_escape_are_refused(project: Project) -> None:
    project.write("task_queue.md", "### A.LOCK-1.2: a\n**Status:** pending\n### A-B..C: b\n")

    with pytest.raises(UsageError, match=r"cannot be a task id|no task"):
        await plan(project, "A-B..C")
    assert (await plan(project, "A.LOCK-1.2")).task.id == "A.LOCK-1.2"


async def test_a_queue_that_git_tracks_counts_as_the_base_has_it(project: Project) -> None:
    base = project.git("rev-parse", "HEAD")
    project.write("task_queue.md", QUEUE)
    project.commit()

    with pytest.raises(UsageError, match="there is no task 'TASK-001'"):
        await plan(project, base=base)
