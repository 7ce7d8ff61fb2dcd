"""The user's repository: found, refused, read."""

import os
import sys
from pathlib import Path

import pytest

from agentflow.errors import UsageError
from agentflow.workspace.repository import open_repository
from tests.workspace.place import Place, make_place, shell


def environment(folder: Path, **more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(folder), **more}


def test_it_is_found_from_a_folder_of_it(place: Place) -> None:
    found = open_repository(place.root / "app", environment(place.folder))

    assert (found.root, found.git_dir, found.common_dir) == (
        place.root,
        place.root / ".git",
        place.root / ".git",
    )
    assert found.object_format == "sha1"
    assert found.object_stores == (place.root / ".git/objects",)
    assert found.paths(found.resolve("HEAD")) == {
        "app/main.py",
        "docs/guide.md",
        "tests/test_main.py",
    }
    assert found.identity() == ("Ada", "ada@example.com")


def test_a_folder_outside_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not inside a git work tree") as caught:
        open_repository(tmp_path, environment(tmp_path, GIT_CEILING_DIRECTORIES="/"))
    assert "Run agentflow in the repository" in caught.value.hint


def test_a_bare_repository_is_refused(place: Place) -> None:
    shell(place.folder, "git clone -q --bare user bare.git")

    with pytest.raises(UsageError, match="is not inside a git work tree"):
        open_repository(place.folder / "bare.git", environment(place.folder))


def test_no_commits_are_refused(tmp_path: Path) -> None:
    shell(tmp_path, "git init -q .")

    with pytest.raises(UsageError, match="has no commits yet"):
        open_repository(tmp_path, environment(tmp_path))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_repository_of_somebody_else_names_what_trusts_it(place: Place) -> None:
    os.chown(place.root, 12345, 12345)
    os.chown(place.root / ".git", 12345, 12345)

    with pytest.raises(UsageError, match="dubious ownership") as caught:
        place.repository()
    assert "\n" not in caught.value.message
    assert caught.value.hint == (
        f"If you trust it: git config --global --add safe.directory {place.root}"
    )


def test_a_linked_work_tree_shares_the_objects(place: Place) -> None:
    place.user("git worktree add -q ../linked -b other")

    found = open_repository(place.folder / "linked", environment(place.folder))

    assert found.root == place.folder / "linked"
    assert found.git_dir == place.root / ".git/worktrees/linked"
    assert found.common_dir == place.root / ".git"
    assert found.object_stores == (place.root / ".git/objects",)


def test_a_calling_hooks_variables_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    mine, other = make_place(tmp_path / "a"), make_place(tmp_path / "b")
    hook = {
        "GIT_DIR": str(other.root / ".git"),
        "GIT_WORK_TREE": str(other.root),
        "GIT_INDEX_FILE": str(other.root / ".git/index"),
    }

    found = open_repository(mine.root, environment(tmp_path, **hook))

    assert found.root == mine.root
    assert found.git_dir == mine.root / ".git"


def test_our_own_environments_git_variables_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    mine, other = make_place(tmp_path / "a"), make_place(tmp_path / "b")
    program = (
        "import os, sys, pathlib; from agentflow.workspace.repository import open_repository;"
        "print(open_repository(pathlib.Path(sys.argv[1]), dict(os.environ)).git_dir)"
    )

    printed = shell(
        tmp_path,
        f'"$PYTHON" -c "{program}" {mine.root}',
        GIT_DIR=str(other.root / ".git"),
        PYTHON=sys.executable,
    )

    assert printed == str(mine.root / ".git")


def test_alternates_are_followed_to_the_end(place: Place) -> None:
    shell(place.folder, "git clone -q --shared user second; git clone -q --shared second third")
    alternates = place.folder / "third/.git/objects/info/alternates"
    alternates.write_text(f"# a comment\n\n../../../second/.git/objects\n{place.folder}/gone\n")

    found = open_repository(place.folder / "third", environment(place.folder))

    assert found.object_stores == tuple(
        place.folder / name / ".git/objects" for name in ("third", "second", "user")
    )


def test_revisions(place: Place) -> None:
    repository = place.repository()
    first = place.user("git rev-parse HEAD~1")

    assert repository.resolve("HEAD~1") == first
    for unknown in ("nothing", "--all", "HEAD:app/main.py", ""):
        with pytest.raises(UsageError, match="there is no commit"):
            repository.resolve(unknown)


def test_files_are_read_as_of_a_commit(place: Place) -> None:
    repository = place.repository()
    (place.root / "app/main.py").write_text("changed\n")

    assert repository.read("HEAD", "app/main.py") == "one\ntwo\n"
    assert repository.read("HEAD", "app/none.py") is None
    assert repository.read("HEAD", "app") is None


def test_what_is_changed_and_untracked(place: Place) -> None:
    (place.root / "app/main.py").write_text("changed\n")
    (place.root / "app/naïve [x].py").write_text("new\n")
    (place.root / "app/naïve x.py").write_text("new\n")
    (place.root / ".gitignore").write_text("*.log\n")
    (place.root / "app/debug.log").write_text("ignored\n")
    repository = place.repository()

    assert repository.changed_paths() == ("app/main.py",)
    untracked = {"app/naïve [x].py", "app/naïve x.py"}
    assert set(repository.untracked_paths("app")) == untracked
    assert repository.untracked_paths("app/naïve [x].py") == ("app/naïve [x].py",)
    assert repository.untracked_paths(":(top)") == ()


def test_a_folder_that_poses_as_a_repository_runs_nothing(place: Place) -> None:
    canary = place.folder / "canary"
    shell(place.root, "git init -q --bare evil && echo '* filter=x' > .gitattributes")
    shell(place.root, f"git -C evil config core.worktree {place.root}")
    shell(
        place.root,
        f"git -C evil config core.bare false && git -C evil config filter.x.clean 'touch {canary}'",
    )
    with pytest.raises(UsageError, match="cannot use bare repository"):
        open_repository(place.root / "evil", environment(place.folder))
    assert not canary.exists()


def test_replaced_objects_are_not_seen(place: Place) -> None:
    place.user("git replace HEAD HEAD~1")

    assert place.repository().read("HEAD", "app/main.py") == "one\ntwo\n"


def test_an_identity_of_our_own_if_there_is_none(place: Place) -> None:
    place.user("git config --unset user.email")

    assert place.repository().identity() == ("agentflow", "agentflow@localhost")
