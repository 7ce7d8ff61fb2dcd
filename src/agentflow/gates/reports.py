"""What a gate's report must show, beside the exit code.

Code under test can end its runner early with 0; then there is no report, or no such test in it. It can
also write the report itself: see docs/security-tests.md.
"""

import posixpath
import shlex

from agentflow.gates.fetching import fetch
from agentflow.gates.junit import read_junit, shortcoming
from agentflow.interfaces import Sandbox
from agentflow.records import BuildCommand

MAX_REPORT = 8_000_000
"""Bytes."""


async def remove_report(sandbox: Sandbox, command: BuildCommand) -> None:
    """Remove what lies at the report's place: a change could bring a report along."""
    if command.report:
        script = f"rm -rf -- {shlex.quote(command.report)}"
        await sandbox.call("Bash", {"command": script, "timeout": 60.0, "cwd": _folder(command)})


async def judge_report(sandbox: Sandbox, command: BuildCommand) -> tuple[str, str]:
    """Return why the report is not enough, empty if it is; and what is said of one that is."""
    said = f"ended with exit code 0, but its report {command.report}"
    report = await fetch(sandbox, command.report, MAX_REPORT, _folder(command))
    if report is None:
        return f"{said} was not written, or is longer than {MAX_REPORT // 10**6} MB", ""
    try:
        results = read_junit(report)
    except ValueError as error:
        return f"{said} cannot be read: {error}", ""
    lacks = shortcoming(results, command.tests)
    passed = sum(each.ending == "passed" for each in results)
    return (f"{said} {lacks}", "") if lacks else ("", f" ({passed} tests in {command.report})")


def _folder(command: BuildCommand) -> str:
    return posixpath.normpath(command.cwd or ".")
