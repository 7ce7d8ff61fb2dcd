"""`agentflow runs import`: a run that was packed on another machine goes on here."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentflow.cli.completion import complete_prompt
from agentflow.cli.execution import given_flags, given_gates
from agentflow.cli.options import (
    Allow,
    BaseUrl,
    Deny,
    FallbackModel,
    Gates,
    Land,
    MaxCost,
    MaxInputTokens,
    MaxOutputTokens,
    MaxTokens,
    MaxTurns,
    Model,
    NewGates,
    Sandbox,
    Target,
    Timeout,
)
from agentflow.cli.output import data, exit_codes, print_json, say
from agentflow.records import SetupNetwork
from agentflow.words import word

if TYPE_CHECKING:
    from agentflow.importing import Imported


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `runs export` wrote.")],
    onto: Annotated[
        str,
        typer.Option(
            metavar="REV", help="Its history must hold the commit that the run began from."
        ),
    ] = "HEAD",
    drop_flags: Annotated[
        bool,
        typer.Option("--drop-flags", help="Flags of the run may be missing here."),
    ] = False,
    prompt: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|PATH", help="The system prompt.", autocompletion=complete_prompt
        ),
    ] = None,
    profile: Annotated[str | None, typer.Option(metavar="NAME", help="As of `run`.")] = None,
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
    land: Land = None,
    target: Target = None,
    sandbox: Sandbox = None,
    setup_network: Annotated[SetupNetwork | None, typer.Option(help="As of `run`.")] = None,
    allow_red_base: Annotated[bool, typer.Option("--allow-red-base", help="As of `run`.")] = False,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Take in a run that was packed elsewhere, to go on with it here: agentflow resume.

    Conversation and files come from the file; prompt, gates, boundaries, limits and target are those
    of here and of these flags. Flags that the run was begun with have to be given again. Believe the
    file as much as you believe an agent: its calls run in the sandbox, and its result is judged here.
    """
    with exit_codes("json" if json else "text"):
        import asyncio

        from agentflow.command_values import command_values
        from agentflow.errors import EnvironmentFailure
        from agentflow.importing import order_here, take_in
        from agentflow.offers import read_offer
        from agentflow.packed_runs import read_packed
        from agentflow.plan import make_plan
        from agentflow.workspace.repository import open_repository
        from agentflow.world import World

        flags = given_flags(
            prompt=prompt, profile=profile, model=model, fallback_model=fallback_model, base_url=base_url,
            max_turns=max_turns, max_cost=max_cost, max_tokens=max_tokens, max_input_tokens=max_input_tokens,
            max_output_tokens=max_output_tokens, timeout=timeout, allow=allow, deny=deny,
            gates=given_gates(gate, new_gate), land=land, target=target, sandbox=sandbox,
            setup_network=setup_network, allow_red_base=allow_red_base or None,
        )  # fmt: skip
        world = World()
        repository = open_repository(world.directory, world.environment)
        offer = read_offer(read_packed(file))
        order = order_here(offer, repository, flags, onto, drop_flags=drop_flags)
        plan = asyncio.run(make_plan(order, world, command_values))
        try:
            found = take_in(plan, world, offer)
        except OSError as error:
            raise EnvironmentFailure(f"cannot write the run: {error.strerror}") from error
        if json:
            print_json({
                "run": found.run,
                "task": plan.task.id,
                "turn": found.turn,
                "base": plan.base,
            })
        else:
            data().print(found.run)
            _tell(found, was_done=offer.ended is not None and offer.ended.outcome == "done")


def _tell(found: "Imported", *, was_done: bool) -> None:
    """Say where the run stands here, and what to do with it."""
    here, go_on = f"it is here as after turn {found.turn}.", f"agentflow resume {word(found.run)}"
    if was_done:
        say(f"{here} It was done where it was packed, which a file does not prove.")
        say(f"  To have the result judged here: {go_on}")
    else:
        say(f"{here} Go on: {go_on}")
