"""Work that the base holds already: judged as it is, with the commit that brought it."""

from dataclasses import replace

from agentflow.results import Candidate
from agentflow.workspace.git import Git
from agentflow.workspace.objects import commit_at
from agentflow.workspace.recreate import MAX_STAT, deleted, inserted, statistics


def held(state: Git, candidate: Candidate, name: str) -> Candidate:
    """A candidate without a change, with that commit of its base as its work. Base and tip stay: there
    is nothing to land."""
    commit = commit_at(state, name)
    stat = statistics(state, commit.parents[0], name) if commit.parents else ()
    return replace(
        candidate,
        commits=(commit,),
        files_changed=len({change.path for change in commit.changes}),
        insertions=inserted(stat),
        deletions=deleted(stat),
        stat=stat[:MAX_STAT],
    )
