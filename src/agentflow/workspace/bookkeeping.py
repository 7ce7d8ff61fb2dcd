"""Bookkeeping: a commit of agentflow's own, on top of verified ones, that says what became of them."""

from collections.abc import Mapping
from dataclasses import replace

from agentflow.results import Candidate, Commit
from agentflow.workspace.git import Git
from agentflow.workspace.objects import changes_between
from agentflow.workspace.recreate import Authorship, with_trailers
from agentflow.workspace.refs import CANDIDATE, move_ref
from agentflow.workspace.signing import Draft, identity_variables, make_commit
from agentflow.workspace.substitute import with_contents


def bookkeeping_commit(
    git: Git, tip: str, files: Mapping[str, bytes], message: str, authorship: Authorship
) -> Commit | None:
    """Make a child of `tip` in which the files at these paths hold these bytes; no ref names it.

    None if they do already. Raises `EnvironmentFailure` if it cannot be signed as it should, and
    `GitError` for a path that no tree can hold.
    """
    tree = git.text("rev-parse", f"{with_contents(git, tip, files)}^{{tree}}")
    changes = changes_between(git, tip, tree)
    if not changes:
        return None
    text = with_trailers(message, authorship.trailers)
    identity = identity_variables(authorship.name, authorship.email, authorship.seconds)
    name = make_commit(git, Draft(tree, (tip,), text, identity), authorship.signing)
    return Commit(name, tree, (tip,), text, changes)


def with_bookkeeping(
    state: Git,
    candidate: Candidate,
    files: Mapping[str, bytes],
    message: str,
    authorship: Authorship,
) -> Candidate:
    """The candidate with a bookkeeping commit on top, so that both land at once."""
    commit = bookkeeping_commit(state, candidate.tip, files, message, authorship)
    if commit is None:
        return candidate
    move_ref(state.directory, CANDIDATE, commit.sha)
    return replace(candidate, tip=commit.sha, commits=(*candidate.commits, commit))
