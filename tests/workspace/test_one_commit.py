"""Several commits as one, and the files that are left as they were."""

from dataclasses import replace

from agentflow.results import Candidate
from agentflow.workspace.one_commit import one_commit
from tests.workspace.place import AUTHORSHIP, Work

MINE = "echo x > app/x; git add -A; git commit -qm 'feat(app): x'"
TWO = f"{MINE}; echo y > app/y; git add -A; git commit -qm more"
DOCUMENT = "echo done > docs/guide.md; git add -A; git commit -qm 'docs: tick'"


def squashed(work: Work, candidate: Candidate) -> Candidate:
    return one_commit(work.state, candidate, "feat: batch 1", ["docs/guide.md"], AUTHORSHIP)


def paths(candidate: Candidate) -> list[list[str]]:
    return [[change.path for change in commit.changes] for commit in candidate.commits]


def test_one_commit_stays_as_it_is(work: Work) -> None:
    candidate = work.candidate(MINE)
    assert squashed(work, candidate) == candidate


def test_several_become_one_with_the_message_that_is_given(work: Work) -> None:
    candidate = work.candidate(TWO)

    made = squashed(work, candidate)

    assert paths(made) == [["app/x", "app/y"]]
    (commit,) = made.commits
    assert commit.parents == (work.base,)
    assert commit.message == "feat: batch 1\n\n" + "\n".join(AUTHORSHIP.trailers) + "\n"
    assert (made.tip, set(made.claimed.values())) == (commit.sha, {commit.sha})
    assert made.claimed.keys() == candidate.claimed.keys()
    assert work.state.text("rev-parse", "refs/agentflow/candidate") == made.tip
    assert commit.tree == candidate.commits[-1].tree
    assert (made.files_changed, made.insertions) == (2, 2)


def test_a_dropped_document_leaves_message_and_other_files(work: Work) -> None:
    candidate = work.candidate(
        "echo x > app/x; echo done > docs/guide.md; git add -A; git commit -qm 'feat(app): x'"
    )

    made = squashed(work, candidate)

    assert paths(made) == [["app/x"]]
    assert made.commits[0].message == candidate.commits[0].message
    assert work.state.text("cat-file", "blob", f"{made.tip}:docs/guide.md") == "doc"


def test_a_deleted_and_a_new_document_are_undone(work: Work) -> None:
    candidate = work.candidate(f"{MINE}; rm docs/guide.md; echo n > docs/new.md; git add -A; "
                               "git commit -qm more")  # fmt: skip
    both = ["docs/guide.md", "docs/new.md"]

    made = one_commit(work.state, candidate, "feat: batch 1", both, AUTHORSHIP)

    assert paths(made) == [["app/x"]]


def test_documents_alone_are_nothing(work: Work) -> None:
    candidate = work.candidate(DOCUMENT)

    left = Candidate(work.base, work.base, dropped=("docs/guide.md",))
    assert squashed(work, candidate) == left
    assert work.state.text("rev-parse", "refs/agentflow/candidate") == work.base


def test_a_violation_stays(work: Work) -> None:
    refused = replace(Candidate(work.base, work.base), violations=("no",))
    assert squashed(work, refused) == refused
