"""`agentflow prompts`: which there are, what they say, and what a model would read."""

import dataclasses
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from agentflow.cli.output import Tolerant, data, exit_codes, print_json, say
from agentflow.cli.run import complete_task

prompts = typer.Typer(
    help="List, show and render prompts.", no_args_is_help=True, rich_markup_mode=None
)


def _complete_prompt(incomplete: str) -> list[str]:
    from agentflow.prompts.search import search

    names = {found.name for found in search(Path(), ())}
    return sorted(name for name in names if name.startswith(incomplete) and name.isprintable())


Name = Annotated[
    str,
    typer.Argument(metavar="NAME|PATH", help="A prompt.", autocompletion=_complete_prompt),
]


@prompts.command("list")
def list_(
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List the prompts that can be given by name: this repository's, then the built-in ones."""
    with exit_codes("json" if json else "text"):
        from agentflow.neutral import one_line
        from agentflow.prompts.listing import list_prompts
        from agentflow.tools import DEFAULT_TOOLS

        for each in list_prompts(_root(), DEFAULT_TOOLS):
            if json:
                print_json({**dataclasses.asdict(each), "path": str(each.path)})
                continue
            origin = "built-in" if each.builtin else "repository"
            said = f"broken: {each.problem}" if each.problem else each.description
            said = f"(shadowed) {said}" if each.shadowed else said
            tools = one_line(",".join(each.tools), 60)
            line = f"{one_line(each.name, 40):<20} {origin:<10}  {tools:<31}  {one_line(said, 200)}"
            data().print(line.rstrip(), soft_wrap=True)


@prompts.command()
def show(
    name: Name,
    raw: Annotated[
        bool, typer.Option("--raw", help="Byte for byte, with whatever it would do to a terminal.")
    ] = False,
) -> None:
    """Show a prompt file."""
    with exit_codes():
        from agentflow.errors import UsageError
        from agentflow.neutral import neutral
        from agentflow.prompts.loader import find_prompt
        from agentflow.prompts.reading import MAX_PROMPT

        path = find_prompt(name, _root(), trusted=True)
        try:
            with path.open("rb") as file:
                found = file.read(MAX_PROMPT + 1)
        except OSError as error:
            raise UsageError(f"cannot read {path}: {error.strerror}") from error
        if len(found) > MAX_PROMPT:
            raise UsageError(f"{path} is larger than {MAX_PROMPT} bytes")
        if raw:
            with suppress(OSError):  # as Tolerant, for bytes
                sys.stdout.buffer.write(found)
                sys.stdout.buffer.flush()
            return
        say(neutral(str(path)))
        Tolerant(sys.stdout).write(neutral(found.decode("utf-8", "replace")))


@prompts.command()
def render(
    name: Name,
    task: Annotated[
        str,
        typer.Option(metavar="TASK", help="A task's id or path.", autocompletion=complete_task),
    ],
    base: Annotated[
        str | None, typer.Option(metavar="REV", help="The commit to start from (default: HEAD).")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Print what the model would read first: system prompt and first message. Needs no key."""
    with exit_codes("json" if json else "text"):
        import asyncio

        from agentflow.dry_run import describe_json, describe_texts
        from agentflow.plan import Order, make_plan
        from agentflow.world import World

        order = Order(task, base=base, flags={"prompt": name})
        plan = asyncio.run(make_plan(order, World()))
        if json:
            facts = describe_json(plan)
            keys = ("task", "prompt", "tools", "system_prompt", "first_message")
            print_json({"type": "rendered", **{key: facts[key] for key in keys}})
        else:
            Tolerant(sys.stdout).write(describe_texts(plan))


def _root() -> Path:
    from agentflow.workspace.repository import open_repository
    from agentflow.world import World

    world = World()
    return open_repository(world.directory, world.environment).root
