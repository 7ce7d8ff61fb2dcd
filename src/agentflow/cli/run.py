"""`agentflow run`: one task, from its file to a verified, landed commit."""

import asyncio
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentflow.cli.output import OutputFormat, Tolerant, data, exit_codes, print_json, talk
from agentflow.records import Backend, Landing, SetupNetwork

if TYPE_CHECKING:
    from agentflow.interfaces import Emit, Model
    from agentflow.plan import Order, Plan
    from agentflow.records import Json
    from agentflow.run import OpenModel
    from agentflow.world import World

EXAMPLES = """
\b
Examples:
  agentflow run TASK-123 --gate 'test=pytest -q'
  agentflow run TASK-123 --dry-run
  agentflow run --text 'Add GET /health' --allow 'src/**' --gate 'test=make test'
  agentflow run TASK-123 --base-url http://127.0.0.1:8080 --model local
"""


PROFILE_HELP = (
    "What the prompt expects: default, json, marker, batch, report, handoff, or as another prompt."
)


def complete_task(incomplete: str) -> list[str]:
    """Task ids, for the shell's completion."""
    folder = Path(".orchestrator/tasks")
    return sorted(p.stem for p in folder.glob("*.md") if p.stem.startswith(incomplete))


def run(
    task: Annotated[
        str | None,
        typer.Argument(
            metavar="TASK",
            help="A task's id, a path to a task file, or - to read its text from standard input.",
            autocompletion=complete_task,
        ),
    ] = None,
    text: Annotated[str | None, typer.Option(metavar="TEXT", help="The task as free text.")] = None,
    prompt: Annotated[
        str | None,
        typer.Option(metavar="NAME|PATH", help="Who the agent is (default: agent)."),
    ] = None,
    profile: Annotated[str | None, typer.Option(metavar="NAME", help=PROFILE_HELP)] = None,
    arguments: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="$ARGUMENTS and $1… of a prompt that is a command file."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="sonnet, opus, haiku, … or a full id.")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Another server of the Messages API.")
    ] = None,
    max_turns: Annotated[
        int | None, typer.Option(metavar="N", help="Replies of the model (default: 100).", min=1)
    ] = None,
    max_cost: Annotated[
        float | None, typer.Option(metavar="USD", help="US dollars (default: no limit).", min=0.0)
    ] = None,
    timeout: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="The agent's time, like 90s or 1h30m (default: 45m)."),
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="May be changed; replaces the task's. Repeatable."),
    ] = None,
    deny: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="May not be changed. Repeatable.")
    ] = None,
    gate: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=COMMAND", help="Must pass on the result. Repeatable."),
    ] = None,
    new_gate: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=COMMAND", help="The same, and must fail before the change. Repeatable."
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(metavar="REV", help="The commit to start from (default: HEAD)."),
    ] = None,
    land: Annotated[
        Landing | None, typer.Option(help="Where verified commits go (default: branch).")
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(metavar="BRANCH", help="To land on (default: agentflow/<TASK>)."),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Run again, whatever earlier runs left.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an unfinished run (not possible yet).")
    ] = False,
    sandbox: Annotated[
        Backend | None,
        typer.Option(help="`none` gives the agent all your rights (default: auto)."),
    ] = None,
    setup_network: Annotated[
        SetupNetwork | None,
        typer.Option(help="`host` lets setup reach all that this machine reaches."),
    ] = None,
    allow_red_base: Annotated[
        bool, typer.Option("--allow-red-base", help="Gates may fail as they fail on the base.")
    ] = False,
    output_format: Annotated[
        OutputFormat, typer.Option(help="What standard output gets.")
    ] = "text",
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print prompt, tools, boundaries and gates; needs no key."),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No talk.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="The model's words in full.")
    ] = False,
) -> None:
    """Run one task: an agent works on it in a sandbox; agentflow verifies and lands the result."""
    with exit_codes(output_format):
        from agentflow.errors import UsageError
        from agentflow.loading import without_collector

        with without_collector():
            from agentflow.plan import Order

        if task is not None and text is not None:
            raise UsageError(f"both a task ({task}) and --text are given", hint="Give one of them.")
        if task == "-":
            task, text = None, _standard_input()
        flags = given_flags(
            prompt=prompt, profile=profile, model=model, base_url=base_url, max_turns=max_turns, max_cost=max_cost,
            timeout=timeout, allow=allow, deny=deny, gates=given_gates(gate, new_gate), land=land, target=target,
            sandbox=sandbox, setup_network=setup_network, allow_red_base=allow_red_base or None,
        )  # fmt: skip
        order = Order(task, text, base, fresh, resume, flags, arguments)
        report = execute(order, output_format, dry_run=dry_run, quiet=quiet, verbose=verbose)
    raise typer.Exit(report["exit_code"])


