"""Packages: what a change did to the direct dependencies, as git has it."""

from agentflow.dependencies import Difference, Packages, difference, is_manifest, packages
from agentflow.workspace.git import Git
from agentflow.workspace.objects import blobs_at, changes_between, contents


def package_changes(state: Git, base: str, tip: str) -> Difference:
    """What the manifests of two commits say about packages, compared."""
    if not any(is_manifest(change.path) for change in changes_between(state, base, tip)):
        return Difference()
    return difference(_packages_at(state, base), _packages_at(state, tip))


def _packages_at(state: Git, commit: str) -> Packages:
    listing = state.text("ls-tree", "-r", "-z", "--name-only", "--full-tree", commit)
    blobs = blobs_at(state, commit, {path for path in listing.split("\0") if is_manifest(path)})
    texts = contents(state, set(blobs.values()))
    return packages({path: texts[blob] for path, blob in blobs.items()})
