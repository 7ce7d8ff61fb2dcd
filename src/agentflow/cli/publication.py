"""What a CI system gets of a command: files, the job's summary, annotations."""

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentflow.cli.output import say
from agentflow.errors import AgentflowError, EnvironmentFailure
from agentflow.frozen import record

if TYPE_CHECKING:
    from agentflow.ci.judged import Judged
    from agentflow.records import Json

Junit = Annotated[
    Path | None,
    typer.Option("--junit", metavar="FILE", help="JUnit XML: a suite per task, a case per gate."),
]
Sarif = Annotated[
    Path | None,
    typer.Option("--sarif", metavar="FILE", help="SARIF: what gates found in files, by line."),
]
Publish = Callable[["Json"], None]


@record
class _Wanted:
    junit: Path | None
    sarif: Path | None
    summary: str
    annotated: bool

    @property
    def anything(self) -> bool:
        return bool(self.junit or self.sarif or self.summary or self.annotated)


@contextmanager
def publishing(name: str, junit: Path | None, sarif: Path | None) -> Generator[Publish]:
    """Give what publishes a command's report: into the named files, and in a job of GitHub Actions
    into its summary and as annotations. What is refused in the block is published too.

    `name` is what was asked for. Raises `UsageError` for a file that could not be written.
    """
    summary = os.environ.get("GITHUB_STEP_SUMMARY", "")
    annotated = os.environ.get("GITHUB_ACTIONS") == "true"
    wanted = _Wanted(junit, sarif, summary, annotated)
    if junit or sarif:
        from agentflow.disk import check_writable

        for file in filter(None, (junit, sarif)):
            check_writable(file)

    def publish(report: "Json") -> None:
        if wanted.anything and ("outcome" in report or report.get("type") == "verification"):
            _publish(wanted, _judged(report))

    try:
        yield publish
    except AgentflowError as error:
        if wanted.anything:
            _publish(wanted, (_refused(name, error),))
        raise


def _judged(report: "Json") -> "tuple[Judged, ...]":
    from agentflow.ci.judged import judged_of
    from agentflow.workspace.repository import open_repository
    from agentflow.world import World

    world = World()
    return judged_of(report, open_repository(world.directory, world.environment).root)


def _refused(name: str, error: AgentflowError) -> "Judged":
    """What never became a run."""
    from agentflow.ci.judged import Judged

    return Judged(name, error.outcome, error.exit_code, reason=error.message, hint=error.hint)


def _publish(wanted: _Wanted, judged: "tuple[Judged, ...]") -> None:
    from agentflow.ci.annotations import annotations
    from agentflow.ci.junit import junit
    from agentflow.ci.sarif import sarif
    from agentflow.ci.summary import summary
    from agentflow.world import World

    if wanted.annotated:
        for line in annotations(judged):
            say(line)
    try:
        if wanted.junit:
            wanted.junit.write_text(junit(judged, World().now()), "utf-8", "replace")
        if wanted.sarif:
            wanted.sarif.write_text(sarif(judged), "utf-8")
        if wanted.summary:
            with Path(wanted.summary).open("a", encoding="utf-8", errors="replace") as file:
                file.write(summary(judged))
    except OSError as error:
        raise EnvironmentFailure(
            f"cannot write {error.filename}: {error.strerror}", hint="The run itself has ended."
        ) from error
