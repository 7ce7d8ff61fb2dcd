"""Running the batches of a document, for `agentflow phase-6` and `agentflow run`."""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentflow.cli.desk import desk
from agentflow.cli.output import (
    OutputFormat,
    commands_stopped,
    data,
    print_json,
    say,
    talk,
)
from agentflow.cli.telemetry import telemetry

if TYPE_CHECKING:
    from agentflow.interfaces import Emit
    from agentflow.records import Json
    from agentflow.sinks.printer import Printer
    from agentflow.workflows.situation import Wanted
    from agentflow.world import World


def batches_apply(task: str, base: str | None, flags: Mapping[str, Any]) -> bool:
    """Whether a task given to `run` is a document with batches: see `means_document`."""
    from agentflow.tasks.task import FOLDER, names_a_file

    if names_a_file(task) or Path(FOLDER, f"{task}.md").exists():
        return False  # most are: the rest is imported for others alone
    from agentflow.whole_documents import means_document
    from agentflow.workflows.situation import Wanted

    here = desk()
    wanted = Wanted(task, base, flags=flags, documents=here.setting)
    return here.repository is not None and means_document(wanted, here.repository)


def execute_batches(
    task: str,
    base: str | None,
    flags: Mapping[str, Any],
    output_format: OutputFormat,
    *,
    one: bool = False,
    retry: bool = False,
    run: str | None = None,
    answer: str | None = None,
    dry_run: bool = False,
    quiet: bool,
    verbose: bool,
) -> "Json":
    """Run the batches of a task's document, or go on with one's `run`; print each next step and, at
    the end, the report."""
    from agentflow.cli.execution import print_plan, start_sdk_import
    from agentflow.command_values import command_values
    from agentflow.workflows.situation import Wanted, check, look, plan_batch
    from agentflow.world import World

    wanted = Wanted(
        task, base, one=one, retry=retry, run=run, answer=answer, flags=flags,
        asked_base=base, documents=desk().setting,
    )  # fmt: skip
    world = World()
    if not dry_run:
        start_sdk_import()
        return _run(wanted, world, output_format, quiet=quiet, verbose=verbose)
    situation = look(wanted, world)
    check(situation)
    batch = situation.choice.batch
    if situation.choice.state != "next" or batch is None:
        say(f"no batch is next: {situation.choice.state}")
        return {"exit_code": 0}
    print_plan(
        output_format, asyncio.run(plan_batch(wanted, world, situation, batch, command_values))
    )
    return {"exit_code": 0}


def _run(
    wanted: "Wanted", world: "World", output_format: OutputFormat, *, quiet: bool, verbose: bool
) -> "Json":
    from agentflow.cli.execution import connector, interruptible
    from agentflow.command_values import command_values
    from agentflow.neutral import neutral
    from agentflow.sinks.console import ConsoleSink
    from agentflow.workflows.batches import run_batches
    from agentflow.workflows.next_step import as_text

    printer = data()
    console = ConsoleSink(talk(quiet=quiet), verbose=verbose)
    sinks: list[Emit] = [console]
    if output_format == "stream-json":
        from agentflow.sinks.stream_json import StreamJsonSink

        sinks.append(StreamJsonSink(sys.stdout))

    def told(step: "Json") -> None:
        if output_format == "text":
            printer.print(neutral(as_text(step)))

    with commands_stopped(world.environment), telemetry(world.environment) as sent:
        sinks.extend(sent())
        try:
            report = interruptible(
                run_batches(wanted, world, connector(world), sinks, command_values, told)
            )
        finally:
            console.close()
        if output_format == "text":
            _print(printer, report)
        else:
            print_json(report)
    return report


def _print(printer: "Printer", report: "Json") -> None:
    """The outcome of all batches, in a few lines."""
    from agentflow.neutral import neutral, one_line
    from agentflow.sinks.verdict import TITLES
    from agentflow.what_next import step_lines

    title, style = TITLES.get(report["outcome"], (report["outcome"], "bold"))
    printer.print((f"{title}  ", style), (one_line(report["task"]), "bold"))
    for each in report["batches"]:
        commit = f"  {each['commit'][:12]}" if each["commit"] else ""
        name = one_line(f"batch {each['id']}: {each['name']}", 100)
        printer.print(f"  {each['outcome']:<12} {name}{commit}")
    if report["reason"]:
        printer.print((f"  {'reason':<9}", "dim"), one_line(report["reason"], 400))
    failed = report["escalation"]["evidence"] if report["escalation"] else ()
    for evidence in failed:
        told = f"{evidence['gate']}: {evidence['summary']}"
        printer.print((f"  {'failed':<9}", "dim"), one_line(told, 300))
    of_batches = (each for batch in report["batches"] for each in batch["notices"])
    for notice in dict.fromkeys((*report["notices"], *of_batches)):
        printer.print((f"  {'note':<9}", "dim"), one_line(notice, 300))
    if report["branch"]:
        printer.print((f"  {'branch':<9}", "dim"), one_line(report["branch"], 200))
    for step in step_lines(report["hint"]):
        printer.print((f"  {'next':<9}", "dim"), neutral(step))
