"""Phase 6 from document to document: real git, sandbox and gates, a scripted model."""

import asyncio
import signal
from collections.abc import Sequence
from typing import Any

import pytest

from agentflow.command_values import command_values
from agentflow.errors import Conflict, UsageError
from agentflow.events import AgentEnded, Event, GateFinished, ToolFinished
from agentflow.markers import read_marker
from agentflow.models.anthropic import open_model
from agentflow.models.scripted import ScriptedServer, read_script
from agentflow.plan import Plan, make_plan
from agentflow.pull_requests import Proposal, proposal
from agentflow.records import Json
from agentflow.request_contents import Contents, lacking, request_contents
from agentflow.resuming import order_of
from agentflow.rewinding import fork
from agentflow.run import OpenModel
from agentflow.runs import list_runs
from agentflow.tasks.tasks_md import MAX_DOCUMENT
from agentflow.workflows.batches import run_batches
from agentflow.workflows.next_step import as_text
from agentflow.workflows.situation import Wanted, check, look
from agentflow.workspace.repository import open_repository
from tests.run.project import Project, bash, call, turn

pytestmark = pytest.mark.sandbox

TASK = "TASK_2025_001"
PATH = f"task-tracking/{TASK}/tasks.md"
DOCUMENT = """# Development Tasks - TASK_2025_001

## Batch 1: Greeting ⏸️ PENDING

**Assigned To**: backend-developer
**Commit**: pending

### Task 1.1: Write the greeting ⏸️ PENDING

**File**: D:\\projects\\x\\app\\hello.txt (CREATE)

## Batch 2: Farewell ⏸️ PENDING

**Assigned To**: backend-developer
**Dependencies**: Batch 1 complete
**Commit**: pending

### Task 2.1: Write the farewell ⏸️ PENDING

**File**: app/bye.txt

## Batch 3: Page ⏸️ PENDING

**Assigned To**: frontend-developer

### Task 3.1: Show both ⏸️ PENDING

**File**: web/page.html
"""
AGAIN = f"agentflow phase-6 {TASK} --base-url http://127.0.0.1:1 --gate 'test=! grep -rq wrong app'"
GATE = {"name": "test", "command": "! grep -rq wrong app"}


def write(name: str, text: str = "x") -> Json:
    return call("Write", file_path=f"app/{name}.txt", content=f"{text}\n")


def commit(subject: str) -> Json:
    return bash(f"git add -A && git commit -qm '{subject}'")


FIRST = [turn(write("hello"), commit("feat: batch 1 - greeting")), turn(text="Done.")]
USED = {"input_tokens": 30_000, "output_tokens": 100}
SECOND = [turn(write("bye"), commit("feat: batch 2 - farewell")), turn(text="Done.")]


@pytest.fixture
def tracked(project: Project) -> Project:
    project.write(PATH, DOCUMENT)
    project.commit("docs: tasks")
    return project


async def phase6(project: Project, *runs: Sequence[Json], **wanted: Any) -> tuple[Json, list[Json]]:
    """Run batches, each with a script of its own; return the report and all next steps."""
    watch = wanted.pop("watch", project.events.append)
    servers = [ScriptedServer(read_script({"turns": list(turns)})) for turns in runs]
    steps: list[Json] = []
    told = wanted.pop("told", steps.append)
    waiting = iter(servers)

    def connect(_: Plan) -> OpenModel:
        server = next(waiting)
        return lambda: open_model(base_url=server.url, api_key=None)

    for server in servers:
        await server.__aenter__()
    try:
        flags = {"base_url": "http://127.0.0.1:1", "gates": [GATE], **wanted.pop("flags", {})}
        report = await run_batches(
            Wanted(TASK, flags=flags, **wanted),
            project.world,
            connect,
            [watch],
            command_values,
            told,
        )
    finally:
        for server in servers:
            await server.__aexit__(None, None, None)
            project.requests += [received.body for received in server.requests]
    return report, steps


def shown(project: Project, revision: str = f"agentflow/{TASK}") -> str:
    return project.git("show", f"{revision}:{PATH}")


