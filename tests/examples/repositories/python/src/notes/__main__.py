"""Serve notes on 127.0.0.1:$PORT from the database $DATABASE_URL."""

import os
from wsgiref.simple_server import make_server

import psycopg

from notes.migrate import migrate
from notes.service import application
from notes.store import Store

with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
    migrate(connection)
    port = int(os.environ.get("PORT", "8080"))
    make_server("127.0.0.1", port, application(Store(connection))).serve_forever()
