"""The build gate: a command on a fresh checkout, and again with the tests of the base."""

import shlex
from pathlib import Path

import pytest

from agentflow.gates.build import BuildGate, own_scripts
from agentflow.gates.command import DETAIL_LINES, MAX_COMPARED, MAX_LIST, Change, Checkout, Commands
from agentflow.gates.sameness import fingerprint
from agentflow.records import Boundaries, BuildCommand
from agentflow.redaction import redactor
from agentflow.results import Candidate, Evidence, Verdict
from tests.growth import check_growth, repeated
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
        ("cd web; time npm test", {"cd", "web/npm"}),
        ("cd web && ./check.sh", {"cd", "web/check.sh"}),
        ("cd ./web/ && cd .. && sh check.sh", {"cd", "web/cd", "check.sh"}),
        ("timeout -k 5 60 ./check.sh", {"5", "60", "check.sh"}),
        ("timeout 1m sh check.sh", {"1m", "check.sh"}),
        ("nice -n 5 ./check.sh", {"5", "check.sh"}),
        ("if ! ./check.sh; then exit 1; fi", {"check.sh", "exit", "fi"}),
        (". ./check.sh", {"check.sh"}),
        ("source check.sh", {"check.sh"}),
        ("command ./check.sh", {"check.sh"}),
        ("uv run scripts/check.py app/x", {"run", "scripts/check.py"}),
        ("poetry run python -W error scripts/check.py", {"run", "error", "scripts/check.py"}),
        ("sh", set[str]()),
        ("echo 'unbalanced", set[str]()),
    ],
)
def test_the_scripts_that_a_command_starts(command: str, scripts: set[str]) -> None:
    assert own_scripts(BuildCommand("test", command)) == scripts


def test_the_scripts_of_a_command_that_starts_in_a_folder() -> None:
    command = BuildCommand("test", "sh ./check.sh && ../tool", cwd="web/app")

    assert own_scripts(command) == {"web/app/check.sh", "web/tool"}


def gate(work: Work, checkout: Checkout, command: BuildCommand, *secrets: str) -> BuildGate:
    return BuildGate(command, checkout, work.state, Boundaries(), redactor(secrets))


async def test_what_ci_runs_is_left_to_it(
    work: Work, checkout: Checkout, candidate: Candidate
) -> None:
    command = BuildCommand("e2e", "false", where="ci")

    evidence = await gate(work, checkout, command).measure(candidate)

    assert evidence == Evidence("build:e2e", "skipped", "left to CI")
    verdict = Verdict((evidence,))
    assert (verdict.left_to_ci, verdict.passed) == (("build:e2e",), False)


@pytest.mark.parametrize(
    ("paths", "status", "summary"),
    [
        (("web/**", "docs/**"), "skipped", "nothing under web/**, docs/** changed"),
        (("web/**", "app/**"), "failed", "`exit 3` ended with exit code 3"),
    ],
)
async def test_a_gate_with_paths_runs_if_one_changed(
    work: Work,
    checkout: Checkout,
    candidate: Candidate,
    paths: tuple[str, ...],
    status: str,
    summary: str,
) -> None:
    command = BuildCommand("test", "exit 3", paths=paths)

    evidence = await gate(work, checkout, command).measure(candidate)

    assert (evidence.status, evidence.summary) == (status, summary)


async def test_a_gate_starts_in_its_folder(work: Work, checkout: Checkout) -> None:
    candidate = work.candidate('mkdir -p "app/it\'s \\$HOME"; echo x > "app/it\'s \\$HOME/x"')
    command = BuildCommand("test", "test -s x && touch y", cwd="./app/it's $HOME/")

    assert (await gate(work, checkout, command).measure(candidate)).status == "passed"


@pytest.mark.parametrize(
    ("folder", "summary"),
    [
        ("nosuch", "there is no folder 'nosuch' to run it in"),
        ("app/main.py", "there is no folder 'app/main.py' to run it in"),
        ("link", "there is no folder 'link' to run it in"),
        ("app/../..", "cwd 'app/../..' is not a folder within the repository"),
        ("/tmp", "cwd '/tmp' is not a folder within the repository"),
    ],
)
async def test_a_folder_that_is_none_fails(
    work: Work, checkout: Checkout, folder: str, summary: str
) -> None:
    candidate = work.candidate("ln -s app link")
    command = BuildCommand("test", "true", cwd=folder, retries=2)

    evidence = await gate(work, checkout, command).measure(candidate)

    assert (evidence.status, evidence.summary) == ("failed", summary)


def flaky(trace: Path, passes_at: int) -> str:
    counted = shlex.quote(str(trace))
    return f"test ! -e mine; touch mine; echo try >> {counted}; echo one; echo two; " + (
        f"test $(wc -l < {counted}) -ge {passes_at}"
    )


