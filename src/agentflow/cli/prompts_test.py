"""`agentflow prompts test`: the regression suites of prompts, offline."""

from typing import TYPE_CHECKING, Annotated

import typer

from agentflow.cli.output import data, exit_codes, print_json, say, talk

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agentflow.prompt_tests.reading import Suite
    from agentflow.prompt_tests.suites import Result
    from agentflow.world import World


def run_cases(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME|PATH]...",
            help="Prompts, or files of a suite (default: every prompt here that has a suite).",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep each case's repository, journal and report.")
    ] = False,
) -> None:
    """Run the suites of prompts: a scripted model, everything else real. No key needed.

    A suite is beside its prompt: the cases of agent.md are agent.tests/*.yaml. Exits with 1 if a
    case fails, with 2 if one cannot be read.
    """
    with exit_codes("json" if json else "text"):
        from agentflow.cli.execution import start_sdk_import
        from agentflow.prompt_tests.reading import find_suites
        from agentflow.prompt_tests.suites import check_machine, summary
        from agentflow.world import World

        start_sdk_import()
        world = World()
        suites = find_suites(names or [], _root(world))
        check_machine(world.environment)
        results = _run_all(suites, world, keep=keep, quiet=json)
        told = summary(results)
        if json:
            cases = [each.as_json() for each in results]
            print_json({"type": "prompts-test", "cases": cases, "summary": told})
        say(f"{told['ok']} ok, {told['failed']} failed")
        if told["failed"]:
            raise typer.Exit(1)


def _run_all(
    suites: "Sequence[Suite]", world: "World", *, keep: bool, quiet: bool
) -> "list[Result]":
    from agentflow.cli.execution import interruptible
    from agentflow.prompt_tests.suites import run_suites
    from agentflow.words import counted

    count = sum(len(suite.cases) for suite in suites)
    say(f"{counted(count, 'case')} of {counted(len(suites), 'prompt')}")
    found: list[Result] = []

    async def whole() -> None:
        async for result in run_suites(suites, world.environment, keep=keep):
            found.append(result)
            _print(result, len(found), count, quiet=quiet)

    interruptible(whole())
    return found


def _root(world: "World") -> "Path":
    """The repository, or the folder where there is none: the built-in prompts are everywhere."""
    from agentflow.errors import AgentflowError
    from agentflow.workspace.repository import open_repository

    try:
        return open_repository(world.directory, world.environment).root
    except AgentflowError:
        return world.directory


def _print(result: "Result", number: int, count: int, *, quiet: bool) -> None:
    """One line for a case, and one more for each further reason."""
    from agentflow.neutral import neutral, one_line

    printer = talk() if quiet else data()
    name = one_line(f"{result.prompt}/{result.case}", 100)
    first, *more = result.problems or ("",)
    state, style = ("failed", "bold red") if result.problems else ("ok", "green")
    printer.print(
        (f"{state:<7}", style),
        f" {name}  ",
        (f"{result.seconds:.1f} s  {number}/{count}", "dim"),
        f"  {one_line(first, 300)}" if first else "",
    )
    for problem in more:
        printer.print(f"          {one_line(problem, 300)}")
    if result.kept:
        printer.print((f"          kept: {neutral(str(result.kept))}", "dim"))
