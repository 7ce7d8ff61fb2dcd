"""Landing many branches on one, beside `git merge` of the same branches one after another.

`python benchmarks/landing.py [--branches 64] [--files 2000]`. Both make a merge commit for each
branch; git in a work tree, agentflow in the object store. Measured are the merges of `workspace/combine`
alone: a landing also takes the branch's lock, runs all gates on the merge and swaps the ref, and gates are
most of its time.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Run as a script: its own folder is on the path.
from spine import MEMORY  # pyright: ignore[reportImplicitRelativeImport]

from agentflow.workspace.combine import merge_commit, merge_trees
from agentflow.workspace.git import isolated
from agentflow.workspace.recreate import Authorship

AUTHOR = Authorship("Ada", "ada@example.com", 1_760_000_000, (), "")


def git(root: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout


def make(root: Path, branches: int, files: int) -> None:
    """A repository with so many branches that each add to a folder of their own."""
    for number in range(files):
        path = root / f"part{number % branches:03d}" / f"module{number:05d}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"value = {number}\n", "utf-8")
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "-m", "start")
    for number in range(branches):
        git(root, "checkout", "--quiet", "-b", f"task{number}", "main")
        (root / f"part{number:03d}" / "new.py").write_text("new = True\n", "utf-8")
        git(root, "add", "--all")
        git(root, "commit", "--quiet", "-m", f"task {number}")
    git(root, "branch", "--quiet", "ours", "main")
    git(root, "checkout", "--quiet", "main")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--branches", type=int, default=64)
    parser.add_argument("--files", type=int, default=2000)
    given = parser.parse_args()
    where = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="agentflow-bench-", dir=where) as name:
        root = Path(name)
        make(root, given.branches, given.files)
        started = time.monotonic()
        for number in range(given.branches):
            git(root, "merge", "--quiet", "--no-ff", "-m", f"Merge task{number}", f"task{number}")
        theirs = time.monotonic() - started
        store = isolated(root)
        started = time.monotonic()
        for number in range(given.branches):
            onto = store.text("rev-parse", "refs/heads/ours")
            tip = store.text("rev-parse", f"refs/heads/task{number}")
            merge = merge_trees(store, onto, tip)
            made = merge_commit(store, onto, tip, merge.tree, f"Merge task{number}", AUTHOR)
            store.run("update-ref", "refs/heads/ours", made, onto)
        mine = time.monotonic() - started
        if git(root, "rev-parse", "main^{tree}") != git(root, "rev-parse", "ours^{tree}"):
            sys.exit("the two branches are not the same")
    print(
        f"{given.branches} branches, {given.files} files: git merge {theirs:.2f} s, "
        f"agentflow {mine:.2f} s, ratio {mine / theirs:.2f}"
    )


if __name__ == "__main__":
    main()
