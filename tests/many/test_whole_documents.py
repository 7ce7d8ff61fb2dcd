"""A task that depends on a whole document: on all batches of it that are the backend developer's."""

from pathlib import Path

import pytest

from agentflow.backlog import Backlog, find_start, named_tasks
from agentflow.errors import UsageError
from agentflow.order import Order
from agentflow.plan import Plan, make_plan
from agentflow.ready_tasks import ready_tasks
from tests.many.fleet import Fleet, writes
from tests.run.project import Project, make_project
from tests.workflows.test_batches import DOCUMENT, FIRST, PATH, SECOND, TASK, phase6

GATES = {"gates": [{"name": "t", "command": "true"}], "prompt": "plain"}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A document with two batches for the backend developer, and a task that depends on it."""
    made = make_project(tmp_path)
    made.write(PATH, DOCUMENT)
    made.write(
        ".orchestrator/tasks/NEXT.md", f"---\nallow: [app/]\ndepends_on: {TASK}\n---\n\n# Next\n"
    )
    made.commit("docs: tasks")
    return made


def complete(project: Project, batch: int, commit: str = "", *, say: str = "COMPLETE") -> None:
    """Write into the document of the work tree that a batch is finished."""
    text = (project.root / PATH).read_text()
    front, back = text.split(f"## Batch {batch}")
    back = back.replace("PENDING", say).replace("pending", commit or "pending", 1)
    rest = text.split(f"## Batch {batch + 1}")[-1]
    back = back.split(f"## Batch {batch + 1}")[0]
    project.write(PATH, f"{front}## Batch {batch}{back}## Batch {batch + 1}{rest}")


def land(project: Project, *batches: int, document: bool = True) -> str:
    """Commit batches on the document's branch as phase 6 does; return the branch's tip."""
    project.git("checkout", "--quiet", "-B", f"agentflow/{TASK}")
    for batch in batches:
        project.write(f"app/{batch}.txt", "x")
        project.git("add", f"app/{batch}.txt")
        message = f"feat: batch {batch}\n\nAgentflow-Task: {TASK}-batch-{batch}"
        project.git("commit", "--quiet", "--message", message)
        if document:
            complete(project, batch, project.git("rev-parse", "HEAD"))
            project.commit(f"docs: batch {batch} is complete")
    tip = project.git("rev-parse", "HEAD")
    project.git("checkout", "--quiet", "main")
    return tip


def named(project: Project, *names: str) -> Backlog:
    return named_tasks(names, find_start(None, GATES, project.world), project.world)


async def planned(project: Project, base: str) -> Plan:
    return await make_plan(Order("NEXT", base=base, flags=GATES), project.world)


async def test_a_base_that_holds_all_batches_is_taken_and_the_frontends_are_not_waited_for(
    project: Project,
) -> None:
    tip = land(project, 1, 2)

    plan = await planned(project, tip)

    assert plan.base == tip
    project.git("merge", "--quiet", "--ff-only", tip)
    item = named(project, "NEXT").items[0]
    assert (item.waits_for, item.builds_on) == ((), {})


async def test_the_batch_that_is_missing_is_named(project: Project) -> None:
    tip = land(project, 1)

    with pytest.raises(UsageError) as refused:
        await planned(project, tip)

    told = f"NEXT depends on {TASK}, which is not complete in the base {tip[:12]}"
    assert refused.value.message == f"{told}: batch 2 is PENDING"
    assert f"agentflow phase-6 {TASK}" in refused.value.hint
    with pytest.raises(UsageError, match=rf"{TASK}, which is neither done .*: batch 1 is PENDING"):
        named(project, "NEXT")


async def test_what_landed_on_the_documents_branch_is_built_on(project: Project) -> None:
    tip = land(project, 1, 2)

    assert named(project, "NEXT").items[0].builds_on == {TASK: tip}
    ready = ready_tasks(find_start(None, GATES, project.world), project.world)
    assert {item.task.id: dict(item.builds_on) for item in ready.items}["NEXT"] == {TASK: tip}


def test_all_leaves_out_who_waits_for_a_batch_and_names_it(project: Project) -> None:
    land(project, 1)
    ready = ready_tasks(find_start(None, GATES, project.world), project.world)
    assert ready.left_out["NEXT"] == f"waits for {TASK}: batch 1 is PENDING"


async def test_a_word_alone_does_not_bring_the_commit_that_it_names(project: Project) -> None:
    """The document may have been set by hand, or copied from the branch that has the commits."""
    tip = land(project, 1, 2)
    project.git("checkout", "--quiet", tip, "--", PATH)
    base = project.commit("docs: what the branch says")
    first = project.git("rev-parse", f"{tip}~3")

    with pytest.raises(UsageError) as refused:
        await planned(project, base)

    told = f"batch 1 is COMPLETE by {first[:12]}, which is not in {base[:12]}"
    assert told in refused.value.message
    project.git("cherry-pick", f"{tip}~3", f"{tip}~1")  # they keep their trailers
    assert (await planned(project, "HEAD")).task.id == "NEXT"


async def test_a_person_may_have_completed_a_batch_without_a_commit_of_its_own(
    project: Project,
) -> None:
    land(project, 1)
    project.git("merge", "--quiet", "--ff-only", f"agentflow/{TASK}")
    complete(project, 2)
    assert (await planned(project, project.commit("docs: 2 is complete"))).task.id == "NEXT"


async def test_what_was_given_up_is_not_waited_for(project: Project) -> None:
    land(project, 1)
    project.git("merge", "--quiet", "--ff-only", f"agentflow/{TASK}")
    complete(project, 2, say="CANCELLED")
    assert (await planned(project, project.commit("docs: 2 is given up"))).task.id == "NEXT"


async def test_a_document_that_git_does_not_have_needs_the_commits_in_the_base(
    project: Project,
) -> None:
    project.git("rm", "--quiet", "--cached", PATH)
    project.write(".gitignore", "task-tracking/\n")
    project.git("add", ".gitignore")
    base = project.git("commit", "--quiet", "--message", "chore: not in git") or "HEAD"
    tip = land(project, 1, 2, document=False)
    complete(project, 1)

    with pytest.raises(UsageError, match="batch 2 is PENDING"):
        await planned(project, tip)
    complete(project, 2)
    with pytest.raises(UsageError, match="batch 1 is COMPLETE, and no commit in"):
        await planned(project, base)
    assert (await planned(project, tip)).task.id == "NEXT"
    assert named(project, "NEXT").items[0].builds_on == {TASK: tip}


async def test_a_task_file_of_that_name_is_what_is_meant(project: Project) -> None:
    tip = land(project, 1, 2)
    project.write(f".orchestrator/tasks/{TASK}.md", "# A task of the same name\n")
    with pytest.raises(UsageError, match=f"NEXT depends on {TASK}, which the base"):
        await planned(project, tip)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("# Nothing here\n", "no batch of its document is for the backend developer"),
        ("## Batch 1: x\n", "the status of batch 1 cannot be decided"),
        ("## Batch 1: x COMPLETE\n\n## Batch 1: y COMPLETE\n", "2 batches have the id 1"),
    ],
)
async def test_a_document_that_cannot_say_it_is_not_complete(
    project: Project, document: str, said: str
) -> None:
    project.write(PATH, document)
    with pytest.raises(UsageError, match=said):
        await planned(project, project.commit("docs: odd"))


@pytest.mark.sandbox
@pytest.mark.parametrize("flags", [{}, {"target": "other"}])
@pytest.mark.usefixtures("bwrap")
async def test_a_task_starts_from_what_phase_6_landed(
    project: Project, flags: dict[str, str]
) -> None:
    fleet = Fleet(project)
    fleet.task("NEXT", writes("next/x.txt"), header=f"allow: [next/]\ndepends_on: [{TASK}]")
    project.commit("docs: next")
    first, _ = await phase6(project, FIRST, one=True, flags=flags)
    assert (first["outcome"], first["branch"]) == ("done", flags.get("target", f"agentflow/{TASK}"))
    with pytest.raises(UsageError, match=f"NEXT depends on {TASK}, which is neither done"):
        await fleet.run("NEXT")
    await phase6(project, SECOND, flags=flags)

    report = await fleet.run("NEXT")

    [entry] = report["tasks"]
    assert (entry["outcome"], entry["base"]) == ("done", project.git("rev-parse", first["branch"]))
    listed = project.git("ls-tree", "-r", "--name-only", "agentflow/NEXT").splitlines()
    assert {"app/hello.txt", "app/bye.txt", "next/x.txt"} <= set(listed)
