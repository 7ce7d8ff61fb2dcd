"""The agent's clone: what is in it, what acts on it, what is copied into it."""

import subprocess
from pathlib import Path

import pytest

from agentflow.errors import EnvironmentFailure
from agentflow.workspace.clone import GIT_INSIDE, MAX_DOCUMENT, copy_documents, make_clone
from tests.workspace.place import Place, Work, make_place, shell


def test_it_holds_the_commit_and_only_its_branch(work: Work) -> None:
    files = sorted(
        str(path.relative_to(work.clone.tree))
        for path in work.clone.tree.rglob("*")
        if path.is_file()
    )

    assert files == [".git", "app/main.py", "docs/guide.md", "tests/test_main.py"]
    assert work.agent("git status --porcelain --branch") == "## agentflow/TASK-1"
    assert work.agent("git for-each-ref --format='%(refname)'") == "refs/heads/agentflow/TASK-1"
    assert work.agent("git remote; git log --format=%s") == "feat: two\nfeat: start"
    assert not list((work.clone.git_dir / "objects").glob("??/*")), "objects are borrowed"


def test_host_git_refuses_to_act_in_a_mounted_one(place: Place) -> None:
    repository = place.repository()
    clone = make_clone(
        place.folder / "agent",
        repository,
        repository.object_stores,
        repository.resolve("HEAD"),
        "work",
        mounted=True,
    )

    status = subprocess.run(
        ["git", "status"], cwd=clone.tree, capture_output=True, text=True, check=False
    )
    assert status.returncode == 128
    assert f"not a git repository: {GIT_INSIDE}" in status.stderr
    alternates = clone.git_dir / "objects/info/alternates"
    assert alternates.read_text() == "/run/agentflow/objects/0\n"


def test_nothing_of_the_repository_runs_at_checkout(place: Place) -> None:
    canary = place.folder / "canary"
    place.user(
        f"""
        printf '* filter=evil diff=evil merge=evil\\n' > .gitattributes
        git add -A; git commit -qm attributes
        for program in smudge clean process; do
          git config filter.evil.$program 'touch {canary}; cat'
        done
        git config core.fsmonitor 'touch {canary}; false'
        for hook in post-checkout post-index-change reference-transaction; do
          printf '#!/bin/sh\\ntouch {canary}\\n' > .git/hooks/$hook; chmod +x .git/hooks/$hook
        done
        """
    )
    canary.unlink(missing_ok=True)

    place.borrow()

    assert not canary.exists()
    place.user("rm app/main.py; git checkout -q app/main.py || true")
    assert canary.exists(), "the filter works when git is run with the user's configuration"


def test_pointers_of_large_file_storage_stay_pointers(place: Place) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    (place.root / "big.bin").write_text(pointer)
    place.user(
        "echo '*.bin filter=lfs diff=lfs merge=lfs -text' > .gitattributes; "
        "git -c filter.lfs.clean=cat -c filter.lfs.required=true add -A; git commit -qm lfs"
    )
    work = place.borrow()

    assert (work.clone.tree / "big.bin").read_text() == pointer
    candidate = work.collect("echo x > app/x")
    assert [c.path for commit in candidate.commits for c in commit.changes] == ["app/x"]


def test_a_detached_head_a_linked_tree_and_a_shallow_clone(place: Place) -> None:
    place.user("git checkout -q --detach HEAD~1")
    assert place.borrow().agent("cat app/main.py") == "one"

    place.user("git checkout -q main; git worktree add -q ../linked -b other")
    linked = Place(place.folder / "second")
    linked.folder.mkdir()
    linked.root = place.folder / "linked"
    assert linked.borrow().agent("cat app/main.py") == "one\ntwo"

    shallow = Place(place.folder / "third")
    shallow.folder.mkdir()
    shell(place.folder, f"git clone -q --depth 1 file://{place.root} third/user")
    work = shallow.borrow()
    assert work.agent("git log --format=%s") == "feat: two"
    candidate = work.collect("echo x > app/x; git add -A; git commit -qm x")
    assert (candidate.violations, candidate.files_changed) == ((), 1)


