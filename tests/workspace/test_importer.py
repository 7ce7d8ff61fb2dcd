"""The import: what of the agent's commits is taken, and what is refused."""

import pytest

from agentflow.results import Candidate
from agentflow.workspace.importer import MAX_BLOB, MAX_CHANGES, MAX_COMMIT, MAX_COMMITS, MAX_TOTAL
from tests.workspace.place import Place, Work

COMMIT = "git add -A; git commit -qm work"
BLOB = "blob=$(echo evil | git hash-object -w --stdin)"


def reasons(candidate: Candidate) -> list[str]:
    """The violations without the commit's name."""
    assert (candidate.tip, candidate.commits, candidate.claimed) == (candidate.base, (), {})
    return [violation.partition("): ")[2] or violation for violation in candidate.violations]


def test_a_commit_is_taken_with_our_identity(work: Work) -> None:
    candidate = work.collect(
        """
        echo three >> app/main.py; echo new > app/new.py; rm docs/guide.md; git add -A
        GIT_AUTHOR_DATE='2001-01-01 00:00:00 +0500' git commit -qm "$(printf 'feat: x\\n\\nbody')"
        """
    )

    assert candidate.violations == ()
    assert (candidate.files_changed, candidate.insertions, candidate.deletions) == (3, 2, 1)
    assert [(c.status, c.path) for c in candidate.commits[0].changes] == [
        ("M", "app/main.py"),
        ("A", "app/new.py"),
        ("D", "docs/guide.md"),
    ]
    claimed = work.agent("git rev-parse HEAD")
    assert candidate.claimed == {claimed: candidate.tip}
    assert work.state.text("rev-parse", "refs/agentflow/candidate") == candidate.tip
    tree, identity, message = (
        work.state.text("cat-file", "commit", candidate.tip).split("\n", 1)[0],
        *work.state.text("cat-file", "commit", candidate.tip).split("\n", 2)[2].split("\n\n", 1),
    )
    assert tree == f"tree {work.agent('git rev-parse HEAD^{tree}')}"
    assert identity.splitlines() == [
        "author Ada <ada@example.com> 1750000000 +0000",
        "committer Ada <ada@example.com> 1750000000 +0000",
    ]
    assert message == (
        "feat: x\n\nbody\n\n"
        "Agentflow-Task: TASK-1\nAgentflow-Run: TASK-1-x\nAssisted-by: agentflow:m"
    )


def test_the_same_work_makes_the_same_commits(place: Place, work: Work) -> None:
    script = "echo x > app/x; git add -A; git commit -qm x; echo y > app/y"
    first = work.collect(script)
    again = Place(place.folder / "again")
    again.folder.mkdir()
    again.root = place.root

    second = again.borrow().collect(script)

    assert second.tip == first.tip
    assert len(first.commits) == 2


def test_nothing_done_is_an_empty_candidate(work: Work) -> None:
    assert work.collect() == Candidate(work.base, work.base)


def test_a_rest_is_committed_for_the_agent(work: Work) -> None:
    candidate = work.collect("echo x > app/x; git add -A; git commit -qm mine; echo y > app/y")

    assert [commit.subject for commit in candidate.commits] == ["mine", "TASK-1: Say hello"]
    assert list(candidate.claimed.values()) == [candidate.commits[0].sha]
    assert candidate.commits[1].parents == (candidate.commits[0].sha,)
    assert candidate.leftovers == ()


def test_a_rest_of_an_agent_that_should_commit_is_named(work: Work) -> None:
    candidate = work.collect(
        "echo x > app/x; git add -A; git commit -qm mine; echo y > app/y; rm docs/guide.md",
        commits="agent",
    )

    assert [commit.subject for commit in candidate.commits] == ["mine"]
    assert candidate.leftovers == ("app/y", "docs/guide.md")


def test_a_rest_where_nothing_should_change_is_seen(work: Work) -> None:
    candidate = work.collect("echo x > app/x", commits="none")

    assert candidate.files_changed == 1


def test_empty_commits_are_kept_and_change_nothing(work: Work) -> None:
    candidate = work.collect("git commit -q --allow-empty -m one; git commit -q --allow-empty -m 2")

    assert (len(candidate.commits), candidate.files_changed) == (2, 0)


