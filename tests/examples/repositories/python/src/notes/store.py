"""Notes in PostgreSQL."""

from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row


class Store:
    """All notes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, title: str) -> dict[str, Any]:
        return self._rows("INSERT INTO notes (title) VALUES (%s) RETURNING *", title)[0]

    def all(self) -> list[dict[str, Any]]:
        return self._rows("SELECT * FROM notes ORDER BY id")

    def _rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        with self._connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query, values).fetchall()
