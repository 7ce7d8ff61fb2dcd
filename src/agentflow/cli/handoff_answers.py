"""A handoff's questions, for `agentflow handoff` and `agentflow answer`: asked, answered, gone on with."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from agentflow.cli.handoff_runs import Asked, confirm, plan_all, run_all
from agentflow.cli.output import OutputFormat, data, fitting, is_terminal, print_json, say, talk
from agentflow.frozen import record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow.records import Json
    from agentflow.tasks.handoff_questions import Question, Reading
    from agentflow.workflows.asked import Pasted
    from agentflow.workspace.repository import Repository
    from agentflow.world import World


@record
class View:
    """How a handoff is to be run and shown."""

    output_format: OutputFormat
    fresh: bool = False
    dry_run: bool = False
    quiet: bool = False
    verbose: bool = False


def go_on(
    pasted: "Pasted", view: View, world: "World", given: "Mapping[str, str] | None" = None
) -> "Json":
    """Ask what is open, or run what leaves nothing open; return the report.

    Raises `UsageError` for an answer among those `given` now (default: all of the paste) that names
    no folder; on a terminal it is asked again.
    """
    from agentflow.handoff_parts import prepare
    from agentflow.workflows.asked import forget, keep, with_earlier
    from agentflow.workspace.repository import open_repository

    repository = open_repository(world.directory, world.environment)
    if view.fresh and not view.dry_run:
        forget(pasted, repository, world)
    given = pasted.answers if given is None else given
    pasted = pasted if view.fresh else with_earlier(pasted, repository, world)
    person = not view.dry_run and is_terminal()
    pasted = _placed(pasted, given, repository, person=person)
    reading = pasted.reading(repository)
    if reading.questions and person:
        pasted = _ask(pasted, reading.questions, repository)
        reading = pasted.reading(repository)
    if reading.questions:
        return _blocked(pasted, reading, view, repository, world)
    if not view.dry_run:
        keep(pasted, repository, world)
    prepared = prepare(repository, reading, pasted.base, pasted.id)
    if view.output_format == "text" or not view.dry_run:
        confirm(data() if view.dry_run else talk(quiet=view.quiet), prepared)
    asked = Asked(
        prepared, pasted.flags, pasted.base, bump=pasted.bump, fresh=view.fresh, run=pasted.run,
        output_format=view.output_format, quiet=view.quiet, verbose=view.verbose,
    )  # fmt: skip
    return plan_all(asked, world) if view.dry_run else run_all(asked, world)


def _placed(
    pasted: "Pasted", given: "Mapping[str, str]", repository: "Repository", *, person: bool
) -> "Pasted":
    """The handoff without answers that name no folder: a person is told and can be asked again.

    Raises `UsageError` where nobody can be asked.
    """
    from agentflow.errors import UsageError
    from agentflow.neutral import one_line
    from agentflow.tasks.handoff_questions import unplaced

    wrong = unplaced(given, pasted.reading(repository))
    for each, why in wrong.items():
        told = f"the answer to {each!r} names no folder: {why}"
        if not person:
            raise UsageError(told, hint="Answer with the path of a folder of this repository.")
        say(one_line(told, 500))
    return replace(pasted, answers={k: v for k, v in pasted.answers.items() if k not in wrong})


def _ask(pasted: "Pasted", questions: "tuple[Question, ...]", repository: "Repository") -> "Pasted":
    """The handoff with a person's answers; what is left out stays open, and what is no answer is asked
    again."""
    from agentflow.neutral import one_line

    for each in questions:
        why = f"line {each.line}: {each.why}"
        while why:
            say(one_line(why, 500))
            said: str = typer.prompt(fitting(one_line(each.question, 300)), default="", err=True)
            if not said.strip():
                break
            more = replace(pasted, answers={**pasted.answers, each.id: said})
            why = _problem(more, {each.id: said}, repository)
            pasted = pasted if why else more
    return pasted


def _problem(pasted: "Pasted", said: "Mapping[str, str]", repository: "Repository") -> str:
    """Why what was said just now is no answer; empty if it is one."""
    from agentflow.errors import UsageError
    from agentflow.tasks.handoff_questions import unplaced

    try:
        return next(iter(unplaced(said, pasted.reading(repository)).values()), "")
    except UsageError as error:
        return error.message


def _blocked(
    pasted: "Pasted", reading: "Reading", view: View, repository: "Repository", world: "World"
) -> "Json":
    """Print what is open, and return the report of the blocked run."""
    from agentflow.neutral import neutral, one_line
    from agentflow.what_next import step_lines
    from agentflow.workflows.asked import block, unanswered

    report = (
        unanswered(pasted, reading.questions, pasted.run)
        if view.dry_run
        else block(pasted, reading.questions, repository, world)
    )
    say(f"error: {one_line(report['reason'], 300)}")
    if view.output_format != "text":
        print_json(report)
        return report
    printer = data()
    for each in reading.questions:
        printer.print(
            (one_line(each.id), "bold"), f"  line {each.line}: {one_line(each.question, 300)}"
        )
        printer.print((f"  {one_line(each.why, 500)}", "dim"))
    for step in step_lines(report["hint"]):
        say(neutral(step))
    return report


def read_answers(path: Path | None) -> dict[str, str]:
    """The answers in a file, by the ids of questions. Raises `UsageError`."""
    from agentflow.errors import UsageError
    from agentflow.frontmatter import read_limited, read_mapping
    from agentflow.handoffs import decoded
    from agentflow.tasks.handoff import MAX_HANDOFF

    if path is None:
        return {}
    hint = "Write YAML: on each line a question's id, a colon and the answer."
    text = decoded(read_limited(path, MAX_HANDOFF, hint), str(path))
    found = read_mapping(text, where=str(path))
    other = [name for name, value in found.items() if not isinstance(value, str)]
    if other:
        raise UsageError(f"{path}: the answer to {other[0]!r} is not a text", hint=hint)
    return found


def answer_handoff(
    earlier: "Pasted", text: str | None, answers: dict[str, str], view: View, world: "World"
) -> "Json":
    """Go on with a handoff that asked, with what a person says."""
    from agentflow.workflows.asked import answered
    from agentflow.workspace.repository import open_repository

    repository = open_repository(world.directory, world.environment)
    said = answers
    if text is not None:
        said = answered(text, earlier.reading(repository).questions)
    return go_on(replace(earlier, answers={**earlier.answers, **said}), view, world, said)
