"""A document with batches among other tasks: worked on beside them, and waited for."""

import asyncio
import signal
from collections.abc import Sequence
from typing import Any

import pytest

from agentflow.backlog import find_start, named_tasks
from agentflow.errors import UsageError
from agentflow.events import Event, GateFinished, RunStarted, ToolFinished
from agentflow.records import Json
from agentflow.stopping import Stop
from agentflow.waves import waves_json
from agentflow.whole_documents import Whole
from tests.many.fleet import GATE, Fleet, commit_beside, outcomes, writes
from tests.run.project import Project, bash, turn
from tests.workflows.test_batches import DOCUMENT, PATH, TASK

pytestmark = pytest.mark.sandbox

FILES = {"1": "app/hello.txt", "2": "app/bye.txt"}
BRANCH = f"agentflow/{TASK}"
DONE = [
    "feat: 1",
    f"docs({TASK}): batch 1 is complete",
    "feat: 2",
    f"docs({TASK}): batch 2 is complete",
]


@pytest.fixture
def beside(fleet: Fleet) -> Fleet:
    """A document with two batches for the backend developer, and what their agents do."""
    fleet.project.write(PATH, DOCUMENT)
    fleet.project.commit("docs: tasks")
    for batch, file in FILES.items():
        talk(fleet, batch, [turn(bash(f"echo x > {file} && {_commit(batch)}")), turn()])
    return fleet


def _commit(batch: str) -> str:
    return f"git add -A && git commit -qm 'feat: {batch}'"


def talk(fleet: Fleet, batch: str, turns: Sequence[Json]) -> None:
    fleet.talks[f"# Task {TASK}-batch-{batch}:"] = list(turns)


def of(report: Json, task: str = TASK) -> Json:
    return next(each for each in report["tasks"] if each["task"] == task)


async def run(fleet: Fleet, *names: str, **wanted: Any) -> Json:
    """Run tasks as the command does where no prompt is given for all."""
    wanted.setdefault("prompt", None)
    return await fleet.run(*names, **wanted)


def waves(project: Project, *names: str, **flags: Any) -> dict[str, int]:
    start = find_start(None, {"gates": [GATE], **flags}, project.world)
    plan = waves_json(named_tasks(names, start, project.world))
    return {each["task"]: each["wave"] for each in plan["tasks"]}


def whole(project: Project) -> Whole:
    start = find_start(None, {"gates": [GATE]}, project.world)
    [item] = named_tasks([TASK], start, project.world).items
    assert item.whole is not None
    return item.whole


async def test_batches_land_one_after_another_and_others_wait_where_they_must(
    beside: Fleet,
) -> None:
    beside.task("A", writes("a/x.txt"), header="allow: [a/]\nprompt: plain")
    beside.task("B", writes("app/b.txt"), header="allow: [app/]\nprompt: plain")
    beside.task(
        "NEXT", writes("next/x.txt"), header=f"allow: [next/]\nprompt: plain\ndepends_on: {TASK}"
    )
    beside.task(
        "HALF",
        writes("half/x.txt"),
        header=f"allow: [half/]\nprompt: plain\ndepends_on: {TASK}-batch-1",
    )
    names = ("NEXT", "HALF", TASK, "A", "B")
    project = beside.project
    assert waves(project, *names) == {TASK: 1, "A": 1, "NEXT": 2, "HALF": 2, "B": 2}

    report = await run(beside, *names)

    assert outcomes(report) == dict.fromkeys(names, "done")
    log = project.git("log", "--reverse", "--format=%s", f"main..{BRANCH}").splitlines()
    assert log == DONE
    tip = project.git("rev-parse", BRANCH)
    assert (of(report, "NEXT")["base"], of(report, "NEXT")["base_of"]) == (tip, [TASK])
    entry = of(report)
    assert entry["title"] == "batch 1: Greeting; batch 2: Farewell"
    assert (entry["branch"], entry["landed"]["tip"], entry["num_turns"]) == (BRANCH, tip, 4)
    assert [each["id"] for each in entry["batches"]] == ["1", "2"]
    assert entry["runs"] == [each["run"] for each in entry["batches"]]
    assert [each["subject"] for each in entry["commits"]] == DONE[::2]
    started = [each for each, event in beside.events if isinstance(event, RunStarted)]
    assert started.index("B") > max(n for n, each in enumerate(started) if each == TASK)
    [told] = beside.first_messages(f"{TASK}-batch-1")
    assert "- A (" in told
    assert "NEXT" not in told
    assert f"- {TASK} (" in beside.first_messages("A")[0]

    again = await run(beside, *names)

    assert [task["already_done"] for task in again["tasks"]] == [True] * 5
    assert (again["num_turns"], again["total_cost_usd"]) == (0, 0)
    assert len(beside.requests) == 12


