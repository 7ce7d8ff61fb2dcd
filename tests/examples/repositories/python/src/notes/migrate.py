"""Migrations: the files of `migrations/`, each applied once, in order of their names."""

from pathlib import Path

from psycopg import Connection

FOLDER = Path(__file__).parents[2] / "migrations"


def migrate(connection: Connection) -> list[str]:
    """Apply what is missing; return the names of what was applied."""
    with connection.transaction():
        connection.execute("CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY)")
        done = {name for (name,) in connection.execute("SELECT name FROM migrations")}
        missing = [file for file in sorted(FOLDER.glob("*.sql")) if file.name not in done]
        for file in missing:
            connection.execute(file.read_bytes())
            connection.execute("INSERT INTO migrations VALUES (%s)", [file.name])
    return [file.name for file in missing]