def test_nested_alternates_and_sha256(tmp_path: Path) -> None:
    place = make_place(tmp_path, object_format="sha256")
    shell(tmp_path, "git clone -q --shared user second; git clone -q --shared second third")
    place.root = tmp_path / "third"
    work = place.borrow()

    candidate = work.collect("echo x > app/x; git add -A; git commit -qm x; echo y > app/y")

    assert len(work.base) == 64
    assert len(work.clone.stores) == 3
    assert (len(candidate.commits), candidate.files_changed) == (2, 2)


def test_missing_objects_are_an_environment_failure(place: Place) -> None:
    blob = place.user("git rev-parse HEAD:app/main.py")
    (place.root / f".git/objects/{blob[:2]}/{blob[2:]}").unlink()

    with pytest.raises(EnvironmentFailure, match="cannot check out"):
        place.borrow()


def test_documents_are_copied_and_never_committed(place: Place, work: Work) -> None:
    names = ("docs/plan.md", "a b/!x #[1]*?\\ ", "docs/näme.md")
    for name in names:
        path = place.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("plan\n")

    copied = copy_documents(work.repository, work.clone, names, ignored=(".orchestrator/complete",))

    assert copied == names
    assert (work.clone.tree / "docs/plan.md").read_text() == "plan\n"
    candidate = work.collect(
        "mkdir -p .orchestrator/complete; touch .orchestrator/complete/x docs/plan.mdx 'a b/other'"
        "; git add -A; git commit -qm x"
    )
    paths = [change.path for commit in candidate.commits for change in commit.changes]
    assert paths == ["a b/other", "docs/plan.mdx"]


def test_what_is_not_copied(place: Place, work: Work) -> None:
    secret = place.folder / "secret"
    secret.mkdir()
    (secret / "key").write_text("secret\n")
    (place.root / "link").symlink_to(secret / "key")
    (place.root / "folder").symlink_to(secret)
    (place.root / "large").write_bytes(b"x" * (MAX_DOCUMENT + 1))
    (place.root / "line\nend").write_text("x")
    (place.root / "\udcff").write_text("x")
    (place.root / "docs/guide.md").write_text("mine\n")
    (place.root / "app").rename(place.root / "was-app")
    (place.root / "app/main.py").mkdir(parents=True)
    (place.root / "app/main.py/plan.md").write_text("below a file\n")
    names = (
        "link", "folder/key", "large", "line\nend", "\udcff", "docs", "docs/guide.md", "nothing",
        "app/main.py/plan.md",
    )  # fmt: skip

    assert copy_documents(work.repository, work.clone, names) == ()
    assert work.agent("git status --porcelain") == ""


def test_a_link_of_the_base_leads_no_document_elsewhere(place: Place) -> None:
    outside = place.folder / "outside"
    outside.mkdir()
    place.user(f"ln -s {outside} plans; git add -A; git commit -qm link; rm plans; mkdir plans")
    (place.root / "plans/plan.md").write_text("plan\n")
    work = place.borrow()

    assert copy_documents(work.repository, work.clone, ["plans/plan.md"]) == ()
    assert list(outside.iterdir()) == []


def test_a_document_that_the_base_forces_into_commits_is_left_out(place: Place) -> None:
    place.user("printf '*.log\\n!docs/plan.md\\n' > .gitignore; git add -A; git commit -qm ignore")
    (place.root / "docs/plan.md").write_text("plan\n")
    (place.root / "docs/other.md").write_text("other\n")
    work = place.borrow()

    copied = copy_documents(work.repository, work.clone, ["docs/plan.md", "docs/other.md"])

    assert copied == ("docs/other.md",)
    assert work.agent("git add -A; git status --porcelain") == ""
