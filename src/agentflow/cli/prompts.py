"""`agentflow prompts`: which there are, what they say, and what a model would read."""

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentflow.cli.completion import complete_prompt, complete_task
from agentflow.cli.desk import root_here
from agentflow.cli.options import Profile
from agentflow.cli.output import data, exit_codes, print_json, print_table, say
from agentflow.cli.prompts_add import add
from agentflow.cli.prompts_test import run_cases

if TYPE_CHECKING:
    from agentflow.configuration import Settings
    from agentflow.prompts.base_tree import BaseTree

prompts = typer.Typer(
    help="List, show, check, render and test prompts.", no_args_is_help=True, rich_markup_mode=None
)
prompts.command()(add)
prompts.command("test")(run_cases)


Name = Annotated[
    str,
    typer.Argument(metavar="NAME|PATH", help="A prompt.", autocompletion=complete_prompt),
]


@prompts.command("list")
def list_(
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List the prompts that can be given by name: this repository's, then the built-in ones."""
    with exit_codes("json" if json else "text"):
        from agentflow.neutral import one_line
        from agentflow.prompts.listing import list_prompts
        from agentflow.sinks.tables import Row
        from agentflow.tools import DEFAULT_TOOLS

        root = root_here()
        rows: list[Row] = []
        for each in list_prompts(root, DEFAULT_TOOLS):
            winner = each.shadowed_by
            if json:
                paths = {"path": str(each.path), "shadowed_by": str(winner) if winner else None}
                print_json(dataclasses.asdict(each) | paths)
                continue
            origin = "built-in" if each.builtin else "repository"
            said = f"broken: {each.problem}" if each.problem else each.description
            if winner:
                inside = winner.is_relative_to(root)
                said = f"(shadowed by {winner.relative_to(root) if inside else winner}) {said}"
            tools = one_line(",".join(each.tools), 60)
            rows.append(Row((one_line(each.name, 40), origin, tools, one_line(said, 200))))
        print_table("{:<20} {:<10}  {:<31}  {}", rows)


@prompts.command()
def show(
    name: Name,
    raw: Annotated[
        bool, typer.Option("--raw", help="Byte for byte, with whatever it would do to a terminal.")
    ] = False,
) -> None:
    """Show a prompt file, and which sign in it decided on its profile."""
    with exit_codes():
        from agentflow.errors import UsageError
        from agentflow.frontmatter import read_limited
        from agentflow.neutral import neutral
        from agentflow.prompts.loader import find_prompt
        from agentflow.prompts.reading import MAX_PROMPT

        path = find_prompt(name, root_here(), trusted=True)
        found = read_limited(path, MAX_PROMPT)
        if raw:
            sys.stdout.buffer.write(found)
            sys.stdout.buffer.flush()
            return
        say(neutral(str(path)))
        try:
            for line in _told(path):
                say(neutral(line))
        except UsageError as error:  # what is no prompt is shown as well as can be
            say(neutral(error.message))
        sys.stdout.write(neutral(found.decode("utf-8", "replace")))


def _told(path: Path) -> "list[str]":
    """What decided on a prompt's profile, which personas it adopts, and who commits if that is not
    clear."""
    from agentflow.prompts.commit_signs import disagreement, disagreement_told
    from agentflow.prompts.loader import as_prompt
    from agentflow.prompts.persona import load_personas, persona_told, texts
    from agentflow.prompts.profiles import choose_profile, wish
    from agentflow.prompts.reading import read_prompt
    from agentflow.tools import DEFAULT_TOOLS

    root, tree = _tree(needed=True)
    prompt = as_prompt(read_prompt(path, DEFAULT_TOOLS))
    wished = wish(None, None, _configured(tree).profile)
    prompt = choose_profile(prompt, wished, root or path.parent, DEFAULT_TOOLS)
    lines = [f"profile {prompt.profile_name}: {prompt.profile_sign}"]
    if prompt.builtin or tree is None:
        return lines
    own = (prompt.body, prompt.path, prompt.lines_above)
    personas = load_personas(own, root, tree, prompt.tools)
    for each in personas:
        said = persona_told(each, prompt.tools) or f"the persona {each.order.path} is attached"
        lines.append(f"line {each.order.line + prompt.lines_above}: {said}")
    said = disagreement(texts(own, personas), prompt.profile.commits)
    return [*lines, disagreement_told(said, prompt.profile.commits)] if said else lines


def _configured(tree: "BaseTree | None") -> "Settings":
    """The settings of the newest commit's configuration and the user's own."""
    from agentflow.records import Task
    from agentflow.settings import CONFIG, resolve_settings, shared_table
    from agentflow.trust import Trust, widening
    from agentflow.world import World

    environment = World().environment
    text = tree.read(CONFIG) if tree and CONFIG in tree.paths else None
    trust = Trust(widening(shared_table(text, environment)))
    return resolve_settings({}, environment, text, Task("", "", ""), trust).settings


@prompts.command()
def render(
    name: Name,
    task: Annotated[
        str,
        typer.Argument(metavar="TASK", help="A task's id or path.", autocompletion=complete_task),
    ],
    base: Annotated[
        str | None, typer.Option(metavar="REV", help="The commit to start from (default: HEAD).")
    ] = None,
    profile: Profile = None,
    arguments: Annotated[
        str | None, typer.Option(metavar="TEXT", help="$ARGUMENTS and $1… of a command file.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Print what the model would read first: system prompt and first message. Needs no key."""
    with exit_codes("json" if json else "text"):
        import asyncio

        from agentflow.command_values import command_values
        from agentflow.dry_run import describe_json, describe_texts
        from agentflow.order import Order
        from agentflow.plan import make_plan
        from agentflow.world import World

        flags = {"prompt": name} | ({} if profile is None else {"profile": profile})
        order = Order(task, base=base, flags=flags, arguments=arguments)
        plan = asyncio.run(make_plan(order, World(), command_values))
        if json:
            facts = describe_json(plan)
            keys = ("task", "prompt", "tools", "system_prompt", "first_message")
            print_json({"type": "rendered", **{key: facts[key] for key in keys}})
        else:
            sys.stdout.write(describe_texts(plan, data().width))


@prompts.command()
def lint(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH]...", help="Files or folders (default: all prompts here)."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail, too.")] = False,
) -> None:
    """Say how prompt files are read, with which tools, and what is wrong with them.

    Exits with 1 if a file could not be run.
    """
    with exit_codes("json" if json else "text"):
        from agentflow.models.catalog import resolve
        from agentflow.neutral import one_line
        from agentflow.prompts.lint import Surroundings, prompt_files
        from agentflow.prompts.lint import lint as examine
        from agentflow.prompts.skills import own_places, repository_places
        from agentflow.tools import DEFAULT_TOOLS
        from agentflow.world import World

        root, tree = _tree(needed=not paths)
        places = (
            (*repository_places(tree), *own_places(World().environment)) if tree is not None else ()
        )
        templates = _configured(tree).templates
        around = Surroundings(
            DEFAULT_TOOLS, resolve, tree, places, root, templates=templates, whole=not paths
        )
        found = examine(prompt_files(paths or [], root), around)
        summary = found["summary"]
        if json:
            print_json(found)
        else:
            for each in found["files"]:
                for problem in each["problems"]:
                    place = f"{one_line(each['path'], 200)}:{problem['line']}"
                    told = f"{problem['severity']}: {one_line(problem['message'], 300)}"
                    data().print(f"{place}: {told} [{problem['code']}]")
            say(
                f"{summary['files']} files, {summary['ok']} of them can be run: "
                + f"{summary['errors']} errors, {summary['warnings']} warnings"
            )
        if summary["errors"] or (strict and summary["warnings"]):
            raise typer.Exit(1)


def _tree(*, needed: bool) -> "tuple[Path | None, BaseTree | None]":
    """The repository's root and the files of its newest commit, where there are such."""
    from agentflow.errors import AgentflowError
    from agentflow.prompts.base_tree import BaseTree
    from agentflow.workspace.repository import open_repository
    from agentflow.world import World

    world = World()
    try:
        repository = open_repository(world.directory, world.environment)
        head = repository.resolve("HEAD")
    except AgentflowError:
        return (root_here() if needed else None), None
    return repository.root, BaseTree(
        paths=repository.paths(head),
        links=repository.links(head),
        size=lambda path: repository.size(head, path),
        read=lambda path: repository.read(head, path),
    )
