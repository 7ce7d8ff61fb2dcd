"""The attacker that all cases of a test worker share."""

from collections.abc import Iterator

import pytest

from tests.attacks.attacker import Attacker, attacker


@pytest.fixture(scope="session")
def attacks(bwrap: str) -> Iterator[Attacker]:
    """A process that attacks the product in a real sandbox."""
    with attacker() as child:
        yield child