async def test_a_batch_may_write_what_it_declares_and_what_is_there_of_the_others(
    beside: Fleet,
) -> None:
    """Whoever is at work beside it counts on that."""
    beside.task("A", writes("a/x.txt"), header="allow: [a/]\nprompt: plain")
    wrong = "echo x > app/other.txt; echo y >> app/hello.txt; echo x > app/bye.txt"
    right = "git rm -qf app/other.txt; git commit -q --amend --no-edit"
    does = [turn(bash(f"{wrong}; {_commit('2')}")), turn(), turn(bash(right)), turn()]
    talk(beside, "2", does)

    report = await run(beside, "A", TASK)

    judged = [event.evidence for _, event in beside.events if isinstance(event, GateFinished)]
    [failed] = [each for each in judged if each.status == "failed"]
    assert (failed.gate, "app/other.txt" in failed.detail) == ("boundaries", True)
    first, second = (beside.first_messages(f"{TASK}-batch-{n}")[0] for n in (1, 2))
    assert ("`app/hello.txt`" in first, "`app/bye.txt`" in first) == (True, False)
    assert ("`app/hello.txt`" in second, "`app/bye.txt`" in second) == (True, True)
    assert of(report)["outcome"] == "done"
    names = beside.project.git("show", "--name-only", "--format=", f"{BRANCH}~1")
    assert names.splitlines() == ["app/bye.txt", "app/hello.txt"]


def test_what_bounds_a_document(beside: Fleet) -> None:
    """What settings say; else what its batches declare; nothing, if one declares nothing."""
    project = beside.project
    for name in ("app", "docs", "tracking"):
        folder = "task-tracking" if name == "tracking" else name
        beside.task(name, [], header=f"allow: [{folder}/]")
    project.commit("docs: task files")
    assert waves(project, TASK, "app", "docs") == {TASK: 1, "app": 2, "docs": 1}
    assert waves(project, TASK, "tracking") == {TASK: 1, "tracking": 2}
    plan = "task-tracking/TASK_2025_001/implementation-plan.md"
    project.write(plan, "## File Boundaries\n\n- `docs/`\n")
    project.commit("docs: plan")
    assert waves(project, TASK, "app", "docs") == {TASK: 1, "app": 1, "docs": 2}
    assert whole(project).wanted.within == ()  # the plan bounds them already
    project.git("reset", "--quiet", "--hard", "HEAD~1")
    text = DOCUMENT.replace("**File**: app/bye.txt", "It is the farewell.")
    project.write(PATH, text)
    project.commit("docs: nothing declared")
    assert waves(project, TASK, "app", "docs") == {TASK: 1, "app": 2, "docs": 2}
    over = text.replace("PENDING", "COMPLETE", 4)
    project.write(PATH, over)
    project.commit("docs: nothing left for the backend developer")
    assert waves(project, TASK, "app", "docs") == {TASK: 1, "app": 1, "docs": 1}


def test_what_is_deferred_is_nothing_that_it_may_change(beside: Fleet) -> None:
    batch = "## Batch 2: Farewell ⏸️ PENDING"
    deferred = DOCUMENT.replace(batch, batch.replace("PENDING", "DEFERRED"))
    beside.project.write(PATH, deferred)
    beside.project.commit("docs: later")

    found = whole(beside.project)

    assert found.task.title == "batch 1: Greeting"
    assert found.wanted.within == ("app/hello.txt",)


