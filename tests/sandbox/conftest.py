"""Fixtures of the sandbox tests: a work tree, and scripts run inside a sandbox around it."""

import subprocess
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path

import pytest

from agentflow.sandbox import bubblewrap
from agentflow.sandbox.descriptors import Descriptors
from agentflow.sandbox.policy import Policy
from tests.sandbox.proxied import Proxied, proxy_before_a_site

Inside = Callable[[Policy, Sequence[str]], subprocess.CompletedProcess[str]]
"""Runs one program in a sandbox."""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A work tree with two applications and a pointer to a git directory."""
    tree = tmp_path / "tree"
    for name in ("apps/api/vendor", "apps/web"):
        (tree / name).mkdir(parents=True)
        (tree / name / "file").write_text("original\n")
    (tree / ".git").write_text("gitdir: /run/agentflow/git\n")
    return tree


@pytest.fixture
def inside(bwrap: str) -> Inside:
    """Run one program in a sandbox, as its first process, without the toolbox."""

    def run(policy: Policy, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        with Descriptors() as descriptors:
            program = bubblewrap.prepare(bwrap, policy, command, descriptors)
            return subprocess.run(
                program.argv,
                env=dict(program.environment),
                pass_fds=program.descriptors,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=20,
                check=False,
            )

    return run


@pytest.fixture
async def proxied() -> AsyncGenerator[Proxied]:
    """The proxy, and a site behind it."""
    async with proxy_before_a_site() as found:
        yield found
