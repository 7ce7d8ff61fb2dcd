"""Landing on a branch: what is refused beforehand, what moves, what is kept."""

import threading

import pytest

from agentflow.errors import Conflict, EnvironmentFailure, UsageError
from agentflow.results import Candidate, Landed
from agentflow.workspace.land import (
    branch_tip,
    check_target,
    keep_verified,
    land,
    pin_base,
)
from tests.workspace.place import Place, Work

VERIFIED = "refs/agentflow/verified/run-1"


@pytest.fixture
def candidate(work: Work) -> Candidate:
    """One verified commit, stored in the user's repository."""
    made = work.candidate("echo hello > app/hello; echo three >> app/main.py; rm docs/guide.md")
    assert keep_verified(work.repository, work.state, "run-1", made) == VERIFIED
    return made


def refs(place: Place) -> dict[str, str]:
    lines = place.user("git for-each-ref --format='%(refname) %(objectname)'").splitlines()
    return dict(line.split() for line in lines)


def test_the_base_is_pinned(place: Place, work: Work) -> None:
    pin_base(work.repository, "run-1", work.base)

    assert refs(place)["refs/agentflow/base/run-1"] == work.base


def test_verified_commits_come_alone(place: Place, work: Work, candidate: Candidate) -> None:
    assert refs(place) == {"refs/heads/main": work.base, VERIFIED: candidate.tip}
    assert place.user(f"git fsck --strict 2>&1; git log --format=%s main..{VERIFIED}") == (
        "TASK-1: Say hello"
    )
    assert not (place.root / ".git/FETCH_HEAD").exists()


def test_a_candidate_that_is_not_the_one_is_not_stored(work: Work, candidate: Candidate) -> None:
    other = Candidate(work.base, work.base)
    with pytest.raises(EnvironmentFailure, match="does not name the verified commit"):
        keep_verified(work.repository, work.state, "run-1", other)
    work.state.run("update-ref", "-d", "refs/agentflow/candidate")
    with pytest.raises(EnvironmentFailure, match="cannot store the verified commits"):
        keep_verified(work.repository, work.state, "run-1", candidate)


def test_a_work_tree_that_is_just_being_added_does_not_lose_the_result(
    place: Place, work: Work
) -> None:
    made = work.candidate("echo hello > app/hello")
    place.user("git worktree add --quiet --detach ../beside")
    head = place.root / ".git/worktrees/beside/HEAD"
    before = head.read_text()
    head.write_text(f"{'0' * 40}\n")
    added = threading.Timer(0.3, head.write_text, [before])
    added.start()

    assert keep_verified(work.repository, work.state, "run-1", made) == VERIFIED

    added.join()
    assert refs(place)[VERIFIED] == made.tip


def test_a_branch_is_made(place: Place, work: Work, candidate: Candidate) -> None:
    landed = land(work.repository, candidate, "branch", "agentflow/TASK-1", "run-1")

    assert landed == Landed("refs/heads/agentflow/TASK-1", candidate.tip)
    assert refs(place) == {
        "refs/heads/main": work.base,
        "refs/heads/agentflow/TASK-1": candidate.tip,
    }
    log = place.user("git reflog show --format=%gs agentflow/TASK-1")
    assert log in {"agentflow: run-1", ""}
    assert place.user("git status --porcelain") == ""


def test_a_branch_at_the_base_moves_forward(place: Place, work: Work, candidate: Candidate) -> None:
    place.user("git branch release")

    assert land(work.repository, candidate, "branch", "release", "run-1").replaced is None
    assert refs(place)["refs/heads/release"] == candidate.tip


def test_a_branch_that_moved_is_a_conflict(place: Place, work: Work, candidate: Candidate) -> None:
    place.user("git branch release HEAD~1")
    before = refs(place)

    with pytest.raises(Conflict, match="the branch release moved to") as caught:
        land(work.repository, candidate, "branch", "release", "run-1")
    hint = f"Rename it: git branch -m release NAME\nThe verified commits are on {VERIFIED}."
    assert caught.value.hint == hint
    assert refs(place) == before