@pytest.mark.parametrize("status", ["DEFERRED", "BLOCKED"])
def test_who_depends_on_what_nobody_completes_is_refused_before_anything_is_paid(
    beside: Fleet, status: str
) -> None:
    batch = "## Batch 2: Farewell ⏸️ PENDING"
    beside.project.write(PATH, DOCUMENT.replace(batch, batch.replace("PENDING", status)))
    beside.task("NEXT", [], header=f"allow: [next/]\nprompt: plain\ndepends_on: {TASK}")
    beside.task("ONE", [], header=f"allow: [one/]\nprompt: plain\ndepends_on: {TASK}-batch-1")
    beside.project.commit("docs: later")

    told = f"NEXT depends on {TASK}, which stays incomplete: batch 2 is {status}"
    with pytest.raises(UsageError, match=told) as caught:
        waves(beside.project, TASK, "NEXT")
    assert "--status PENDING or SKIPPED" in caught.value.hint
    assert waves(beside.project, TASK, "ONE") == {TASK: 1, "ONE": 2}


async def test_all_land_on_one_branch_with_the_document(beside: Fleet) -> None:
    beside.task("A", writes("a/x.txt"), header="allow: [a/]\nprompt: plain")
    beside.task(
        "NEXT", writes("next/x.txt"), header=f"allow: [next/]\nprompt: plain\ndepends_on: {TASK}"
    )
    git = beside.project.git
    git("branch", "release")
    moved = False

    def watch(task: str, event: Event) -> None:
        nonlocal moved
        if task == TASK and isinstance(event, ToolFinished) and not moved:
            moved = True
            commit_beside(beside, "release", "other/x.txt", "x\n")

    report = await run(beside, TASK, "A", "NEXT", target="release", watch=watch)

    assert outcomes(report) == dict.fromkeys((TASK, "A", "NEXT"), "done")
    listed = set(git("ls-tree", "-r", "--name-only", "release").splitlines())
    assert {*FILES.values(), "a/x.txt", "next/x.txt", "other/x.txt"} <= listed
    assert git("show", f"release:{PATH}").count("✅ COMPLETE") == 4
    assert git("for-each-ref", "refs/heads/agentflow") == ""
    assert of(report)["branch"] == "release"


async def test_a_batch_that_failed_is_marked_where_the_branch_is_by_then(beside: Fleet) -> None:
    git = beside.project.git
    git("branch", "release")
    talk(beside, "1", [*writes("app/hello.txt", "BROKEN\n"), turn(), turn()])
    beside.task(
        "NEXT", writes("next/x.txt"), header=f"allow: [next/]\nprompt: plain\ndepends_on: {TASK}"
    )

    def watch(task: str, event: Event) -> None:
        if isinstance(event, ToolFinished):
            commit_beside(beside, "release", "other/x.txt", "x\n")

    report = await run(beside, "NEXT", TASK, target="release", watch=watch)

    assert outcomes(report) == {"NEXT": "skipped", TASK: "failed"}
    assert of(report, "NEXT")["reason"] == f"waits for {TASK}"
    assert "FAILED" in git("show", f"release:{PATH}").split("## Batch 2")[0]
    log = git("log", "--format=%s", "main..release").splitlines()
    assert log == [f"docs({TASK}): batch 1 failed", "somebody else"]
    assert of(report)["commits"] == []
    assert of(report)["hint"].endswith(" --retry")
    assert f"then: agentflow phase-6 {TASK} --base-url " in of(report)["hint"]


@pytest.mark.parametrize(("times", "ended"), [(1, "done"), (2, "conflict")])
async def test_a_batch_that_clashes_is_begun_anew_once(
    beside: Fleet, times: int, ended: str
) -> None:
    git = beside.project.git
    git("branch", "release")
    theirs = 0

    def watch(task: str, event: Event) -> None:
        nonlocal theirs
        if isinstance(event, ToolFinished) and theirs < times:
            theirs += 1
            commit_beside(beside, "release", "app/hello.txt", f"{theirs}\n")

    report = await run(beside, TASK, target="release", watch=watch)

    entry = of(report)
    assert (entry["outcome"], len(entry["runs"])) == (ended, 3 if ended == "done" else 2)
    assert len(entry["commits"]) == (2 if ended == "done" else 0)
    clashed = entry["batches"][0]
    assert (clashed["id"], clashed["outcome"], entry["batches"][1]["id"]) == ("1", "conflict", "1")


