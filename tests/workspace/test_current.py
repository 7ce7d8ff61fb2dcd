"""Landing on the current branch: all of branch, index and files move, or nothing does."""

from pathlib import Path

import pytest

from agentflow.errors import Conflict
from agentflow.results import Candidate, Landed
from agentflow.workspace.land import check_target, keep_verified, land
from agentflow.workspace.repository import open_repository
from tests.workspace.place import Place, Work

VERIFIED = "refs/agentflow/verified/run-1"


@pytest.fixture
def candidate(work: Work) -> Candidate:
    """Adds app/hello, changes app/main.py, removes docs/guide.md."""
    made = work.candidate("echo hello > app/hello; echo three >> app/main.py; rm docs/guide.md")
    keep_verified(work.repository, work.state, "run-1", made)
    return made


def picture(place: Place) -> tuple[str, str, dict[str, bytes]]:
    """Refs, index and files."""
    files = {
        str(path.relative_to(place.root)): path.read_bytes()
        for path in place.root.rglob("*")
        if path.is_file() and ".git" not in path.parts
    }
    return place.user("git for-each-ref"), place.user("git ls-files -s"), files


def lands(work: Work, candidate: Candidate) -> Landed:
    return land(work.repository, candidate, "current", "", "run-1")


def refused(place: Place, work: Work, candidate: Candidate) -> Conflict:
    """The conflict, after which nothing is changed and the work is kept."""
    before = picture(place)
    lock = place.root / ".git/index.lock"
    locked = lock.exists()
    with pytest.raises(Conflict) as caught:
        lands(work, candidate)
    assert caught.value.hint.endswith(f"The verified commits are on {VERIFIED}.")
    assert lock.exists() == locked
    assert list((place.root / ".git").glob("agentflow-*")) == []
    assert picture(place) == before
    assert place.user(f"git rev-parse {VERIFIED}") == candidate.tip
    return caught.value


def test_branch_index_and_files_move(place: Place, work: Work, candidate: Candidate) -> None:
    check_target(work.repository, "current", "", work.base, replaceable=None)

    assert lands(work, candidate) == Landed("refs/heads/main", candidate.tip)
    assert place.user("git status --porcelain --branch") == "## main"
    assert place.user("git rev-parse HEAD") == candidate.tip
    assert sorted(picture(place)[2]) == ["app/hello", "app/main.py", "tests/test_main.py"]
    assert place.user("git reflog -1 --format=%gs main") == "agentflow: run-1"
    assert not (place.root / ".git/index.lock").exists()
    assert VERIFIED not in place.user("git for-each-ref")


def test_other_changes_of_the_user_survive(place: Place, work: Work, candidate: Candidate) -> None:
    place.user(
        "echo mine > tests/test_main.py; echo staged > app/staged; git add app/staged; "
        "echo untracked > notes; touch app/main.py"
    )

    lands(work, candidate)

    assert place.user("git status --porcelain").splitlines() == [
        "A  app/staged",
        " M tests/test_main.py",
        "?? notes",
    ]
    assert (place.root / "tests/test_main.py").read_text() == "mine\n"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo mine > app/main.py", "Entry 'app/main.py' not uptodate"),
        ("echo mine > app/main.py; git add -A", "Entry 'app/main.py' would be overwritten"),
        ("echo mine > docs/guide.md", "Entry 'docs/guide.md' not uptodate"),
        ("echo mine > app/hello", "app/hello would be overwritten and is not in git"),
        ("echo mine > app/hello; echo hello >> .git/info/exclude", "app/hello would be overwritten"),
        ("mkdir app/hello; echo mine > app/hello/x", "app/hello/x would be overwritten"),
        ("mkdir app/hello; echo mine > app/hello/x; echo x >> .git/info/exclude",
         "app/hello/x would be overwritten"),
        ("ln -s /nowhere app/hello", "app/hello would be overwritten"),
        ("echo mine > app/hello; git add -A", "Entry 'app/hello' would be overwritten"),
        ("touch .git/index.lock", "another git process holds"),
        ("rm .git/index", "has no index"),
        ("git checkout -q --detach", "HEAD is detached"),
        ("git commit -q --allow-empty -m more", "main is not at the base"),
        ("git checkout -q -b other HEAD~1", "other is not at the base"),
    ],
)  # fmt: skip
def test_nothing_changes_where_something_is_in_the_way(
    place: Place, work: Work, candidate: Candidate, script: str, message: str
) -> None:
    place.user(script)

    assert message in refused(place, work, candidate).message


