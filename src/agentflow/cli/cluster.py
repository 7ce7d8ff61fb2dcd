"""`agentflow submit`, `worker` and `cluster`: runs on many machines."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from agentflow.cli.completion import complete_task
from agentflow.cli.execution import given_flags, given_gates, start_sdk_import
from agentflow.cli.options import Allow, Base, Deny, Gates, MaxCost, MaxTurns, Model, NewGates
from agentflow.cli.output import data, exit_codes, print_json, print_table, say, talk
from agentflow.cli.telemetry import telemetry
from agentflow.words import word

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentflow.cluster.board import Board
    from agentflow.cluster.entry import Entry
    from agentflow.cluster.execution import Site
    from agentflow.interfaces import Emit
    from agentflow.sinks.tables import Row
    from agentflow.world import World

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Run = Annotated[str, typer.Argument(metavar="RUN|TASK", help="A run, or a task for its newest.")]

cluster = typer.Typer(
    help="Runs on many machines: where they stand, cancel, retry, drain.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@contextmanager
def _board(url: str) -> "Generator[Board]":
    from agentflow.cluster.database import open_client, refusals

    with refusals():
        from agentflow.cluster.board import Board

        with open_client(url) as client:
            yield Board(client)


def _here() -> "tuple[World, str]":
    """The world, and the address of the database."""
    from agentflow.cluster.database import database_url
    from agentflow.world import World

    world = World()
    return world, database_url(world.environment)


def submit(
    tasks: Annotated[
        list[str],
        typer.Argument(metavar="TASK…", help="Ids or paths.", autocompletion=complete_task),
    ],
    priority: Annotated[
        int, typer.Option(metavar="N", min=1, max=1_000_000, help="Lower goes first.")
    ] = 100,
    timeout: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="For the whole run, from when a worker begins it (no end)."
        ),
    ] = None,
    base: Base = None,
    remote: Annotated[
        str, typer.Option(metavar="NAME", help="The git remote that workers know it by.")
    ] = "origin",
    prompt: Annotated[
        str | None, typer.Option(metavar="NAME|PATH", help="Who the agent is (default: agent).")
    ] = None,
    model: Model = None,
    max_turns: MaxTurns = None,
    max_cost: MaxCost = None,
    allow: Allow = None,
    deny: Deny = None,
    gate: Gates = None,
    new_gate: NewGates = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Run again, whatever earlier runs left.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Give tasks to the workers of a cluster; print the run of each.

    A task that waits, is at work or is done is not begun again: its run is printed. Its words go with
    it; the commit that it starts from must be on a branch of the remote. Then: agentflow wait TASK.
    Needs AGENTFLOW_DATABASE_URL.
    """
    with exit_codes("json" if json else "text"):
        from agentflow.durations import parse_duration

        world, url = _here()
        wishes = given_flags(
            prompt=prompt, model=model, max_turns=max_turns, max_cost=max_cost,
            allow=allow, deny=deny, gates=given_gates(gate, new_gate),
        )  # fmt: skip
        seconds = None if timeout is None else parse_duration(timeout, where="--timeout")
        from agentflow.cluster.submission import find_submissions

        made = find_submissions(tasks, base, remote, wishes, world)
        with _board(url) as board:
            from agentflow.cluster.board import submit as store

            found = store(url, board, made, world, priority=priority, deadline=seconds, fresh=fresh)
        for each in found:
            if json:
                print_json({**each.entry.as_json, "is_new": each.is_new})
            else:
                data().print(each.entry.run)
                if not each.is_new:
                    say(f"{each.entry.task} was submitted before: {each.entry.outcome}")


def worker(
    concurrency: Annotated[
        int,
        typer.Option(
            "--concurrency", "-c", metavar="N", min=1, max=256, help="Runs at once on each worker."
        ),
    ] = 4,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only begin and end.")] = False,
) -> None:
    """Take submitted runs, until SIGINT or SIGTERM: then others go on with what is at work here.

    Needs AGENTFLOW_DATABASE_URL, and `state_remote` in your config.toml (or
    AGENTFLOW_STATE_REMOTE). Ends with 5 when it loses the database; let something start it again.
    """
    with exit_codes():
        import signal
        import threading

        from agentflow.cluster.database import refusals

        world, url = _here()
        start_sdk_import()
        stop = threading.Event()

        def leave(number: int, _: object) -> None:
            stop.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, leave)
        with refusals(), telemetry(world.environment) as sent:
            site = site_of(world, sent, quiet=quiet)
            from agentflow.cluster.worker import Manner, work

            work(url, site, Manner(concurrency, told=say), stop)


