"""A PostgreSQL server of our own: on loopback, in a temporary folder, never as root."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psycopg
from psycopg import sql

from agentflow.cluster.database import migrate
from tests.needs import need, programs_path

OWNER = "owner"
ROLE = "agentflow"
"""What workers and submitters are: it may not make tables."""
TEMPLATE = "migrated"


@dataclass
class Server:
    """One server, which can be killed and started again at the same address."""

    folder: Path
    uid: int | None
    port: int
    _numbers: "count[int]" = field(default_factory=count)
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = (
            "-c", "fsync=off", "-c", f"port={self.port}", "-c", "listen_addresses=127.0.0.1",
            "-c", f"unix_socket_directories={self.folder}", "-c", "max_connections=200",
        )  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [_program("postgres"), "-D", str(self.folder / "data"), *options],
                user=self.uid,
                group=self.uid,
                extra_groups=[] if self.uid else None,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        end = time.monotonic() + 60
        while True:
            try:
                self._admin("select 1")
            except psycopg.OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        """End the server at once, as `pg_ctl stop -m immediate` does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(60)

    def make_database(self) -> str:
        """Make a database with the cluster's tables; return its address for the role."""
        name = f"cluster_{next(self._numbers)}"
        self._admin(
            sql.SQL("create database {} template {}").format(
                sql.Identifier(name), sql.Identifier(TEMPLATE)
            )
        )
        return self.url(name, ROLE)

    def make_template(self) -> None:
        """Make what every database is a copy of."""
        self._admin(sql.SQL("create role {} login").format(sql.Identifier(ROLE)))
        self._admin(sql.SQL("create database {}").format(sql.Identifier(TEMPLATE)))
        migrate(self.url(TEMPLATE, OWNER), ROLE)

    def make_empty(self) -> str:
        """Make a database without tables; return its address for its owner."""
        name = f"empty_{next(self._numbers)}"
        self._admin(sql.SQL("create database {}").format(sql.Identifier(name)))
        return self.url(name, OWNER)

    def url(self, database: str, role: str) -> str:
        """The address of a database."""
        return f"postgresql://{role}@127.0.0.1:{self.port}/{database}"

    def _admin(self, statement: str | sql.Composed) -> None:
        url = self.url("postgres", OWNER)
        with psycopg.connect(url, autocommit=True, connect_timeout=5) as session:
            text = sql.SQL(statement) if isinstance(statement, str) else statement  # pyright: ignore[reportArgumentType]
            session.execute(text)


def _program(name: str) -> str:
    found = shutil.which(name, path=programs_path())
    assert found is not None
    return found


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def serve() -> Generator[Server]:
    """A server until the block ends. Where PostgreSQL is missing, CI fails and others skip."""
    need("initdb", "postgres")
    uid = _somebody()
    folder = Path(tempfile.mkdtemp(prefix="agentflow-postgresql-", dir="/tmp"))
    if uid is not None:
        os.chown(folder, uid, uid)
    server = Server(folder, uid, _free_port())
    try:
        subprocess.run(
            [_program("initdb"), "-D", str(folder / "data"), "-U", OWNER, "-A", "trust",
             "--no-sync", "--encoding=UTF8", "--locale=C"],
            check=True,
            user=uid,
            group=uid,
            extra_groups=[] if uid else None,
            stdout=subprocess.DEVNULL,
            cwd="/",
        )  # fmt: skip
        server.start()
        server.make_template()
        yield server
    finally:
        with suppress(AssertionError):
            server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _somebody() -> int | None:
    """Who runs the server if we are root, as whom it refuses to run; it wants a user with a name."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name: entry.pw_uid for entry in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]
