"""`agentflow resume` and `agentflow answer`: go on with a run that did not come to its end."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentflow.cli.completion import complete_open_run
from agentflow.cli.desk import root_here
from agentflow.cli.execution import execute, given_flags
from agentflow.cli.options import (
    BaseUrl,
    MaxCost,
    MaxInputTokens,
    MaxOutputTokens,
    MaxTokens,
    MaxTurns,
    Model,
    Output,
    Quiet,
    Timeout,
    Verbose,
)
from agentflow.cli.output import OutputFormat, exit_codes, exit_of
from agentflow.cli.publication import Junit, Sarif, publishing
from agentflow.cli.submitted import answer_submitted, refuse_submitted, submitted_report
from agentflow.words import word

if TYPE_CHECKING:
    from agentflow.order import Order
    from agentflow.records import Json
    from agentflow.workflows.asked import Pasted
    from agentflow.workspace.repository import Repository
    from agentflow.world import World

RUN_HELP = "A run, or a task for its newest run (default: the only one that can go on)."


def resume(
    run: Annotated[
        str | None,
        typer.Argument(metavar="RUN|TASK", help=RUN_HELP, autocompletion=complete_open_run),
    ] = None,
    model: Model = None,
    base_url: BaseUrl = None,
    max_turns: MaxTurns = None,
    max_cost: MaxCost = None,
    max_tokens: MaxTokens = None,
    max_input_tokens: MaxInputTokens = None,
    max_output_tokens: MaxOutputTokens = None,
    timeout: Timeout = None,
    output_format: Output = "text",
    junit: Junit = None,
    sarif: Sarif = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Go on with a run that was killed or interrupted, or that ran out of budget.

    Files and conversation go back to the last checkpoint. What was paid is not asked for again,
    and what has landed does not land twice.
    """
    with exit_codes(output_format), publishing(run or "-", junit, sarif) as publish:
        flags = given_flags(
            model=model, base_url=base_url, max_turns=max_turns, max_cost=max_cost, timeout=timeout,
            max_tokens=max_tokens, max_input_tokens=max_input_tokens, max_output_tokens=max_output_tokens,
        )  # fmt: skip
        refuse_submitted(run, root_here())
        report = _go_on(run, None, flags, output_format, quiet=quiet, verbose=verbose)
        publish(report)
    raise exit_of(report)