def test_a_replaceable_tip_is_kept(place: Place, work: Work, candidate: Candidate) -> None:
    place.user("git branch release HEAD~1")
    old = refs(place)["refs/heads/release"]

    landed = land(work.repository, candidate, "branch", "release", "run-1", replaceable=old)

    assert landed == Landed("refs/heads/release", candidate.tip, "refs/heads/release@run-1")
    assert refs(place) == {
        "refs/heads/main": work.base,
        "refs/heads/release": candidate.tip,
        "refs/heads/release@run-1": old,
    }


def test_nothing_is_kept_if_the_branch_cannot_be_replaced(
    place: Place, work: Work, candidate: Candidate
) -> None:
    place.user("git branch release HEAD~1")
    before = refs(place)
    (place.root / ".git/refs/heads/release.lock").touch()

    with pytest.raises(Conflict, match="could not be moved"):
        land(
            work.repository,
            candidate,
            "branch",
            "release",
            "run-1",
            replaceable=before["refs/heads/release"],
        )
    assert refs(place) == before


def test_a_branch_checked_out_anywhere_is_a_conflict(
    place: Place, work: Work, candidate: Candidate
) -> None:
    place.user("git worktree add -q ../linked -b release")

    for branch, where in (("release", "linked"), ("main", "user")):
        with pytest.raises(Conflict, match=f"{branch} is checked out in .*/{where}"):
            land(work.repository, candidate, "branch", branch, "run-1")
        with pytest.raises(Conflict, match=f"{branch} is checked out in .*/{where}"):
            check_target(work.repository, "branch", branch, work.base, replaceable=None)
    assert VERIFIED in refs(place)


def test_none_and_nothing_land_nothing(place: Place, work: Work, candidate: Candidate) -> None:
    before = refs(place)

    assert land(work.repository, candidate, "none", "x", "run-1") == Landed(None, candidate.tip)
    empty = Candidate(work.base, work.base)
    assert land(work.repository, empty, "branch", "x", "run-1") == Landed(None, work.base)
    assert refs(place) == before


def test_the_name_of_a_branch_is_one_word_where_its_command_is_copied(
    place: Place, work: Work, candidate: Candidate
) -> None:
    place.user("git branch 'feat/a&b' HEAD~1")
    with pytest.raises(Conflict) as caught:
        land(work.repository, candidate, "branch", "feat/a&b", "run-1")
    assert "git branch -m 'feat/a&b' NAME" in caught.value.hint
    with pytest.raises(Conflict) as caught:
        check_target(work.repository, "branch", "feat/a&b", work.base, replaceable=None)
    assert "--base 'feat/a&b'" in caught.value.hint
    assert "git branch -D 'feat/a&b'" in caught.value.hint


@pytest.mark.parametrize(
    "branch", ["a..b", "-x", "HEAD", "@{-1}", "x.lock", "a//b", "a b", "", "x/", "x\n"]
)
def test_names_that_no_branch_can_have(place: Place, work: Work, branch: str) -> None:
    place.user("git checkout -q -b other; git checkout -q main")

    with pytest.raises(UsageError, match="name"):
        check_target(work.repository, "branch", branch, work.base, replaceable=None)


def test_names_beside_which_there_is_no_room(place: Place, work: Work) -> None:
    place.user("git branch agentflow HEAD~1; git branch deep/er/branch; git symbolic-ref "
               "refs/heads/alias refs/heads/agentflow")  # fmt: skip

    for branch, message in (
        ("agentflow/TASK-1", "cannot be made beside the branch agentflow"),
        ("deep/er", "cannot be made beside the branch deep/er/branch"),
        ("alias", "another name"),
        ("agentflow", "exists and is not the base"),
    ):
        with pytest.raises(Conflict, match=message):
            check_target(work.repository, "branch", branch, work.base, replaceable=None)
    tip = branch_tip(work.repository, "agentflow")
    check_target(work.repository, "branch", "agentflow", work.base, replaceable=tip)
    check_target(work.repository, "branch", "deep/er/branch", work.base, replaceable=None)
    check_target(work.repository, "none", "a..b", work.base, replaceable=None)


def test_an_alias_made_meanwhile_does_not_move_the_branch_behind_it(
    place: Place, work: Work, candidate: Candidate
) -> None:
    place.user("git branch behind; git symbolic-ref refs/heads/alias refs/heads/behind")

    land(work.repository, candidate, "branch", "alias", "run-1")

    assert refs(place)["refs/heads/behind"] == work.base
