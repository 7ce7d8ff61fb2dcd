"""The runs of a handoff, for `agentflow handoff`: planned or run, in one repository or in several."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agentflow.cli.execution import connector, execute, interruptible, start_sdk_import
from agentflow.cli.output import OutputFormat, commands_stopped, data, print_json, talk
from agentflow.cli.telemetry import telemetry
from agentflow.frozen import record

if TYPE_CHECKING:
    from agentflow.handoff_parts import Part, Prepared
    from agentflow.interfaces import Emit
    from agentflow.plan import Plan
    from agentflow.records import Json
    from agentflow.sinks.printer import Printer
    from agentflow.world import World


@record
class Asked:
    """What the command line asks for."""

    prepared: "Prepared"
    flags: Mapping[str, Any]
    base: str | None
    bump: bool
    fresh: bool
    output_format: OutputFormat
    quiet: bool
    verbose: bool
    run: str | None = None
    """The run that asked before."""

    @property
    def linked(self) -> bool:
        """Whether several repositories change."""
        return self.bump or len(self.prepared.parts) > 1


def plan_all(asked: Asked, world: "World") -> "Json":
    """Print what would be done, part by part."""
    from agentflow.command_values import command_values
    from agentflow.handoff_parts import describe_json
    from agentflow.order import Order
    from agentflow.plan import make_plan

    _check(asked)
    described: list[Json] = []
    for part in asked.prepared.parts:
        order = Order(base=asked.base, fresh=asked.fresh, flags=asked.flags, made=part.task)
        there = replace(world, directory=part.directory)
        plan = interruptible(make_plan(order, there, command_values))
        if asked.output_format == "text":
            _announce(data(), asked, part, plan)
            continue
        gates = [{"name": gate.name, "command": gate.command} for gate in plan.gates]
        described.append({
            **describe_json(asked.prepared, part), "prompt": plan.prompt.name,
            "model": plan.model, "allow": list(plan.boundaries.allow), "gates": gates,
        })  # fmt: skip
    if len(described) == 1:
        print_json(described[0])
    elif described:
        print_json({"type": "linked", "task": asked.prepared.id, "parts": described})
    return {"exit_code": 0}


def run_all(asked: Asked, world: "World") -> "Json":
    """Run every part, print what became of them, and return the report."""
    from agentflow.order import Order

    _check(asked)
    if asked.linked:
        return _run_linked(asked, world)
    (part,) = asked.prepared.parts
    printer = talk(quiet=asked.quiet)
    return execute(
        Order(
            base=asked.base,
            fresh=asked.fresh,
            flags=asked.flags,
            made=part.task,
            named=asked.run,
            asked_base=asked.base,
        ),
        asked.output_format,
        dry_run=False,
        quiet=asked.quiet,
        verbose=asked.verbose,
        world=replace(world, directory=part.directory),
        announce=lambda plan: _announce(printer, asked, part, plan),
    )


def _check(asked: Asked) -> None:
    if asked.bump:
        from agentflow.workflows.pointers import check_bump

        check_bump(asked.prepared, asked.flags.get("land"))


def _run_linked(asked: Asked, world: "World") -> "Json":
    from agentflow.command_values import command_values
    from agentflow.sinks.console import ConsoleSink
    from agentflow.workflows.linked import Linked, run_linked

    start_sdk_import()
    printer = talk(quiet=asked.quiet)
    console = ConsoleSink(printer, verbose=asked.verbose)
    sinks: list[Emit] = [console]
    if asked.output_format == "stream-json":
        from agentflow.sinks.stream_json import StreamJsonSink

        sinks.append(StreamJsonSink(sys.stdout))

    wanted = Linked(asked.prepared, asked.fresh, asked.flags)
    with commands_stopped(world.environment), telemetry(world.environment) as sent:
        sinks.extend(sent())
        try:
            report = interruptible(
                run_linked(
                    wanted,
                    world,
                    connector(world),
                    sinks,
                    command_values,
                    told=printer.print,
                    announce=lambda part, plan: _announce(printer, asked, part, plan),
                )
            )
        finally:
            console.close()
    report["bump"] = _bumped(asked, report, world)
    if asked.run:
        from agentflow.workflows.asked import ended
        from agentflow.workspace.repository import open_repository

        ended(asked.run, report, open_repository(world.directory, world.environment))
    if asked.output_format == "text":
        _print(report)
    else:
        print_json(report)
    return report


def _bumped(asked: Asked, report: "Json", world: "World") -> "Json | None":
    """Move the pointers if that was asked for. What has landed is reported whatever comes of it."""
    from agentflow.errors import AgentflowError
    from agentflow.workflows.pointers import bump

    if not asked.bump or report["outcome"] != "done":
        return None
    try:
        return bump(asked.prepared, report["runs"], asked.flags.get("target"), world)
    except AgentflowError as error:
        report |= {"outcome": error.outcome, "exit_code": error.exit_code}
        report |= {"reason": f"everything landed, but {error.message}", "hint": error.hint}
        return None


def _print(report: "Json") -> None:
    """Each part's verdict, then what became of all of them."""
    from agentflow.neutral import neutral, one_line
    from agentflow.sinks.verdict import TITLES, print_verdict
    from agentflow.what_next import step_lines

    printer = data()
    for each in report["runs"]:
        print_verdict(printer, {**each, "already_done": False})
    title, style = TITLES.get(report["outcome"], (report["outcome"], "bold"))
    printer.print((f"{title}  ", style), (one_line(report["task"]), "bold"))
    moved = report["bump"]
    pointers = f"{moved['commit'][:12]} on {moved['branch']}" if moved else ""
    for label, value in (("reason", one_line(report["reason"], 400)), ("pointers", pointers)):
        if value:
            printer.print((f"  {label:<9}", "dim"), value)
    for step in step_lines(report["hint"]):
        printer.print((f"  {'next':<9}", "dim"), neutral(step))