def answer(
    run: Annotated[
        str, typer.Argument(metavar="RUN|TASK", help="The run that asked, or its task.")
    ],
    text: Annotated[
        str | None, typer.Argument(metavar="TEXT|-", help="The answer; - reads it.")
    ] = None,
    answers: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Of a handoff, YAML: a question's id, and its answer."),
    ] = None,
    model: Model = None,
    base_url: BaseUrl = None,
    max_turns: MaxTurns = None,
    max_cost: MaxCost = None,
    max_tokens: MaxTokens = None,
    max_input_tokens: MaxInputTokens = None,
    max_output_tokens: MaxOutputTokens = None,
    timeout: Timeout = None,
    output_format: Output = "text",
    junit: Junit = None,
    sarif: Sarif = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Answer an agent or a handoff that asked (exit code 3); the same run goes on.

    Of a handoff that asks several things, TEXT has a line for each: `id: answer`. With a submitted
    run a worker goes on.
    """
    with exit_codes(output_format), publishing(run, junit, sarif) as publish:
        from agentflow.errors import UsageError

        said = sys.stdin.read() if text == "-" else text
        if (said is None) == (answers is None) or (said is not None and not said.strip()):
            raise UsageError(
                "the answer is empty"
                if answers is None
                else "TEXT and --answers exclude each other",
                hint="Give the text, or - for standard input.",
            )
        if said is not None and said.strip() in {"your answer", "TEXT"}:
            raise UsageError(
                f"{said.strip()!r} stands for your words", hint="Write what you decided instead."
            )
        flags = given_flags(
            model=model, base_url=base_url, max_turns=max_turns, max_cost=max_cost, timeout=timeout,
            max_tokens=max_tokens, max_input_tokens=max_input_tokens, max_output_tokens=max_output_tokens,
        )  # fmt: skip
        submitted = submitted_report(run, root_here())
        if submitted and said:
            if flags:
                raise UsageError(
                    f"{submitted['run']} was submitted: its model and limits stand",
                    hint="Leave out: " + ", ".join(f"--{name.replace('_', '-')}" for name in flags),
                )
            answer_submitted(submitted, said)
            return
        report = _go_on(
            run, said, flags, output_format, answers=answers, quiet=quiet, verbose=verbose
        )
        publish(report)
    raise exit_of(report)


def _go_on(
    run: str | None,
    answered: str | None,
    flags: dict[str, object],
    output_format: OutputFormat,
    *,
    answers: Path | None = None,
    quiet: bool,
    verbose: bool,
) -> "Json":
    from agentflow.done_runs import choose_run
    from agentflow.errors import UsageError
    from agentflow.resuming import order_of
    from agentflow.workspace.repository import open_repository
    from agentflow.world import World

    world = World()
    repository = open_repository(world.directory, world.environment)
    _check_idle(repository, world, run)
    name = choose_run(repository.root, run, blocked=bool(answered or answers))
    asked = _asked(repository, world, name)
    if asked:
        from agentflow.cli.handoff_answers import View, answer_handoff, read_answers

        if not (answered or answers):
            raise UsageError(
                f"the run {name} waits for answers",
                hint=f"Give them: agentflow answer {word(name)} 'TEXT'",
            )
        asked = replace(asked, flags={**asked.flags, **flags})
        view = View(output_format, quiet=quiet, verbose=verbose)
        return answer_handoff(asked, answered, read_answers(answers), view, world)
    if answers:
        raise UsageError(f"{name} is no handoff's run", hint="Give the answer as TEXT.")
    order = order_of(repository, world.cache, name)
    order = replace(order, flags={**order.flags, **flags}, answer=answered)
    if run is None:
        _check_task(order, name, repository, world)
    batches_of = order.made.tracking_id if order.made else ""
    if batches_of:  # what is written into the document is not the run's own
        from agentflow.cli.batches import execute_batches

        return execute_batches(
            batches_of, None, order.flags, output_format, one=True, retry=True, run=name,
            answer=answered, quiet=quiet, verbose=verbose,
        )  # fmt: skip
    return execute(order, output_format, dry_run=False, quiet=quiet, verbose=verbose)


def _check_idle(repository: "Repository", world: "World", run: str | None) -> None:
    """Raise `UsageError` for a run that is named and at work."""
    from agentflow.errors import UsageError
    from agentflow.report import runs_here
    from agentflow.runs import find_report
    from agentflow.spending import is_replay

    if run is None:
        return
    name = find_report(repository.root, run, is_replay)["run"]
    for each in runs_here(repository.root, repository.locks(world.cache), world.now()):
        if each["run"] == name and each["outcome"] == "running":
            raise UsageError(
                f"the run {name} is at work",
                hint=f"Wait for it: agentflow wait {word(each['task'])}",
            )


def _check_task(order: "Order", run: str, repository: "Repository", world: "World") -> None:
    """Raise `UsageError` naming the run, which nobody named, if its task cannot be read any more."""
    from agentflow.errors import UsageError
    from agentflow.outline import found_for
    from agentflow.runs import FOLDER

    try:
        found_for(order, repository, world)
    except UsageError as error:
        raise UsageError(
            f"{run} is the only run here that can go on, and it cannot: {error.message}",
            hint="Bring its task back; or if it is not wanted any more, remove the run: "
            f"rm -r {word(repository.root / FOLDER / run)}",
        ) from error


def _asked(repository: "Repository", world: "World", run: str) -> "Pasted | None":
    """The handoff that asks under the name of this run, before anything of it began."""
    from agentflow.runs import find_report
    from agentflow.workflows.asked import asked_before, with_earlier

    task = str(find_report(repository.root, run)["task"])
    earlier = asked_before(repository, world, task)
    if earlier is None or earlier.run != run:
        return None
    now = with_earlier(earlier, repository, world)
    return now if now.run == run else None


def unfinished(order: "Order") -> "Order":
    """The order to go on with the task's unfinished run; the same order if there is none, or if
    another run did the task since."""
    from agentflow.done_runs import is_superseded
    from agentflow.resuming import order_of
    from agentflow.runs import RESUMABLE, unfinished_run
    from agentflow.workspace.repository import open_repository
    from agentflow.world import World

    world = World()
    repository = open_repository(world.directory, world.environment)
    left = unfinished_run(repository.root, order.task or "", RESUMABLE)
    if left is None or is_superseded(repository.root, order.task or "", left):
        return order
    earlier = order_of(repository, world.cache, left)
    return replace(earlier, flags={**earlier.flags, **order.flags})