async def test_a_failure_is_tried_again_in_a_fresh_checkout(
    work: Work, checkout: Checkout, candidate: Candidate, tmp_path: Path
) -> None:
    line = flaky(tmp_path / "trace", 2)

    evidence = await gate(work, checkout, BuildCommand("test", line, retries=2)).measure(candidate)

    assert evidence == Evidence(
        "build:test",
        "passed",
        f"`{line}` passed (flaky: passed on try 2 of 3)",
        notices=(
            f"flaky: passed on try 2 of 3; before, `{line}` ended with exit code 1",
            "one",
            "two",
        ),
    )
    assert (tmp_path / "trace").read_text() == "try\ntry\n"


async def test_a_failure_counts_when_all_tries_failed(
    work: Work, checkout: Checkout, candidate: Candidate, tmp_path: Path
) -> None:
    line = flaky(tmp_path / "trace", 3)

    evidence = await gate(work, checkout, BuildCommand("test", line, retries=1)).measure(candidate)

    assert (evidence.status, evidence.summary, evidence.detail) == (
        "failed",
        f"`{line}` ended with exit code 1 (2 times)",
        "one\ntwo",
    )


async def test_a_gate_is_told_what_changed(work: Work, checkout: Checkout) -> None:
    candidate = work.candidate("echo x > 'app/a b'; rm docs/guide.md; echo y >> app/main.py")
    line = (
        'test "$AGENTFLOW_CHANGED_FILES" = "$(printf \'app/a b\\napp/main.py\\ndocs/guide.md\')"'
        f" && test $AGENTFLOW_BASE = {candidate.base} && test $AGENTFLOW_HEAD = {candidate.tip}"
        ' && git diff --quiet "$AGENTFLOW_BASE" "$AGENTFLOW_BASE"'
        ' && test "$(git diff --name-only "$AGENTFLOW_BASE" | wc -l)" = 3'
        ' && test "$(git merge-base $AGENTFLOW_BASE HEAD)" = $AGENTFLOW_BASE'
    )

    evidence = await gate(work, checkout, BuildCommand("test", line)).measure(candidate)

    assert (evidence.status, evidence.detail) == ("passed", "")


async def test_a_long_list_of_changes_is_in_a_file(work: Work, checkout: Checkout) -> None:
    candidate = work.candidate(
        "mkdir big; for i in $(seq 600); do : > big/$(printf '%0180d' $i); done"
    )
    line = (
        'case "$AGENTFLOW_CHANGED_FILES" in @/*) ;; *) exit 9;; esac; cd ../big'
        f' && test "$(wc -c < "${{AGENTFLOW_CHANGED_FILES#@}}")" -gt {MAX_LIST}'
        ' && grep -c "^big/0*7$" "${AGENTFLOW_CHANGED_FILES#@}"'
    )

    evidence = await gate(work, checkout, BuildCommand("test", line, cwd="app")).measure(candidate)
    assert (evidence.status, evidence.detail) == ("passed", "")


async def test_no_secret_is_in_the_evidence(
    work: Work, checkout: Checkout, candidate: Candidate, tmp_path: Path
) -> None:
    line = f"echo the s3cr3t-value; {flaky(tmp_path / 'trace', 2)}"

    failed = await gate(work, checkout, BuildCommand("test", line), "s3cr3t-value").measure(
        candidate
    )
    passed = await gate(
        work, checkout, BuildCommand("test", f"! {line}", retries=1), "s3cr3t-value"
    ).measure(candidate)

    assert failed.status == "failed"
    assert "the [redacted]" in failed.detail
    assert "s3cr3t" not in repr((failed, passed))


async def test_no_part_of_a_secret_is_shown_where_an_output_is_cut(
    work: Work, checkout: Checkout, candidate: Candidate
) -> None:
    """The toolbox keeps the last 20,000 characters, the evidence the last lines of them."""
    line = 'python3 -c \'print("a" * 20000 + "s3cr3t-value" + "b" * 19993)\'; exit 1'

    failed = await gate(work, checkout, BuildCommand("test", line), "s3cr3t-value").measure(
        candidate
    )

    assert failed.status == "failed"
    assert "value" not in failed.detail


async def on_base(work: Work, checkout: Checkout, command: BuildCommand) -> Evidence:
    commands = Commands(checkout, work.state, redactor(()))
    return await commands.run(command, work.base, Change(work.base, work.base))


RED = 'cat app/main.py; echo "in $RANDOM.5 s at 0x$RANDOM in $PWD"; date --iso-8601=ns; exit 3'


@pytest.mark.parametrize(
    ("change", "status", "summary"),
    [
        ("echo x > app/x", "skipped", "fails as on the base"),
        ("echo three >> app/main.py", "failed", f"`{RED}` ended with exit code 3"),
    ],
    ids=["same", "other"],
)
async def test_only_the_failure_of_the_base_is_excused(
    work: Work, checkout: Checkout, change: str, status: str, summary: str
) -> None:
    command = BuildCommand("test", RED)
    before = await on_base(work, checkout, command)
    assert before.status == "failed"
    candidate = work.candidate(change)

    judge = BuildGate(command, checkout, work.state, Boundaries(), on_base=before)
    evidence = await judge.measure(candidate)

    assert (evidence.status, evidence.summary) == (status, summary)