async def test_all_backend_batches_land_on_one_branch_and_the_document_says_so(
    tracked: Project,
) -> None:
    base = tracked.git("rev-parse", "HEAD")

    report, steps = await phase6(tracked, FIRST, SECOND)

    assert (report["outcome"], report["exit_code"], report["reason"]) == ("done", 0, "")
    branch = f"agentflow/{TASK}"
    log = tracked.git("log", "--format=%s", f"{base}..{branch}").splitlines()
    assert log == [
        f"docs({TASK}): batch 2 is complete",
        "feat: batch 2 - farewell",
        f"docs({TASK}): batch 1 is complete",
        "feat: batch 1 - greeting",
    ]
    first, second = (tracked.git("rev-parse", f"{branch}~{n}") for n in (3, 1))
    assert [each["commit"] for each in report["batches"]] == [first, second]
    expected = DOCUMENT.replace("**Commit**: pending", f"**Commit**: {first}", 1)
    expected = expected.replace("**Commit**: pending", f"**Commit**: {second}", 1)
    front, page = expected.split("## Batch 3")
    assert (
        shown(tracked) == (front.replace("⏸️ PENDING", "✅ COMPLETE") + "## Batch 3" + page).strip()
    )
    assert tracked.git("show", "--name-only", "--format=", f"{branch}~1") == "app/bye.txt"
    assert "Assisted-by" not in tracked.git("log", "-1", "--format=%B", branch)
    assert "Assisted-by" in tracked.git("log", "-1", "--format=%B", f"{branch}~1")
    assert [(each["kind"], each["command"]) for each in steps] == [
        ("backend", f"/phase-6-backend-execution {TASK}"),
        ("frontend", f"/phase-6-frontend-execution {TASK}"),
    ]
    assert [each["progress"] for each in steps] == [
        {"backend_done": done, "backend_total": 2, "backend_tasks": done,
         "frontend_pending": 1, "frontend_tasks": 1, "set_aside": []}
        for done in (1, 2)
    ]  # fmt: skip
    assert [each["next"] for each in steps] == [
        {"id": "2", "name": "Farewell", "tasks": 1}, {"id": "3", "name": "Page", "tasks": 1},
    ]  # fmt: skip
    assert [each["commits"] for each in steps] == [[first], [first, second]]
    assert steps[1]["deliverables"] == [
        {"path": "app/bye.txt", "description": "Write the farewell"}
    ]
    assert report["next_step"] == steps[1]
    system = tracked.requests[0]["system"][0]["text"]
    assert f"tasks of {TASK}" in system
    message = tracked.requests[0]["messages"][0]["content"]
    assert "Task 1.1: Write the greeting" in str(message)
    assert "Farewell" not in str(message)


async def test_a_repair_amends_and_the_agents_words_in_the_document_are_dropped(
    tracked: Project,
) -> None:
    turns = [
        turn(
            write("hello", "wrong"), bash(f"sed -i s/PENDING/COMPLETE/ {PATH}"), commit("feat: a")
        ),
        turn(text="Done."),
        turn(write("hello"), commit("fix: b")),
        turn(text="Now it is."),
    ]

    report, _ = await phase6(tracked, turns, one=True)

    assert report["outcome"] == "done"
    assert report["hint"] == f"For the next batch: {AGAIN} --one-batch"
    (batch,) = report["batches"]
    assert tracked.git("log", "-1", "--format=%s", batch["commit"]) == "feat: batch 1 - Greeting"
    assert "- Task 1.1: Write the greeting" in tracked.git(
        "log", "-1", "--format=%b", batch["commit"]
    )
    assert tracked.git("show", "--name-only", "--format=", batch["commit"]) == "app/hello.txt"
    assert shown(tracked).count("COMPLETE") == 2


async def test_a_batch_that_fails_lands_nothing_and_says_why_and_can_be_tried_again(
    tracked: Project,
) -> None:
    turns = [turn(write("hello", "wrong"), commit("feat: a")), *[turn(text="Done.")] * 3]

    report, steps = await phase6(tracked, turns)

    assert (report["outcome"], report["exit_code"], steps) == ("failed", 1, [])
    assert report["hint"].endswith(f"{AGAIN} --retry")
    escalation = report["escalation"]
    assert (escalation["batch"]["id"], escalation["document"], escalation["line"]) == ("1", PATH, 3)
    assert [each["gate"] for each in escalation["evidence"]] == ["build:test"]
    assert "exit code 1" in escalation["evidence"][0]["summary"]
    assert {"commit", "files"} <= set(escalation["passed"])
    assert [each["path"] for each in escalation["changes"]["files"]] == ["app/hello.txt"]
    assert escalation["answer"] == "Done."
    assert escalation["marked"] == tracked.git("rev-parse", f"agentflow/{TASK}")
    run = report["batches"][0]["run"]
    assert [each["command"] for each in escalation["next"]] == [
        f"agentflow runs show {run}", f"agentflow runs diff {run}",
        f"agentflow runs rewind {run} --to TURN", f"{AGAIN} --retry",
    ]  # fmt: skip
    branch = f"agentflow/{TASK}"
    assert tracked.git("diff", "--name-only", "main", branch) == PATH
    lines = shown(tracked).splitlines()
    at = lines.index("## Batch 1: Greeting ❌ FAILED")
    (began,) = (each["started_at"][:10] for each in list_runs(tracked.root) if each["run"] == run)
    assert lines[at + 2].startswith(f"> {began}: FAILED, run {run}: ")
    assert "the same gates failed twice" in lines[at + 2]
    assert len(lines) == len(DOCUMENT.splitlines()) + 2

    again, _ = await phase6(tracked)
    assert (again["exit_code"], again["reason"]) == (1, "batch 1 is marked FAILED")

    retried, _ = await phase6(tracked, FIRST, retry=True, one=True)
    assert retried["outcome"] == "done"
    assert "## Batch 1: Greeting ✅ COMPLETE" in shown(tracked)


def contents(project: Project, wanted: str, target: str | None = None) -> Contents:
    repository = open_repository(project.root, project.world.environment)
    tip = project.git("rev-parse", target) if target else None
    return lacking(request_contents(repository, wanted), repository, tip, "main of origin")


