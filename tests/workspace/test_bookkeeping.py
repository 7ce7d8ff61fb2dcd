"""The commit that says what became of others."""

from agentflow.workspace.bookkeeping import bookkeeping_commit, with_bookkeeping
from agentflow.workspace.land import keep_verified, land
from tests.workspace.place import AUTHORSHIP, Place, Work

MINE = "echo x > app/x; git add -A; git commit -qm 'feat(app): x'"


def test_it_lands_together_with_what_it_speaks_of(place: Place, work: Work) -> None:
    candidate = work.candidate(MINE)
    files = {"docs/guide.md": f"done in {candidate.tip}\r\n".encode(), "docs/new.md": b""}

    made = with_bookkeeping(work.state, candidate, files, "docs: batch 1 is done", AUTHORSHIP)
    keep_verified(work.repository, work.state, "run-1", made)
    landed = land(work.repository, made, "branch", "result", "run-1")

    assert landed.tip == made.tip
    assert place.user("git log --format=%s%n%an result -2") == (
        "docs: batch 1 is done\nAda\nfeat(app): x\nAda"
    )
    assert place.user("git rev-parse result~1") == candidate.tip
    stored = work.repository.git.run("cat-file", "blob", "result:docs/guide.md")
    assert stored == files["docs/guide.md"]
    assert place.user("git log -1 --format=%B result").splitlines()[2:] == list(AUTHORSHIP.trailers)
    assert place.user("git diff --stat result~1 result --name-only").split() == [
        "docs/guide.md",
        "docs/new.md",
    ]


def test_a_file_keeps_its_mode_and_the_same_bytes_need_no_commit(work: Work) -> None:
    candidate = work.candidate(f"{MINE}; chmod +x docs/guide.md; git add -A; git commit -qm mode")
    commit = bookkeeping_commit(
        work.state, candidate.tip, {"docs/guide.md": b"new\n"}, "docs: x", AUTHORSHIP
    )
    assert commit is not None
    assert [(change.status, change.mode) for change in commit.changes] == [("M", "100755")]

    same = {"docs/guide.md": b"doc\n"}
    assert bookkeeping_commit(work.state, candidate.tip, same, "docs: x", AUTHORSHIP) is None
    assert with_bookkeeping(work.state, candidate, same, "docs: x", AUTHORSHIP) is candidate


def test_it_can_be_made_in_the_users_repository(place: Place, work: Work) -> None:
    git = work.repository.git
    commit = bookkeeping_commit(git, work.base, {"docs/guide.md": b"f\n"}, "docs: x", AUTHORSHIP)
    assert commit is not None
    assert place.user(f"git cat-file -t {commit.sha}; git status --porcelain") == "commit"
