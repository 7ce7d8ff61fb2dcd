"""The Python service by itself: installed from the index, with a real database."""

import socket
import tempfile
from pathlib import Path

import pytest

from tests.examples.example import Change, Example, build
from tests.examples.outside import passes, shell
from tests.examples.python_service import PYTHON
from tests.examples.registry import Registry
from tests.needs import need

SETUP = """\
python3 -m venv .venv
PIP_CONFIG_FILE=pip.conf .venv/bin/pip install --require-hashes --requirement requirements.txt
"""
WITH_DATABASE = """\
scripts/database >"$AGENTFLOW_SERVICE_DATA/log" 2>&1 &
server=$!
trap 'kill $server; wait $server' EXIT
until scripts/database-ready; do
    kill -0 $server || { cat "$AGENTFLOW_SERVICE_DATA/log"; exit 9; }
    sleep 0.05
done
"""


@pytest.fixture(autouse=True)
def _programs(bwrap: str) -> None:
    need("initdb", "postgres", "pg_isready")


def _tested(example: Example) -> tuple[int, str]:
    """The exit code and output of the tests, with a database on a free port."""
    # A socket's path may have 107 bytes, and a test's folder is longer now and then.
    with tempfile.TemporaryDirectory(prefix="pg-") as data:
        return _tested_in(example, data)


def _tested_in(example: Example, data: str) -> tuple[int, str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    variables = {
        "PGPORT": port,
        "AGENTFLOW_SERVICE_DATA": data,
        "DATABASE_URL": f"postgresql://notes@127.0.0.1:{port}/postgres",
    }
    tests = f"{WITH_DATABASE}\n.venv/bin/python -m pytest -q"
    ended = shell(example, tests, variables, ordinary_user=True)
    return ended.returncode, ended.stdout + ended.stderr


def test_the_service_is_green_with_feature_and_package_and_red_when_broken(
    tmp_path: Path, registry: Registry
) -> None:
    example = build(PYTHON, tmp_path, host=registry.host)
    PYTHON.feature.apply(example.root)
    PYTHON.package.apply(example.root)

    passes(example, SETUP)

    passes(example, ".venv/bin/python -m pyflakes src tests")
    code, output = _tested(example)
    assert (code, "13 passed" in output) == (0, True), output
    assert any("inflection" in path for path in registry.requests)

    Change("", (PYTHON.broken,)).apply(example.root)
    code, output = _tested(example)
    assert (code, "3 failed, 10 passed" in output) == (1, True), output
