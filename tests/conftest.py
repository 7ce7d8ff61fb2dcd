"""Fixtures that several folders share."""

import signal
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from agentflow.sandbox import bubblewrap, probe
from tests.effort import FACTOR
from tests.needs import miss
from tests.run.project import Project, make_project

if TYPE_CHECKING:
    from tests.conformance.postgresql import Server

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background command ignores Ctrl-C, and so would every process that a test interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile(
    "agentflow", deadline=None, derandomize=FACTOR == 1, max_examples=100 * FACTOR
)
settings.load_profile("agentflow")


@pytest.fixture(scope="session")
def bwrap() -> str:
    """bubblewrap, proven to work; where it does not, CI fails and other machines skip."""
    reason = probe()
    if reason is not None:
        miss(reason)
    return bubblewrap.find()


@pytest.fixture(scope="session")
def server() -> "Generator[Server]":
    """A PostgreSQL server; where there is none, CI fails and other machines skip."""
    from tests.conformance.postgresql import serve

    with serve() as server:
        yield server


@pytest.fixture
def project(tmp_path: Path, bwrap: str) -> Project:
    """A small repository with a task, where a sandbox works."""
    return make_project(tmp_path)
