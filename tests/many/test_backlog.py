"""The backlog: which tasks are run, in which order, and what is refused before any starts."""

from pathlib import Path

import pytest

from agentflow.backlog import Backlog, find_start, named_tasks
from agentflow.errors import UsageError, UsageErrors
from agentflow.markers import write_marker
from agentflow.ready_tasks import natural, ready_tasks
from agentflow.waves import drawn, waves_json
from tests.run.project import Project, make_project

GATES = {"gates": [{"name": "t", "command": "true"}]}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = make_project(tmp_path)
    (made.root / ".orchestrator/tasks/TASK-1.md").unlink()
    made.commit("chore: no tasks yet")
    return made


def task(project: Project, name: str, header: str = "") -> None:
    project.write(
        f".orchestrator/tasks/{name}.md", f"---\n{header or 'deny: [x]'}\n---\n\n# {name}\n"
    )


def ready(project: Project, *, proposed: bool = False) -> Backlog:
    start = find_start(None, GATES, project.world)
    return ready_tasks(start, project.world, proposed=proposed)


def named(project: Project, *names: str) -> Backlog:
    return named_tasks(names, find_start(None, GATES, project.world), project.world)


def ids(backlog: Backlog) -> list[str]:
    return [item.task.id for item in backlog.items]


def test_all_means_what_is_ready_and_says_why_the_rest_is_not(project: Project) -> None:
    task(project, "T-10")
    task(project, "T-2", "depends_on: T-10")
    task(project, "T-3")
    task(project, "T-4", "depends_on: T-3")
    task(project, "T-5", "status: proposed")
    task(project, "T-6", "depends_on: T-7")
    task(project, "T-8")
    project.write(
        "task_queue.md",
        "### TASK-1: One\n\n| Field | Value |\n|---|---|\n| Status | pending |\n\nDo it.\n\n"
        "### TASK-2: Two\n\n| Field | Value |\n|---|---|\n| Status | in progress |\n\nDo it.\n\n"
        "### TASK-3: Three\n\n| Field | Value |\n|---|---|\n| Status | pending |\n"
        "| Depends on | TASK-1 |\n\nDo it.\n\n"
        "### TASK-4: Four\n\n| Field | Value |\n|---|---|\n| Status | pendign |\n\nDo it.\n",
    )
    write_marker(project.root, "T-3", "failed")
    write_marker(project.root, "T-8", "done")

    found = ready(project)

    assert ids(found) == ["T-2", "T-10", "TASK-1", "TASK-3"]
    assert found.items[0].waits_for == ("T-10",)
    assert found.items[3].waits_for == ("TASK-1",)
    assert (
        found.left_out
        == {
            "T-3": "failed before: name it to try again",
            "T-4": "waits for T-3: failed before: name it to try again",
            "T-5": "proposed by an agent: name it, or give --accept-followups",
            "T-6": "waits for T-7: there is no such task; did you mean 'T-8'?",
            "TASK-2": "is in progress in the queue",
            "TASK-4": "has no status that is known: 'pendign'; did you mean 'pending'? "
            "(agentflow tasks lint)",
            "T-8": "",
        }
        or "T-8" not in found.left_out
    )
    assert "T-5" in ids(ready(project, proposed=True))


def test_a_dependency_that_is_neither_given_nor_done_is_named(project: Project) -> None:
    task(project, "A", "depends_on: B")
    task(project, "B")
    with pytest.raises(UsageError, match="A depends on B, which is neither done nor among"):
        named(project, "A")
    project.git("commit", "--allow-empty", "--quiet", "-m", "b\n\nAgentflow-Task: B")
    assert named(project, "A").items[0].waits_for == ()


def test_entries_of_a_queue_that_are_named_wait_for_what_its_column_says(project: Project) -> None:
    field = "| Field | Value |\n|---|---|\n| Status | pending |\n| Depends on | {} |\n\nDo it.\n\n"
    one = f"### TASK-1: One\n\n{field.format('TASK-2, TASK-9')}"
    two = f"### TASK-2: Two\n\n{field.format('None')}"
    project.write("task_queue.md", one + two)
    task(project, "TASK-9", "depends_on: TASK-2")

    plan = waves_json(named(project, "TASK-1", "TASK-2", "TASK-9"))

    assert [(each["task"], each["wave"]) for each in plan["tasks"]] == [
        ("TASK-2", 1),
        ("TASK-9", 2),
        ("TASK-1", 3),
    ]
    assert ids(ready(project)) == ["TASK-9", "TASK-1", "TASK-2"]
    with pytest.raises(UsageError, match="TASK-1 depends on TASK-2, which is neither done"):
        named(project, "TASK-1", "TASK-9")


