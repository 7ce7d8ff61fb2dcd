"""The talk on the way."""

import io

import pytest

from agentflow.events import BaseCheckFinished
from agentflow.results import Evidence
from agentflow.sinks.console import ConsoleSink
from agentflow.sinks.printer import PlainPrinter
from tests.sinks.sample import BEGAN


@pytest.mark.parametrize(
    ("status", "must_fail", "line"),
    [
        ("passed", False, "2026-11-20T19:33:18Z base checking the base: x … passed (1.0 s)\n"),
        ("failed", False, "2026-11-20T19:33:18Z base checking the base: x … failed (1.0 s)\n"),
        (
            "failed",
            True,
            "2026-11-20T19:33:18Z base checking the base: x … failed, as it should (1.0 s)\n",
        ),
        (
            "passed",
            True,
            "2026-11-20T19:33:18Z base checking the base: x … passed, but should fail (1.0 s)\n",
        ),
    ],
)
def test_a_gate_that_has_to_fail_on_the_base(status: str, must_fail: bool, line: str) -> None:
    file = io.StringIO()
    sink = ConsoleSink(PlainPrinter(file), now=lambda: BEGAN)
    evidence = Evidence("build:x", "failed" if status == "failed" else "passed", "", seconds=1.0)
    sink(BaseCheckFinished(evidence, cached=False, must_fail=must_fail))
    assert file.getvalue() == line
