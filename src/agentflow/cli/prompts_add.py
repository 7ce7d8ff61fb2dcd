"""`agentflow prompts add`: copy prompt files from elsewhere into this repository."""

from pathlib import Path
from typing import Annotated

import typer

from agentflow.cli.output import data, exit_codes, print_json


def add(
    source: Annotated[
        Path, typer.Argument(metavar="PATH|DIR", help="A prompt file, or a folder of them.")
    ],
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Copy prompts into .orchestrator/prompts, unchanged, and record where they come from.

    A folder's files keep their subfolders; its README and what is no readable prompt is skipped. The
    suite of a prompt (agent.tests beside agent.md) comes with it. No other file is ever replaced.
    """
    with exit_codes("json" if json else "text"):
        from agentflow.neutral import one_line
        from agentflow.prompt_tests.reading import case_files
        from agentflow.prompts.adding import add_prompts
        from agentflow.prompts.loader import load_prompt
        from agentflow.tools import DEFAULT_TOOLS
        from agentflow.workspace.repository import open_repository
        from agentflow.world import World

        world = World()
        root = open_repository(world.directory, world.environment).root
        folder = root / ".orchestrator/prompts"
        added = add_prompts(
            source,
            folder,
            root,
            world.environment,
            lambda path: load_prompt(path, DEFAULT_TOOLS),
            case_files,
        )
        for each in added:
            shown = each.path.relative_to(root)
            if json:
                print_json({
                    "path": str(shown),
                    "source": str(each.source),
                    "state": each.state,
                    "problem": each.problem,
                })
                continue
            said = f"  {each.problem}" if each.problem else ""
            data().print(f"{each.state:<8} {one_line(f'{shown}{said}', 300)}")
