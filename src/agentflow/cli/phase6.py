"""`agentflow phase-6`: the batches of a task's document, one run each."""

from typing import Annotated

import typer

from agentflow.cli.batches import execute_batches
from agentflow.cli.execution import given_flags, given_gates
from agentflow.cli.options import (
    Allow,
    AllowForeignHead,
    AllowRedBase,
    Base,
    BaseUrl,
    Deny,
    FallbackModel,
    Gates,
    HostNetwork,
    MaxCost,
    MaxInputTokens,
    MaxOutputTokens,
    MaxTokens,
    MaxTurns,
    Model,
    NewGates,
    Output,
    Profile,
    Quiet,
    Sandbox,
    Target,
    Timeout,
    Verbose,
)
from agentflow.cli.output import OutputFormat, exit_codes, exit_of
from agentflow.cli.publication import Junit, Sarif, publishing


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
    profile: Profile = None,
    model: Model = None,
    fallback_model: FallbackModel = None,
    base_url: BaseUrl = None,
    max_turns: MaxTurns = None,
    max_cost: MaxCost = None,
    max_tokens: MaxTokens = None,
    max_input_tokens: MaxInputTokens = None,
    max_output_tokens: MaxOutputTokens = None,
    timeout: Timeout = None,
    allow: Allow = None,
    deny: Deny = None,
    gate: Gates = None,
    new_gate: NewGates = None,
    base: Base = None,
    target: Target = None,
    sandbox: Sandbox = None,
    setup_network: HostNetwork = None,
    allow_red_base: AllowRedBase = False,
    allow_foreign_head: AllowForeignHead = False,
    output_format: Output = "text",
    as_json: Annotated[bool, typer.Option("--json", help="Same as --output-format json.")] = False,
    junit: Junit = None,
    sarif: Sarif = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the next batch's prompt and gates.")
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Run the backend batches of task-tracking/TASK/tasks.md, one commit each, on one branch.

    A verified batch is marked COMPLETE with its commit, one that fails after all repairs FAILED;
    the agent's own words in the document are dropped. Gates hold for each batch,
    limits for each and for all of this call together.
    """
    wanted: OutputFormat = "json" if as_json else output_format
    with exit_codes(wanted), publishing(task, junit, sarif) as publish:
        flags = given_flags(
            prompt=prompt, profile=profile, model=model, fallback_model=fallback_model, base_url=base_url, max_turns=max_turns, max_cost=max_cost,
            max_tokens=max_tokens, max_input_tokens=max_input_tokens, max_output_tokens=max_output_tokens,
            timeout=timeout, allow=allow, deny=deny, gates=given_gates(gate, new_gate), target=target, sandbox=sandbox,
            setup_network=setup_network, allow_red_base=allow_red_base or None,
            allow_foreign_head=allow_foreign_head or None,
        )  # fmt: skip
        report = execute_batches(
            task,
            base,
            flags,
            wanted,
            one=one_batch,
            retry=retry,
            dry_run=dry_run,
            quiet=quiet,
            verbose=verbose,
        )
        publish(report)
    raise exit_of(report)
