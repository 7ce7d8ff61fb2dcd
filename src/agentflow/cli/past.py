"""`agentflow runs rewind|fork|diff|export|prune`: going back in a run, and tidying up."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentflow.cli.completion import complete_prompt, complete_run
from agentflow.cli.execution import given_flags
from agentflow.cli.options import Model
from agentflow.cli.output import data, exit_codes, print_json, print_table, say
from agentflow.words import word

if TYPE_CHECKING:
    from agentflow.archive import Kept
    from agentflow.records import Json
    from agentflow.workspace.repository import Repository
    from agentflow.world import World

Run = Annotated[
    str,
    typer.Argument(
        metavar="RUN|TASK", help="A run, or a task for its newest.", autocompletion=complete_run
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


def _found(wanted: str) -> "tuple[Repository, World, Json]":
    from agentflow.runs import find_report
    from agentflow.workspace.repository import open_repository
    from agentflow.world import World

    world = World()
    repository = open_repository(world.directory, world.environment)
    return repository, world, find_report(repository.root, wanted)


def rewind(
    run: Run,
    to: Annotated[int, typer.Option(metavar="TURN", min=0, help="The turn that stays the last.")],
) -> None:
    """Go back to the end of a turn."""
    with exit_codes("text"):
        from agentflow.rewinding import rewind as set_back

        repository, world, report = _found(run)
        set_back(repository, world, report, to)
        say(f"{report['run']} is back at turn {to}. Go on: agentflow resume {word(report['run'])}")


def fork(
    run: Run,
    at: Annotated[int, typer.Option(metavar="TURN", min=0, help="The turn to begin after.")],
    model: Model = None,
    prompt: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|PATH", help="Another system prompt.", autocompletion=complete_prompt
        ),
    ] = None,
    json: AsJson = False,
) -> None:
    """Begin another run after a turn.

    It has the conversation and the files of that moment, and has cost nothing yet.
    """
    with exit_codes("json" if json else "text"):
        import asyncio

        from agentflow.command_values import command_values
        from agentflow.plan import make_plan
        from agentflow.resuming import order_of
        from agentflow.rewinding import fork as begin_at

        repository, world, report = _found(run)
        order = order_of(repository, world.cache, str(report["run"]))
        flags: dict[str, Any] = {**order.flags, **given_flags(model=model, prompt=prompt)}
        plan = asyncio.run(make_plan(replace(order, flags=flags), world, command_values))
        name = begin_at(plan, world, str(report["run"]), at)
        if json:
            print_json({"run": name, "task": plan.task.id, "source": report["run"], "turn": at})
        else:
            data().print(name)
            say(f"Go on: agentflow resume {word(name)}")


def diff(
    run: Run,
    turns: Annotated[
        str | None, typer.Argument(metavar="[TURN[..TURN]]", help="Default: the whole run.")
    ] = None,
    stat: Annotated[bool, typer.Option("--stat", help="Files and counts only.")] = False,
) -> None:
    """Show what an agent changed.

    In one turn (7), in several (3..7), or in the whole run.
    """
    with exit_codes("text"):
        from agentflow.neutral import neutral
        from agentflow.resuming import checkpoints_of, state_of
        from agentflow.rewinding import checkpoint_at, turns_of
        from agentflow.workspace.checkpoint import diff as difference

        repository, world, report = _found(run)
        name = str(report["run"])
        state = state_of(repository, world.cache, name)
        kept = checkpoints_of(repository, state, name)
        first, last = turns_of(turns, kept)
        new, old = checkpoint_at(kept, last), checkpoint_at(kept, first)
        text = difference(state, old.tree, new.tree, stat=stat)
        if text:
            data().print(neutral(text), fit="whole")
        elif first == last:
            say(f"no file changed: both ends are turn {last} of {name}")
        else:
            say(f"no file changed in the turns {first + 1} to {last}")


def export(
    run: Run,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A new file (default: <run>.tar.gz here).")
    ] = None,
    no_checkpoints: Annotated[
        bool, typer.Option("--no-checkpoints", help="Journal, report and prompt only.")
    ] = False,
) -> None:
    """Pack a run into one file.

    Journal, report and prompt, and its checkpoints (the agent's files and commits) as a git bundle.
    Refused if a secret stands in any of them.
    """
    with exit_codes("text"):
        from agentflow.archive import export as pack
        from agentflow.details.secrecy import secrets_of
        from agentflow.disk import check_new
        from agentflow.errors import EnvironmentFailure
        from agentflow.redaction import redactor

        repository, world, report = _found(run)
        name = str(report["run"])
        file = output or Path(f"{name}.tar.gz")
        check_new(file)
        kept = None if no_checkpoints else _checkpoints(repository, world, name)
        redact = redactor(secrets_of(repository, world.environment))
        try:
            pack(repository.root, name, kept, file, redact)
        except OSError as error:
            raise EnvironmentFailure(f"cannot write {file}: {error.strerror}") from error
        data().print(str(file))


def _checkpoints(repository: "Repository", world: "World", run: str) -> "Kept | None":
    """What is packed of a run's checkpoints; None if they are gone, and that is said."""
    from agentflow.archive import Kept
    from agentflow.errors import UsageError
    from agentflow.resuming import base_of, checkpoints_of, state_of

    try:
        state = state_of(repository, world.cache, run)
        tip = checkpoints_of(repository, state, run)[-1].commit
    except UsageError as error:
        say(f"{error.message}: the file holds journal, report and prompt")
        return None
    return Kept(state, base_of(repository, run), tip)


def prune(
    keep: Annotated[str, typer.Option(metavar="TIME", help="Runs that are younger stay.")] = "30d",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    json: AsJson = False,
) -> None:
    """Remove what is left of old runs.

    Journals, clones and refs, and what imports have set aside; landed commits and branches stay.
    """
    with exit_codes("json" if json else "text"):
        from datetime import timedelta

        from agentflow.archive import ASIDE
        from agentflow.archive import prune as remove
        from agentflow.durations import parse_duration
        from agentflow.neutral import one_line
        from agentflow.sinks.tables import Row
        from agentflow.words import counted
        from agentflow.workspace.repository import open_repository
        from agentflow.world import World

        world = World()
        repository = open_repository(world.directory, world.environment)
        span = timedelta(seconds=parse_duration(keep, where="--keep"))
        old = remove(repository, world.cache, world.now(), span, really=not dry_run)
        for each in old if json else ():
            print_json({
                "run": each.run,
                "outcome": each.outcome,
                "bytes": each.size,
                "stays": each.stays or None,
            })
        if not json:
            print_table("{:<40} {:<12} {:>18}  {}", [
                Row((
                    one_line(each.run, 60),
                    one_line(each.outcome, 12),
                    f"{each.size:,} bytes",
                    f"stays: {each.stays}" if each.stays else "",
                ))
                for each in old
            ])  # fmt: skip
            going = [each for each in old if not each.stays]
            aside = sum(each.outcome == ASIDE for each in going)
            told = counted(len(going) - aside, "run")
            told += f" and {counted(aside, 'set-aside folder')}" if aside else ""
            say(f"{told} would be removed" if dry_run else f"{told} removed")
