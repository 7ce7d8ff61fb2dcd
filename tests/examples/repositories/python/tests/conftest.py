"""A database of its own and the service over real HTTP, for each test."""

import json
import os
import threading
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from wsgiref.simple_server import WSGIRequestHandler, make_server

import psycopg
import pytest
from psycopg import Connection, sql

from notes.migrate import migrate
from notes.service import application
from notes.store import Store


class Quiet(WSGIRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def database() -> Iterator[Connection]:
    """An empty database."""
    name = f"test_{uuid.uuid4().hex}"
    url = os.environ["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        with psycopg.connect(url, dbname=name, autocommit=True) as connection:
            yield connection
        server.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


@pytest.fixture
def call(database: Connection) -> Iterator[Callable[..., tuple[int, object]]]:
    """Send a request to the service; its answer's status and JSON."""
    migrate(database)
    server = make_server("127.0.0.1", 0, application(Store(database)), handler_class=Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()

    def send(method: str, path: str, body: object = None) -> tuple[int, object]:
        data = None if body is None else json.dumps(body).encode()
        url = f"http://127.0.0.1:{server.server_port}{path}"
        request = urllib.request.Request(url, data=data, method=method)
        try:
            with urllib.request.urlopen(request) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    yield send
    server.shutdown()
    thread.join()
    server.server_close()