@pytest.mark.parametrize(
    ("names", "said"),
    [(("A", "NO"), "there is no task 'NO'"), (("A", "A"), "given twice: A")],
)
def test_what_nobody_can_run_is_named(project: Project, names: tuple[str, ...], said: str) -> None:
    task(project, "A")
    with pytest.raises(UsageError, match=said):
        waves_json(named(project, *names))


def test_the_plan_says_who_waits_for_whom_and_why(project: Project) -> None:
    task(project, "A", "allow: [app/]")
    task(project, "B", "allow: [docs/]")
    task(project, "C", "allow: ['app/m*.py']\ndepends_on: B")
    task(project, "D")

    plan = waves_json(named(project, "A", "B", "C", "D"))

    assert plan["waves"] == 3
    by = {each["task"]: each for each in plan["tasks"]}
    assert by["C"]["after"] == [
        {"task": "B", "why": "depends on it"},
        {"task": "A", "why": "app/m*.py and app/ overlap"},
    ]
    assert {each["why"] for each in by["D"]["after"]} == {"may change any path itself"}
    lines = drawn(plan, 4, "each lands on its own branch")
    assert lines[0] == "4 tasks in 3 waves, at most 4 at once; each lands on its own branch"
    assert "     after B: depends on it" in lines


def test_numbers_count_as_numbers() -> None:
    assert sorted(["T-10", "T-2", "A-1", "T"], key=natural) == ["A-1", "T", "T-2", "T-10"]


def test_all_that_cannot_be_read_is_named_in_one_refusal(project: Project) -> None:
    task(project, "A")
    task(project, "B", "gate: [t=true]")
    task(project, "C", "max_turns: many")
    project.write(".orchestrator/tasks/D.md", "---\nallow: [x]\n")
    project.write(".orchestrator/tasks/E.md", "---\nallow: [x]\n---\n")
    project.write(".orchestrator/tasks/F 1.md", "# F\n")
    task(project, "G", "gate: [t=true]")
    write_marker(project.root, "G", "done")
    folder = f"{project.root}/.orchestrator/tasks"
    wrong = [
        f"{folder}/B.md:2: unknown key 'gate'; did you mean 'gates'?",
        f"{folder}/C.md:2: max_turns: it must be a whole number (given: 'many')",
        f"{folder}/D.md: the header that `---` begins is not closed",
        f"{folder}/E.md says nothing: there is no text after the header",
        f"{folder}/F 1.md: 'F 1' cannot be a task id",
    ]

    with pytest.raises(UsageErrors) as caught:
        ready(project)

    assert caught.value.message == "5 things are wrong, so no task is begun"
    assert [each.message for each in caught.value.each] == wrong
    assert [line for line in caught.value.hint.split("\n") if not line.startswith(" ")] == wrong
    assert "\n  Write `---` alone on a line, below the header.\n" in caught.value.hint
    assert "\n  Write what is to be done below the header.\n" in caught.value.hint

    with pytest.raises(UsageErrors) as caught:
        named(project, "A", "D", "B", "NO")
    assert [each.message for each in caught.value.each] == [
        wrong[2],
        wrong[0],
        "there is no task 'NO' in .orchestrator/tasks",
    ]


def test_what_is_wrong_with_all_of_them_is_said_once(project: Project) -> None:
    for name in "ABC":
        task(project, name)
    with pytest.raises(UsageError, match="there is no prompt 'nobody'") as caught:
        ready_tasks(find_start(None, {**GATES, "prompt": "nobody"}, project.world), project.world)
    assert not isinstance(caught.value, UsageErrors)


def test_the_plan_says_what_is_odd_about_tasks(project: Project) -> None:
    field = "| Field | Value |\n|---|---|\n| Status | pending |\n| Depends on | {} |\n\nDo it.\n\n"
    first = f"### TASK-1: Set up the database\n\n{field.format('None')}"
    second = f"### TASK-2: Two\n\n{field.format('Set up the database')}"
    third = f"### TASK-3: Three\n\n{field.format('TASK-1, the new schema')}"
    project.write("task_queue.md", first + second + third)
    task(project, "A", "colour: red")

    for backlog in (ready(project), named(project, "A", "TASK-1", "TASK-2", "TASK-3")):
        plan = waves_json(backlog)
        assert {each["task"]: each["after"] for each in plan["tasks"]}["TASK-2"][0] == {
            "task": "TASK-1",
            "why": "depends on it",
        }
        assert plan["notices"] == [
            f"{project.root}/.orchestrator/tasks/A.md:2: unknown key 'colour'",
            f"{project.root}/task_queue.md:24: not waited for, as it names no task: 'the new schema' "
            "among the dependencies",
        ]
        assert drawn(plan, 4, "")[-1] == plan["notices"][-1]
