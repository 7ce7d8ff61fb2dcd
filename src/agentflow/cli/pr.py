"""`agentflow pr`: a verified run's branch, pushed and proposed."""

from typing import Annotated

import typer

from agentflow.cli.output import data, exit_codes, print_json, say

_ACTIONS = {"told": "open it yourself"}
"""What is printed for people where it is not the action's own word."""


def pr(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN|TASK", help="A run, a task for its newest, or a document for its batches."
        ),
    ],
    base: Annotated[
        str | None,
        typer.Option(
            metavar="BRANCH", help="What it is for (default: the remote's default branch)."
        ),
    ] = None,
    title: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Default: the task's title; of a document, its batches."),
    ] = None,
    draft: Annotated[bool, typer.Option("--draft", help="Open it as a draft.")] = False,
    remote: Annotated[str, typer.Option(metavar="NAME", help="Where to push.")] = "origin",
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Push the branch of a verified run, and open or update its pull request.

    Through `gh` or `glab` where one is installed; else the address and the body are printed.
    """
    with exit_codes("json" if json else "text"):
        from agentflow.errors import UsageError
        from agentflow.neutral import neutral
        from agentflow.pull_requests import open_or_update, proposal
        from agentflow.request_contents import lacking, request_contents
        from agentflow.workspace.push import default_branch, push, remote_tip, remote_url
        from agentflow.workspace.repository import open_repository
        from agentflow.world import World

        world = World()
        repository = open_repository(world.directory, world.environment)
        contents = request_contents(repository, run)
        url = remote_url(repository, remote)
        onto = base or default_branch(repository, remote)
        if onto is None:
            raise UsageError(f"{remote} has no default branch", hint="Give --base BRANCH.")
        target = remote_tip(repository, remote, onto)
        contents = lacking(contents, repository, target, f"{onto} of {remote}")
        found, missing = contents.run, [each.told for each in contents.missing]
        wanted = proposal(contents, onto, repository, title=title, draft=draft)
        push(repository, remote, found.tip, found.branch, named=False)
        opened = open_or_update(wanted, url, repository, world.environment)
        if json:
            print_json({"action": opened.action, "url": opened.url, "branch": found.branch,
                        "base": onto, "title": wanted.title, "body": wanted.body,
                        "notices": missing})  # fmt: skip
            return
        for notice in missing:
            say(notice)
        say(f"pushed {found.branch} to {remote}")
        place = opened.url or f"on the server of {remote}, with this title and text:"
        data().print(neutral(f"{_ACTIONS.get(opened.action, opened.action)}  {place}"))
        if opened.action == "told":
            data().print(f"{wanted.title}\n\n{neutral(wanted.body)}", fit="whole")
