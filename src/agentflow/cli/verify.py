"""`agentflow verify`: the gates alone, on commits made by anybody."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from agentflow.cli.execution import interruptible
from agentflow.cli.output import data, exit_codes, exit_of, print_json, talk
from agentflow.cli.publication import Junit, Sarif, publishing

if TYPE_CHECKING:
    from agentflow.records import Json


def verify(
    what: Annotated[
        str, typer.Argument(metavar="TASK|REV", help="A task, for its branch, or a revision.")
    ],
    base: Annotated[
        str | None,
        typer.Option(
            metavar="REV",
            help="What the change is compared with (default: HEAD, or the default branch).",
        ),
    ] = None,
    gate: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=COMMAND", help="Must pass on the result. Repeatable."),
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="May be changed; replaces the task's. Repeatable."),
    ] = None,
    output_format: Annotated[
        Literal["text", "json"], typer.Option(help="What standard output gets.")
    ] = "text",
    junit: Junit = None,
    sarif: Sarif = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No talk.")] = False,
) -> None:
    """Judge commits by the gates alone: no model, no landing. Ends with 0 or 1; with 2 or 5 if
    nothing could be measured.

    Settings, and the task if it is there, are those of the commit where the change starts.
    """
    with exit_codes(output_format), publishing(what, junit, sarif) as publish:
        from agentflow.sinks.console import ConsoleSink
        from agentflow.subjects import Question
        from agentflow.verify import verify_commits
        from agentflow.world import World

        question = Question(what, base, flags_of(gate or [], allow or []))
        console = ConsoleSink(talk(quiet=quiet))
        found = interruptible(verify_commits(question, World(), console))
        if output_format == "json":
            print_json(found)
        else:
            print_found(found)
        publish(found)
        raise exit_of(found)


def flags_of(gates: list[str], allow: list[str]) -> dict[str, Any]:
    """The settings that were given as flags."""
    from agentflow.globs import check_glob
    from agentflow.tasks.task import parse_gate

    flags: dict[str, Any] = {}
    if gates:
        pairs = (parse_gate(text, where="--gate") for text in gates)
        flags["gates"] = [{"name": name, "command": command} for name, command in pairs]
    if allow:
        flags["allow"] = [check_glob(glob, where="--allow") for glob in allow]
    return flags


def print_found(found: "Json") -> None:
    """The verdict, gate by gate."""
    from agentflow.neutral import one_line
    from agentflow.results import Evidence
    from agentflow.sinks.verdict import print_gates

    printer = data()
    title, style = ("verified", "bold green") if found["passed"] else ("not verified", "bold red")
    commits = f"  {found['base'][:12]}..{found['tip'][:12]}"
    printer.print((f"{title}  ", style), (one_line(found["what"]), "bold"), (commits, "dim"))
    for line in (found["reason"], *found["notices"]):
        if line:
            printer.print((f"  {one_line(line, 200)}", "yellow"))
    print_gates(printer, [Evidence(**gate) for gate in found["gates"]])
