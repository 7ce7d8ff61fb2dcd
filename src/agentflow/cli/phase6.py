"""`agentflow phase-6`: the batches of a task's document, one run each."""

from typing import Annotated

import typer

from agentflow.cli.batches import execute_batches
from agentflow.cli.execution import given_flags, given_gates
from agentflow.cli.output import OutputFormat, exit_codes
from agentflow.records import Backend


def phase6(
    task: Annotated[str, typer.Argument(metavar="TASK", help="The id of a task with a tasks.md.")],
    one_batch: Annotated[bool, typer.Option("--one-batch", help="Stop after one batch.")] = False,
    retry: Annotated[
        bool, typer.Option("--retry", help="Try batches again that are marked FAILED.")
    ] = False,
    prompt: Annotated[
        str | None,
        typer.Option(metavar="NAME|PATH", help="Who the developer is (default: phase-6)."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="sonnet, opus, haiku, … or a full id.")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Another server of the Messages API.")
    ] = None,
    max_turns: Annotated[
        int | None, typer.Option(metavar="N", help="Replies of the model for a batch.", min=1)
    ] = None,
    max_cost: Annotated[
        float | None, typer.Option(metavar="USD", help="US dollars for a batch.", min=0.0)
    ] = None,
    allow: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="May be changed. Repeatable.")
    ] = None,
    deny: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="May not be changed. Repeatable.")
    ] = None,
    gate: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=COMMAND", help="Must pass on each batch. Repeatable."),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(metavar="REV", help="Where the task's branch begins (default: HEAD)."),
    ] = None,
    target: Annotated[
        str | None, typer.Option(metavar="BRANCH", help="Default: agentflow/<TASK>.")
    ] = None,
    sandbox: Annotated[
        Backend | None, typer.Option(help="`none` gives the agent all your rights (default: auto).")
    ] = None,
    output_format: Annotated[
        OutputFormat, typer.Option(help="What standard output gets.")
    ] = "text",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the next batch's prompt and gates.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No talk.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="The model's words in full.")
    ] = False,
) -> None:
    """Run the backend batches of task-tracking/TASK/tasks.md, one commit each, on one branch.

    A verified batch is marked COMPLETE with its commit, one that fails after all repairs FAILED;
    the agent's own words in the document are dropped.
    """
    with exit_codes(output_format):
        flags = given_flags(
            prompt=prompt, model=model, base_url=base_url, max_turns=max_turns, max_cost=max_cost,
            allow=allow, deny=deny, gates=given_gates(gate, None), target=target, sandbox=sandbox,
        )  # fmt: skip
        report = execute_batches(
            task,
            base,
            flags,
            output_format,
            one=one_batch,
            retry=retry,
            dry_run=dry_run,
            quiet=quiet,
            verbose=verbose,
        )
    raise typer.Exit(report["exit_code"])
