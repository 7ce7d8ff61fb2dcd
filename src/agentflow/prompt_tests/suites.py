"""Running suites: one case after the other, each in a temporary folder of its own."""

import shutil
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path

from agentflow.errors import EnvironmentFailure, Interrupted, UsageError
from agentflow.folders import remove_folder
from agentflow.frozen import record
from agentflow.prompt_tests.case import Case
from agentflow.prompt_tests.judging import judge
from agentflow.prompt_tests.reading import Suite
from agentflow.prompt_tests.running import CASE_SECONDS, run_case
from agentflow.records import Json
from agentflow.sandbox import choose


@record
class Result:
    """How one case went."""

    prompt: str
    path: Path
    """The prompt's file."""
    case: str
    problems: tuple[str, ...]
    """What is not as expected; empty if the case is ok."""
    outcome: str
    seconds: float
    kept: Path | None

    def as_json(self) -> Json:
        """The result as an object."""
        return {
            "prompt": self.prompt,
            "path": str(self.path),
            "case": self.case,
            "ok": not self.problems,
            "problems": list(self.problems),
            "outcome": self.outcome,
            "seconds": round(self.seconds, 3),
            "kept": str(self.kept) if self.kept else None,
        }


def check_machine(environment: Mapping[str, str]) -> None:
    """Refuse to begin where no case could run. Raises `EnvironmentFailure`."""
    if shutil.which("git", path=environment.get("PATH")) is None:
        raise EnvironmentFailure("git is not installed")
    found = choose("auto")
    if found.problem:
        raise EnvironmentFailure(f"the cases need a sandbox: {found.problem}", hint=found.remedy)


async def run_suites(
    suites: Sequence[Suite], environment: Mapping[str, str], *, keep: bool = False
) -> AsyncGenerator[Result]:
    """Run all cases in order; with `keep`, their folders stay.

    Raises `Interrupted` when a signal ended a case.
    """
    for suite in suites:
        for case in suite.cases:
            yield await _run(suite, case, environment, keep=keep)


def summary(results: Sequence[Result]) -> Json:
    """How many cases there were, and how they went."""
    failed = sum(bool(each.problems) for each in results)
    return {
        "prompts": len({each.path for each in results}),
        "cases": len(results),
        "ok": len(results) - failed,
        "failed": failed,
        "seconds": round(sum(each.seconds for each in results), 3),
    }


async def _run(suite: Suite, case: Case, environment: Mapping[str, str], *, keep: bool) -> Result:
    started = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="agentflow-prompts-test-"))
    try:
        try:
            observed = await run_case(case, suite.prompt, folder, environment)
        except TimeoutError:
            outcome, problems = "timeout", (f"it took longer than {CASE_SECONDS:.0f} s",)
        except UsageError as error:  # its repository cannot be made
            outcome, problems = error.outcome, (error.message,)
        else:
            outcome, problems = observed.outcome, judge(case, observed)
            if outcome == Interrupted.outcome:
                raise Interrupted((observed.exit_code or 143) - 128)
    finally:
        if not keep:
            remove_folder(folder)
    return Result(
        suite.name,
        suite.prompt,
        case.name,
        problems,
        outcome,
        time.monotonic() - started,
        folder if keep else None,
    )
