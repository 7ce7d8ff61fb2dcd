"""`agentflow handoff`: a block pasted from another team, confirmed, run and landed."""

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentflow.cli.execution import given_flags, given_gates
from agentflow.cli.handoff_answers import View, go_on, read_answers
from agentflow.cli.options import (
    Base,
    BaseUrl,
    Deny,
    FallbackModel,
    Fresh,
    Gates,
    Land,
    MaxCost,
    MaxInputTokens,
    MaxOutputTokens,
    MaxTokens,
    MaxTurns,
    Model,
    NewGates,
    Output,
    Quiet,
    Sandbox,
    Target,
    Timeout,
    Verbose,
)
from agentflow.cli.output import OutputFormat, exit_codes, exit_of, say
from agentflow.cli.publication import Junit, Sarif, publishing

if TYPE_CHECKING:
    from agentflow.workflows.asked import Pasted
    from agentflow.world import World


def handoff(
    path: Annotated[
        str | None,
        typer.Argument(
            metavar="PATH|ID",
            help="The block's file, or the id of one that was given before; without it, or -, standard input.",
        ),
    ] = None,
    service: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Instead of the block's services. Repeatable."),
    ] = None,
    answers: Annotated[
        Path | None, typer.Option(metavar="FILE", help="YAML: a question's id, and its answer.")
    ] = None,
    block: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Which one, if there are several.")
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|PATH", help="Who the agent is (default: handoff, if there is one)."
        ),
    ] = None,
    model: Model = None,
    fallback_model: FallbackModel = None,
    base_url: BaseUrl = None,
    max_turns: MaxTurns = None,
    max_cost: MaxCost = None,
    max_tokens: MaxTokens = None,
    max_input_tokens: MaxInputTokens = None,
    max_output_tokens: MaxOutputTokens = None,
    timeout: Timeout = None,
    deny: Deny = None,
    gate: Gates = None,
    new_gate: NewGates = None,
    base: Base = None,
    land: Land = None,
    target: Target = None,
    fresh: Fresh = False,
    sandbox: Sandbox = None,
    output_format: Output = "text",
    as_json: Annotated[bool, typer.Option("--json", help="Same as --output-format json.")] = False,
    junit: Junit = None,
    sarif: Sarif = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be done, or what is open.")
    ] = False,
    bump: Annotated[
        bool,
        typer.Option(
            "--bump", help="Then move this repository's pointers to the submodules that changed."
        ),
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Run the work that a handoff block asks for, in the services that it names.

    What the block leaves open is asked before anything is spent: on a terminal at once, else it
    ends with 3 and the questions, and `agentflow answer` or --answers continues.
    """
    wanted: OutputFormat = "json" if as_json else output_format
    with exit_codes(wanted), publishing("handoff", junit, sarif) as publish:
        from agentflow.workflows.asked import Pasted
        from agentflow.world import World

        world = World()
        flags = given_flags(
            prompt=prompt, model=model, fallback_model=fallback_model, base_url=base_url, max_turns=max_turns, max_cost=max_cost,
            max_tokens=max_tokens, max_input_tokens=max_input_tokens, max_output_tokens=max_output_tokens,
            timeout=timeout, deny=deny, gates=given_gates(gate, new_gate), land=land,
            target=target, sandbox=sandbox,
        )  # fmt: skip
        known = _known(path, world)
        text, where = (known.text, known.where) if known else _input(path, quiet=quiet)
        pasted = Pasted(
            text, block, tuple(service or ()), read_answers(answers), base, bump, flags, where=where
        )
        if known:
            pasted = replace(
                pasted,
                number=block or known.number,
                services=pasted.services or known.services,
                base=base or known.base,
                bump=bump or known.bump,
                flags={**known.flags, **flags},
            )
        view = View(wanted, fresh=fresh, dry_run=dry_run, quiet=quiet, verbose=verbose)
        report = go_on(pasted, view, world)
        publish(report)
    raise exit_of(report)


def _known(path: str | None, world: "World") -> "Pasted | None":
    """The handoff of this id as it was given before; None for what is no id.

    Raises `UsageError` for an id that is not known here.
    """
    from agentflow.errors import UsageError
    from agentflow.workflows.asked import asked_before
    from agentflow.workspace.repository import open_repository

    if path is None or not re.fullmatch(r"HANDOFF-[0-9a-f]{8}", path) or Path(path).exists():
        return None
    known = asked_before(open_repository(world.directory, world.environment), world, path)
    if known is None:
        raise UsageError(
            f"no handoff {path} was given here", hint="Give the file of its block, or paste it."
        )
    return known


def _input(path: str | None, *, quiet: bool) -> tuple[str, str]:
    """The text that was pasted, and where it came from."""
    from agentflow.frontmatter import read_limited
    from agentflow.handoffs import PATIENCE, decoded, read_input
    from agentflow.neutral import one_line
    from agentflow.tasks.handoff import MAX_HANDOFF

    where = "standard input" if path is None or path == "-" else path

    def tell() -> None:
        if not quiet:
            given_up = f"it is given up after {PATIENCE:.0f} s without a byte"
            say(f"waiting for a handoff block on {one_line(where, 200)} to end; {given_up}")

    if path is not None and path != "-":
        if Path(path).is_fifo():  # as of `<(command)`: it may never end either
            return read_input(os.open(path, os.O_RDONLY | os.O_NONBLOCK), tell), where
        hint = "Give the file of the block, or paste it: agentflow handoff"
        return decoded(read_limited(Path(path), MAX_HANDOFF, hint), path), where
    if os.isatty(0):
        say("paste the handoff block; end it with Ctrl-D on a line of its own")
    return read_input(0, tell), where