def confirm(printer: "Printer", prepared: "Prepared") -> None:
    """Say what will be done, and where."""
    from agentflow.neutral import neutral, one_line

    reading, block = prepared.reading, prepared.reading.handoff
    for each in reading.matches:
        folder = one_line(each.folder or str(prepared.parts[0].directory), 200)
        printer.print(("service   ", "bold"), f"{one_line(each.name)} → {folder}")
    for name, folder in reading.packages.items():
        printer.print(("package   ", "bold"), f"{one_line(name)} → {one_line(folder, 200)}")
    for title, text in (
        ("trigger", block.trigger),
        ("work", block.work),
        ("contract", block.contract),
    ):
        lines = neutral(text).strip("\n").split("\n")
        for number, line in enumerate(lines if text else ()):
            printer.print((f"{'' if number else title:10}", "bold"), line)
    for problem in block.problems:
        printer.print((
            f"note      line {problem.line}: {one_line(problem.message, 200)}",
            "yellow",
        ))
    if len(prepared.parts) > 1:
        order = ", then ".join(one_line(part.place, 200) for part in prepared.parts)
        printer.print(("linked    ", "bold"), f"landed together: {order}")


def _announce(printer: "Printer", asked: Asked, part: "Part", plan: "Plan") -> None:
    """Say what the plan adds: gates, boundaries, prompt."""
    from agentflow.globs import as_written
    from agentflow.neutral import one_line

    if asked.linked:
        printer.print(("part      ", "bold"), f"{part.task.id} in {one_line(part.place, 200)}")
    for gate in plan.gates:
        printer.print(
            ("gate      ", "bold"), f"{one_line(gate.name)}: {one_line(gate.command, 200)}"
        )
    may = ", ".join(map(as_written, plan.boundaries.allow)) or "everything that is not protected"
    printer.print(("may change", "bold"), f" {one_line(may, 300)}")
    printer.print(("prompt    ", "bold"), f"{one_line(plan.prompt.name)}, {one_line(plan.model)}")