def _standard_input() -> str:
    from agentflow.errors import UsageError

    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"standard input is not UTF-8 (byte {error.start})") from error


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
    from agentflow.boundaries import check_glob
    from agentflow.durations import parse_duration

    flags = {name: value for name, value in given.items() if value not in (None, [])}
    for name in ("allow", "deny"):
        if name in flags:
            flags[name] = [check_glob(glob, where=f"--{name}") for glob in flags[name]]
    if "timeout" in flags:
        flags["timeout"] = parse_duration(flags["timeout"], where="--timeout")
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
) -> "Json":
    """Run an order to its report, and print that; `announce` sees the plan before the run, and
    prints it in its own way on a dry run."""
    from agentflow.loading import without_collector

    with without_collector():
        import agentflow.run  # noqa: F401  # pyright: ignore[reportUnusedImport]
        import agentflow.sinks.verdict  # noqa: F401  # pyright: ignore[reportUnusedImport]
        from agentflow.command_values import command_values
        from agentflow.plan import make_plan
        from agentflow.world import World

    if not dry_run:
        start_sdk_import()
    world = world or World()
    plan = asyncio.run(make_plan(order, world, command_values))
    show = announce or (partial(_print_plan, output_format) if dry_run else None)
    if show:
        show(plan)
    if dry_run:
        return {"exit_code": 0}
    return _run_and_print(plan, world, output_format, quiet=quiet, verbose=verbose)


def _run_and_print(
    plan: "Plan", world: "World", output_format: OutputFormat, *, quiet: bool, verbose: bool
) -> "Json":
    from agentflow.sinks.console import ConsoleSink
    from agentflow.sinks.verdict import print_verdict

    console = ConsoleSink(talk(quiet=quiet), verbose=verbose)
    sinks: list[Emit] = [console]
    if output_format == "stream-json":
        from agentflow.sinks.stream_json import StreamJsonSink

        sinks.append(StreamJsonSink(Tolerant(sys.stdout)))
    try:
        report = _run_or_ask(plan, world, sinks)
    finally:
        console.close()
    if output_format == "text":
        print_verdict(data(), report)
    else:
        print_json(report)
    return report


def _run_or_ask(plan: "Plan", world: "World", sinks: "Sequence[Emit]") -> "Json":
    """Run; on a terminal, ask what to do about an earlier run that was left unfinished."""
    from agentflow.admission import Unfinished

    try:
        return asyncio.run(run_supervised(plan, world, sinks))
    except Unfinished as error:
        if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
            raise
        typer.echo(f"{error.message}.", err=True)
        if not typer.confirm("Start anew?", err=True):
            raise
    return asyncio.run(run_supervised(replace(plan, fresh=True), world, sinks))


async def run_supervised(plan: "Plan", world: "World", sinks: "Sequence[Emit]") -> "Json":
    """Run a plan to its end; the first SIGINT or SIGTERM ends it cleanly, a second at once."""
    from agentflow.models.endpoint import find_key
    from agentflow.run import run_task

    def connect(plan: "Plan") -> "OpenModel":
        key = find_key(plan.base_url, world.environment, plan.settings.key_variable)

        def open_it() -> "Model":
            from agentflow.models.anthropic import open_model

            return open_model(base_url=plan.base_url, api_key=key)

        return open_it

    stop_on_signals()
    return await run_task(plan, world, connect, sinks)


def stop_on_signals() -> None:
    """Make the first SIGINT or SIGTERM cancel the task that calls this; a second ends at once."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def stop(number: int) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(each)
        if task is not None:
            task.cancel(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)


def _print_plan(output_format: OutputFormat, plan: "Plan") -> None:
    """What a run would do, and what the model would read first."""
    from agentflow.dry_run import describe, describe_json

    if output_format == "text":
        sys.stdout.write(describe(plan))
    else:
        print_json(describe_json(plan))
