"""Fixtures of the example repositories: programs, packages and a registry, or the reason why not."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.examples.packages import Packages, default_folder, open_packages
from tests.examples.registry import Registry, serve

collect_ignore = ["repositories"]

POSTGRESQL = tuple(map(str, Path("/usr/lib/postgresql").glob("*/bin")))
"""Where Debian keeps the server's programs."""


def need(*programs: str) -> None:
    """Go on only if all programs are there: CI fails without them and other machines skip."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *POSTGRESQL))
    missing = [program for program in programs if shutil.which(program, path=path) is None]
    if missing:
        _miss(f"not installed: {', '.join(missing)}")


def _miss(reason: str) -> None:
    if os.environ.get("AGENTFLOW_CI") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def packages() -> Packages:
    """The packages of the examples."""
    found = open_packages(default_folder())
    if found is None:
        _miss("the examples' packages are not there: run scripts/test-packages")
    assert found is not None
    return found


@pytest.fixture(scope="session")
def registry(packages: Packages) -> Iterator[Registry]:
    """A registry of the examples' packages on loopback."""
    with serve(packages) as served:
        yield served
