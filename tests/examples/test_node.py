"""The npm workspace by itself: installed from the registry, green, red, changed."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.examples.example import Change, Example, build
from tests.examples.node import NODE
from tests.examples.outside import passes, shell
from tests.examples.registry import Registry
from tests.needs import need

GATES = "npm run typecheck && npm run lint && npm test"


@pytest.fixture
def workspace(tmp_path: Path, registry: Registry) -> Iterator[Example]:
    """The workspace, not yet installed; what gets installed is deleted, it is large."""
    need("node", "npm")
    example = build(NODE, tmp_path, host=registry.host)
    yield example
    shutil.rmtree(example.root / "node_modules", ignore_errors=True)


def test_the_workspace_is_green_with_the_feature_and_red_when_broken(workspace: Example) -> None:
    passes(workspace, "npm ci")
    assert "9 passed" in passes(workspace, GATES)

    NODE.feature.apply(workspace.root)
    assert "15 passed" in passes(workspace, GATES)

    Change("", (NODE.broken,)).apply(workspace.root)
    passes(workspace, "npm run typecheck && npm run lint")
    ended = shell(workspace, "npm test")
    assert (ended.returncode, "tidy" in ended.stdout) == (1, True)


def test_the_added_package_is_installed_from_the_lock_file(
    workspace: Example, registry: Registry
) -> None:
    NODE.package.apply(workspace.root)
    workspace.project.commit("feat: pattern")

    passes(workspace, "npm ci")

    assert "10 passed" in passes(workspace, GATES)
    assert any("escape-string-regexp" in path for path in registry.requests)
    assert passes(workspace, "npm install --silent && git status --porcelain") == ""
