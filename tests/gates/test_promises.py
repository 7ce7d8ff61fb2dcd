"""The promises audit: claims of the report, beside the promises that exist."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.gates.promises import PromisesAudit, compare_promises
from agentflow.records import Promise
from agentflow.results import Candidate
from tests.growth import check_growth

KNOWN = (
    Promise("PRM-001", "An order is never lost"),
    Promise("INV-2", ""),
    Promise("Sell no data", "Sell no data"),
)
REPORT = """## Implemented
- [x] PRM-777

## Promises Verified
- [x] PRM-001, and prm-404 is not one: PRM-404
- [ ] INV-2: not checked
- [x] **Sell no data**
- It is quick

## Notes
- PRM-555
"""


def test_claims_are_compared_with_what_exists() -> None:
    assert compare_promises(KNOWN, REPORT) == {
        "known": ["PRM-001", "INV-2", "Sell no data"],
        "claimed": ["PRM-001", "PRM-404", "Sell no data", "It is quick"],
        "unknown": ["PRM-404", "It is quick"],
        "unmentioned": ["INV-2"],
    }


@pytest.mark.parametrize(
    ("answer", "claimed"),
    [
        ("", []),
        ("**Promises Verified**\n- an ORDER is never lost (tested)\n", ["PRM-001"]),
        ("## Promises Verified\n- [x] None\n- N/A\n", []),
        ("## Promises Verified\n- INV-2\n\n## Promises Verified\n- PRM-001\n", ["PRM-001"]),
        ("### Promises Verified (by hand)\n* [X] INV-2.\n**Notes**\n- PRM-001\n", ["INV-2"]),
    ],
)
def test_a_report_is_read_leniently(answer: str, claimed: list[str]) -> None:
    assert compare_promises(KNOWN, answer)["claimed"] == claimed


async def test_it_never_fails_and_says_it_in_one_line() -> None:
    found = await PromisesAudit(KNOWN).compare(Candidate("a", "b", answer=REPORT), ())
    assert (found.status, found.summary) == ("skipped", "2 of 3 promises claimed, none measured")
    assert found.notices == (
        "not in the intent document: PRM-404, It is quick; not mentioned: INV-2",
    )
    every = "## Promises Verified\n- PRM-001\n- INV-2\n- Sell no data"
    assert not (await PromisesAudit(KNOWN).compare(Candidate("a", "b", answer=every), ())).notices


@given(st.text(alphabet="#*[x] -\nPRM01Promises Verified", max_size=300))
def test_no_answer_crashes(answer: str) -> None:
    found = compare_promises(KNOWN, f"## Promises Verified\n{answer}")
    assert set(found["unknown"]) <= set(found["claimed"])


def test_time_grows_with_the_length_only() -> None:
    many = [Promise(f"PRM-{n}", f"promise {n} " + "x" * 150) for n in range(200)]

    def compare(answer: str) -> None:
        compare_promises(many, "## Promises Verified\n" + answer)

    check_growth(compare, lambda size: ("- [x] " + "y " * size + "\n") * 100, 1_000)
    check_growth(compare, lambda lines: ("- [x] " + "y " * 50 + "\n") * lines, 4_000)
