"""Combining: merges that are made in memory, with no work tree and no index."""

from collections.abc import Sequence

from agentflow.errors import Conflict
from agentflow.frozen import record
from agentflow.workspace.git import Git, GitError, isolated
from agentflow.workspace.objects import blobs_at, contents
from agentflow.workspace.recreate import Authorship, with_trailers
from agentflow.workspace.repository import Repository
from agentflow.workspace.signing import Draft, identity_variables, make_commit

SHOWN_FILES = 5
SHOWN_CHARACTERS = 8_000
"""Of one file with conflicts, and of a difference, that a message shows."""


@record
class Merge:
    """Two commits in one tree."""

    tree: str
    conflicts: tuple[str, ...] = ()
    """Paths that git could not merge; the tree then holds both sides of them."""


def merge_trees(git: Git, ours: str, theirs: str) -> Merge:
    """Merge two commits without touching anything but the object store.

    Raises `GitError` for commits that have no common ancestor.
    """
    arguments = ("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", ours, theirs)
    try:
        output = git.run(*arguments)
    except GitError as error:
        if error.code != 1 or not error.output:
            raise
        output = error.output
    tree, *paths = output.decode("utf-8", "surrogateescape").split("\0")
    return Merge(tree, tuple(path for path in paths if path))


def merge_commit(
    git: Git, ours: str, theirs: str, tree: str, message: str, authorship: Authorship
) -> str:
    """Make a merge of two commits; return its name. No ref names it.

    Raises `EnvironmentFailure` if it cannot be signed as it should.
    """
    identity = identity_variables(authorship.name, authorship.email, authorship.seconds)
    text = with_trailers(message, authorship.trailers)
    return make_commit(git, Draft(tree, (ours, theirs), text, identity), authorship.signing)


def both_sides(git: Git, merge: Merge, base: str, tip: str) -> str:
    """What somebody needs who joins two changes by hand: the files with both sides of each
    conflict, and what `tip` changed since `base`."""
    shown = merge.conflicts[:SHOWN_FILES]
    blobs = blobs_at(git, merge.tree, shown)
    texts = contents(git, blobs.values())
    parts = [
        f"`{path}`, with both sides:\n\n{_fenced(texts[blobs[path]].decode('utf-8', 'replace'))}"
        for path in shown
        if path in blobs
    ]
    left = len(merge.conflicts) - len(shown)
    parts += [f"and {left} more: {', '.join(merge.conflicts[SHOWN_FILES:])}"] if left else []
    return "\n\n".join((*parts, f"Your change:\n\n{_fenced(difference(git, base, tip))}"))


def difference(git: Git, base: str, tip: str) -> str:
    """What one commit changes against another, as git shows it to everybody."""
    shown = git.run("diff-tree", "-p", "--no-color", "--no-ext-diff", "--no-textconv", base, tip)
    return shown.decode("utf-8", "replace")


def _fenced(text: str) -> str:
    """The text, bounded, in a fence that it cannot close."""
    cut = text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}\n[cut]"
    fence = "```"
    while fence in cut:
        fence += "`"
    return f"{fence}\n{cut.rstrip()}\n{fence}"


def common_base(repository: Repository, tips: Sequence[str], names: Sequence[str]) -> str:
    """The commit that contains all tips: one of them, or a merge that is made here.

    The same tips make the same commit; no ref names it. `names` say whose the tips are. Raises
    `Conflict` if two of them cannot be merged.
    """
    git = isolated(repository.git_dir)
    name, email = repository.identity()
    made = tips[0]
    for number, tip in enumerate(tips[1:], 1):
        if git.succeeds("merge-base", "--is-ancestor", tip, made):
            continue
        if git.succeeds("merge-base", "--is-ancestor", made, tip):
            made = tip
            continue
        merge = merge_trees(git, made, tip)
        before = " and ".join(names[:number])
        if merge.conflicts:
            raise Conflict(
                f"{names[number]} conflicts with {before} in {merge.conflicts[0]}",
                hint="Merge their branches by hand, and give the merge as --base.",
            )
        dates = git.text("show", "--no-patch", "--format=%ct", made, tip).split()
        author = Authorship(name, email, max(map(int, dates)), (), "")
        made = merge_commit(
            git, made, tip, merge.tree, f"Merge {names[number]} with {before}", author
        )
    return made
