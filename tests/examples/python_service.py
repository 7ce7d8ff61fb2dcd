"""A Python service with a virtual environment made by setup, and PostgreSQL as a service."""

from tests.examples.example import FEATURE, PACKAGE, Change, Recipe
from tests.examples.packages import ADDED_WHEEL

CONFIGURATION = """\
prompt = "agent"

[[gates]]
name = "lint"
command = ".venv/bin/python -m pyflakes src tests"

[[gates]]
name = "test"
command = ".venv/bin/python -m pytest -q"

[environment]
setup = '''
python3 -m venv .venv
PIP_CONFIG_FILE=pip.conf .venv/bin/pip install --require-hashes --requirement requirements.txt
'''
key = ["requirements.txt", "pip.conf"]
provides = [".venv"]
network = ["{host}"]

[services.database]
command = "scripts/database"
ready = "scripts/database-ready"
env = { DATABASE_URL = "postgresql://notes@127.0.0.1:5432/postgres" }
"""

PIP = """\
[global]
index-url = {index}
disable-pip-version-check = true
quiet = 1
"""

TASKS = {
    FEATURE: """\
---
allow: [src/**, tests/**, migrations/**, README.md]
---

# Notes can be done

- [ ] every note has `done`, false at first, kept in the database
- [ ] `POST /notes/done?id=N` marks a note and answers it
- [ ] an unknown note is answered with 404 and `unknown_note`
""",
    PACKAGE: """\
---
allow: [src/**, tests/**, pyproject.toml, requirements.txt]
---

# Slugs

Every answer of a note holds a `slug` of its title, made by the library `inflection`.
""",
}

_DONE = """\
def finish_note(store: Store, query: Query, body: bytes) -> Answer:
    given = query.get("id", [""])[0]
    note = store.finish(int(given)) if given.isdecimal() and len(given) < 10 else None
    return (200, note) if note else error(404, "unknown_note")


ROUTES: dict[str, Callable[[Store, Query, bytes], Answer]] = {
    "POST /notes/done": finish_note,
"""

FEATURE_CHANGE = Change(
    FEATURE,
    edits=(
        (
            "src/notes/service.py",
            "ROUTES: dict[str, Callable[[Store, Query, bytes], Answer]] = {\n",
            _DONE,
        ),
        (
            "src/notes/store.py",
            "    def _rows(",
            "    def finish(self, number: int) -> dict[str, Any] | None:\n"
            + '        query = "UPDATE notes SET done = true WHERE id = %s RETURNING *"\n'
            + "        return next(iter(self._rows(query, number)), None)\n\n    def _rows(",
        ),
        (
            "README.md",
            "| `POST /notes` |",
            "| `POST /notes/done?id=N` | the note, done |\n| `POST /notes` |",
        ),
    ),
    files={
        "tests/test_done.py": '''\
"""Notes that are done."""

import pytest


def test_a_note_is_done_when_it_was_marked(call):
    note = call("POST", "/notes", {"title": "Milk"})[1]
    assert note["done"] is False
    assert call("POST", f"/notes/done?id={note['id']}") == (200, {**note, "done": True})
    assert call("GET", "/notes") == (200, {"notes": [{**note, "done": True}]})


@pytest.mark.parametrize("number", ["1", "", "x", "9" * 20])
def test_an_unknown_note_is_not_found(call, number):
    assert call("POST", f"/notes/done?id={number}") == (404, {"error": "unknown_note"})
''',
        "migrations/002_done.sql": "ALTER TABLE notes ADD COLUMN done boolean NOT NULL"
        + " DEFAULT false;\n",
    },
    check=".venv/bin/python -m pytest -q",
)

PACKAGE_CHANGE = Change(
    PACKAGE,
    edits=(
        (
            "pyproject.toml",
            'dependencies = ["psycopg',
            'dependencies = ["inflection==0.5.1", "psycopg',
        ),
        ("requirements.txt", "iniconfig==", f"{ADDED_WHEEL}iniconfig=="),
        (
            "src/notes/store.py",
            "from psycopg import Connection\n",
            "from inflection import parameterize\nfrom psycopg import Connection\n",
        ),
        (
            "src/notes/store.py",
            "            return cursor.execute(query, values).fetchall()\n",
            "            rows = cursor.execute(query, values).fetchall()\n"
            + '        return [{**row, "slug": parameterize(row["title"])} for row in rows]\n',
        ),
    ),
    files={
        "tests/test_slug.py": '''\
"""Slugs of titles."""


def test_a_note_has_a_slug(call):
    assert call("POST", "/notes", {"title": "Buy Milk!"})[1]["slug"] == "buy-milk"
'''
    },
    check=".venv/bin/python -m pyflakes src tests",
)

PYTHON = Recipe(
    name="python",
    configuration=CONFIGURATION,
    files={"pip.conf": PIP},
    tasks=TASKS,
    feature=FEATURE_CHANGE,
    package=PACKAGE_CHANGE,
    broken=("src/notes/service.py", '["title"].strip()', '["title"]'),
)
