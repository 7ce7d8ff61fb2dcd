"""The talk on the way."""

import io

import pytest

from agentflow.events import BaseCheckFinished
from agentflow.records import Evidence
from agentflow.sinks.console import ConsoleSink
from agentflow.sinks.printer import PlainPrinter


@pytest.mark.parametrize(
    ("status", "must_fail", "line"),
    [
        ("passed", False, "checking the base: x … passed (1.0 s)\n"),
        ("failed", False, "checking the base: x … failed (1.0 s)\n"),
        ("failed", True, "checking the base: x … failed, as it should (1.0 s)\n"),
        ("passed", True, "checking the base: x … passed, but should fail (1.0 s)\n"),
    ],
)
def test_a_gate_that_has_to_fail_on_the_base(status: str, must_fail: bool, line: str) -> None:
    file = io.StringIO()
    sink = ConsoleSink(PlainPrinter(file))
    evidence = Evidence("build:x", "failed" if status == "failed" else "passed", "", seconds=1.0)
    sink(BaseCheckFinished(evidence, cached=False, must_fail=must_fail))
    assert file.getvalue() == line