def proposed(project: Project, wanted: str, target: str | None = None, title: str = "") -> Proposal:
    repository = open_repository(project.root, project.world.environment)
    found = contents(project, wanted, target)
    return proposal(found, "main", repository, title=title or None, draft=False)


def named(made: Proposal) -> list[str]:
    return [line for line in made.body.splitlines() if line.startswith("- batch ")]


async def test_a_pull_request_of_the_document_names_every_batch_that_the_target_lacks(
    tracked: Project,
) -> None:
    report, _ = await phase6(tracked, FIRST, SECOND)

    made = proposed(tracked, TASK)

    assert (made.branch, made.title) == (f"agentflow/{TASK}", f"{TASK}: batches 1, 2")
    first, second = (each["commit"][:12] for each in report["batches"])
    lines = [
        f"- batch 1: ` feat: batch 1 - greeting ` ` {first} `",
        f"- batch 2: ` feat: batch 2 - farewell ` ` {second} `",
    ]
    assert named(made) == lines
    assert "passed ` build:test `" in made.body
    run = report["batches"][1]["run"]
    one = proposed(tracked, run)
    assert one.title.startswith(f"{TASK}-batch-2: ")
    assert "- batch " not in one.body
    assert proposed(tracked, TASK, title="Greetings").title == f"{TASK}: Greetings"

    left = proposed(tracked, TASK, report["batches"][0]["bookkeeping"])
    assert (named(left), left.title) == (lines[1:], f"{TASK}: batch 2")
    for wanted in (TASK, run):
        with pytest.raises(UsageError) as caught:
            proposed(tracked, wanted, made.branch)
        said = f"main of origin has all that {wanted} verified"
        assert (caught.value.message, caught.value.hint) == (said, "")


async def test_a_pull_request_of_a_document_offers_what_passed_and_names_what_did_not(
    tracked: Project,
) -> None:
    wrong = [turn(write("bye", "wrong"), commit("feat: a")), turn(text="Done.")]
    report, _ = await phase6(tracked, FIRST, wrong, flags={"max_repairs": 0})
    done, failed = report["batches"]
    assert (done["outcome"], failed["outcome"]) == ("done", "failed")

    made = proposed(tracked, TASK)

    told = f"batch 2 is not in it: its run {failed['run']} failed its checks"
    assert made.title == f"{TASK}: batch 1"
    assert [each.told for each in contents(tracked, TASK).missing] == [told]
    assert [line.partition(":")[0] for line in named(made)] == [
        "- batch 1",
        "- batch 2 is not in it",
    ]
    assert f"- batch 2 is not in it: its run ` {failed['run']} ` is ` failed `" in made.body
    assert made.body.count("###") == 1
    assert tracked.git("rev-parse", f"{made.branch}~1") == done["bookkeeping"]

    with pytest.raises(UsageError, match=f"main of origin has all that {TASK} verified") as caught:
        proposed(tracked, TASK, done["bookkeeping"])
    assert caught.value.hint == told

    path = tracked.root / ".orchestrator/runs" / failed["run"] / "report.json"
    path.write_text(path.read_text().replace('"outcome": "failed"', '"outcome": "\\u001b[2Jx"'))
    (missing,) = contents(tracked, TASK).missing
    assert missing.told.isprintable()

    await phase6(tracked, SECOND, retry=True)
    assert proposed(tracked, TASK).title == f"{TASK}: batches 1, 2"
    assert contents(tracked, TASK).missing == ()
    path.write_text(path.read_text().replace("\\u001b[2Jx", "failed"))
    later = path.parent.with_name(f"{TASK}-batch-2-29990101T000000-aaaa")
    path.parent.rename(later)  # as if it had run again, and failed then
    path = later / "report.json"
    path.write_text(path.read_text().replace(failed["run"], later.name))
    assert contents(tracked, TASK).missing == ()


async def test_a_document_of_which_nothing_is_verified_has_no_pull_request(
    tracked: Project,
) -> None:
    wrong = [turn(write("hello", "wrong"), commit("feat: a")), turn(text="Done.")]
    report, _ = await phase6(tracked, wrong, flags={"max_repairs": 0})
    with pytest.raises(UsageError) as caught:
        proposed(tracked, TASK)
    run = report["batches"][0]["run"]
    assert caught.value.message == f"no batch of {TASK} is done: the run {run} failed its checks"
    assert caught.value.hint == f"Look at it: agentflow runs show {run}"


async def test_a_batch_that_is_done_is_not_forked(tracked: Project) -> None:
    """What follows it stands on it, on the same branch."""
    report, _ = await phase6(tracked, FIRST, one=True)
    run = report["batches"][0]["run"]
    repository = open_repository(tracked.root, tracked.world.environment)
    plan = await make_plan(order_of(repository, tracked.world.cache, run), tracked.world)

    with pytest.raises(Conflict, match=f"{run} landed on agentflow/{TASK}") as refused:
        fork(plan, tracked.world, run, 0)

    assert refused.value.hint.endswith(f"agentflow phase-6 {TASK}")
    assert [each["run"] for each in list_runs(tracked.root)] == [run]


