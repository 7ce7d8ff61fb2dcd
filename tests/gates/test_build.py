"""The build gate: a command on a fresh checkout, and again with the tests of the base."""

import pytest

from agentflow.gates.build import DETAIL_LINES, BuildGate, own_scripts
from agentflow.records import Boundaries, BuildCommand, Candidate, Evidence
from tests.gates.conftest import Checkout
from tests.workspace.place import Work


async def measure(
    work: Work,
    checkout: Checkout,
    candidate: Candidate,
    command: str,
    *,
    allow: tuple[str, ...] = (),
    timeout: float = 60.0,
) -> Evidence:
    gate = BuildGate(
        BuildCommand("test", command, timeout), checkout, work.state, Boundaries(allow)
    )
    return await gate.measure(candidate)


@pytest.fixture
def candidate(work: Work) -> Candidate:
    return work.candidate("echo x > app/x")


async def test_zero_passes(work: Work, checkout: Checkout, candidate: Candidate) -> None:
    assert await measure(work, checkout, candidate, "test -s app/x && git diff --quiet") == (
        Evidence("build:test", "passed", "`test -s app/x && git diff --quiet` passed")
    )


@pytest.mark.parametrize(
    ("command", "summary"),
    [
        ("exit 3", "`exit 3` ended with exit code 3"),
        ("kill -9 $$", "`kill -9 $$` ended with exit code 137"),
        ("nosuch", "`nosuch` ended with exit code 127: the command was not found in the sandbox"),
    ],
)
async def test_anything_else_fails(
    work: Work, checkout: Checkout, candidate: Candidate, command: str, summary: str
) -> None:
    evidence = await measure(work, checkout, candidate, command)

    assert (evidence.status, evidence.summary) == ("failed", summary)


async def test_a_timeout_fails_although_the_command_would_pass(
    work: Work, checkout: Checkout, candidate: Candidate
) -> None:
    evidence = await measure(work, checkout, candidate, "sleep 20; true", timeout=0.3)

    assert (evidence.status, evidence.summary) == (
        "failed",
        "`sleep 20; true` took longer than 0.3 s",
    )


async def test_the_tail_of_the_output_is_shown(
    work: Work, checkout: Checkout, candidate: Candidate
) -> None:
    evidence = await measure(work, checkout, candidate, "seq 100; echo last >&2; exit 1")

    lines = evidence.detail.splitlines()
    assert len(lines) == DETAIL_LINES
    assert lines[-2:] == ["100", "last"]


async def test_every_run_has_a_fresh_checkout(
    work: Work, checkout: Checkout, candidate: Candidate
) -> None:
    command = "test ! -e trace && touch trace"

    assert (await measure(work, checkout, candidate, command)).status == "passed"
    assert (await measure(work, checkout, candidate, command)).status == "passed"


async def test_an_edited_test_hides_no_failure(work: Work, checkout: Checkout) -> None:
    candidate = work.candidate(
        "echo broken > app/main.py; echo 'assert 1 # weaker' > tests/test_main.py"
    )
    command = "grep -q weaker tests/test_main.py || ! grep -q broken app/main.py"

    evidence = await measure(work, checkout, candidate, command)

    assert (evidence.status, evidence.summary) == (
        "failed",
        f"`{command}` ended with exit code 1, also with tests/test_main.py as in the base",
    )


async def test_a_deleted_test_and_a_new_conftest_hide_no_failure(
    work: Work, checkout: Checkout
) -> None:
    candidate = work.candidate("rm tests/test_main.py; echo x > tests/conftest.py")
    command = "test ! -e tests/test_main.py -a -e tests/conftest.py"

    evidence = await measure(work, checkout, candidate, command)

    assert (evidence.status, evidence.summary) == (
        "failed",
        f"`{command}` ended with exit code 1, also with 2 tests or gate inputs as in the base",
    )


async def test_an_honest_change_passes_twice(work: Work, checkout: Checkout) -> None:
    candidate = work.candidate("echo three >> app/main.py; echo '# more' >> tests/test_main.py")

    evidence = await measure(work, checkout, candidate, "sh check.sh")

    assert evidence == Evidence(
        "build:test",
        "passed",
        "`sh check.sh` passed, also with tests/test_main.py as in the base",
    )


async def test_a_test_that_the_task_names_may_be_changed(work: Work, checkout: Checkout) -> None:
    candidate = work.candidate("echo other > tests/test_main.py")
    command = "grep -q other tests/test_main.py"

    named = ("tests/test_main.py",)
    assert (await measure(work, checkout, candidate, command, allow=named)).status == "passed"
    assert (await measure(work, checkout, candidate, command)).status == "failed"


async def test_a_rewritten_script_of_the_gate_hides_no_failure(
    work: Work, checkout: Checkout
) -> None:
    candidate = work.candidate("echo broken > app/main.py; echo true > check.sh")

    evidence = await measure(work, checkout, candidate, "sh -e ./check.sh")

    assert (evidence.status, evidence.summary) == (
        "failed",
        "`sh -e ./check.sh` ended with exit code 1, also with check.sh as in the base",
    )


@pytest.mark.parametrize(
    ("command", "scripts"),
    [
        ("./check.sh --fast", {"check.sh"}),
        ("CI=1 bash -eu scripts/../check.sh", {"check.sh"}),
        ("true && sh ./check.sh", {"true", "check.sh"}),
        ("pytest -q", {"pytest"}),
        ("python scripts/check.py app", {"scripts/check.py"}),
        ("cd web; time npm test", {"cd", "npm"}),
        ("sh", set[str]()),
        ("echo 'unbalanced", set[str]()),
    ],
)
def test_the_scripts_that_a_command_starts(command: str, scripts: set[str]) -> None:
    assert own_scripts(BuildCommand("test", command)) == scripts
