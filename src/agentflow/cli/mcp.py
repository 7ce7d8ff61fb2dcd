"""`agentflow mcp`: a server for clients of the Model Context Protocol."""

import os
from typing import Annotated

import typer

from agentflow.cli.output import exit_codes, say

TOKEN = "AGENTFLOW_MCP_TOKEN"  # noqa: S105  # the variable's name
SHORTEST = 16
"""Characters of a token."""


def mcp(
    http: Annotated[
        bool, typer.Option("--http", help="Serve streamable HTTP on loopback instead of stdio.")
    ] = False,
    port: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, max=65535, help="For --http (default: a free one)."),
    ] = None,
) -> None:
    """Serve this repository to clients of the Model Context Protocol (MCP).

    Tools: handoff, run_task, get_run, answer, list_tasks. Runs are processes of their own, so they
    go on when the client or this server ends. With --http a client needs the token that is printed,
    or the one in AGENTFLOW_MCP_TOKEN. Needs the extra `mcp`.
    """
    with exit_codes():
        from agentflow.errors import EnvironmentFailure, UsageError
        from agentflow.workspace.repository import open_repository
        from agentflow.world import World

        if port is not None and not http:
            raise UsageError(
                "--port is for HTTP, and standard input and output are served",
                hint=f"Give both: agentflow mcp --http --port {port}",
            )
        given = _given_token() if http else ""
        try:
            from agentflow.mcp_server import serve_http, serve_stdio
        except ModuleNotFoundError as error:
            from agentflow.words import how_to_add

            raise EnvironmentFailure(
                f"the MCP server needs the package {error.name}",
                hint=how_to_add("mcp"),
            ) from error
        world = World()
        open_repository(world.directory, world.environment)
        if not http:
            serve_stdio(world)
            return
        import secrets

        token = given or secrets.token_urlsafe(32)

        def announce(url: str) -> None:
            say(f"serving {url}")
            say(f"Authorization: Bearer {'(the value of ' + TOKEN + ')' if given else token}")

        serve_http(world, port or 0, token, announce)


def _given_token() -> str:
    """The environment's token; empty if there is none. Raises `UsageError` for a weak one."""
    from agentflow.errors import UsageError

    given = os.environ.get(TOKEN, "")
    if given and (len(given) < SHORTEST or not given.isascii() or not given.isprintable()):
        raise UsageError(f"{TOKEN} needs {SHORTEST} printable ASCII characters or more")
    return given
