"""Planning and running what a command asks for, and printing what became of it."""

import asyncio
import sys
import threading
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from agentflow.cli.output import (
    OutputFormat,
    commands_stopped,
    data,
    is_terminal,
    print_json,
    say,
    talk,
)
from agentflow.cli.telemetry import telemetry
from agentflow.errors import Interrupted
from agentflow.signals import hear_signals

if TYPE_CHECKING:
    from agentflow.cli.replies import Replies
    from agentflow.interfaces import Emit, Model
    from agentflow.order import Order
    from agentflow.plan import Plan
    from agentflow.records import Json
    from agentflow.run import Connect, OpenModel
    from agentflow.world import World

T = TypeVar("T")


def start_sdk_import() -> None:
    """Import the SDK in a thread: that takes longer than everything else before the first
    request, and runs beside it.

    Called when our own imports are done. Two threads that import get in each other's way: started
    before them, the first request came about 60 ms later.
    """
    from agentflow.models.anthropic import import_sdk

    threading.Thread(target=import_sdk, daemon=True).start()


def given_flags(**given: Any) -> dict[str, Any]:
    """The settings that were given as flags, in their own types."""
    from agentflow.durations import parse_duration
    from agentflow.errors import UsageError
    from agentflow.globs import check_glob

    flags = {name: value for name, value in given.items() if value not in (None, [])}
    empty = [name for name, value in flags.items() if isinstance(value, str) and not value.strip()]
    if empty:
        option = f"--{empty[0].replace('_', '-')}"
        raise UsageError(f"{option} is empty", hint=f"Give {option} a value, or leave it out.")
    for name in ("allow", "deny"):
        if name in flags:
            flags[name] = [check_glob(glob, where=f"--{name}") for glob in flags[name]]
    if "timeout" in flags:
        flags["timeout"] = parse_duration(flags["timeout"], where="--timeout")
    if "target" in flags and flags.get("land", "branch") != "branch":
        raise UsageError(
            f"--target names a branch, and --land {flags['land']} lands on no branch of that name",
            hint="Give one of them.",
        )
    return flags


def given_gates(gates: list[str] | None, new: list[str] | None) -> list[dict[str, Any]]:
    """The gates that were given as flags."""
    from agentflow.tasks.task import parse_gate

    given = [("--gate", text) for text in gates or ()] + [
        ("--new-gate", text) for text in new or ()
    ]
    return [
        {"name": name, "command": command, "must_fail_on_base": flag == "--new-gate"}
        for flag, (name, command) in ((flag, parse_gate(text, where=flag)) for flag, text in given)
    ]


def execute(
    order: "Order",
    output_format: OutputFormat,
    *,
    dry_run: bool,
    quiet: bool,
    verbose: bool,
    world: "World | None" = None,
    announce: "Callable[[Plan], None] | None" = None,
    replies: "Replies | None" = None,
) -> "Json":
    """Run an order to its report, and print that; `announce` sees the plan before the run, and
    prints it in its own way on a dry run; `replies` says where replies come from and go to."""
    from agentflow.loading import without_collector

    with without_collector():
        import agentflow.run  # noqa: F401  # pyright: ignore[reportUnusedImport]
        import agentflow.sinks.verdict  # noqa: F401  # pyright: ignore[reportUnusedImport]
        from agentflow.command_values import command_values
        from agentflow.plan import make_plan
        from agentflow.world import World

    if not dry_run and not (replies and replies.offline):
        start_sdk_import()
    world = world or World()
    plan = interruptible(make_plan(order, world, command_values))
    show = announce or (partial(print_plan, output_format) if dry_run else None)
    if show:
        show(plan)
    if dry_run:
        return {"exit_code": 0}
    connect = connector(world)
    if replies:
        plan = replace(plan, replay=replies.offline)
        connect = replies.through(world, connect)
    report = _run_and_print(plan, world, connect, output_format, quiet=quiet, verbose=verbose)
    while answer := _answered(report):
        plan = _going_on(plan, world, report["run"], answer)
        report = _run_and_print(plan, world, connect, output_format, quiet=quiet, verbose=verbose)
    return report


