"""`agentflow init`: a configuration for this repository, with the reason of each line."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from agentflow.cli.execution import interruptible
from agentflow.cli.output import data, exit_codes, say, talk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.init.proposal import Proposal
    from agentflow.init.writing import Written
    from agentflow.results import Evidence
    from agentflow.workspace.repository import Repository
    from agentflow.world import World


def init(
    only_print: Annotated[
        bool, typer.Option("--print", help="Print the configuration; write and try nothing.")
    ] = False,
    no_try: Annotated[bool, typer.Option("--no-try", help="Do not try the gates.")] = False,
    yes: Annotated[
        bool,
        typer.Option(
            "--yes", "-y", help="Try the setup as it is, with the hosts that files here name."
        ),
    ] = False,
) -> None:
    """Look at this repository's files and propose gates and setup; then try them once.

    Writes `.orchestrator/config.toml`, an example task and ignore entries, and never over a file
    that is there.
    """
    with exit_codes():
        from agentflow.init.detection import propose
        from agentflow.init.files import files_of
        from agentflow.init.host import ThisHost
        from agentflow.init.rendering import render
        from agentflow.init.writing import write
        from agentflow.settings import CONFIG, how_to_commit
        from agentflow.workspace.repository import open_repository
        from agentflow.world import World

        world = World()
        repository = open_repository(world.directory, world.environment)
        files = files_of(repository, repository.resolve("HEAD"))
        proposal = propose(files, ThisHost(world.environment))
        if only_print:
            sys.stdout.write(render(proposal))
            return
        written = write(repository.root, proposal)
        _print_written(written)
        if any(each.new and each.path == CONFIG for each in written):
            tried = not no_try and _may_try(proposal, yes=yes)
            evidence = _try(repository, world, proposal) if tried else ()
            _print_next(proposal, evidence, how_to_commit(repository.root, world.directory))


def _print_written(written: "Sequence[Written]") -> None:
    for each in written:
        word = "written" if each.new else "kept   "
        data().print(f"{word}  {each.path}")
    if not any(each.new for each in written):
        say("nothing to do: every file is there already")


def _may_try(proposal: "Proposal", *, yes: bool) -> bool:
    """Whether the gates can and may be tried. What only the repository's files name is asked for first:
    its setup could talk to any machine that this one reaches."""
    from agentflow.neutral import one_line

    hosts = dict.fromkeys(host for each in proposal.installs for host in each.unfamiliar)
    unknown = [each.command for each in proposal.installs if each.command and not each.hosts]
    if not proposal.live or yes or not (hosts or unknown):
        return bool(proposal.live)
    if unknown:
        say(f"not tried: say under `network` which hosts the setup needs: {one_line(unknown[0])}")
        return False
    named = ", ".join(hosts)
    if all(stream.isatty() for stream in (sys.stdin, sys.stderr)):
        return typer.confirm(f"To try the gates, the setup would reach {named}. Go on?", err=True)
    say(f"not tried: the setup would reach {named}, which files of this repository name")
    return False


def _try(repository: "Repository", world: "World", proposal: "Proposal") -> "tuple[Evidence, ...]":
    from agentflow.errors import EnvironmentFailure
    from agentflow.init.trial import try_gates
    from agentflow.neutral import neutral
    from agentflow.sinks.console import ConsoleSink

    console = ConsoleSink(talk())
    try:
        return interruptible(try_gates(repository, world, proposal, console))
    except EnvironmentFailure as failure:
        say(f"the gates could not be tried: {neutral(failure.message)}")
        say(f"  {neutral(failure.hint)}")
        return ()
    finally:
        console.close()


def _print_next(proposal: "Proposal", evidence: "Sequence[Evidence]", commit: str) -> None:
    from agentflow.init.example import EXAMPLE
    from agentflow.settings import CONFIG
    from agentflow.sinks.verdict import print_gates

    print_gates(data(), evidence)
    red = [each.gate.removeprefix("build:") for each in evidence if each.status != "passed"]
    if not proposal.live:
        say(f"no gate was found: add one to {CONFIG}, or nothing can be verified")
    elif red:
        say(f"does not pass: {', '.join(red)}; correct it in {CONFIG}, or mark it as a comment")
    steps = [f"look at {CONFIG}", commit]
    if any(install.hosts for install in proposal.installs):
        steps.append("agentflow trust")
    for step in (*steps, f"agentflow run {EXAMPLE} --dry-run"):
        say(f"  next     {step}")