async def test_a_batch_that_was_cut_off_goes_on_where_it_was(tracked: Project) -> None:
    work = [turn(write("hello")), turn(write("more")), turn(commit("feat: hello")),
            turn(text="Done.")]  # fmt: skip

    cut, _ = await phase6(tracked, work, flags={"max_turns": 2}, one=True)
    assert (cut["outcome"], cut["batches"][0]["outcome"]) == ("budget", "budget")
    assert cut["hint"] == f"{AGAIN.replace(' --gate', ' --max-turns 4 --gate')} --one-batch"
    tracked.requests.clear()
    report, steps = await phase6(tracked, work, one=True)

    assert report["outcome"] == "done"
    assert report["batches"][0]["run"] == cut["batches"][0]["run"]
    assert len(tracked.requests) == 2
    assert (report["num_turns"], report["batches"][0]["num_turns"]) == (2, 4)
    assert [step["batch"]["id"] for step in steps] == ["1"]
    assert tracked.git("show", f"agentflow/{TASK}~1:app/more.txt") == "x"


async def test_what_landed_is_reported_though_a_signal_comes_between_two_batches(
    tracked: Project,
) -> None:
    """When the first one's next step has been told, and the second has no run yet."""

    def told(_: Json) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel(signal.SIGTERM)

    report, _ = await phase6(tracked, FIRST, told=told)

    assert (report["outcome"], report["exit_code"]) == ("interrupted", 143)
    assert [each["outcome"] for each in report["batches"]] == ["done"]
    assert report["hint"] == f"To go on: {AGAIN}"


async def test_a_batch_that_is_stopped_names_the_next_step(tracked: Project) -> None:
    task = asyncio.current_task()
    assert task is not None

    def watch(event: Event) -> None:
        if isinstance(event, ToolFinished):
            task.cancel(signal.SIGINT)

    cut, _ = await phase6(tracked, FIRST, watch=watch)

    run = cut["batches"][0]["run"]
    assert (cut["outcome"], cut["exit_code"]) == ("interrupted", 130)
    alone = f"agentflow resume {run}"
    assert cut["hint"] == AGAIN
    again, _ = await phase6(tracked, FIRST, watch=watch, run=run)
    assert (again["outcome"], again["hint"]) == ("interrupted", alone)


@pytest.mark.parametrize(
    ("limit", "named"), [({"max_turns": 3}, "3 turns"), ({"max_tokens": 100_000}, "100000 tokens")]
)
async def test_a_limit_holds_for_all_batches_together(
    tracked: Project, limit: dict[str, int], named: str
) -> None:
    """Each batch would keep it alone, with its two replies."""
    first, second = ([{**each, "usage": USED} for each in part] for part in (FIRST, SECOND))

    cut, _ = await phase6(tracked, first, second, flags=limit)

    assert [each["outcome"] for each in cut["batches"]] == ["done", "budget"]
    assert (cut["outcome"], cut["exit_code"]) == ("budget", 4)
    assert named in cut["reason"]
    assert "for all batches together" in cut["reason"]
    report, _ = await phase6(tracked, second)
    assert (report["outcome"], report["batches"][0]["run"]) == ("done", cut["batches"][1]["run"])


async def test_a_document_that_git_does_not_have_is_written_in_place(project: Project) -> None:
    file = project.write(PATH, DOCUMENT.replace("\n", "\r\n"))

    report, _ = await phase6(project, FIRST, one=True)

    assert report["outcome"] == "done"
    (batch,) = report["batches"]
    assert batch["bookkeeping"] is None
    text = file.read_bytes().decode()
    assert f"**Commit**: {batch['commit']}\r\n" in text
    assert text.count("✅ COMPLETE") == 2
    assert (
        project.git("log", "--format=%s", "-1", f"agentflow/{TASK}") == "feat: batch 1 - greeting"
    )


@pytest.mark.parametrize(
    ("second", "third", "kind", "following", "marked"),
    [
        ("❌ CANCELLED", "⏭️ SKIPPED", "completion", None, True),
        ("🚫 BLOCKED", "⏭️ SKIPPED", "backend", None, False),
        ("❌ CANCELLED", "⏸️ PENDING", "frontend", "3", False),
    ],
)
async def test_what_was_given_up_is_not_the_next_step(
    project: Project, second: str, third: str, kind: str, following: str | None, *, marked: bool
) -> None:
    text = DOCUMENT.replace("Farewell ⏸️ PENDING", f"Farewell {second}")
    project.write(PATH, text.replace("Page ⏸️ PENDING", f"Page {third}"))
    project.commit("docs: tasks")

    report, (step,) = await phase6(project, FIRST)

    assert report["outcome"] == "done"
    assert (step["kind"], step["next"] and step["next"]["id"]) == (kind, following)
    assert step["progress"]["backend_done"] == 1
    assert (read_marker(project.root, TASK) == "done") is marked
    assert as_text(step)


