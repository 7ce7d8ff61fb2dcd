"""`agentflow tasks`: what tasks.md documents say, and setting a status in one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentflow.cli.desk import desk
from agentflow.cli.output import data, exit_codes, print_json, say

if TYPE_CHECKING:
    pass

tasks = typer.Typer(
    help="Check tasks.md documents, name the next batch, set a status.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

TaskName = Annotated[
    str, typer.Argument(metavar="TASK|PATH", help="A task's id, its folder, or the document.")
]
AsJson = Annotated[bool, typer.Option("--json", help="As one JSON object.")]


@tasks.command()
def lint(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH]...", help="Documents or folders (default: all tasks)."),
    ] = None,
    json: AsJson = False,
) -> None:
    """Say how documents are read: batches, statuses, dependencies, files, and what is wrong.

    Exits with 1 if something cannot be decided, or contradicts itself.
    """
    with exit_codes("json" if json else "text"):
        from agentflow.errors import UsageError
        from agentflow.neutral import one_line
        from agentflow.task_documents import all_documents, given_documents
        from agentflow.tasks.tasks_lint import describe, describe_refusal

        here = desk()
        found: list[Any] = []
        for path in (
            given_documents(paths) if paths else all_documents(here.root, here.setting.roots)
        ):
            try:
                found.append(describe(str(path), here.read(path)))
            except UsageError as error:
                found.append(describe_refusal(str(path), error.message))
        problems = [(each["path"], problem) for each in found for problem in each["problems"]]
        errors = sum(problem["severity"] == "error" for _, problem in problems)
        if json:
            print_json({"files": found})
        else:
            for path, problem in problems:
                place = f"{one_line(path, 200)}:{problem['line']}"
                told = f"{problem['severity']}: {one_line(problem['message'], 300)}"
                data().print(f"{place}: {told} [{problem['code']}]")
            batches = sum(len(each["batches"]) for each in found)
            say(f"{len(found)} documents, {batches} batches, {errors} errors")
        if errors:
            raise typer.Exit(1)


@tasks.command()
def show(task: TaskName, json: AsJson = False) -> None:
    """Show a task's batches with status, developer, dependencies and tasks."""
    with exit_codes("json" if json else "text"):
        from agentflow.neutral import one_line
        from agentflow.tasks.tasks_lint import describe

        here = desk()
        path = here.find(task)
        document = here.read(path)
        if json:
            print_json(describe(str(path), document))
            return
        for batch in document.batches:
            waits = (
                [each.id for each in batch.dependencies.references] if batch.dependencies else []
            )
            line = f"{batch.id:<5} {batch.status or '?':<12} {one_line(batch.name, 60)}"
            line += f"  {one_line(batch.developer or 'unassigned', 40)}"
            line += f"  after {', '.join(waits)}" if waits else ""
            data().print(line + (f"  {batch.commits[0]}" if batch.commits else ""))
            for each in batch.tasks:
                data().print(
                    f"      {each.id:<6} {each.status or '?':<12} {one_line(each.name, 70)}"
                )
        say(f"{one_line(str(path), 200)}: {len(document.problems)} problems (agentflow tasks lint)")


@tasks.command("set")
def set_(
    task: Annotated[
        str, typer.Argument(metavar="PATH|TASK", help="The document, its folder, or the task's id.")
    ],
    batch: Annotated[str, typer.Option(metavar="ID", help="The batch, for example 2A.")],
    status: Annotated[str, typer.Option(metavar="STATUS", help="For example COMPLETE.")],
    commit: Annotated[
        str | None, typer.Option(metavar="SHA", help="For the batch's commit field.")
    ] = None,
    task_id: Annotated[
        str | None,
        typer.Option("--task", metavar="N.M", help="This task's status, not the batch's."),
    ] = None,
    json: AsJson = False,
) -> None:
    """Set the status of a batch or task in its document; every other byte stays.

    Exits with 7 if somebody else changed the same words, or is writing the document.
    """
    with exit_codes("json" if json else "text"):
        from agentflow.neutral import one_line
        from agentflow.task_documents import write_change
        from agentflow.tasks.statuses import parse_status
        from agentflow.tasks.tasks_edit import Change

        here = desk()
        path = here.find(task)
        change = Change(batch, parse_status(status), commit, task_id)
        changed = write_change(path, here.read(path), change, here.locks)
        if json:
            print_json({
                "type": "tasks.set",
                "path": str(path),
                "batch": batch,
                "task": task_id,
                "status": change.status,
                "commit": commit,
                "changed": changed,
            })
        else:
            told = f"{'set to' if changed else 'is already'} {change.status}"
            what = f"task {task_id}" if task_id else f"batch {batch}"
            say(f"{one_line(f'{path}: {what}', 200)} {told}")


@tasks.command("next")
def next_(
    task: TaskName,
    retry: Annotated[bool, typer.Option("--retry", help="Take up a batch that FAILED.")] = False,
    json: AsJson = False,
) -> None:
    """Name the next batch for the backend developer, and why others wait.

    Exits with 3 if a person must act first: a batch failed, waits, or cannot be read.
    """
    with exit_codes("json" if json else "text"):
        from agentflow.neutral import one_line
        from agentflow.tasks.next_batch import next_batch
        from agentflow.tasks.tasks_lint import describe_next

        here = desk()
        path = here.find(task)
        found = next_batch(here.read(path), retry=retry)
        told = describe_next(str(path), found)
        if json:
            print_json(told)
        else:
            for notice in told["notices"]:
                say(one_line(notice, 200))
            for each in told["waiting"]:
                say(
                    f"batch {each['batch']} (line {each['line']}) waits for {', '.join(each['for'])}"
                )
            batch = found.batch
            name = f"  {batch.id}  {one_line(batch.name, 80)} (line {batch.line})" if batch else ""
            data().print(f"{found.work or found.state}{name}")
            for each in found.tasks:
                data().print(f"  {each.id:<6} {each.status or '?':<12} {one_line(each.name, 80)}")
        if found.state in {"failed", "undecided", "waiting"}:
            raise typer.Exit(3)
