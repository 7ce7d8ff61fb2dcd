"""`agentflow run`: one task, from its file to a verified, landed commit."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from agentflow.cli.batches import batches_apply, execute_batches
from agentflow.cli.completion import complete_prompt, complete_task
from agentflow.cli.execution import execute, given_flags, given_gates
from agentflow.cli.many import Manner, Several, execute_many
from agentflow.cli.options import (
    JOBS,
    Allow,
    AllowForeignHead,
    AllowRedBase,
    Base,
    BaseUrl,
    Deny,
    FallbackModel,
    Fresh,
    Gates,
    HostNetwork,
    Land,
    MaxCost,
    MaxInputTokens,
    MaxOutputTokens,
    MaxTokens,
    MaxTurns,
    Model,
    NewGates,
    Output,
    Profile,
    Quiet,
    Sandbox,
    Target,
    Timeout,
    Verbose,
)
from agentflow.cli.output import exit_codes, exit_of
from agentflow.cli.publication import Junit, Sarif, publishing
from agentflow.cli.replies import given_replies
from agentflow.cli.resume import unfinished

EXAMPLES = """
\b
Examples:
  agentflow run TASK-123 --gate 'test=pytest -q'
  agentflow run TASK-123 --dry-run
  agentflow run TASK-123 TASK-124 --target release --jobs 8
  agentflow run --all --dry-run                           # waves, and who waits for whom
  agentflow run --text 'Add GET /health' --allow 'src/**' --gate 'test=make test'
  agentflow run TASK-123 --base-url http://127.0.0.1:8080 --model local
  agentflow run TASK-123 --fresh --replay replies.jsonl   # recorded by --record
"""


JOBS_HELP = "Agents at once, if there are several tasks."


def run(
    tasks: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TASK…",
            help="A task's id (of a file, a queue or a tasks.md), a task file's path, or - for standard input.",
            autocompletion=complete_task,
        ),
    ] = None,
    all_: Annotated[
        bool, typer.Option("--all", help="All tasks of files and queue that are ready.")
    ] = False,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", metavar="N", min=1, max=256, help=JOBS_HELP)
    ] = JOBS,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Others go on when a task is not done.")
    ] = False,
    accept_followups: Annotated[
        bool, typer.Option("--accept-followups", help="Run what agents propose elsewhere, too.")
    ] = False,
    text: Annotated[str | None, typer.Option(metavar="TEXT", help="The task as free text.")] = None,
    prompt: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|PATH",
            help="Who the agent is (default: agent).",
            autocompletion=complete_prompt,
        ),
    ] = None,
    profile: Profile = None,
    arguments: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="$ARGUMENTS and $1… of a prompt that is a command file."),
    ] = None,
    model: Model = None,
    fallback_model: FallbackModel = None,
    base_url: BaseUrl = None,
    max_turns: MaxTurns = None,
    max_cost: MaxCost = None,
    max_tokens: MaxTokens = None,
    max_input_tokens: MaxInputTokens = None,
    max_output_tokens: MaxOutputTokens = None,
    timeout: Timeout = None,
    allow: Allow = None,
    deny: Deny = None,
    gate: Gates = None,
    new_gate: NewGates = None,
    base: Base = None,
    land: Land = None,
    target: Target = None,
    fresh: Fresh = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an unfinished run, if there is one.")
    ] = False,
    sandbox: Sandbox = None,
    setup_network: HostNetwork = None,
    allow_red_base: AllowRedBase = False,
    allow_foreign_head: AllowForeignHead = False,
    output_format: Output = "text",
    record: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the model's replies to a new file."),
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Take recorded replies: no key, no network, no cost."),
    ] = None,
    junit: Junit = None,
    sarif: Sarif = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print prompt, tools, boundaries and gates; needs no key."),
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Run a task, or several at once: an agent works on each in a sandbox; agentflow verifies and
    lands the results."""
    names = tasks or []
    with exit_codes(output_format), publishing(" ".join(names) or "-", junit, sarif) as publish:
        from agentflow.loading import without_collector

        with without_collector():
            from agentflow.order import Order

        task, text = _meant(names, text)
        flags = given_flags(
            prompt=prompt, profile=profile, model=model, fallback_model=fallback_model, base_url=base_url, max_turns=max_turns, max_cost=max_cost,
            max_tokens=max_tokens, max_input_tokens=max_input_tokens, max_output_tokens=max_output_tokens,
            timeout=timeout, allow=allow, deny=deny, gates=given_gates(gate, new_gate), land=land, target=target,
            sandbox=sandbox, setup_network=setup_network, allow_red_base=allow_red_base or None,
            allow_foreign_head=allow_foreign_head or None,
        )  # fmt: skip
        replies = given_replies(record, replay)
        manner = Manner(output_format, dry_run=dry_run, quiet=quiet, verbose=verbose)
        if all_ or len(names) > 1:
            _check_several(names, all_, text, arguments, replies)
            several = Several(names, jobs, keep_going, accept_followups, fresh, base, flags)
            report = execute_many(several, manner)
            publish(report)
            raise exit_of(report)
        if task is not None and batches_apply(task, base, flags):
            _refuse_replies(replies, "are for one run, and this task has several batches")
            report = execute_batches(
                task, base, flags, output_format, dry_run=dry_run, quiet=quiet, verbose=verbose
            )
            publish(report)
            raise exit_of(report)
        order = Order(task, text, base, fresh, None, flags, arguments, asked_base=base)
        if resume:
            _refuse_replies(replies, "begin a run; --resume goes on with one")
            order = unfinished(order)
        report = execute(
            order, output_format, dry_run=dry_run, quiet=quiet, verbose=verbose, replies=replies
        )
        publish(report)
    raise exit_of(report)


def _meant(names: list[str], text: str | None) -> tuple[str | None, str | None]:
    """The only task that is named, or a text instead of one."""
    from agentflow.errors import UsageError

    if len(names) != 1:
        return None, text
    if text is not None:
        raise UsageError(f"both a task ({names[0]}) and --text are given", hint="Give one of them.")
    return (None, _standard_input()) if names[0] == "-" else (names[0], None)


def _refuse_replies(replies: object, why: str) -> None:
    from agentflow.errors import UsageError

    if replies:
        raise UsageError(f"--record and --replay {why}")


def _check_several(
    names: list[str],
    all_: bool,
    text: str | None,
    arguments: str | None,
    replies: object,
) -> None:
    """Refuse what is for one task only."""
    from agentflow.errors import UsageError

    if all_ and names:
        raise UsageError("--all and names of tasks are given", hint="Give one of them.")
    alone = {"--text": text, "--arguments": arguments, "--record or --replay": replies}
    given = [name for name, value in alone.items() if value]
    if given or "-" in names:
        raise UsageError(f"{(*given, '-')[0]} is for one task, and several are given")


def _standard_input() -> str:
    from agentflow.errors import UsageError

    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"standard input is not UTF-8 (byte {error.start})") from error