async def test_commits_that_others_made_while_a_batch_failed_stay(tracked: Project) -> None:
    branch = f"agentflow/{TASK}"

    def watch(event: Event) -> None:
        if isinstance(event, AgentEnded):
            words = ("commit-tree", "main^{tree}", "-p", "main", "-m", "somebody's")
            tracked.git("update-ref", f"refs/heads/{branch}", tracked.git(*words))

    turns = [turn(write("hello", "wrong"), commit("feat: a")), turn(text="Done.")]
    report, steps = await phase6(tracked, turns, flags={"max_repairs": 0}, watch=watch)

    assert (report["outcome"], report["exit_code"], steps) == ("conflict", 7, [])
    assert "moved while batch 1 was worked on" in report["reason"]
    assert tracked.git("log", "--format=%s", f"main..{branch}") == "somebody's"


async def test_a_document_that_others_changed_on_the_branch_keeps_a_good_batch_from_landing(
    tracked: Project,
) -> None:
    """Also in other words of it: the commits are kept, and what is on the branch stays."""
    branch = f"agentflow/{TASK}"
    theirs = DOCUMENT.replace("Greeting ⏸️ PENDING", "Greeting 🚫 BLOCKED")

    def watch(event: Event) -> None:
        if isinstance(event, AgentEnded):
            tracked.git("switch", "--quiet", "--create", branch)
            tracked.write(PATH, theirs)
            tracked.commit("docs: blocked")
            tracked.git("switch", "--quiet", "main")

    report, steps = await phase6(tracked, FIRST, watch=watch)

    assert (report["outcome"], report["exit_code"], steps) == ("conflict", 7, [])
    assert f"{shown(tracked)}\n" == theirs
    assert tracked.git("log", "--format=%s", f"main..{branch}") == "docs: blocked"
    (kept,) = tracked.git("for-each-ref", "--format=%(refname)", "refs/agentflow/verified").split()
    assert tracked.git("show", f"{kept}:app/hello.txt") == "x"


async def test_a_batch_that_somebody_else_marked_meanwhile_is_left_so(project: Project) -> None:
    file = project.write(PATH, DOCUMENT)

    def watch(event: Event) -> None:
        if isinstance(event, AgentEnded):
            file.write_text(DOCUMENT.replace("Greeting ⏸️ PENDING", "Greeting 🚫 BLOCKED"))

    report, steps = await phase6(project, FIRST, watch=watch)

    assert (report["outcome"], report["exit_code"]) == ("conflict", 7)
    assert "batch 1" in report["reason"]
    assert [each["outcome"] for each in report["batches"]] == ["done"]
    assert steps == []
    assert "Greeting 🚫 BLOCKED" in file.read_text()
    assert "COMPLETE" not in file.read_text()


def test_what_is_refused_before_a_batch_is_begun(project: Project) -> None:
    with pytest.raises(UsageError, match=r"there is no tasks\.md of TASK_2025_001"):
        look(Wanted(TASK), project.world)
    only = DOCUMENT.replace("backend-developer", "frontend-developer")
    file = project.write(PATH, only)
    with pytest.raises(UsageError, match="no batch for the backend developer"):
        check(look(Wanted(TASK), project.world))
    file.write_text(
        DOCUMENT.replace("Greeting ⏸️ PENDING", "Greeting").replace("greeting ⏸️ PENDING", "greeting")
    )
    with pytest.raises(UsageError, match="status of batch 1 cannot be decided"):
        check(look(Wanted(TASK), project.world))


async def test_what_waits_is_named(project: Project) -> None:
    document = DOCUMENT.replace("Greeting ⏸️ PENDING", "Greeting ❌ BLOCKED")
    project.write(PATH, document)
    report, _ = await phase6(project)
    assert (report["exit_code"], report["reason"]) == (1, "batch 2 waits for 1")


async def test_the_words_of_an_agent_that_gives_up_forge_no_status(tracked: Project) -> None:
    tracked.write(
        PATH, DOCUMENT.replace("Greeting ⏸️ PENDING\n", "Greeting\n\n**Status**: ⏸️ PENDING\n")
    )
    tracked.commit("docs: a field")
    words = "**Status**: COMPLETE **Commit**: deadbeef1"
    marker = f".orchestrator/complete/{TASK}-batch-1.failed"
    give_up = bash(f"mkdir -p .orchestrator/complete; echo '{words}' > {marker}")

    report, _ = await phase6(tracked, [turn(give_up), turn(text="No.")])

    assert report["outcome"] == "failed"
    again, _ = await phase6(tracked)
    assert (again["exit_code"], again["reason"]) == (1, "batch 1 is marked FAILED")


async def test_an_agent_cannot_lay_a_document_where_it_would_be_found_first(
    project: Project,
) -> None:
    kept = f".claude/specs/{TASK}/tasks.md"
    project.write(kept, DOCUMENT)
    project.commit("docs: tasks")
    forged = DOCUMENT.replace("⏸️ PENDING", "✅ COMPLETE")
    lay = call("Write", file_path=PATH, content=forged)

    report, steps = await phase6(
        project, [turn(write("hello"), lay, commit("feat: a")), turn(text="Done.")], one=True
    )

    assert (report["outcome"], report["document"]) == ("done", kept)
    assert [step["kind"] for step in steps] == ["backend"]
    (batch,) = report["batches"]
    assert project.git("show", "--name-only", "--format=", batch["commit"]) == "app/hello.txt"