async def test_ctrl_c_ends_a_document_after_its_turn_and_the_command_goes_on(
    beside: Fleet,
) -> None:
    stop = Stop()

    def watch(task: str, event: Event) -> None:
        if isinstance(event, ToolFinished):
            stop.soon(signal.SIGINT)

    first = await run(beside, TASK, stop=stop, watch=watch)

    assert (outcomes(first), first["exit_code"]) == ({TASK: "interrupted"}, 130)
    [left] = of(first)["runs"]
    second = await run(beside, TASK)
    assert outcomes(second) == {TASK: "done"}
    assert of(second)["runs"][0] == left


async def test_what_landed_is_told_though_the_next_batch_is_stopped(beside: Fleet) -> None:
    stop = Stop()
    began: list[str] = []

    def watch(task: str, event: Event) -> None:
        if isinstance(event, RunStarted):
            began.append(event.task)
            if len(began) == 2:
                stop.now(signal.SIGTERM)

    report = await run(beside, TASK, stop=stop, watch=watch)

    entry = of(report)
    assert (entry["outcome"], report["exit_code"]) == ("interrupted", 143)
    assert [each["outcome"] for each in entry["batches"]] == ["done", "interrupted"]
    assert entry["landed"]["tip"] == beside.project.git("rev-parse", BRANCH)
    assert [each["subject"] for each in entry["commits"]] == DONE[:1]


class AtOnce(Stop):
    """Pressed before the first batch has a run."""

    async def watch(self, run: "asyncio.Task[Json]") -> Json:  # pyright: ignore[reportImplicitOverride]
        asyncio.get_running_loop().call_soon(self.now, signal.SIGTERM)
        return await super().watch(run)


async def test_a_document_can_be_stopped_before_it_has_a_run(beside: Fleet) -> None:
    report = await run(beside, TASK, stop=AtOnce())
    assert (of(report)["outcome"], of(report)["runs"], report["exit_code"]) == (
        "interrupted", [], 143,
    )  # fmt: skip


async def test_a_target_that_is_configured_is_the_documents_too(beside: Fleet) -> None:
    config = beside.project.world.environment["XDG_CONFIG_HOME"]
    beside.project.write(f"{config}/agentflow/config.toml", 'target = "release"\n')
    assert of(await run(beside, TASK))["branch"] == "release"


async def test_a_limit_holds_for_batches_and_tasks_together(beside: Fleet) -> None:
    beside.task("A", writes("a/x.txt"), header="allow: [a/]\nprompt: plain")
    report = await run(beside, "A", TASK, at_once=1, max_turns=5)
    assert outcomes(report) == {"A": "done", TASK: "budget"}, of(report, "A")["reason"]
    assert "5 turns for all tasks together" in of(report)["reason"]


async def test_who_depends_on_a_document_that_is_not_complete_then_is_told_what_is_left(
    beside: Fleet,
) -> None:
    """Its second batch waits for the frontend's."""
    text = DOCUMENT.replace("Batch 1 complete", "Batch 3")
    beside.project.write(PATH, text)
    beside.project.commit("docs: 2 waits for 3")
    beside.task(
        "NEXT", writes("next/x.txt"), header=f"allow: [next/]\nprompt: plain\ndepends_on: {TASK}"
    )

    report = await run(beside, TASK, "NEXT")

    assert outcomes(report) == {TASK: "done", "NEXT": "usage"}
    assert of(report)["reason"] == "batch 2 waits for 3"
    assert of(report, "NEXT")["reason"].endswith(": batch 2 is PENDING")


def test_what_is_refused_before_anything_begins(beside: Fleet) -> None:
    project = beside.project
    beside.task("A", [])
    for land in ("current", "none"):
        with pytest.raises(UsageError, match=f"--land {land} is not for them"):
            waves(project, TASK, "A", land=land)
    with pytest.raises(UsageError, match=f"there is no task '{TASK}'"):
        waves(project, TASK, "A", prompt="plain")
    assert waves(project, TASK, "A", prompt="phase-6")[TASK] == 1
    project.write("task_queue.md", f"### {TASK}: Queued\n\n**Status:** pending\n\nDo it.\n")
    [item] = named_tasks(
        [TASK], find_start(None, {"gates": [GATE]}, project.world), project.world
    ).items
    assert item.task.title == "Queued"
    project.write(PATH, DOCUMENT.replace("backend", "frontend"))
    (project.root / "task_queue.md").unlink()
    project.commit("docs: for others")
    with pytest.raises(UsageError, match="has no batch for the backend developer"):
        waves(project, TASK, "A")
