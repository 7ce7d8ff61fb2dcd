"""`agentflow config`: every setting, and where it comes from."""

from typing import Annotated

import typer

from agentflow.cli.completion import complete_task
from agentflow.cli.output import exit_codes, print_json, print_table, say

config = typer.Typer(help="Show the configuration.", no_args_is_help=True, rich_markup_mode=None)


@config.callback()
def _group() -> None:
    """Show the configuration."""


@config.command()
def show(
    task: Annotated[
        str | None,
        typer.Argument(
            metavar="[TASK]", help="As for this task's id or path.", autocompletion=complete_task
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(metavar="REV", help="The commit whose configuration is read (default: HEAD)."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> None:
    """Show every setting with its value and its source, first of: the task, AGENTFLOW_<NAME>, your
    config.toml, the repository's at the base commit, the default."""
    with exit_codes("json" if json else "text"):
        from agentflow.records import Task
        from agentflow.settings import CONFIG, resolve_settings, shared_table
        from agentflow.settings_shown import settings_json, settings_rows
        from agentflow.sinks.tables import Row
        from agentflow.tasks.task import find_task, read_task
        from agentflow.trust import Trust, read_trust, widening
        from agentflow.workspace.repository import open_repository
        from agentflow.world import World

        world = World()
        repository = open_repository(world.directory, world.environment)
        subject = Task("", "", "")
        if task is not None:
            subject, _ = read_task(find_task(task, repository.root))
        revision = subject.base if base is None else base
        commit = repository.head if revision is None else repository.resolve(revision)
        text = repository.read(commit, CONFIG)
        wanted = widening(shared_table(text, world.environment))
        granted = read_trust(repository.common_dir, world.environment).covers(wanted)
        # Shown as they would be: whoever decides about trust wants to see what it is about.
        resolved = resolve_settings({}, world.environment, text, subject, Trust(wanted))
        if json:
            settings = settings_json(resolved, commit, world.environment)
            task_id = subject.id or None
            print_json({
                "type": "config",
                "task": task_id,
                "base": commit,
                "granted": granted,
                "settings": settings,
            })
            return
        rows = settings_rows(resolved, commit, world.environment)
        width = max(len(name) for name, _, _ in rows)
        print_table(f"{{:<{width}}}  {{:<14}}  {{}}", list(map(Row, rows)))
        if not granted:
            say(f"A run is refused until you grant what {CONFIG} asks for: agentflow trust")