@pytest.mark.parametrize(
    "script",
    [
        "echo x > app/x; git checkout -q --detach; git add -A; git commit -qm x",
        "git checkout -qb other; echo x > app/x; git add -A; git commit -qm x",
        "echo x > app/x; touch \"$(git rev-parse --git-dir)/index.lock\"",
        "echo x > app/x; git add -A; git update-index --assume-unchanged app/x; git stash -q; "
        "git stash pop -q",
        "git sparse-checkout set app; echo x > app/x",
        "git config core.fileMode false; echo x > app/x",
    ],
    ids=["detached", "other-branch", "index-locked", "stash", "sparse", "file-mode"],
)  # fmt: skip
def test_the_state_of_the_agents_clone_does_not_matter(work: Work, script: str) -> None:
    candidate = work.collect(script)

    changes = [change for commit in candidate.commits for change in commit.changes]
    assert candidate.violations == ()
    assert [(change.status, change.path) for change in changes] == [("A", "app/x")]


def test_assume_unchanged_hides_nothing(work: Work) -> None:
    candidate = work.collect(
        "git update-index --assume-unchanged app/main.py; git update-index --skip-worktree "
        "docs/guide.md; echo bad >> app/main.py; echo bad >> docs/guide.md"
    )

    assert [c.path for c in candidate.commits[0].changes] == ["app/main.py", "docs/guide.md"]


def test_amid_a_merge_the_files_are_taken_as_they_lie(work: Work) -> None:
    candidate = work.collect(
        """
        git checkout -qb side; echo side > app/main.py; git commit -qam side
        git checkout -q agentflow/TASK-1; echo main > app/main.py; git commit -qam main
        git merge -q side || true
        """
    )

    assert [commit.subject for commit in candidate.commits] == ["main", "TASK-1: Say hello"]
    assert "<<<<<<<" in work.state.text("cat-file", "blob", f"{candidate.tip}:app/main.py")


def test_amid_a_rebase_only_what_head_holds_is_taken(work: Work) -> None:
    candidate = work.collect(
        """
        echo a > app/a; git add -A; git commit -qm a; echo b > app/b; git add -A; git commit -qm b
        GIT_SEQUENCE_EDITOR="sed -i '1s/pick/edit/'" git rebase -q -i HEAD~2
        """
    )

    assert [commit.subject for commit in candidate.commits] == ["a"]


def test_a_merge_is_re_created_as_a_merge(work: Work) -> None:
    candidate = work.collect(
        """
        git checkout -qb side; echo side > app/side; git add -A; git commit -qm side
        git checkout -q agentflow/TASK-1; echo x > app/x; git add -A; git commit -qm x
        git merge -q --no-ff -m merge side
        """
    )

    *sides, merge = candidate.commits
    assert merge.subject == "merge"
    assert sorted(merge.parents) == sorted(commit.sha for commit in sides)
    assert {change.path for change in merge.changes} == {"app/side", "app/x"}
    assert set(candidate.claimed.values()) == {commit.sha for commit in candidate.commits}
    assert candidate.files_changed == 2


def test_a_merge_that_changes_by_itself_is_walked(work: Work) -> None:
    candidate = work.collect(
        """
        git checkout -qb side; echo side > app/side; git add -A; git commit -qm side
        git checkout -q agentflow/TASK-1; echo x > app/x; git add -A; git commit -qm x
        git merge -q --no-ff --no-commit side; echo evil > docs/guide.md; git add -A
        git commit -qm merge
        git checkout -q HEAD~1 -- docs/guide.md; git commit -qm 'restore'
        """,
        allow=("app/**",),
    )

    assert "M docs/guide.md: outside the allowed paths" in reasons(candidate)


@pytest.mark.parametrize(
    "script",
    [
        "echo bad > docs/guide.md; git commit -qam bad; git revert --no-edit HEAD -q || "
        "git revert --no-edit HEAD",
        f"{BLOB}; git update-index --cacheinfo 100644,$blob,docs/guide.md; git commit -qm bad; "
        "git reset -q --hard HEAD",
        "git mv docs/guide.md app/guide.md; git commit -qm moved",
        "chmod +x docs/guide.md; git commit -qam mode",
        "rm docs/guide.md; mkdir docs/guide.md; echo x > docs/guide.md/x",
        "echo bad > docs/guide.md",
        "git mv app App",
    ],
    ids=["reverted", "plumbing", "renamed", "mode", "folder", "uncommitted", "case"],
)  # fmt: skip
def test_what_lies_outside_is_refused(work: Work, script: str) -> None:
    candidate = work.collect(script, allow=("app/**",))

    assert any("outside the allowed paths" in reason for reason in reasons(candidate))


