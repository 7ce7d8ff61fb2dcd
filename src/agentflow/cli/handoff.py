"""`agentflow handoff`: a block pasted from another team, confirmed, run and landed."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentflow.cli.execution import given_flags, given_gates
from agentflow.cli.handoff_runs import Asked, confirm, plan_all, run_all
from agentflow.cli.options import (
    Base,
    BaseUrl,
    Deny,
    FallbackModel,
    Fresh,
    Gates,
    Land,
    MaxCost,
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
from agentflow.cli.output import OutputFormat, data, exit_codes, print_json, say, talk
from agentflow.cli.publication import Junit, Sarif, publishing

if TYPE_CHECKING:
    from agentflow.handoff_parts import Prepared
    from agentflow.tasks.handoff import Handoff
    from agentflow.tasks.handoff_questions import Question
    from agentflow.world import World


def handoff(
    path: Annotated[
        str | None,
        typer.Argument(metavar="PATH", help="The block's file; without it, or -, standard input."),
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

    What the block leaves open is asked before anything is spent: it ends with 3 and the questions,
    and --answers continues.
    """
    wanted: OutputFormat = "json" if as_json else output_format
    with exit_codes(wanted), publishing("handoff", junit, sarif) as publish:
        from agentflow.world import World

        world = World()
        flags = given_flags(
            prompt=prompt, model=model, fallback_model=fallback_model, base_url=base_url, max_turns=max_turns, max_cost=max_cost,
            timeout=timeout, deny=deny, gates=given_gates(gate, new_gate), land=land,
            target=target, sandbox=sandbox,
        )  # fmt: skip
        found = _block(path, block)
        prepared = _prepare(found, world, base, service or [], _answers(answers), wanted)
        printer = data() if dry_run else talk(quiet=quiet)
        if wanted == "text" or not dry_run:
            confirm(printer, prepared)
        asked = Asked(
            prepared, flags, base, bump=bump, fresh=fresh, output_format=wanted, quiet=quiet,
            verbose=verbose,
        )  # fmt: skip
        report = plan_all(asked, world) if dry_run else run_all(asked, world)
        publish(report)
    raise typer.Exit(report["exit_code"])


def _block(path: str | None, number: int | None) -> "Handoff":
    from agentflow.frontmatter import read_limited
    from agentflow.handoffs import choose_block, decoded, read_input
    from agentflow.tasks.handoff import MAX_HANDOFF

    if path is not None and path != "-":
        text = decoded(read_limited(Path(path), MAX_HANDOFF), path)
        return choose_block(text, where=path, number=number)
    if os.isatty(0):
        say("paste the handoff block; end it with Ctrl-D on a line of its own")
    text = read_input(0)
    return choose_block(text, where="standard input", number=number)


def _answers(path: Path | None) -> dict[str, str]:
    from agentflow.errors import UsageError
    from agentflow.frontmatter import read_limited, read_mapping
    from agentflow.handoffs import decoded
    from agentflow.tasks.handoff import MAX_HANDOFF

    if path is None:
        return {}
    found = read_mapping(decoded(read_limited(path, MAX_HANDOFF), str(path)), where=str(path))
    other = [name for name, value in found.items() if not isinstance(value, str)]
    if other:
        raise UsageError(f"{path}: the answer to {other[0]!r} is not a text")
    return found


def _prepare(
    block: "Handoff",
    world: "World",
    base: str | None,
    services: list[str],
    answers: dict[str, str],
    wanted: OutputFormat,
) -> "Prepared":
    from agentflow.handoff_parts import prepare
    from agentflow.handoffs import read_in
    from agentflow.workspace.repository import open_repository

    repository = open_repository(world.directory, world.environment)
    reading = read_in(repository, block, base, services, answers)
    if reading.questions:
        _ask(reading.questions, wanted)
    return prepare(repository, reading, base)


def _ask(questions: "tuple[Question, ...]", wanted: OutputFormat) -> None:
    """Print what is open, and end."""
    from agentflow.errors import Blocked
    from agentflow.neutral import one_line
    from agentflow.tasks.handoff_questions import questions_json

    blocked = Blocked(
        f"the handoff leaves {len(questions)} open: " + ", ".join(each.id for each in questions),
        hint="Answer each by its id in a YAML file: --answers FILE.",
    )
    if wanted != "text":
        say(f"error: {one_line(blocked.message, 300)}")
        print_json({**questions_json(questions), "outcome": "blocked", "exit_code": 3})
        raise typer.Exit(blocked.exit_code)
    printer = data()
    for each in questions:
        printer.print(
            (one_line(each.id), "bold"), f"  line {each.line}: {one_line(each.question, 300)}"
        )
        printer.print((f"  {one_line(each.why, 500)}", "dim"))
    raise blocked
