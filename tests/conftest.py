"""Fixtures that several folders share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from agentflow.sandbox import bubblewrap, probe
from tests.run.project import Project, make_project

settings.register_profile("agentflow", deadline=None, derandomize=True)
settings.load_profile("agentflow")


@pytest.fixture(scope="session")
def bwrap() -> str:
    """bubblewrap, proven to work; where it does not, CI fails and other machines skip."""
    reason = probe()
    if reason is not None and os.environ.get("AGENTFLOW_CI") == "1":
        pytest.fail(reason)
    if reason is not None:
        pytest.skip(reason)
    return bubblewrap.find()


@pytest.fixture
def project(tmp_path: Path, bwrap: str) -> Project:
    """A small repository with a task, where a sandbox works."""
    return make_project(tmp_path)
