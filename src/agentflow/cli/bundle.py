"""`agentflow bundle` and `agentflow land`: from a job that may not write to one that has no model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from agentflow.cli.execution import interruptible
from agentflow.cli.output import data, exit_codes, exit_of, print_json, say, talk
from agentflow.cli.publication import Junit, Sarif, publishing
from agentflow.cli.verify import flags_of, print_found

if TYPE_CHECKING:
    from agentflow.records import Json

SigningKey = Annotated[
    Path | None,
    typer.Option(
        "--key",
        metavar="FILE",
        envvar="AGENTFLOW_ATTEST_KEY",
        help="Sign the verdict with this key of OpenSSH; without one it is not signed.",
    ),
]
AllowedSigners = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Whose signatures count: see ssh-keygen(1)."),
]


def bundle(
    run: Annotated[
        str, typer.Argument(metavar="RUN|TASK", help="A run, or a task for its newest.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="A new file (default: <run>.tar here)."
        ),
    ] = None,
    key: SigningKey = None,
) -> None:
    """Pack a verified run into one file: its commits, its report, its verdict.

    `agentflow land` judges it again in another job, before anything is pushed.
    """
    with exit_codes("text"):
        from agentflow.bundles import write_bundle
        from agentflow.disk import check_new
        from agentflow.verified_runs import verified_run
        from agentflow.workspace.repository import open_repository
        from agentflow.world import World

        world = World()
        repository = open_repository(world.directory, world.environment)
        found = verified_run(repository, run)
        file = output or Path(f"{found.run}.tar")
        check_new(file)
        write_bundle(repository, found, key, file)
        if key is None:
            say("the verdict in it is not signed (--key FILE signs it)")
        data().print(str(file))


def land(
    file: Annotated[Path, typer.Argument(metavar="BUNDLE", help="What `agentflow bundle` wrote.")],
    base: Annotated[
        str | None,
        typer.Option(
            metavar="REV", help="What the change is for, and is measured by (default: HEAD)."
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
    target: Annotated[
        str | None,
        typer.Option(metavar="BRANCH", help="To land on and push to (default: agentflow/<TASK>)."),
    ] = None,
    push: Annotated[
        bool, typer.Option("--push", help="Push the branch, fast-forward only.")
    ] = False,
    remote: Annotated[str, typer.Option(metavar="NAME", help="Where to push.")] = "origin",
    allowed_signers: AllowedSigners = None,
    output_format: Annotated[
        Literal["text", "json"], typer.Option(help="What standard output gets.")
    ] = "text",
    junit: Junit = None,
    sarif: Sarif = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No talk.")] = False,
) -> None:
    """Judge the commits of a bundle again, with this repository's boundaries and gates; land them on
    a branch if all pass. Ends with 0 or 1; with 2 for a bundle that was tampered with, 7 if branch or
    remote cannot take them.

    A protected or default branch is pushed to only if --target names it.
    """
    with exit_codes(output_format), publishing(file.name, junit, sarif) as publish:
        from agentflow.bundles import read_bundle
        from agentflow.delivery import Delivery, deliver
        from agentflow.sinks.console import ConsoleSink
        from agentflow.subjects import Question
        from agentflow.world import World

        packed = read_bundle(file)
        question = Question(packed.task, base, flags_of(gate or [], allow or []))
        wanted = Delivery(packed, question, target, remote if push else None, allowed_signers)
        found = interruptible(deliver(wanted, World(), ConsoleSink(talk(quiet=quiet))))
        if output_format == "json":
            print_json(found)
        else:
            print_found(found)
            _print_places(found)
        publish(found)
    raise exit_of(found)


def _print_places(found: "Json") -> None:
    from agentflow.neutral import one_line

    places = {
        "landed": found["landed"] and found["landed"]["ref"].removeprefix("refs/heads/"),
        "pushed": found["pushed"] and f"{found['pushed']['remote']} {found['pushed']['branch']}",
        "signer": found["signed_by"],
    }
    for label, value in places.items():
        if value:
            data().print((f"  {label:<9}", "dim"), one_line(str(value), 200))
