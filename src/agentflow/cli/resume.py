"""`agentflow resume` and `agentflow answer`: go on with a run that did not come to its end."""

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from agentflow.cli.completion import complete_open_run
from agentflow.cli.execution import execute, given_flags
from agentflow.cli.options import (
    BaseUrl,
    MaxCost,
    MaxTurns,
    Model,
    Output,
    Quiet,
    Timeout,
    Verbose,
)
from agentflow.cli.output import OutputFormat, exit_codes
from agentflow.cli.publication import Junit, Publish, Sarif, publishing

if TYPE_CHECKING:
    from agentflow.order import Order

RUN_HELP = "A run, or a task for its newest run (default: the only one that can go on)."


def resume(
    run: Annotated[
        str | None,
        typer.Argument(metavar="RUN|TASK", help=RUN_HELP, autocompletion=complete_open_run),
    ] = None,
    model: Model = None,
    base_url: BaseUrl = None,
    max_turns: MaxTurns = None,
    max_cost: MaxCost = None,
    timeout: Timeout = None,
    output_format: Output = "text",
    junit: Junit = None,
    sarif: Sarif = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Go on with a run that was killed or interrupted, or that ran out of budget.

    Files and conversation go back to the last checkpoint. What was paid is not asked for again,
    and what has landed does not land twice.
    """
    with exit_codes(output_format), publishing(run or "-", junit, sarif) as publish:
        flags = given_flags(
            model=model, base_url=base_url, max_turns=max_turns, max_cost=max_cost, timeout=timeout
        )
        report = _go_on(run, None, flags, output_format, publish, quiet=quiet, verbose=verbose)
    raise typer.Exit(report)


def answer(
    run: Annotated[
        str, typer.Argument(metavar="RUN|TASK", help="The run that asked, or its task.")
    ],
    text: Annotated[str, typer.Argument(metavar="TEXT|-", help="The answer; - reads it.")],
    model: Model = None,
    base_url: BaseUrl = None,
    max_turns: MaxTurns = None,
    max_cost: MaxCost = None,
    timeout: Timeout = None,
    output_format: Output = "text",
    junit: Junit = None,
    sarif: Sarif = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Answer an agent that asked (exit code 3); it goes on in the same conversation."""
    with exit_codes(output_format), publishing(run, junit, sarif) as publish:
        from agentflow.errors import UsageError

        said = sys.stdin.read() if text == "-" else text
        if not said.strip():
            raise UsageError("the answer is empty", hint="Give the text, or - for standard input.")
        flags = given_flags(
            model=model, base_url=base_url, max_turns=max_turns, max_cost=max_cost, timeout=timeout
        )
        report = _go_on(run, said, flags, output_format, publish, quiet=quiet, verbose=verbose)
    raise typer.Exit(report)


def _go_on(
    run: str | None,
    answered: str | None,
    flags: dict[str, object],
    output_format: OutputFormat,
    publish: Publish,
    *,
    quiet: bool,
    verbose: bool,
) -> int:
    from agentflow.resuming import order_of
    from agentflow.runs import choose_run
    from agentflow.workspace.repository import open_repository
    from agentflow.world import World

    world = World()
    repository = open_repository(world.directory, world.environment)
    name = choose_run(repository.root, run, blocked=answered is not None)
    order = order_of(repository, world.cache, name)
    order = replace(order, flags={**order.flags, **flags}, answer=answered)
    report = execute(order, output_format, dry_run=False, quiet=quiet, verbose=verbose)
    publish(report)
    return int(report["exit_code"])


def unfinished(order: "Order") -> "Order":
    """The order to go on with the task's unfinished run; the same order if there is none."""
    from agentflow.resuming import order_of
    from agentflow.runs import unfinished_run
    from agentflow.workspace.repository import open_repository
    from agentflow.world import World

    world = World()
    repository = open_repository(world.directory, world.environment)
    left = unfinished_run(repository.root, order.task or "")
    if left is None:
        return order
    earlier = order_of(repository, world.cache, left)
    return replace(earlier, flags={**earlier.flags, **order.flags})
