"""`agentflow ui`: a dashboard in the browser."""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from agentflow.cli.output import exit_codes, say


def ui(
    port: Annotated[
        int, typer.Option(metavar="N", min=0, max=65535, help="Default: a free one.")
    ] = 0,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="The address to listen on.")
    ] = "127.0.0.1",
    open_it: Annotated[bool, typer.Option("--open", help="Show it in your browser.")] = False,
) -> None:
    """Show tasks, runs and costs of this repository in a browser, as they change.

    Runs that are blocked are answered there; others are cancelled, resumed and begun anew. They are
    processes of their own, which go on when the dashboard ends. Whoever has the URL that is printed
    can do what you can do with agentflow here. Needs the extra `ui`.
    """
    with exit_codes():
        from agentflow.errors import EnvironmentFailure
        from agentflow.world import World

        try:
            from agentflow.web.server import serve
        except ModuleNotFoundError as error:
            from agentflow.words import how_to_add

            raise EnvironmentFailure(
                f"the dashboard needs the package {error.name}",
                hint=how_to_add("ui"),
            ) from error
        with ExitStack() as stack:

            def announce(url: str) -> None:
                say(f"serving {url}")
                if open_it:
                    stack.enter_context(_shown(url))

            serve(World(), host, port, announce)


@contextmanager
def _shown(url: str) -> Generator[None]:
    """Show the URL in the user's browser, by way of a file that only the user can read: a command
    line, and so the token on it, is for every user of the machine to see."""
    import html
    import tempfile
    import webbrowser

    with tempfile.NamedTemporaryFile("w", suffix=".html", encoding="utf-8") as file:
        file.write(f'<meta http-equiv="refresh" content="0;url={html.escape(url)}">')
        file.flush()
        webbrowser.open(Path(file.name).as_uri())
        yield
