"""`agentflow run`: one task, from its file to a verified, landed commit."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentflow.cli.batches import batches_apply, execute_batches
from agentflow.cli.execution import execute, given_flags, given_gates
from agentflow.cli.output import OutputFormat, exit_codes
from agentflow.records import Backend, Landing, SetupNetwork

if TYPE_CHECKING:
    pass

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
    from agentflow.tasks.queue_headings import names_in_queues

    folder = Path(".orchestrator/tasks")
    known = {*(path.stem for path in folder.glob("*.md")), *names_in_queues(Path())}
    return sorted(name for name in known if name.startswith(incomplete))


def run(
    task: Annotated[
        str | None,
        typer.Argument(
            metavar="TASK",
            help="A task's id (of a file or a queue), a task file's path, or - for standard input.",
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
        if task is not None and batches_apply(task, prompt):
            report = execute_batches(
                task, base, flags, output_format, dry_run=dry_run, quiet=quiet, verbose=verbose
            )
            raise typer.Exit(report["exit_code"])
        order = Order(task, text, base, fresh, resume, flags, arguments)
        report = execute(order, output_format, dry_run=dry_run, quiet=quiet, verbose=verbose)
    raise typer.Exit(report["exit_code"])


def _standard_input() -> str:
    from agentflow.errors import UsageError

    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"standard input is not UTF-8 (byte {error.start})") from error