def _run_and_print(
    plan: "Plan",
    world: "World",
    connect: "Connect",
    output_format: OutputFormat,
    *,
    quiet: bool,
    verbose: bool,
) -> "Json":
    from agentflow.sinks.console import ConsoleSink
    from agentflow.sinks.verdict import print_verdict
    from agentflow.what_next import with_next_step

    console = ConsoleSink(talk(quiet=quiet), verbose=verbose)
    sinks: list[Emit] = [console]
    if output_format == "stream-json":
        from agentflow.sinks.stream_json import StreamJsonSink

        sinks.append(StreamJsonSink(sys.stdout))
    with commands_stopped(world.environment), telemetry(world.environment) as sent:
        sinks.extend(sent())
        try:
            report = with_next_step(_run_or_ask(plan, world, connect, sinks))
        finally:
            console.close()
        if output_format == "text":
            print_verdict(data(), report)
        else:
            print_json(report)
    return report


def _run_or_ask(
    plan: "Plan", world: "World", connect: "Connect", sinks: "Sequence[Emit]"
) -> "Json":
    """Run; on a terminal, ask what to do about an earlier run that was left unfinished."""
    from agentflow.admission import Unfinished
    from agentflow.run import run_task

    try:
        return interruptible(run_task(plan, world, connect, sinks))
    except Unfinished as error:
        if not is_terminal():
            raise
        say(f"{error.message}.")
        choice = typer.prompt("[g]o on with it, start a[n]ew, or stop", default="stop", err=True)
        if choice not in {"g", "n"}:
            raise
        chosen = _going_on(plan, world, error.run) if choice == "g" else _anew(plan)
    return interruptible(run_task(chosen, world, connect, sinks))


def _anew(plan: "Plan") -> "Plan":
    return replace(plan, order=replace(plan.order, fresh=True))


def _going_on(plan: "Plan", world: "World", run: str, answer: str | None = None) -> "Plan":
    """The plan to go on with a run, from its own base."""
    from agentflow.command_values import command_values
    from agentflow.plan import make_plan
    from agentflow.resuming import order_of

    order = order_of(plan.repository, world.cache, run)
    order = replace(order, flags={**order.flags, **plan.order.flags}, answer=answer)
    return replace(interruptible(make_plan(order, world, command_values)), ledger=plan.ledger)


def _answered(report: "Json") -> str | None:
    """On a terminal, a person's answer to a run that is blocked; None leaves it so."""
    if report["outcome"] != "blocked" or not report["run"] or not is_terminal():
        return None
    said: str = typer.prompt("Answer (nothing leaves it for later)", default="", err=True)
    return said.strip() or None


def interruptible(work: Coroutine[Any, Any, T]) -> T:
    """Run it to its end. The first SIGINT or SIGTERM ends it cleanly, the second cuts short what that
    end waits for, the third ends the process.

    Raises `Interrupted` where the work itself has no answer to that.
    """

    async def heard() -> T:
        task, first = asyncio.current_task(), 0

        def stop(number: int) -> None:
            nonlocal first
            first = first or number
            if task is not None:
                task.cancel(first)

        hear_signals(stop)
        return await work

    try:
        return asyncio.run(heard())
    except asyncio.CancelledError as error:
        raise Interrupted.of(error) from error


def connector(world: "World", *, shared: bool = False) -> "Connect":
    """Finds the key for a plan's server, and connects to that when a run is ready.

    All connections to one server keep one pace if they are `shared`, or if limits are configured.
    """
    from agentflow.models.endpoint import find_key
    from agentflow.models.pace import Pace, Pacing, Rates, Unpaced

    paces: dict[tuple[str | None, str], Pacing] = {}

    def connect(plan: "Plan") -> "OpenModel":
        key = find_key(plan.base_url, world.environment, plan.settings.key_variable)
        rates = Rates(**dict(plan.settings.rate_limits))
        new = Pace(rates) if shared or rates != Rates() else Unpaced()
        pace = paces.setdefault((plan.base_url, plan.server.name), new)

        def open_it() -> "Model":
            from agentflow.models.anthropic import open_model

            return open_model(base_url=plan.base_url, api_key=key, kind=plan.server, pace=pace)

        return open_it

    return connect


def print_plan(output_format: OutputFormat, plan: "Plan") -> None:
    """What a run would do, and what the model would read first."""
    from agentflow.dry_run import describe, describe_json

    if output_format == "text":
        sys.stdout.write(describe(plan, data().width))
    else:
        print_json(describe_json(plan))
