"""Substitution: the same commit with other contents of some files."""

import pytest

from agentflow.workspace.git import GitError
from agentflow.workspace.substitute import with_contents
from tests.workspace.place import Work


def entries(work: Work, commit: str) -> dict[str, str]:
    listing = work.state.text("ls-tree", "-r", "-z", commit).rstrip("\0")
    return {
        path: meta.split()[0] for meta, path in (row.split("\t", 1) for row in listing.split("\0"))
    }


def content(work: Work, commit: str, path: str) -> bytes:
    return work.state.run("cat-file", "blob", f"{commit}:{path}")


def test_files_get_other_contents_and_keep_their_modes(work: Work) -> None:
    tip = work.candidate(
        "echo x > 'app/[id] ü.sh'; chmod +x 'app/[id] ü.sh'; ln -s main.py app/link"
    ).tip
    files = {
        "app/[id] ü.sh": b"changed\0\xff",
        "app/link": b"a file now",
        "new/deep/package.json": b"{}\r\n",
    }

    made = with_contents(work.state, tip, files)

    assert {path: content(work, made, path) for path in files} == files
    assert entries(work, made) == {
        **entries(work, tip),
        "app/link": "100644",
        "new/deep/package.json": "100644",
    }
    assert entries(work, made)["app/[id] ü.sh"] == "100755"
    assert work.state.text("rev-parse", f"{made}^") == tip
    assert with_contents(work.state, tip, files) == made
    assert made not in work.state.text("for-each-ref")


def test_a_file_takes_the_place_of_a_folder_and_the_other_way_round(work: Work) -> None:
    made = with_contents(work.state, work.base, {"docs": b"1", "app/main.py/x": b"2"})

    assert sorted(entries(work, made)) == ["app/main.py/x", "docs", "tests/test_main.py"]


def test_nothing_to_replace_is_the_same_tree(work: Work) -> None:
    made = with_contents(work.state, work.base, {})

    assert work.state.text("rev-parse", f"{made}^{{tree}}") == work.state.text(
        "rev-parse", f"{work.base}^{{tree}}"
    )


@pytest.mark.parametrize("path", ["../out", ".git/config", "a//b", "/etc/passwd"])
def test_paths_that_no_tree_holds_are_refused(work: Work, path: str) -> None:
    with pytest.raises(GitError):
        with_contents(work.state, work.base, {path: b"x"})