def test_an_ignored_file_above_a_new_path_is_not_overwritten(place: Place, work: Work) -> None:
    candidate = work.candidate("mkdir new; echo x > new/x")
    keep_verified(work.repository, work.state, "run-1", candidate)
    place.user("echo mine > new; echo new >> .git/info/exclude")

    assert "new would be overwritten" in refused(place, work, candidate).message


def test_files_and_folders_change_places(place: Place, work: Work) -> None:
    candidate = work.candidate("rm -r docs app/main.py; echo x > docs; mkdir app/main.py; "
                               "echo x > app/main.py/x; chmod +x tests/test_main.py")  # fmt: skip
    keep_verified(work.repository, work.state, "run-1", candidate)

    lands(work, candidate)

    assert place.user("git status --porcelain") == ""
    assert (place.root / "docs").read_text() == "x\n"


def test_an_ignored_file_below_a_folder_that_becomes_a_file_survives(
    place: Place, work: Work
) -> None:
    candidate = work.candidate("rm -r docs; echo x > docs")
    keep_verified(work.repository, work.state, "run-1", candidate)
    place.user("echo mine > docs/secret; echo secret >> .git/info/exclude")

    assert "docs/secret would be overwritten" in refused(place, work, candidate).message


def test_a_branch_that_cannot_be_moved_puts_the_files_back(
    place: Place, work: Work, candidate: Candidate
) -> None:
    (place.root / ".git/refs/heads/main.lock").touch()

    assert "refs/heads/main could not be moved" in refused(place, work, candidate).message
    assert place.user("git status --porcelain") == ""


def test_a_same_sized_change_in_the_same_moment_is_seen(
    place: Place, work: Work, candidate: Candidate
) -> None:
    """Git trusts timestamps unless the file is as young as the index."""
    file, index = place.root / "app/main.py", place.root / ".git/index"
    place.user(f"touch -d '2020-01-01 00:00:00' {file}; git update-index --refresh; "
               f"echo neo > {file}; echo owt >> {file}; touch -d '2020-01-01 00:00:00' {file} "
               f"{index}")  # fmt: skip

    assert "app/main.py" in refused(place, work, candidate).message


def test_a_branch_that_another_work_tree_has_too(place: Place, work: Work) -> None:
    place.user("git worktree add -q --force ../linked main")

    with pytest.raises(Conflict, match=r"main is checked out in .*/linked"):
        check_target(work.repository, "current", "", work.base, replaceable=None)


def test_in_a_linked_work_tree(place: Place) -> None:
    place.user("git worktree add -q ../linked -b other")
    linked = Place(place.folder / "run")
    linked.folder.mkdir()
    linked.root = place.folder / "linked"
    work = linked.borrow()
    candidate = work.candidate("echo hello > app/hello")
    keep_verified(work.repository, work.state, "run-1", candidate)
    check_target(work.repository, "current", "", work.base, replaceable=None)

    assert lands(work, candidate).ref == "refs/heads/other"
    assert (linked.root / "app/hello").read_text() == "hello\n"
    assert linked.user("git status --porcelain") == ""
    assert place.user("git rev-parse main") == work.base


def test_a_shallow_clone_of_the_user(place: Place, tmp_path: Path) -> None:
    place.user(f"git clone -q --depth 1 file://{place.root} ../shallow")
    place.root = tmp_path / "shallow"
    work = place.borrow()
    candidate = work.candidate("echo hello > app/hello")
    keep_verified(work.repository, work.state, "run-1", candidate)

    lands(work, candidate)

    assert place.user("git log --format=%s; git status --porcelain") == (
        "TASK-1: Say hello\nfeat: two"
    )


