"""Who is alive: each worker holds an advisory lock of the database for as long as it lives.

Whoever gets the lock of another worker knows that it is dead, and lists its runs once more while
holding it: so two cannot take the same run. A worker that is stopped keeps its sessions open; it is
told by its silence, and its session is ended. If it wakes up, it has no lock, and its next push is
refused.
"""

import os
import socket
import time
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from agentflow.cluster.board import Board
from agentflow.cluster.database import QUEUE, lock_key
from agentflow.durations import format_duration

MOST_SECONDS = 1e9
"""A longer time is none that anybody gave."""

if TYPE_CHECKING:
    import psycopg
    from dbos import DBOSClient

NAME = "agentflow worker"
"""Of the sessions that hold the locks."""
SILENCE = 30.0
"""Seconds without a word after which a worker counts as stopped."""

_SILENT = """
select pg_terminate_backend(pid) from pg_stat_activity
where application_name = %s and datname = current_database() and usename = current_user
  and pid <> pg_backend_pid() and state = 'idle'
  and state_change < now() - make_interval(secs => %s)
"""


def worker_name() -> str:
    """A name that no worker had before."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


class Liveness:
    """This worker's lock, and what it does for the runs of others."""

    def __init__(
        self,
        session: "psycopg.Connection",
        client: "DBOSClient",
        me: str,
        silence: float,
        told: Callable[[str], None],
    ) -> None:
        """Takes the lock, which is let go of when the session ends, however that happens."""
        self._session = session
        self._client = client
        self._board = Board(client)
        self._me = me
        self._silence = silence
        self._told = told
        session.execute("select pg_advisory_lock(%s)", (lock_key(me),))

    def look(self) -> None:
        """Say that we live, take over what dead workers left, and end what is over its time.

        Raises what the database raises; if that is about our session, the lock is lost.
        """
        self._session.execute(_SILENT, (NAME, self._silence))
        running = self._board.in_state("PENDING")
        for other in sorted({entry.worker for entry in running if entry.worker} - {self._me}):
            with self._lock_of(other) as is_dead:
                if is_dead:
                    self._take_over(other)
        for entry in running:
            deadline = entry.facts.get("deadline")
            if isinstance(deadline, int | float) and time.time() > deadline:
                self._told(f"{entry.run} is over its time")
                self._board.cancel(entry, f"not done within {shown(entry.facts.get('seconds'))}")

    def _take_over(self, other: str) -> None:
        for entry in self._board.in_state("PENDING"):
            if entry.worker == other:
                self._client.resume_workflow(entry.run, queue_name=QUEUE)
                self._told(f"took {entry.run} over from {other}")

    @contextmanager
    def _lock_of(self, other: str) -> Generator[bool]:
        key = (lock_key(other),)
        [(is_dead,)] = self._session.execute("select pg_try_advisory_lock(%s)", key)
        try:
            yield bool(is_dead)
        finally:
            if is_dead:
                self._session.execute("select pg_advisory_unlock(%s)", key)


def shown(seconds: object) -> str:
    """A duration from the database, which may hold anything."""
    if isinstance(seconds, int | float) and 0 <= seconds < MOST_SECONDS:
        return format_duration(float(seconds))
    return "its time"
