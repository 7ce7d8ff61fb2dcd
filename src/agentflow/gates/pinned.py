"""Pinned manifests: the dependencies are the change's, scripts and test configuration the base's."""

import posixpath

from agentflow.manifests import FORMATS, with_scripts_of
from agentflow.workspace.git import Git
from agentflow.workspace.objects import blobs_at, changes_between, contents


def pinned_manifests(state: Git, base: str, tip: str) -> dict[str, bytes]:
    """What the manifests that changed between two commits must hold to judge by the base's words.

    A path is named only if its content is another one than at `tip`.
    """
    changed = [
        change
        for change in changes_between(state, base, tip)
        if posixpath.basename(change.path) in FORMATS and change.mode.startswith("100")
    ]
    if not changed:
        return {}
    old = blobs_at(state, base, {change.path for change in changed if change.status != "A"})
    texts = contents(state, {*old.values(), *(change.blob for change in changed)})
    merged = {
        change.path: with_scripts_of(
            change.path,
            texts[old[change.path]] if change.path in old else None,
            texts[change.blob],
        )
        for change in changed
    }
    return {path: content for path, content in merged.items() if content is not None}