def test_a_violation_names_commit_status_and_path(work: Work) -> None:
    candidate = work.collect(
        "rm docs/guide.md; git commit -qam 'docs: away'; echo x > tests/new.py",
        allow=("app/**", "tests/**"),
        deny=("tests/new.py",),
    )

    claimed = work.agent("git rev-parse HEAD")[:12]
    assert candidate.violations == (
        f"{claimed} (docs: away): D docs/guide.md: outside the allowed paths",
        "uncommitted: A tests/new.py: denied by tests/new.py",
    )


@pytest.mark.parametrize(
    "path",
    [
        ".gitattributes", "app/.gitattributes", "app/.vscode/tasks.json", "app/.envrc",
        ".github/workflows/x.yml", "app/deep/CLAUDE.md", ".orchestrator/config.toml", ".gitmodules",
        "app/.husky/pre-commit",
    ],
)  # fmt: skip
def test_protected_files_are_refused_at_any_depth(work: Work, path: str) -> None:
    candidate = work.collect(f"mkdir -p $(dirname {path}); echo x > {path}; {COMMIT}")

    assert (
        [r for r in reasons(candidate) if "protected" in r]
        == [r for r in reasons(candidate) if f"A {path}: protected" in r]
        != []
    )


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("git update-ref HEAD $(git commit-tree HEAD^{tree} -m orphan)", "history was rewritten"),
        ("git commit -q --amend -m other", "history was rewritten"),
        ("git reset -q --hard HEAD~1", "history was rewritten"),
        ("git update-index --add --cacheinfo 160000,$(git rev-parse HEAD),app/sub; "
         "git commit -qm sub; mkdir app/sub", "submodule or a nested repository"),
        ("git init -q app/sub; cd app/sub; git commit -q --allow-empty -m x",
         "submodule or a nested repository"),
        (f"ln -s /etc/passwd app/l; {COMMIT}", "leaves the repository (/etc/passwd)"),
        (f"ln -s ../../outside app/l; {COMMIT}", "leaves the repository"),
        (f"ln -s ../.git app/l; {COMMIT}", "leaves the repository"),
        (f"ln -s ../.GIT/config app/l; {COMMIT}", "leaves the repository"),
        (f"ln -s .. app/up; ln -s up/../x app/l; {COMMIT}", "leaves the repository (up/../x)"),
        (f"ln -s $(printf '%05000d' 0) app/l 2>/dev/null || {BLOB.replace('echo evil', 'printf %05000d 0')}"
         "; git update-index --add --cacheinfo 120000,$blob,app/l; git commit -qm l; touch app/l",
         "has 5000 bytes; at most 4096"),
        (f"touch $'app/a\\nb'; {COMMIT}", "control, direction or undecodable"),
        (f"touch $'app/\\xe2\\x80\\xaegpj.py'; {COMMIT}", "control, direction or undecodable"),
        (f"touch $'app/\\xff'; {COMMIT}", "control, direction or undecodable"),
        (f"truncate -s {MAX_BLOB + 1} app/big; {COMMIT}", f"has {MAX_BLOB + 1} bytes"),
    ],
)  # fmt: skip
def test_what_may_not_be_in_a_commit_is_refused(work: Work, script: str, reason: str) -> None:
    (found, *_) = [r for r in reasons(work.collect(script)) if reason in r]

    assert found.isprintable()


def test_links_lead_only_to_what_the_task_may_change(work: Work) -> None:
    script = "ln -s ../docs/guide.md app/l; ln -s main.py app/m; ln -s ../app app/n"

    candidate = work.collect(f"{script}; {COMMIT}", allow=("app/**",))

    assert reasons(candidate) == ["A app/l: is a link to docs/guide.md: outside the allowed paths"]
    assert work.collect("true").violations == ()


