"""The user's repository: found, refused, read."""

import os
import sys
from pathlib import Path

import pytest

from agentflow.errors import EnvironmentFailure, UsageError
from agentflow.workspace.repository import open_repository
from tests.needs import need_root
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


def test_a_repository_of_somebody_else_names_what_trusts_it(place: Place) -> None:
    need_root()  # to give a folder away
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


@pytest.mark.parametrize(
    ("settings", "given", "identity"),
    [
        ("", (None, None), ("Ada", "ada@example.com")),
        ("", ("Bot", None), ("Bot", "ada@example.com")),
        ("", (None, "bot@example.com"), ("Ada", "bot@example.com")),
        ("git config --unset user.email", ("Bot", "b@c"), ("Bot", "b@c")),
        ("git config user.name $'Ada\\nSigned-off-by: Eve <e@f>'", (None, None),
         ("AdaSigned-off-by: Eve e@f", "ada@example.com")),
        ("git config user.name 'Ägir, the <1st>.'", (None, None), ("Ägir, the 1st", "ada@example.com")),
    ],
    ids=["git", "name", "email", "both", "line", "brackets"],
)  # fmt: skip
def test_identities(
    place: Place,
    settings: str,
    given: tuple[str | None, str | None],
    identity: tuple[str, str],
) -> None:
    place.user(settings or "true")

    assert place.repository().identity(*given) == identity


def test_a_missing_identity_names_what_sets_it(place: Place) -> None:
    place.user("git config --unset user.email")
    with pytest.raises(EnvironmentFailure, match=r"user\.email is not set") as caught:
        place.repository().identity()
    assert caught.value.hint == "git config --global user.email <your email>"

    place.user("git config user.email ' '; git config --unset user.name")
    with pytest.raises(EnvironmentFailure, match=r"user\.name is not set") as caught:
        place.repository().identity()
    assert "user.name" in caught.value.hint
    assert "user.email" in caught.value.hint


def test_an_identity_that_no_commit_can_hold_is_refused(place: Place) -> None:
    with pytest.raises(EnvironmentFailure, match="cannot stand in a commit"):
        place.repository().identity("<>", "a@b")


NONE: set[str] = set()


@pytest.mark.parametrize(
    ("message", "tasks"),
    [
        ("x\n\nAgentflow-Task: T-1\nAgentflow-Run: r\n", {"T-1"}),
        ("x\n\nFixes: #1\nAgentflow-Task: T-1\nSigned-off-by: a <b@c>\n", {"T-1"}),
        ("x\n\nAgentflow-Task: T-1\nAgentflow-Task: T-2\n", {"T-1", "T-2"}),
        ("x\n\nagentflow-task : T-1\n", NONE),
        ("Agentflow-Task: T-1\n", NONE),
        ("x\n\nAgentflow-Task: T-1\n\nThat is how it would look.\n", NONE),
        ("x\n\nSee this:\nAgentflow-Task: T-1\nand so on\n\nFixes: #1\n", NONE),
        ("x\n\nIt says\nAgentflow-Task: T-1\n", NONE),
        ("x\n\n> Agentflow-Task: T-1\n", NONE),
        ("x\n\nFixes: #1\n Agentflow-Task: T-1\n", NONE),
        ("x\n\nAgentflow-Task: T-9\n T-1\n", {"T-9 T-1"}),
        ("x\n\nAgentflow-Task= T-1\n", NONE),
        ("x\n\nAgentflow-Task:\n", NONE),
    ],
)
def test_only_real_trailers_say_that_a_task_landed(
    place: Place, message: str, tasks: set[str]
) -> None:
    place.user(
        'git commit -q --allow-empty --cleanup=verbatim -m "$MESSAGE"; '
        "git config trailer.separators =; git config grep.patternType fixed",
        MESSAGE=message,
    )

    assert place.repository().landed_tasks("HEAD") == tasks


def test_a_task_that_landed_elsewhere_is_not_in_the_base(place: Place) -> None:
    place.user(
        "git checkout -qb other; git commit -q --allow-empty -m $'x\\n\\nAgentflow-Task: T-1'; "
        "git checkout -q main"
    )

    assert place.repository().landed_tasks("HEAD") == frozenset()
    assert place.repository().landed_tasks("other") == {"T-1"}


def test_links_and_sizes_of_a_commit(place: Place) -> None:
    (place.root / "link").symlink_to("app/main.py")
    place.user("git add -A && git commit -q -m link")
    found = open_repository(place.root, environment(place.folder))
    head = found.resolve("HEAD")

    assert found.links(head) == {"link"}
    assert [found.size(head, path) for path in ("link", "app", "none")] == [11, None, None]
