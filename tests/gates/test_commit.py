"""The commit gate and the boundaries gate: judgements of a candidate."""

import pytest

from agentflow.gates.boundaries import BoundariesGate
from agentflow.gates.commit import CommitGate
from agentflow.records import Boundaries, Commits, Expectation
from agentflow.results import Candidate, Change, Commit, Evidence

BASE = "b" * 40
CHANGE = Change("A", "app/x", "100644", "c" * 40)
DONE = Candidate(
    BASE,
    "t" * 40,
    (Commit("t" * 40, "e" * 40, (BASE,), "x", (CHANGE,)),),
    files_changed=1,
    insertions=2,
    deletions=3,
)
EMPTY = Candidate(BASE, "t" * 40, (Commit("t" * 40, "e" * 40, (BASE,), "x"),))
NOTHING = Candidate(BASE, BASE)
REFUSED = Candidate(BASE, BASE, violations=("one", "two"))
LEFT = Candidate(BASE, BASE, leftovers=("app/x", "app/y"))


@pytest.mark.parametrize(
    ("candidate", "expect", "commits", "status", "summary"),
    [
        (DONE, "change", "agent", "passed", "1 commit, 1 file (+2 −3)"),  # noqa: RUF001
        (DONE, "change", "orchestrator", "passed", "1 commit, 1 file (+2 −3)"),  # noqa: RUF001
        (DONE, "change", "none", "failed", "1 path changed where nothing should"),
        (DONE, "no-change", "agent", "failed", "1 path changed where nothing should"),
        (EMPTY, "change", "agent", "failed", "nothing changed (1 empty commit)"),
        (EMPTY, "no-change", "agent", "failed", "history changed where nothing should"),
        (NOTHING, "change", "agent", "failed", "nothing changed (no commit)"),
        (NOTHING, "no-change", "agent", "passed", "nothing changed, as expected"),
        (NOTHING, "change", "none", "passed", "nothing changed, as expected"),
        (REFUSED, "change", "agent", "skipped", "nothing could be imported; see boundaries"),
        (REFUSED, "no-change", "agent", "failed", "history changed where nothing should"),
        (REFUSED, "change", "none", "failed", "history changed where nothing should"),
        (LEFT, "change", "agent", "failed", "2 paths not committed"),
        (LEFT, "no-change", "agent", "failed", "2 paths changed where nothing should"),
    ],
)
async def test_commit(
    candidate: Candidate, expect: Expectation, commits: Commits, status: str, summary: str
) -> None:
    evidence = await CommitGate(expect, commits).measure(candidate)

    assert (evidence.gate, evidence.status, evidence.summary) == ("commit", status, summary)


async def test_commit_says_what_to_do() -> None:
    left = await CommitGate("change", "agent").measure(LEFT)
    assert left.detail == "Commit these changes, or undo them:\napp/x\napp/y"

    unwanted = await CommitGate("no-change", "agent").measure(DONE)
    assert unwanted.detail == (
        "Undo all changes, and all commits: git reset --hard bbbbbbbbbbbb\napp/x"
    )

    many = Candidate(BASE, BASE, leftovers=tuple(f"{i}" for i in range(40)))
    listed = (await CommitGate("change", "agent").measure(many)).detail.splitlines()
    assert (len(listed), listed[-1]) == (32, "and 10 more")


async def test_boundaries() -> None:
    gate = BoundariesGate(Boundaries(("app/**", "docs/")))
    assert await gate.measure(DONE) == Evidence(
        "boundaries", "passed", "every commit stays within app/**, docs/"
    )
    assert (await BoundariesGate(Boundaries()).measure(DONE)).summary == (
        "every commit stays within all but protected paths"
    )

    refused = await gate.measure(REFUSED)
    assert (refused.status, refused.summary) == ("failed", "2 violations")
    assert refused.detail.splitlines()[:2] == ["one", "two"]
    assert "git reset --soft bbbbbbbbbbbb" in refused.detail