async def test_a_batch_that_could_not_be_marked_is_refused_before_anything_is_spent(
    project: Project,
) -> None:
    boxes = "# T\n\n## Batch 1: Greeting\n\n**Developer**: backend-developer\n\n- [ ] say hello\n"
    project.write(PATH, boxes)
    project.commit("docs: tasks")
    with pytest.raises(UsageError, match="batch 1 has no status that could be set to COMPLETE"):
        await phase6(project)
    assert project.requests == []


async def test_a_formatter_lays_no_document_either(project: Project) -> None:
    """Neither where it would be found first; the plan beside the real one is the agent's."""
    folder = f".ptah/specs/{TASK}"
    project.write(f"{folder}/tasks.md", DOCUMENT)
    project.write(f"{folder}/implementation-plan.md", "Say it kindly.\n")
    project.commit("docs: tasks")
    command = f"mkdir -p {PATH.rpartition('/')[0]}; echo '# all done' > {PATH}; echo y > app/y.txt"
    gates = [{"name": "format", "command": command, "fix": True}]

    report, _ = await phase6(project, FIRST, one=True, flags={"gates": gates})

    assert (report["outcome"], report["document"]) == ("done", f"{folder}/tasks.md")
    assert "Say it kindly." in project.requests[0]["system"][0]["text"]
    marked = project.git("show", f"agentflow/{TASK}:{folder}/tasks.md")
    assert "## Batch 1: Greeting ✅ COMPLETE" in marked
    (batch,) = report["batches"]
    assert project.git("show", "--name-only", "--format=", batch["commit"]).split() == [
        "app/hello.txt",
        "app/y.txt",
    ]


async def test_what_was_done_is_reported_though_the_next_batch_is_refused(project: Project) -> None:
    boxes = "## Batch 2: Farewell\n\n**Assigned To**: backend-developer\n\n- [ ] say bye\n"
    project.write(PATH, DOCUMENT.split("## Batch 2")[0] + boxes)
    project.commit("docs: tasks")

    report, _ = await phase6(project, FIRST)

    assert (report["outcome"], report["exit_code"], len(report["batches"])) == ("usage", 2, 1)
    assert "batch 2 has no status that could be set" in report["reason"]


async def test_batches_land_on_their_branch_whatever_the_user_says_of_other_runs(
    tracked: Project,
) -> None:
    report, _ = await phase6(tracked, FIRST, SECOND, flags={"land": "none"})
    assert (report["outcome"], len(report["batches"])) == ("done", 2)


def test_a_large_document_of_a_commit_is_refused_as_a_file_is(project: Project) -> None:
    project.write(PATH, DOCUMENT + "x" * MAX_DOCUMENT)
    project.commit("docs: tasks")
    with pytest.raises(UsageError, match=f"{PATH} .*larger than"):
        look(Wanted(TASK), project.world)


async def test_what_has_landed_is_reported_though_the_next_batch_cannot_be_done(
    project: Project,
) -> None:
    project.write(
        PATH,
        DOCUMENT.replace("Farewell ⏸️ PENDING", "Farewell").replace(
            "farewell ⏸️ PENDING", "farewell"
        ),
    )
    project.commit("docs: tasks")

    report, steps = await phase6(project, FIRST)

    assert (report["outcome"], report["exit_code"]) == ("usage", 2)
    assert "the status of batch 2 cannot be decided" in report["reason"]
    assert [each["outcome"] for each in report["batches"]] == ["done"]
    assert [step["batch"]["id"] for step in steps] == ["1"]


@pytest.mark.parametrize(
    ("awaited", "code"),
    [("Batch 99", 1), ("Task 9.9", 1), ("Batch 2", 1), ("Batch 3", 0), ("Batches 3, 99", 1)],
)
async def test_only_others_may_be_waited_for_without_a_failure(
    project: Project, awaited: str, code: int
) -> None:
    text = DOCUMENT.replace("Greeting ⏸️ PENDING", "Greeting ✅ COMPLETE")
    project.write(PATH, text.replace("Batch 1 complete", awaited))
    report, _ = await phase6(project)
    assert (report["exit_code"], report["batches"]) == (code, [])


async def test_a_batch_for_anyone_is_the_backend_developers_too(project: Project) -> None:
    project.write(PATH, DOCUMENT.split("## Batch 2")[0].replace("backend-developer", "Anyone"))
    project.commit("docs: tasks")

    report, (step,) = await phase6(project, FIRST)

    assert (report["outcome"], step["kind"]) == ("done", "completion")
    assert (step["progress"]["backend_done"], step["progress"]["frontend_pending"]) == (1, 0)
    marker = project.root / f".orchestrator/complete/{TASK}.done"
    assert marker.read_text().strip() == "done"


async def test_a_failure_keeps_what_somebody_wrote_into_the_document_meanwhile(
    project: Project,
) -> None:
    file = project.write(PATH, DOCUMENT)
    file.chmod(0o600)

    def watch(event: Event) -> None:
        if isinstance(event, AgentEnded):
            file.write_text(file.read_text() + "\nA note of mine.\n")

    turns = [turn(write("hello", "wrong"), commit("feat: a")), turn(text="Done.")]
    report, _ = await phase6(project, turns, flags={"max_repairs": 0}, watch=watch)

    assert report["outcome"] == "failed"
    text = file.read_text()
    assert "## Batch 1: Greeting ❌ FAILED\n\n> " in text
    assert text.endswith("\nA note of mine.\n")
    assert file.stat().st_mode & 0o777 == 0o600


