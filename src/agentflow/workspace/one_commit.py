"""One commit: what an agent committed in several steps becomes one step from the base."""

from collections.abc import Collection
from dataclasses import replace

from agentflow.results import Candidate, Commit
from agentflow.workspace.git import Git
from agentflow.workspace.objects import changes_between
from agentflow.workspace.recreate import Authorship, recreate, with_files_of
from agentflow.workspace.refs import CANDIDATE, move_ref


def one_commit(
    state: Git,
    candidate: Candidate,
    message: str,
    without: Collection[str],
    authorship: Authorship,
) -> Candidate:
    """The candidate with one commit, in which the files at the paths `without` are the base's.

    A single commit keeps its message; several get `message`. A candidate in which nothing else
    was changed has no commit afterwards, and one with violations stays as it is.
    """
    if not candidate.commits:
        return candidate
    base, tip = candidate.base, candidate.tip
    changed = {change.path for change in changes_between(state, base, tip)}
    dropped = sorted(changed.intersection(without))
    if len(candidate.commits) == 1 and not dropped:
        return candidate
    kept = with_files_of(state, tip, base, dropped) if dropped else tip
    tree = state.text("rev-parse", f"{kept}^{{tree}}")
    changes = changes_between(state, base, tree)
    if not changes:
        move_ref(state.directory, CANDIDATE, base)
        return Candidate(base, base, leftovers=candidate.leftovers, dropped=tuple(dropped))
    single = candidate.commits[0] if len(candidate.commits) == 1 else None
    step = Commit("", tree, (base,), single.message if single else message, changes)
    made = recreate(state, base, [step], candidate.leftovers, authorship)
    several = len(candidate.commits) if single is None else 0
    claimed = dict.fromkeys(candidate.claimed, made.tip)
    return replace(made, claimed=claimed, squashed=several, dropped=tuple(dropped))