async def test_another_exit_code_is_another_failure(work: Work, checkout: Checkout) -> None:
    command = BuildCommand("test", "echo no; exit $(( 3 + $(ls app | wc -l) ))")
    before = await on_base(work, checkout, command)
    candidate = work.candidate("echo x > app/x")

    judge = BuildGate(command, checkout, work.state, Boundaries(), on_base=before)

    assert (await judge.measure(candidate)).status == "failed"


async def test_what_must_fail_before_must_pass_after(work: Work, checkout: Checkout) -> None:
    command = BuildCommand("test", "test -e app/y", must_fail_on_base=True)
    before = await on_base(work, checkout, command)
    judge = BuildGate(command, checkout, work.state, Boundaries(), on_base=before)

    assert (await judge.measure(work.candidate("echo x > app/x"))).status == "failed"
    assert (await judge.measure(work.candidate("echo y > app/y"))).status == "passed"


async def test_a_long_output_is_compared_as_a_whole(work: Work, checkout: Checkout) -> None:
    line = "seq -f 'line %.0f of many' 3000; cat app/main.py; seq -f 'more %.0f' 3000; exit 1"
    command = BuildCommand("test", line)
    before = await on_base(work, checkout, command)
    judge = BuildGate(command, checkout, work.state, Boundaries(), on_base=before)

    assert (await judge.measure(work.candidate("echo x > app/x"))).status == "skipped"
    assert (await judge.measure(work.candidate("echo x >> app/main.py"))).status == "failed"


async def test_an_output_that_is_too_long_is_never_the_same(
    work: Work, checkout: Checkout, candidate: Candidate
) -> None:
    command = BuildCommand("test", f"head -c {MAX_COMPARED + 10} /dev/zero | tr '\\0' x; exit 1")
    before = await on_base(work, checkout, command)
    judge = BuildGate(command, checkout, work.state, Boundaries(), on_base=before)

    assert before.fingerprint == ""
    assert (await judge.measure(candidate)).status == "failed"


PYTEST = """\
platform linux -- Python 3.11.2
collected {total} items

tests/test_main.py {dots}   [100%]

=================== FAILURES ====================
    assert add(1, 2) == 4
E   assert 3 == 4
tests/test_main.py:7: AssertionError
FAILED tests/test_main.py::test_add - assert 3 == 4
========== {failed} failed, {passed} passed in {seconds}s ==========
"""


def test_more_passing_tests_do_not_make_another_failure() -> None:
    before = PYTEST.format(total=3, dots="..F", failed=1, passed=2, seconds=0.05)
    after = PYTEST.format(total=14, dots="..F...........", failed=1, passed=13, seconds=12.31)
    worse = PYTEST.format(total=14, dots="..F....F......", failed=2, passed=12, seconds=0.05)

    assert fingerprint("1", before) == fingerprint("1", after)
    assert fingerprint("1", worse) != fingerprint("1", before)
    assert fingerprint("2", before) != fingerprint("1", before)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("\x1b[31mboom\x1b[0m", "boom"),
        ("took 1.5s (2 ms)", "took 31.5s (17 ms)"),
        ("<A object at 0x7f00aa>", "<A object at 0x7f11bb>"),
        ("/tmp/pytest-of-agent/pytest-0/x failed", "/tmp/pytest-of-agent/pytest-17/x failed"),
        ("2026-01-02T03:04:05.678Z boom", "2027-11-12T13:14:15Z boom"),
        ("b failed\na failed", "a failed\nb failed"),
        ("boom\nok   example/a 0.01s", "boom\nok   example/a 0.02s\nok   example/b 1s"),
        ("boom\n \u2713 src/a.test.ts (3 tests) 5ms", "boom"),
        ("at http://localhost:41234/x", "at http://localhost:5000/x"),
        ("/a/b/gate-1/tree/app.py: boom", "/c/gate-22/tree/app.py: boom"),
    ],
)
def test_what_differs_from_run_to_run_is_left_out(one: str, other: str) -> None:
    assert fingerprint("1", one) == fingerprint("1", other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("FAILED a", "FAILED a\nFAILED b"),
        ("1 failed", "2 failed"),
        ("main.py:7: boom", "main.py:8: boom"),
        ("expected 3 items", "expected 4 items"),
        ("FAIL", "ok"),
    ],
)
def test_what_tells_failures_apart_is_kept(one: str, other: str) -> None:
    assert fingerprint("1", one) != fingerprint("1", other)


@pytest.mark.parametrize(
    "piece",
    [
        *("x", ".", "0", "1 ", "1.", "/", "/gate-1", "a/gate-1/tree", "\x1b]", "\r", "=-", "0x"),
        *("/tmp/", "1 s ", "ok ", "... ", "11:11:", "2026-01-01", "0000-", "a" * 40, "pid "),
        *("12 passed", "a.py", "a.py ."),
    ],
)
def test_comparing_takes_time_with_the_length_only(piece: str) -> None:
    output = repeated(piece)
    check_growth(lambda text: fingerprint("1", text), lambda size: output(size) + "!", 128 * 1024)