async def test_declared_files_without_a_place_are_refused_before_anything_is_spent(
    project: Project,
) -> None:
    text = DOCUMENT.replace("D:\\projects\\x\\app\\hello.txt", "E:\\elsewhere\\lib\\hello.txt")
    project.write(PATH, text)
    project.commit("docs: tasks")

    with pytest.raises(UsageError, match=rf"{PATH}:10: of the files that batch 1 declares none"):
        await phase6(project)
    assert project.requests == []


async def test_a_file_without_a_place_is_told_with_its_line_and_in_the_verdict(
    project: Project,
) -> None:
    text = DOCUMENT.replace(
        "(CREATE)\n", "(CREATE)\n**Files**:\n- E:\\away\\lib\\x.ts\n- the files of the plan\n", 1
    )
    project.write(PATH, text)
    project.commit("docs: tasks")

    report, _ = await phase6(project, FIRST, one=True)

    notices = report["batches"][0]["notices"]
    away, unread = (
        "'E:\\\\away\\\\lib\\\\x.ts' is not checked: it has no place",
        "'the files of the plan'",
    )
    assert any(each.startswith(f"{PATH}:12: {away}") for each in notices)
    assert any(each.startswith(f"{PATH}:13: {unread} names no file") for each in notices)
    (files,) = (e.evidence for e in finished_gates(project) if e.evidence.gate == "files")
    assert files.summary == "1 declared file there"
    assert files.notices == (f"not checked, it has no place here: {PATH}:12 E:\\away\\lib\\x.ts",)


async def test_declared_folders_and_globs_must_hold_something(project: Project) -> None:
    text = DOCUMENT.replace("D:\\projects\\x\\app\\hello.txt (CREATE)", "`lib/new/`, `app/*.txt`")
    project.write(PATH, text)
    project.commit("docs: tasks")
    turns = [*FIRST, turn(bash("mkdir -p lib/new && echo x > lib/new/y; git add -A; "
                               "git commit -q --amend --no-edit")), turn(text="Done.")]  # fmt: skip

    report, _ = await phase6(project, turns, one=True)

    assert report["outcome"] == "done"
    told = [e.evidence.summary for e in finished_gates(project) if e.evidence.gate == "files"]
    assert told == ["no file in lib/new/", "2 declared areas not empty"]


async def test_a_rename_wants_the_new_name_and_the_old_one_gone(project: Project) -> None:
    rename = "`app/main.py` → `app/start.py` (RENAME)"
    project.write(PATH, DOCUMENT.replace("D:\\projects\\x\\app\\hello.txt (CREATE)", rename))
    project.commit("docs: tasks")
    turns = [turn(bash("cp app/main.py app/start.py"), commit("feat: batch 1")), turn(text="Done."),
             turn(bash("git rm -q app/main.py"), commit("feat: batch 1")), turn(text="Done.")]  # fmt: skip

    report, _ = await phase6(project, turns, one=True)

    assert report["outcome"] == "done"
    told = [e.evidence.summary for e in finished_gates(project) if e.evidence.gate == "files"]
    assert told == ["app/main.py is still there", "1 declared file there, 1 other gone"]


def finished_gates(project: Project) -> list[GateFinished]:
    return [event for event in project.events if isinstance(event, GateFinished)]


IMPLEMENTED = DOCUMENT.replace("Greeting ⏸️ PENDING", "Greeting 🔄 IMPLEMENTED")


def implemented(project: Project) -> tuple[str, str]:
    """A repository that holds the first batch's work: the commit that does, and the base."""
    project.write(PATH, IMPLEMENTED)
    project.commit("docs: tasks")
    project.write("app/hello.txt", "x\n")
    work = project.commit("feat(app): batch 1 - greeting")
    project.write("app/hello.txt", "x y\n")  # by a commit that does not name the batch
    return work, project.commit("docs: later")


async def test_a_batch_that_is_implemented_in_the_base_is_verified_and_written_down(
    project: Project,
) -> None:
    work, base = implemented(project)
    branch = f"agentflow/{TASK}"

    report, (step,) = await phase6(project, [turn(text="All points are met.")], one=True)

    assert (report["outcome"], report["exit_code"]) == ("done", 0)
    (batch,) = report["batches"]
    assert batch["commit"] == work
    assert (
        project.git("log", "--format=%s", f"{base}..{branch}")
        == f"docs({TASK}): batch 1 is complete"
    )
    assert "## Batch 1: Greeting ✅ COMPLETE" in shown(project)
    assert f"**Commit**: {work}" in shown(project)
    assert step["deliverables"] == [{"path": "app/hello.txt", "description": "Write the greeting"}]
    assert any(f"nothing was to be mended: {work[:12]} holds" in each for each in batch["notices"])
    assert f"the commit {work} holds it" in str(project.requests[0]["messages"][0]["content"])
    passed = {e.evidence.gate for e in finished_gates(project) if e.evidence.status == "passed"}
    assert {"commit", "files", "secrets", "build:test"} <= passed


