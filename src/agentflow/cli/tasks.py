"""`agentflow tasks`: what tasks.md documents and queues say, and setting a status in one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentflow.cli.desk import Desk, desk
from agentflow.cli.output import data, exit_codes, print_json, print_table, say
from agentflow.cli.queues import (
    describe_queue,
    find_queue,
    next_in_queue,
    queue_for,
    set_in_queue,
    show_queue,
)

if TYPE_CHECKING:
    from agentflow.records import Json
    from agentflow.sinks.tables import Row
    from agentflow.tasks.document import Batch

tasks = typer.Typer(
    help="Check tasks.md and task_queue.md, name what is next, set a status.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

TaskName = Annotated[
    str, typer.Argument(metavar="TASK|PATH", help="A task's id, its folder, or the document.")
]
QueueOrTask = Annotated[
    str | None,
    typer.Argument(metavar="[TASK|PATH]", help="As for `show` (default: the task_queue.md)."),
]
AsJson = Annotated[bool, typer.Option("--json", help="As one JSON object.")]


@tasks.command()
def lint(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PATH]...", help="Documents or folders (default: all tasks and queues)."
        ),
    ] = None,
    json: AsJson = False,
) -> None:
    """Say how documents are read: batches, tasks, statuses, dependencies, and what is wrong.

    Exits with 1 if something cannot be decided, or contradicts itself.
    """
    with exit_codes("json" if json else "text"):
        from agentflow.errors import UsageError
        from agentflow.neutral import one_line
        from agentflow.task_documents import all_documents, given_documents
        from agentflow.task_queues import queue_paths
        from agentflow.words import counted

        here = desk()
        own = [*all_documents(here.root, here.setting.roots), *queue_paths(here.root)]
        if not (paths or own):
            raise UsageError(
                f"there is no document of tasks in {one_line(str(here.root), 200)}",
                hint=f"They lie in {', '.join(here.setting.roots)}. Or name files and folders.",
            )
        found = [_described(path, here) for path in (given_documents(paths) if paths else own)]
        problems = [(each["path"], problem) for each in found for problem in each["problems"]]
        errors = sum(problem["severity"] == "error" for _, problem in problems)
        if json:
            print_json({"files": found})
        else:
            for path, problem in problems:
                place = f"{one_line(path, 200)}:{problem['line']}"
                told = f"{problem['severity']}: {one_line(problem['message'], 300)}"
                data().print(f"{place}: {told} [{problem['code']}]")
            batches = sum(len(each.get("batches", ())) for each in found)
            queued = sum(len(each["tasks"]) for each in found if "tasks" in each)
            counts = [counted(len(found), "document"), counted(batches, "batch")]
            counts += [counted(queued, "queued task")] if queued else []
            say(", ".join((*counts, counted(errors, "error"))))
        if errors:
            raise typer.Exit(1)


def _described(path: Path, here: Desk) -> "Json":
    """A file's entry; of one that cannot be read, why."""
    from agentflow.errors import UsageError
    from agentflow.tasks.queue_headings import is_queue
    from agentflow.tasks.tasks_lint import describe, describe_refusal

    if is_queue(path):
        return describe_queue(path, here)
    try:
        return describe(str(path), here.read(path))
    except UsageError as error:
        return describe_refusal(str(path), error.message)


@tasks.command()
def show(task: TaskName, json: AsJson = False) -> None:
    """Show a task's batches with status, developer, dependencies and tasks; or a queue's task."""
    with exit_codes("json" if json else "text"):
        from agentflow.neutral import one_line
        from agentflow.tasks.tasks_lint import describe

        here = desk()
        held = queue_for(here, task)
        if held is not None:
            show_queue(held, task, json=json)
            return
        path = here.find(task)
        document = here.read(path)
        _tell(here.elsewhere(path, document.task_id))
        if json:
            print_json(describe(str(path), document))
            return
        print_table("{:<5} {:<12} {}  {}", list(map(_row_of, document.batches)))
        say(f"{one_line(str(path), 200)}: {len(document.problems)} problems (agentflow tasks lint)")


def _row_of(batch: "Batch") -> "Row":
    """A batch's row, and its tasks below."""
    from agentflow.neutral import one_line
    from agentflow.sinks.tables import Row

    waits = [each.id for each in batch.dependencies.references] if batch.dependencies else []
    facts = (
        one_line(batch.developer or "unassigned", 40),
        f"after {', '.join(waits)}" if waits else "",
        *batch.commits[:1],
    )
    return Row(
        (batch.id, batch.status or "?", one_line(batch.name, 60), "  ".join(filter(None, facts))),
        [
            f"      {each.id:<6} {each.status or '?':<12} {one_line(each.name, 70)}"
            for each in batch.tasks
        ],
    )


@tasks.command("set")
def set_(
    task: Annotated[
        str, typer.Argument(metavar="PATH|TASK", help="The document, its folder, or the task's id.")
    ],
    status: Annotated[str, typer.Option(metavar="STATUS", help="For example COMPLETE.")],
    batch: Annotated[
        str | None, typer.Option(metavar="ID", help="The batch, for example 2A.")
    ] = None,
    commit: Annotated[
        str | None, typer.Option(metavar="SHA", help="For the batch's commit field.")
    ] = None,
    task_id: Annotated[
        str | None,
        typer.Option(
            "--task", metavar="N.M|TASK", help="A batch's task; in a queue the task's id."
        ),
    ] = None,
    json: AsJson = False,
) -> None:
    """Set the status of a batch or task in its document or queue; every other byte stays.

    Exits with 7 if somebody else changed the same words, or is writing the document.
    """
    with exit_codes("json" if json else "text"):
        from agentflow.errors import UsageError
        from agentflow.neutral import one_line
        from agentflow.task_documents import write_change
        from agentflow.tasks.queue_headings import is_queue
        from agentflow.tasks.statuses import parse_status
        from agentflow.tasks.tasks_edit import Change

        here = desk()
        held = find_queue(here, task) if is_queue(Path(task)) else None
        if held is not None and batch is None and commit is None:
            set_in_queue(held, here, task_id, status, json=json)
            return
        if held is not None:
            raise UsageError("a queue has no batches and no commits", hint="Give only --task.")
        if batch is None:
            raise UsageError("which batch is meant?", hint="Give it, for example: --batch 2A")
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
    task: QueueOrTask = None,
    retry: Annotated[bool, typer.Option("--retry", help="Take up a batch that FAILED.")] = False,
    json: AsJson = False,
) -> None:
    """Name the next batch for the backend developer, or the next task of a queue, and why others
    wait.

    Exits with 3 if a person must act first: what is left failed, is blocked, waits, or cannot be read.
    """
    with exit_codes("json" if json else "text"):
        from agentflow.neutral import one_line
        from agentflow.tasks.next_batch import next_batch
        from agentflow.tasks.queue_headings import is_queue
        from agentflow.tasks.tasks_lint import describe_next

        here = desk()
        if task is None or is_queue(Path(task)):
            next_in_queue(find_queue(here, task), here, json=json)
            return
        path = here.find(task)
        document = here.read(path)
        _tell(here.elsewhere(path, document.task_id))
        found = next_batch(document, retry=retry)
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
        if found.state in {"failed", "undecided", "waiting", "blocked"}:
            raise typer.Exit(3)


def _tell(notice: str) -> None:
    from agentflow.neutral import one_line

    if notice:
        say(f"note: {one_line(notice, 300)}")
