"""`agentflow reply`: what whoever handed work over can consume."""

from typing import Annotated

import typer

from agentflow.cli.output import data, exit_codes, print_json


def complete_run(incomplete: str) -> list[str]:
    """Names of runs and their tasks, for the shell's completion."""
    from agentflow.errors import AgentflowError
    from agentflow.runs import list_runs
    from agentflow.workspace.repository import open_repository
    from agentflow.world import World

    world = World()
    try:
        found = list_runs(open_repository(world.directory, world.environment).root)
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
        from agentflow.replies import reply_block
        from agentflow.runs import list_runs
        from agentflow.workspace.repository import open_repository
        from agentflow.world import World

        world = World()
        found = list_runs(open_repository(world.directory, world.environment).root)
        match = [report for report in found if run in {report["run"], report["task"]}]
        if not match:
            names = [str(report["run"]) for report in found]
            raise UsageError(
                f"there is no run or task {run!r} here{nearest(run, names)}",
                hint="List them with `agentflow runs list`.",
            )
        report = match[-1]
        if not isinstance(report.get("reply"), dict):
            raise UsageError(
                f"the run {report['run']} has no reply: only verified work on a handoff has one",
                hint=f"See how it ended: agentflow runs show {report['run']}",
            )
        block = reply_block(report)
        if not json:
            data().print(block.rstrip("\n"))
            return
        print_json({
            "type": "reply",
            **{name: report.get(name) for name in ("task", "run", "branch", "commits")},
            **report["reply"],
            "block": block,
        })
