"""Migrations on a real database."""

from notes.migrate import FOLDER, migrate


def test_every_migration_is_applied_once(database):
    assert migrate(database) == sorted(file.name for file in FOLDER.glob("*.sql"))
    assert migrate(database) == []
