"""A task that stands in a document: one commit, and agentflow's own words about it on top."""

import pytest

from agentflow.results import Bookkeeping, Ledger
from tests.run.project import HELLO, Project, bash, call, turn

pytestmark = pytest.mark.sandbox

PROMPT = "---\nagentflow: {commits: agent, completion: commit}\n---\nCommit once.\n"
WORSE = call("Write", file_path="app/hello.txt", content="")


def ledger(tip: str) -> Bookkeeping:
    text = f"# Tasks\n\n## Batch 1: Greeting - COMPLETE\n\n**Commit**: {tip}\n"
    return Bookkeeping("docs(tasks): batch 1 is complete", {"tasks.md": text.encode()})


LEDGER = Ledger(("tasks.md",), "feat: batch 1", ledger)


@pytest.fixture
def batches(project: Project) -> Project:
    project.write(".orchestrator/prompts/batches.md", PROMPT)
    project.write("tasks.md", "# Tasks\n\n## Batch 1: Greeting - PENDING\n\n**Commit**: -\n")
    project.task("allow: [app/**, tasks.md]")
    project.commit("docs: tasks")
    return project


async def test_several_commits_and_a_repair_are_one_and_the_document_is_ours(
    batches: Project,
) -> None:
    turns = [
        turn(WORSE, bash("git add -A && git commit -qm 'feat: start'")),
        turn(bash("echo COMPLETE > tasks.md; git add -A; git commit -qm 'docs: all done'")),
        turn(text="Done."),
        turn(HELLO, bash("git add -A && git commit -qm 'fix: the greeting'")),
        turn(text="Now it is."),
    ]

    report = await batches.run(turns, prompt="batches", ledger=LEDGER)

    assert (report["outcome"], report["verification"]["repairs"]) == ("done", 1)
    assert [commit["subject"] for commit in report["commits"]] == ["feat: batch 1"]
    mine, ours = report["commits"][0]["sha"], report["landed"]["tip"]
    assert report["bookkeeping"] == {"tip": ours, "paths": ["tasks.md"]}
    assert batches.git("rev-parse", f"{ours}~1") == mine
    assert batches.git("rev-parse", f"{ours}~2") == report["base"]
    assert batches.git("show", "--name-only", "--format=", mine) == "app/hello.txt"
    assert batches.git("show", f"{ours}:tasks.md").endswith(f"**Commit**: {mine}")
    assert set(report["claimed_commits"].values()) == {mine}


async def test_nothing_but_the_document_is_nothing(batches: Project) -> None:
    only = bash("echo COMPLETE > tasks.md; git add -A; git commit -qm 'docs: all done'")

    report = await batches.run(
        [turn(only), turn(text="Done."), turn(text="Yes, done."), turn(text="Done!")],
        prompt="batches",
        ledger=LEDGER,
    )

    assert report["outcome"] == "failed"
    assert (report["bookkeeping"], report["landed"]) == (None, None)
    assert report["verification"]["gates"][0]["status"] == "failed"