def test_hooks_do_not_run_and_filters_of_the_user_do(place: Place) -> None:
    canary = place.folder / "canary"
    place.user(
        f"""
        git config filter.upper.smudge 'tr a-z A-Z'; git config filter.upper.clean 'tr A-Z a-z'
        echo '*.up filter=upper' > .gitattributes; git add -A; git commit -qm filter
        for hook in post-index-change reference-transaction post-checkout post-merge; do
          printf '#!/bin/sh\\ntouch {canary}\\n' > .git/hooks/$hook; chmod +x .git/hooks/$hook
        done
        """
    )
    work = place.borrow()
    candidate = work.candidate("echo hello > app/hello.up")
    canary.unlink(missing_ok=True)
    keep_verified(work.repository, work.state, "run-1", candidate)

    lands(work, candidate)

    assert not canary.exists()
    assert (place.root / "app/hello.up").read_text() == "HELLO\n"
    assert place.user("git -c core.hooksPath=/dev/null status --porcelain") == ""


def test_a_split_index(place: Place, work: Work, candidate: Candidate) -> None:
    place.user("git config core.splitIndex true; git update-index --split-index")

    lands(work, candidate)

    assert place.user("git status --porcelain") == ""
    assert open_repository(place.root, work.repository.git.environment).changed_paths() == ()


def dies(place: Place, work: Work, candidate: Candidate, script: str = "") -> None:
    """A process that lands writes the files, does what the script says, and dies; its lock is
    removed by somebody who wants to use git."""
    place.user(
        f"""
        cp .git/index .git/agentflow-index-run-1
        GIT_INDEX_FILE=.git/agentflow-index-run-1 git read-tree -m -u {work.base} {candidate.tip}
        {script}
        """
    )


def tidy(place: Place, work: Work, candidate: Candidate) -> str:
    """Land again; return what git says of the work tree then."""
    assert lands(work, candidate) == Landed("refs/heads/main", candidate.tip)
    litter = [each.name for each in (place.root / ".git").iterdir() if "lock" in each.name]
    assert litter + list((place.root / ".git").glob("agentflow-*")) == []
    return place.user("git status --porcelain")


@pytest.mark.parametrize(
    "script",
    [
        "",
        "git checkout -q docs/guide.md app/main.py",
        "printf he > app/hello; printf 'one\ntw' > app/main.py",
        "git checkout -q docs/guide.md; rm app/main.py app/hello",
        "git update-ref refs/heads/main $TIP",
    ],
    ids=[
        "files written",
        "one file written",
        "two files torn",
        "two to be written",
        "branch moved",
    ],
)
def test_a_lock_that_somebody_removed(
    script: str, place: Place, work: Work, candidate: Candidate
) -> None:
    dies(place, work, candidate, script.replace("$TIP", candidate.tip))
    assert tidy(place, work, candidate) == ""
    assert place.user("git rev-parse HEAD") == candidate.tip
    assert place.user("git reflog main | wc -l") == "3"
    assert sorted(picture(place)[2]) == ["app/hello", "app/main.py", "tests/test_main.py"]


def test_what_the_user_did_since_it_landed_stays(
    place: Place, work: Work, candidate: Candidate
) -> None:
    dies(place, work, candidate, f"git update-ref refs/heads/main {candidate.tip}")
    place.user("echo mine >> app/main.py; echo mine > mine; git add mine")
    assert tidy(place, work, candidate) == "M app/main.py\nA  mine"
    assert place.user("tail -1 app/main.py") == "mine"


def test_a_user_who_has_gone_on_from_there_is_left_alone(
    place: Place, work: Work, candidate: Candidate
) -> None:
    dies(place, work, candidate, f"git update-ref refs/heads/main {candidate.tip}; git reset -q")
    place.user("echo mine >> app/main.py; git commit -qam mine; echo more >> app/main.py")
    before = picture(place)
    assert tidy(place, work, candidate) == "M app/main.py"
    assert picture(place)[1:] == before[1:]


def test_an_ignored_file_survives_a_process_that_died_before_it_looked(
    place: Place, work: Work
) -> None:
    place.user("echo out > .git/info/exclude; echo mine > out")
    made = work.candidate("echo theirs > out; git add -f out; git commit -qm out")
    keep_verified(work.repository, work.state, "run-1", made)
    place.user("echo agentflow run-1 > .git/index.lock")
    with pytest.raises(Conflict, match="out would be overwritten and is not in git"):
        lands(work, made)
    assert place.user("cat out; ls .git/index.lock 2>&1 || true").startswith("mine\nls: cannot")