def test_caps(work: Work) -> None:
    many = f"for i in $(seq {MAX_CHANGES + 1}); do : > app/$i; done; {COMMIT}"
    (reason,) = reasons(work.collect(many))
    assert reason == f"{MAX_CHANGES + 1} paths changed in all commits; at most 5000 are taken"

    reset = "git reset -q --hard HEAD~1"
    number = MAX_TOTAL // MAX_BLOB + 1
    large = (
        f"for i in $(seq {number}); do truncate -s {MAX_BLOB - 100} app/$i; echo $i >> app/$i; done"
    )
    (reason,) = reasons(work.collect(f"{reset}; {large}; {COMMIT}"))
    assert reason.endswith(f"bytes changed; at most {MAX_TOTAL} are taken")

    commits = (
        f"{reset}; for i in $(seq {MAX_COMMITS + 1}); do printf 'commit refs/heads/many\\n"
        f"committer a <a@b> 1 +0000\\ndata 1\\nx\\n'; [ $i != 1 ] || printf 'from {work.base}\\n';"
        " done | git fast-import --quiet; git reset -q --hard many"
    )
    (reason,) = reasons(work.collect(commits))
    assert reason == "201 commits; at most 200 are taken"

    message = f"head -c {MAX_COMMIT + 1} /dev/zero | tr '\\0' x | git commit -qF -"
    (reason,) = reasons(
        work.collect(f"git reset -q --hard {work.base}; echo x > app/x; git add -A; {message}")
    )
    assert reason == f"a commit's message is longer than {MAX_COMMIT} bytes"


def test_violations_are_listed_up_to_a_number(work: Work) -> None:
    candidate = work.collect(
        f"for i in $(seq 60); do touch docs/$i; done; {COMMIT}", allow=("app",)
    )

    assert len(candidate.violations) == 51
    assert candidate.violations[-1] == "and 10 more"


def test_unrelated_history_is_walked_from_its_root(work: Work) -> None:
    script = (
        "git checkout -q --orphan other; git rm -rfq .; mkdir -p docs; echo evil > docs/evil; "
        "git add -A; git commit -qm evil; git rm -q docs/evil; git commit -qm away --allow-empty;"
        "git checkout -q agentflow/TASK-1; git merge -q --allow-unrelated-histories -m m other"
    )

    candidate = work.collect(script, allow=("app/**",))

    assert "A docs/evil: outside the allowed paths" in reasons(candidate)


def test_submodules_of_the_base_may_stay_but_not_move(place: Place) -> None:
    place.user(
        "git update-index --add --cacheinfo 160000,$(git rev-parse HEAD~1),lib; git commit -qm sub"
    )
    work = place.borrow()

    assert work.collect("echo x > app/x").files_changed == 1

    move = "git update-index --cacheinfo 160000,$(git rev-parse HEAD),lib; git commit -qm move"
    assert reasons(work.collect(move)) == ["M lib: is a submodule or a nested repository"]


def test_a_file_in_place_of_a_folder_and_modes(work: Work) -> None:
    candidate = work.collect(
        f"rm -r docs; echo file > docs; rm app/main.py; mkdir app/main.py; echo x > app/main.py/x; "
        f"chmod +x tests/test_main.py; {COMMIT}"
    )

    assert [(c.status, c.path, c.mode) for c in candidate.commits[0].changes] == [
        ("D", "app/main.py", "000000"),
        ("A", "app/main.py/x", "100644"),
        ("A", "docs", "100644"),
        ("D", "docs/guide.md", "000000"),
        ("M", "tests/test_main.py", "100755"),
    ]


def test_two_hundred_commits(work: Work) -> None:
    candidate = work.collect(
        f"HEAD={work.base}; for i in $(seq {MAX_COMMITS}); do printf 'commit refs/heads/agentflow/TASK-1\\n"
        "committer a <a@b> %d +0000\\ndata 1\\nx\\n' $i; [ $i != 1 ] || printf 'from %s\\n' $HEAD;"
        " printf 'M 644 inline app/x\\ndata 4\\n%04d\\n' $i; done | git fast-import --quiet;"
        " git reset -q --hard"
    )

    assert (len(candidate.commits), candidate.files_changed) == (MAX_COMMITS, 1)
    assert candidate.commits[-1].parents == (candidate.commits[-2].sha,)
