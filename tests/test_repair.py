"""Repairs: the message to the agent, and the same failure twice."""

from agentflow.repair import repair_message, same_failure
from agentflow.results import Evidence, Verdict

PASSED = Evidence("commit", "passed", "1 commit")
FAILED = Evidence("build test", "failed", "exit code 1", "1 failed in 0.5 s\n```\nx\n```")
INTRODUCTION = (
    "Your result was checked on a clean checkout of the commit and did not pass. "
    "Mend what is named here, then end as before, with a complete last message: what you said "
    "earlier is not read again."
)


def test_the_message_holds_the_evidence_of_each_failed_gate_in_a_fence_of_its_own() -> None:
    files = Evidence("files", "failed", "a.py is missing")
    assert repair_message(Verdict((PASSED, FAILED, files))) == (
        f"{INTRODUCTION}\n\n"
        "## build test: exit code 1\n\n"
        "````\n1 failed in 0.5 s\n```\nx\n```\n````\n\n"
        "## files: a.py is missing\n\n"
        "Passed: commit."
    )


def test_the_message_says_that_nothing_could_be_verified() -> None:
    skipped = Evidence("build test", "skipped", "no command")
    assert repair_message(Verdict((skipped,))) == (f"{INTRODUCTION}\n\nNo build gate could be run.")


def test_times_lines_and_commit_names_do_not_make_a_failure_another_one() -> None:
    def failed(detail: str, summary: str = "exit code 1") -> Verdict:
        return Verdict((PASSED, Evidence("build test", "failed", summary, detail)))

    first = failed("a.py:10: AssertionError (abcdef0) in 0.51 s")
    assert same_failure(first, failed("a.py:12: AssertionError (1234567) in 1.2 s"))
    assert not same_failure(first, failed("b.py:10: AssertionError (abcdef0) in 0.51 s"))
    assert not same_failure(first, failed("a.py:10: KeyError (abcdef0) in 0.51 s"))
    assert not same_failure(first, Verdict((PASSED, Evidence("files", "failed", "x"))))
    assert not same_failure(Verdict(), first)
    assert not same_failure(Verdict(), Verdict())
