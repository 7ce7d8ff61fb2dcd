"""Fixtures of the example repositories: their packages, and a registry that serves them."""

from collections.abc import Iterator

import pytest

from tests.examples.packages import Packages, default_folder, open_packages
from tests.examples.registry import Registry, serve
from tests.needs import miss

collect_ignore = ["repositories"]


@pytest.fixture(scope="session")
def packages() -> Packages:
    """The packages of the examples."""
    found = open_packages(default_folder())
    if found is None:
        miss("the packages of the examples are not there: make packages")
    return found


@pytest.fixture(scope="session")
def registry(packages: Packages) -> Iterator[Registry]:
    """A registry of the examples' packages on loopback."""
    with serve(packages) as served:
        yield served
