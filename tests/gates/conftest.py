"""Fixtures of the gates' tests: real repositories, and checkouts in toolboxes without walls."""

import itertools
import shutil
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agentflow.gates.command import Checkout
from agentflow.interfaces import Sandbox
from agentflow.sandbox import open_sandbox
from agentflow.sandbox.policy import Policy
from agentflow.workspace.clone import make_clone
from tests.workspace.place import Place, Work, make_place


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Made once, because git processes are slow."""
    place = make_place(tmp_path_factory.mktemp("template"))
    place.user(
        """
        cat > check.sh <<'X'
grep -q 'assert' tests/test_main.py && ! grep -q broken app/main.py
X
        mkdir -p web tests/data 'pages/[id]'
        printf 'def test_a():\\n    assert 1\\n' > tests/test_main.py
        printf '@pytest.mark.skip\\ndef test_b(): pass\\n' > tests/test_skipped.py
        echo "it.skip('x')" > web/app.test.js; echo "it('x')" > 'pages/[id]/page.test.ts'
        echo '[tool.pytest]' > pyproject.toml; echo 'all:' > Makefile; echo '{}' > web/package.json
        printf '#[test]\\nfn a() {}\\n' > app/lib.rs; : > tests/data/empty
        git add -A; git commit -qm tests
        """
    )
    return place


@pytest.fixture
def work(tmp_path: Path, template: Place) -> Work:
    """The repositories of a run."""
    shutil.copytree(template.root, tmp_path / "user")
    return Place(tmp_path).borrow()


@pytest.fixture
def checkout(work: Work) -> Checkout:
    """Opens a toolbox without walls on a fresh checkout of a commit of ours."""
    numbers = itertools.count()

    @asynccontextmanager
    async def checkout(commit: str, variables: Mapping[str, str], /) -> AsyncGenerator[Sandbox]:
        stores = (work.folder / "state.git/objects", *work.clone.stores)
        clone = make_clone(
            work.folder / f"gate-{next(numbers)}",
            work.repository,
            stores,
            commit,
            "result",
            mounted=False,
        )
        policy = Policy(tree=clone.tree, completion=None, environment=variables)
        async with open_sandbox("none", policy) as channel:
            yield channel

    return checkout
