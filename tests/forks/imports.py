"""What a process imports before it forks, so that no fork has to."""

import gc
import os
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pkgutil import walk_packages

os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # as the program does

import agentflow
from agentflow import cli
from agentflow.models.anthropic import import_sdk

APART = ("cluster", "mcp_server", "mcp_tools", "sinks.spans", "toolbox", "web")
"""What few programs import, or none: not imported before it is asked for."""
CONNECTION = ("anyio._backends._asyncio", "h11", "httpcore2")
"""What the SDK imports when it talks to a server."""
DATABASE = (
    "agentflow.cluster.worker", "dbos", "dbos._sys_db_postgres",
    "sqlalchemy.dialects.postgresql.psycopg",
)  # fmt: skip
HEAVY = {
    "mcp": ("agentflow.mcp_server",),
    "ui": ("agentflow.web.server",),
    **dict.fromkeys(("cluster", "submit", "wait", "worker"), DATABASE),
}
"""What a command alone would wait for: imported when it is asked for the first time."""


def import_most() -> None:
    """Import what most programs would wait for."""
    cli.application()
    import_sdk()
    for name in (*_modules(), *CONNECTION):
        import_module(name)
    gc.collect()
    gc.freeze()  # what is collected in a fork is copied


def import_for(arguments: Sequence[str], environment: Mapping[bytes, bytes]) -> None:
    """Import what a command alone would wait for."""
    names = [*HEAVY.get(arguments[0] if arguments else "", ())]
    if b"AGENTFLOW_DATABASE_URL" in environment:
        names += DATABASE
    for name in names:
        import_module(name)


def import_database() -> None:
    """Import what works with the cluster's database."""
    for name in DATABASE:
        import_module(name)


def _modules() -> Iterator[str]:
    """Modules of agentflow that are worth importing before anybody asks."""
    for each in walk_packages(agentflow.__path__, "agentflow."):
        inner = each.name.removeprefix("agentflow.")
        if not inner.endswith("__main__") and not inner.startswith(APART):
            yield each.name
