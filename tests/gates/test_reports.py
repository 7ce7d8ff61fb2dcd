"""A gate that must show its tests: the runner's report, read after the command has ended with 0."""

from dataclasses import replace

import pytest

from agentflow.gates.build import BuildGate
from agentflow.gates.command import Checkout
from agentflow.gates.junit import CaseResult, read_junit, shortcoming
from agentflow.records import Boundaries, BuildCommand
from agentflow.results import Evidence
from tests.workspace.place import Work

PASSED = '<testcase classname="tests.test_f" name="test_f[1]" time="0"/>'
OTHER = '<testcase classname="tests.test_f" name="test_g"/>'
REPORT = f'<testsuites><testsuite errors="0">{PASSED}{OTHER}</testsuite></testsuites>'


def writes(report: str) -> str:
    return f"cat > reports/r.xml <<'X'\n{report}\nX"


GATE = BuildCommand("test", f"mkdir -p reports; {writes(REPORT)}", report="reports/r.xml")


async def judged(
    work: Work, checkout: Checkout, gate: BuildCommand, change: str = "echo x > app/x"
) -> Evidence:
    build = BuildGate(gate, checkout, work.state, Boundaries())
    return await build.measure(work.candidate(change))


@pytest.mark.parametrize(
    "wanted",
    [
        (),
        ("test_f",),
        ("test_f[1]", "test_g"),
        ("tests.test_f.test_f",),
        ("tests.test_f::test_f[1]",),
    ],
)
async def test_tests_that_are_in_the_report_pass(
    work: Work, checkout: Checkout, wanted: tuple[str, ...]
) -> None:
    evidence = await judged(work, checkout, replace(GATE, tests=wanted))

    assert evidence.status == "passed", evidence
    assert evidence.summary.endswith(" passed (2 tests in reports/r.xml)")


@pytest.mark.parametrize(
    ("command", "lacks"),
    [
        ("mkdir -p reports; true", "was not written"),
        (writes("<testsuites/>"), "has no test that passed"),
        (writes(REPORT.replace("test_f[1]", "test_h")), "does not have test_f; did you mean 'test_"),
        (writes(REPORT.replace(' time="0"/>', "><skipped/></testcase>")), "test_f[1] was skipped"),
        (writes(REPORT.replace(' time="0"/>', "><failure/></testcase>")), "test_f[1] failed"),
        (writes(REPORT.replace('g"/>', 'g"><error/></testcase>')), "says that test_g failed"),
        (writes(REPORT[:-9]), "cannot be read: it is no XML"),
        (writes("<!DOCTYPE x [<!ENTITY a 'a'>]><x>&a;</x>"), "it has a document type"),
        ("ln -sf /dev/zero reports/r.xml", "was not written"),
        ("head -c 9M /dev/zero > reports/r.xml", "is longer than 8 MB"),
    ],
)  # fmt: skip
async def test_zero_without_the_report_fails(
    work: Work, checkout: Checkout, command: str, lacks: str
) -> None:
    gate = replace(GATE, command=f"mkdir -p reports; {command}", tests=("test_f",))
    evidence = await judged(work, checkout, gate)

    assert evidence.status == "failed"
    assert "ended with exit code 0, but its report reports/r.xml " in evidence.summary
    assert lacks in evidence.summary


async def test_a_report_that_the_change_brings_along_is_none(
    work: Work, checkout: Checkout
) -> None:
    gate = replace(GATE, command="true", cwd="app", report="../reports/r.xml")
    evidence = await judged(work, checkout, gate, f"mkdir reports; {writes(REPORT)}")

    assert evidence.status == "failed", evidence


async def test_a_test_that_is_new_in_a_file_of_the_base_is_not_asked_of_the_base(
    work: Work, checkout: Checkout
) -> None:
    added = "echo 'def test_new(): pass' >> tests/test_main.py"
    new = REPORT.replace("test_f[1]", "test_new")
    shows = f"if grep -q new tests/test_main.py; then {writes(new)}\nelse {writes(REPORT)}\nfi"
    gate = replace(GATE, command=f"mkdir -p reports; {shows}", tests=("test_new",))

    evidence = await judged(work, checkout, gate, added)
    assert evidence.status == "passed", evidence
    assert evidence.summary.endswith(", also with tests/test_main.py as in the base")
    nothing = f"if grep -q new tests/test_main.py; then {writes(new)}\nfi"
    hidden = replace(gate, command=f"mkdir -p reports; {nothing}")
    assert (await judged(work, checkout, hidden, added)).status == "failed"


def test_a_failure_is_not_undone_by_what_follows_it() -> None:
    report = b'<a><testcase name="t"><failure/><skipped/></testcase></a>'
    assert read_junit(report) == (CaseResult("t", "", "failed"),)
    assert shortcoming((CaseResult("t", "", "passed"),), ()) == ""
