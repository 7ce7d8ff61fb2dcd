from collections.abc import Generator

import pytest

from tests.conformance.postgresql import Server, serve


@pytest.fixture(scope="session")
def server() -> Generator[Server]:
    """A PostgreSQL server; where there is none, CI fails and other machines skip."""
    with serve() as server:
        yield server
