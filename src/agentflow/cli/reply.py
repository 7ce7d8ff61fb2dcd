"""`agentflow reply`: what whoever handed work over can consume."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from agentflow.cli.output import data, exit_codes, print_json
from agentflow.words import word

if TYPE_CHECKING:
    from agentflow.records import Json


def complete_run(incomplete: str) -> list[str]:
    """Names of runs and their tasks, for the shell's completion."""
    from agentflow.errors import AgentflowError

    try:
        found = _reports()
    except AgentflowError:
        return []
    names = dict.fromkeys(str(each[key]) for key in ("task", "run") for each in reversed(found))
    return [name for name in names if name.startswith(incomplete)]


def reply(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN|TASK",
            help="A run, or a handoff's task for its newest run.",
            autocompletion=complete_run,
        ),
    ],
    json: Annotated[
        bool, typer.Option("--json", help="The same as data, with the contract as OpenAPI.")
    ] = False,
) -> None:
    """Print the block that answers a handoff: files, endpoints and shapes, as they were measured."""
    with exit_codes("json" if json else "text"):
        from agentflow.errors import UsageError
        from agentflow.nearest import nearest

        found = _reports()
        match = [each for each in found if run in {each["run"], each["task"]}]
        match = match[-1:] or _newest(each for each in found if _is_part(str(each["task"]), run))
        if not match:
            names = [str(report["run"]) for report in found]
            raise UsageError(
                f"there is no run or task {run!r} here{nearest(run, names)}",
                hint="List them with `agentflow runs list`.",
            )
        for report in match:
            if not isinstance(report.get("reply"), dict):
                raise UsageError(
                    f"the run {report['run']} has no reply: only verified work on a handoff has one",
                    hint=f"See how it ended: agentflow runs show {word(report['run'])}",
                )
            _print(report, json=json)


def _reports() -> "list[Json]":
    """The reports of this repository's runs, and of those in its submodules."""
    from agentflow.runs import list_runs
    from agentflow.workspace.repository import open_repository
    from agentflow.world import World

    world = World()
    repository = open_repository(world.directory, world.environment)
    modules = [path for path, mode in repository.modes(repository.head).items() if mode == "160000"]
    return [each for path in (*modules, "") for each in list_runs(repository.root / path)]


def _is_part(task: str, whole: str) -> bool:
    """Whether a task is one of the linked ones of a handoff."""
    return re.fullmatch(rf"{re.escape(whole)}-\d+", task) is not None


def _newest(reports: "Iterable[Json]") -> "list[Json]":
    """The last report of each task, in the tasks' order."""
    last = {str(each["task"]): each for each in reports}
    return [last[task] for task in sorted(last)]


def _print(report: "Json", *, json: bool) -> None:
    from agentflow.replies import reply_block

    block = reply_block(report)
    if not json:
        data().print(block.rstrip("\n"), fit="whole")
        return
    print_json({
        "type": "reply",
        **{name: report.get(name) for name in ("task", "run", "branch", "commits")},
        **report["reply"],
        "block": block,
    })