def site_of(world: "World", sent: "Callable[[], list[Emit]]", *, quiet: bool) -> "Site":
    """How this worker's runs happen; `sent` makes the sinks of one for the user's collector.

    Raises `UsageError` without a state remote.
    """
    from agentflow.cli.execution import connector
    from agentflow.cluster.execution import Site
    from agentflow.command_values import command_values
    from agentflow.errors import UsageError
    from agentflow.records import Task
    from agentflow.settings import load_settings, user_file
    from agentflow.sinks.console import ConsoleSink
    from agentflow.sinks.live import LiveView
    from agentflow.workspace.mirror import check_address

    settings = load_settings({}, world.environment, None, Task("", "", ""))
    if settings.state_remote is None:
        raise UsageError(
            "no state remote is configured, and a run of a worker that dies would be lost",
            hint=f'state_remote = "<address>" in {user_file(world.environment)}, of a private '
            + "repository: files and conversations of runs are pushed there.",
        )
    if settings.land == "current":
        raise UsageError('a worker has no current branch: land = "branch" in its config.toml')
    printer = talk(quiet=quiet)
    view = LiveView(printer, world.now)

    def sinks(task: str) -> "Sequence[Emit]":
        return [ConsoleSink(printer, view=view, now=world.now), *sent()]

    state = check_address(settings.state_remote)
    connect = connector(world, shared=True)
    return Site(world, "", state, settings.target or "", connect, command_values, sinks)


@cluster.command()
def status(
    run: Annotated[str | None, typer.Argument(metavar="[RUN|TASK]", help="Only this one.")] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, help="The newest N.")
    ] = 100,
    json: AsJson = False,
) -> None:
    """Say where submitted runs stand: which wait, who has which, how they ended."""
    with exit_codes("json" if json else "text"):
        _, url = _here()
        with _board(url) as board:
            from agentflow.cluster.listing import listed

            found = [board.get(run)] if run else listed(url, {}, limit=limit)
            drained = board.at_once == 0
        for entry in found if json else ():
            print_json(entry.as_json)
        if not json:
            print_table("{:<40} {:<12} {}  {}", list(map(row_of, found)))
            say("the cluster is drained: no run begins" if drained else f"{len(found)} runs")


def row_of(entry: "Entry") -> "Row":
    """One run as a row."""
    from agentflow.neutral import one_line
    from agentflow.sinks.tables import Row

    reason = one_line(str(entry.facts.get("reason") or ""), 80)
    worker = f"on {one_line(entry.worker, 60)}" if entry.worker else reason
    run, title = one_line(entry.run, 60), one_line(str(entry.facts.get("title") or ""), 40)
    return Row((run, entry.outcome, title, worker))


@cluster.command()
def cancel(run: Run) -> None:
    """Cancel a run that waits or is at work; its processes end within two seconds."""
    with exit_codes():
        _, url = _here()
        with _board(url) as board:
            entry = board.get(run)
            board.cancel(entry, "cancelled")
        say(f"{entry.run} is cancelled. Go on with: agentflow cluster retry {word(entry.run)}")


@cluster.command()
def retry(run: Run) -> None:
    """Go on with a run that was cancelled or ended early, from where it was."""
    with exit_codes():
        _, url = _here()
        with _board(url) as board:
            entry = board.get(run)
            board.retry(entry)
        say(f"{entry.run} waits for a worker")


@cluster.command()
def drain(
    undo: Annotated[bool, typer.Option("--undo", help="Let workers begin runs again.")] = False,
    concurrency: Annotated[
        int, typer.Option("--concurrency", metavar="N", min=1, help="With --undo: runs at once.")
    ] = 4,
) -> None:
    """Let no worker begin another run; return when none is at work."""
    with exit_codes():
        import time

        _, url = _here()
        with _board(url) as board:
            if undo:
                board.fill(concurrency)
                say(f"workers begin runs again, {concurrency} at once on each")
                return
            board.drain()
            told = 0
            while running := board.in_state("PENDING"):
                if len(running) != told:
                    say(f"at work: {', '.join(entry.run for entry in running)}")
                told = len(running)
                time.sleep(2.0)
        say("no run is at work; begin again with: agentflow cluster drain --undo")


@cluster.command()
def migrate(
    role: Annotated[
        str | None, typer.Option(metavar="ROLE", help="Given what workers and submitters need.")
    ] = None,
) -> None:
    """Make or update the cluster's tables, as a role that may."""
    with exit_codes():
        from agentflow.cluster.database import migrate as make_tables
        from agentflow.cluster.database import refusals

        _, url = _here()
        with refusals():
            make_tables(url, role)
        say("the tables are there" + (f", and {role} may use them" if role else ""))


@cluster.command()
def doctor() -> None:
    """Look at what a worker needs here: database, state remote, git, sandbox."""
    with exit_codes():
        from agentflow.cluster.database import refusals, weaknesses
        from agentflow.errors import EnvironmentFailure

        world, url = _here()
        with refusals():
            found = weaknesses(url)
        from agentflow.cluster.checks import local_weaknesses

        found += local_weaknesses(world)
        for each in found:
            data().print(f"weak  {each}")
        if found:
            raise EnvironmentFailure("a worker would not work as it should", hint="See above.")
        data().print("good  database, state remote, git identity and sandbox")
