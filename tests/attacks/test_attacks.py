"""Every attack on the real product, and that no attack of the catalogue is forgotten."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentflow.toolbox.landlock import LEAST_ABI, abi
from tests.attacks.attacker import Attacker, attacker
from tests.attacks.catalogue import CATALOGUE
from tests.attacks.differences import LANDLOCK, OFTEN
from tests.attacks.index import CASES, MODULES, NOT_RUN
from tests.attacks.outer import OUTER
from tests.attacks.protections import MUTATIONS
from tests.needs import miss

ALL = os.environ.get("AGENTFLOW_ATTACKS") == "all"
PAGE = Path(__file__).parents[2] / "docs" / "security-tests.md"


@pytest.fixture(scope="session")
def reduced(bwrap: str) -> Iterator[Attacker]:
    """The same for Landlock, which has no PID namespace: in an outer one, always."""
    if abi() < LEAST_ABI:
        miss(f"the kernel's Landlock has ABI {abi()}")
    with attacker(wrapper=(bwrap, *OUTER[1:])) as child:
        yield child


@pytest.mark.sandbox
@pytest.mark.parametrize("name", sorted(CASES))
def test_the_product_holds(name: str, attacks: Attacker) -> None:
    problem = attacks.attack(name)

    assert not problem, f"{name}: {CATALOGUE[name]}\n{problem}"


@pytest.mark.sandbox
@pytest.mark.parametrize("name", sorted(CASES if ALL else OFTEN))
def test_landlock_holds_but_for_what_is_listed(name: str, reduced: Attacker) -> None:
    problem = reduced.attack(name, "landlock")

    if name in LANDLOCK:
        assert re.search(rf"^{LANDLOCK[name].seen}\s*\Z", problem, re.MULTILINE), (
            problem or f"{name} holds: take it off the list"
        )
    else:
        assert not problem, f"{name}: {CATALOGUE[name]}\n{problem}"


def test_every_protection_can_still_be_dropped() -> None:
    """`mutations.py` takes half an hour; that its edits fit is known at once."""
    sources = Path(__file__).parents[2] / "src" / "agentflow"
    edits = [(each.protection, edit) for each in MUTATIONS for edit in each.edits]
    unfit = [
        protection
        for protection, edit in edits
        if (sources / edit.file).read_text("utf-8").count(edit.old) != 1
    ]
    assert unfit == []
    assert all(each.cases or each.tests for each in MUTATIONS)


def test_the_page_lists_what_landlock_does_not_hold() -> None:
    rows = [f"| {name} | {CATALOGUE[name]} | {each.why} |" for name, each in LANDLOCK.items()]

    assert "\n".join(rows) in PAGE.read_text("utf-8")
    assert {*LANDLOCK} <= {*CASES}


def test_every_attack_of_the_catalogue_is_run_or_says_why_not() -> None:
    assert len(CATALOGUE) == 131
    assert {*CASES, *NOT_RUN} == {*CATALOGUE}
    assert not {*CASES} & {*NOT_RUN}
    assert all(len(reason.split()) > 3 for reason in NOT_RUN.values())


def test_every_attack_stands_in_the_module_of_its_category() -> None:
    places = {name: case.module for name, case in CASES.items()}

    assert places == {name: MODULES[name.partition("-")[0]].__name__ for name in CASES}
