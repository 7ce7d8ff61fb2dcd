"""Every attack on the real product, and that no attack of the catalogue is forgotten."""

import pytest

from tests.attacks.attacker import Attacker
from tests.attacks.catalogue import CATALOGUE
from tests.attacks.index import CASES, MODULES, NOT_RUN


@pytest.mark.sandbox
@pytest.mark.parametrize("name", sorted(CASES))
def test_the_product_holds(name: str, attacks: Attacker) -> None:
    problem = attacks.attack(name)

    assert not problem, f"{name}: {CATALOGUE[name]}\n{problem}"


def test_every_attack_of_the_catalogue_is_run_or_says_why_not() -> None:
    assert len(CATALOGUE) == 131
    assert {*CASES, *NOT_RUN} == {*CATALOGUE}
    assert not {*CASES} & {*NOT_RUN}
    assert all(len(reason.split()) > 3 for reason in NOT_RUN.values())


def test_every_attack_stands_in_the_module_of_its_category() -> None:
    places = {name: case.module for name, case in CASES.items()}

    assert places == {name: MODULES[name.partition("-")[0]].__name__ for name in CASES}