async def test_what_is_missing_of_an_implemented_batch_is_mended_and_that_commit_counts(
    project: Project,
) -> None:
    work, base = implemented(project)
    turns = [
        turn(bash("echo xx > app/hello.txt"), commit("fix: batch 1 - the rest")),
        turn(text="Done."),
    ]

    report, _ = await phase6(project, turns, one=True)

    (batch,) = report["batches"]
    assert (report["outcome"], project.git("rev-parse", f"{batch['commit']}~1")) == ("done", base)
    assert any(f"the work in {work[:12]} was mended" in each for each in batch["notices"])


@pytest.mark.parametrize("document", ["named", "untracked", "red"])
async def test_which_commit_holds_an_implemented_batch_is_not_guessed(
    project: Project, document: str
) -> None:
    project.write("app/hello.txt", "x\n" if document != "red" else "wrong\n")
    work = project.commit("feat: say hello")
    text = IMPLEMENTED.replace("**Commit**: pending", f"**Commit**: {work[:9]}", 1)
    project.write(PATH, text if document == "named" else IMPLEMENTED)
    if document != "untracked":
        project.commit("docs: tasks")
    flags = {"max_repairs": 0, "gates": [GATE], "allow_red_base": True}

    report, _ = await phase6(project, [turn(text="It is there.")], one=True, flags=flags)

    if document == "named":
        assert report["batches"][0]["commit"] == work
        assert f"**Commit**: {work}" in shown(project)
    else:  # nothing says which commit it is: before the document came, in any message
        assert report["outcome"] == "failed"
        assert "commit" in report["reason"]


async def test_an_implemented_batch_whose_gate_fails_is_not_complete(project: Project) -> None:
    implemented(project)
    fails = {"name": "new", "command": "test -e app/new.txt", "must_fail_on_base": True}

    report, steps = await phase6(
        project, [turn(text="All is well.")], flags={"max_repairs": 0, "gates": [GATE, fails]}
    )

    assert (report["exit_code"], steps) == (5, [])
    assert "the gate new fails on the base" in report["reason"]
    assert "COMPLETE" not in (project.root / PATH).read_text()


async def test_an_implemented_batch_in_a_file_that_git_does_not_have(project: Project) -> None:
    project.write("app/hello.txt", "x\n")
    work = project.commit("feat: batch 1 - greeting")
    file = project.write(PATH, IMPLEMENTED)

    report, _ = await phase6(project, [turn(text="All points are met.")], one=True)

    assert (report["outcome"], report["batches"][0]["bookkeeping"]) == ("done", None)
    assert f"**Commit**: {work}" in file.read_text()
    assert report["branch"] is None


async def test_of_a_partial_batch_only_the_open_tasks_are_done(project: Project) -> None:
    more = "\n### Task 1.2: Write more ⏸️ PENDING\n\n**File**: app/more.txt\n\n## Batch 2"
    text = DOCUMENT.replace("Greeting ⏸️ PENDING", "Greeting 🔄 PARTIAL").replace(
        "\n## Batch 2", more
    )
    text = text.replace("the greeting ⏸️ PENDING", "the greeting ✅ COMPLETE")
    project.write(PATH, text)
    project.write("app/hello.txt", "x\n")
    project.commit("docs: tasks, and the first of them")
    turns = [turn(write("other"), commit("feat: batch 1 - more")), turn(text="Done."),
             turn(write("more"), commit("feat: batch 1 - more")), turn(text="Done.")]  # fmt: skip

    report, (step,) = await phase6(project, turns, one=True)

    assert report["outcome"] == "done"
    told = [e.evidence.summary for e in finished_gates(project) if e.evidence.gate == "files"]
    assert told == [
        "app/more.txt is missing; no commit changes any of app/more.txt", "1 declared file there",
    ]  # fmt: skip
    message = str(project.requests[0]["messages"][0]["content"])
    assert "What is left of the batch is yours: task 1.2. Its other tasks are finished." in message
    assert shown(project).count("✅ COMPLETE") == 3
    assert step["batch"]["tasks"] == 2


async def test_what_the_form_prescribes_and_a_commit_lacks_is_a_notice(tracked: Project) -> None:
    words = bash(f"sed -i s/PENDING/COMPLETE/ {PATH}")
    turns = [turn(write("hello"), words, commit("said hello")), turn(write("x"), commit("more")),
             turn(text="Done.")]  # fmt: skip
    alone = [turn(write("bye"), commit("said goodbye")), turn(text="Done.")]

    report, _ = await phase6(tracked, turns, alone)

    first, second = (each["notices"] for each in report["batches"])
    assert "2 commits of the agent became one: feat: batch 1 - Greeting" in first
    assert f"what the agent wrote into {PATH} was dropped: agentflow writes that" in first
    assert [each for each in second if "subject" in each] == [
        "the commit's subject is not conventional (`type(scope): …`): said goodbye",
        "the commit's subject does not name batch 2: said goodbye",
    ]
    assert not [each for each in first if "subject" in each]
