"""The database: its address, its tables, and how its refusals read."""

import hashlib
import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from agentflow.errors import AgentflowError, EnvironmentFailure, UsageError
from agentflow.words import how_to_add

if TYPE_CHECKING:
    import psycopg
    from dbos import DBOSClient

URL = "AGENTFLOW_DATABASE_URL"
QUEUE = "agentflow"
WORKFLOW = "agentflow_run"
APPLICATION = "agentflow"
SCHEMA = "dbos"
VERSION = "agentflow-1"
"""Of what is stored, not of the code: DBOS gives a run only to workers of the version that it was
submitted with, and an upgrade must not strand runs."""
CONNECT_TIMEOUT = 10
"""Seconds."""

_CREDENTIALS = re.compile(r"//[^/@\s]*@")


def database_url(environment: Mapping[str, str]) -> str:
    """Where the database is. Raises `UsageError` if nobody said, or it is no PostgreSQL."""
    url = environment.get(URL, "").strip()
    if not url:
        raise UsageError(
            f"{URL} is not set, so it is not known where the cluster's database is",
            hint=f"export {URL}=postgresql://user@host/database",
        )
    if not url.startswith(("postgresql://", "postgres://")):
        raise UsageError(f"{URL} is no address of a PostgreSQL database (postgresql://…)")
    return re.sub(r"^postgres://", "postgresql://", url)


@contextmanager
def refusals() -> Generator[None]:
    """Turn what the packages and the database refuse into one sentence, without a password."""
    try:
        yield
    except AgentflowError:
        raise
    except ModuleNotFoundError as error:
        raise EnvironmentFailure(
            f"the cluster commands need the package {error.name}", hint=how_to_add("cluster")
        ) from error
    except Exception as error:
        if not is_of_database(error):
            raise
        raise _refused(error) from error


def is_of_database(error: Exception) -> bool:
    """Whether an error is one of the database's packages."""
    return type(error).__module__.startswith(("psycopg", "sqlalchemy", "dbos"))


def _refused(error: Exception) -> EnvironmentFailure:
    said = _CREDENTIALS.sub("//", str(error)).strip().splitlines() or [type(error).__name__]
    first = said[0].removeprefix("(psycopg.errors.").rstrip(")")
    if "does not exist" in str(error) and ("relation" in str(error) or "schema" in str(error)):
        return EnvironmentFailure(
            "the database has no tables of the cluster yet",
            hint="As a role that may make them: agentflow cluster migrate",
        )
    return EnvironmentFailure(
        f"the cluster's database does not answer as it should: {first}",
        hint=f"See {URL}, and: agentflow cluster doctor",
    )


@contextmanager
def open_client(url: str) -> Generator["DBOSClient"]:
    """A client of DBOS. It raises at once if the database is away."""
    from dbos import DBOSClient, DBOSPortableJSONSerializer

    client = DBOSClient(
        system_database_url=_patient(url),
        serializer=DBOSPortableJSONSerializer(),
        application_name=APPLICATION,
        retry_connection_errors=False,
    )
    try:
        yield client
    finally:
        client.destroy()


@contextmanager
def open_session(url: str, name: str) -> Generator["psycopg.Connection"]:
    """A session of our own, known to the database by a name; statements are on their own."""
    import psycopg

    with psycopg.connect(
        _patient(url),
        autocommit=True,
        application_name=name,
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=3,
    ) as session:
        for setting in ("idle = 10", "interval = 5", "count = 3"):
            session.execute(f"set tcp_keepalives_{setting}".encode())
        yield session


def _patient(url: str) -> str:
    """The address with a bound for the time of connecting."""
    if "connect_timeout=" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}connect_timeout={CONNECT_TIMEOUT}"


def lock_key(name: str) -> int:
    """The key of an advisory lock: 64 bits of a name, as PostgreSQL takes them."""
    digest = hashlib.sha256(f"agentflow:{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


JSON_ONLY = "agentflow_json_only"
_TABLES = """
select table_name from information_schema.columns
where table_schema = %s and column_name = 'serialization' order by 1
"""
_CONSTRAINED = """
select conrelid::regclass::text from pg_constraint
where conname = %s and connamespace = %s::regnamespace
"""


def migrate(url: str, role: str | None) -> None:
    """Make or update the tables, as a role that may; `role` is given what workers and submitters
    need, and no more.

    The tables take no pickles from then on. DBOS reads a row as a pickle if it says that it is one,
    whatever a worker is configured with: who writes such a row runs code on workers.
    """
    from dbos import DBOS
    from psycopg import sql

    _silence()
    DBOS.migrate(url, schema=SCHEMA, application_role=role)
    with open_session(url, "agentflow migrate") as session:
        for table in sorted(_open_tables(session)):
            session.execute(
                sql.SQL(
                    "alter table {}.{} add constraint {} check (serialization is distinct from 'py_pickle')"
                ).format(sql.Identifier(SCHEMA), sql.Identifier(table), sql.Identifier(JSON_ONLY))
            )


def _open_tables(session: "psycopg.Connection") -> set[str]:
    """The tables that take pickles."""
    tables = {str(name) for (name,) in session.execute(_TABLES, (SCHEMA,))}
    closed = {str(name) for (name,) in session.execute(_CONSTRAINED, (JSON_ONLY, SCHEMA))}
    return tables - {name.rpartition(".")[2].strip('"') for name in closed}


def weaknesses(url: str) -> list[str]:
    """What about the database should be mended; each a sentence. Raises if it is away."""
    with open_session(url, "agentflow doctor") as session:
        [(is_super, exists)] = session.execute(
            "select rolsuper, to_regnamespace(%s) is not null from pg_roles"
            " where rolname = current_user",
            (SCHEMA,),
        )
        found = ["the role is a superuser: give workers a role of their own"] if is_super else []
        if not exists:
            return [*found, "there are no tables yet: agentflow cluster migrate"]
        return found + [
            f"the table {SCHEMA}.{table} takes pickles, which run code: agentflow cluster migrate"
            for table in sorted(_open_tables(session))
        ]


def _silence() -> None:
    """Let DBOS say nothing: what matters is raised, and every cancellation prints a traceback."""
    import logging

    logging.getLogger("dbos").setLevel(logging.CRITICAL)
