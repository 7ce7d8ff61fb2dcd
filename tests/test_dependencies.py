"""Direct dependencies: what manifests ask for, and what a change did to that."""

import json
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.dependencies import Difference, Package, Upgrade, difference, is_manifest, packages

PYPROJECT = b"""
[project]
name = "service"
dependencies = [
  "Flask>=3", "psycopg[binary] ~= 3.2 ; python_version > '3.11'", "ruamel.yaml",
  "own @ git+https://user:s3cret@example.com/own.git@v1",
]
[project.optional-dependencies]
cli = ["typer (>=0.16)"]
[dependency-groups]
dev = ["pytest==8.4.1", { include-group = "lint" }]
lint = ["ruff"]
[tool.uv]
dev-dependencies = ["hypothesis"]
[tool.poetry.dependencies]
python = "^3.11"
requests = "^2.32"
mine = { path = "../mine", develop = true }
[tool.poetry.group.test.dependencies]
respx = { version = "0.22", optional = true }
"""


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


def npm(**sections: object) -> bytes:
    return encoded({"name": "example", **sections})


def test_python_manifests() -> None:
    requirements = dedent(
        """\
        # a comment
        -r base.txt
        --index-url https://example.com/simple
        Django_Rest.Framework==3.15 \\
            --hash=sha256:abcd  # why
        gunicorn
        https://example.com/x.whl
        ./local
        local/wheels/y.whl
        """
    )
    assert packages({
        "pyproject.toml": PYPROJECT,
        "deploy/requirements-prod.txt": requirements.encode(),
    }) == {
        ("pypi", "django-rest-framework"): "==3.15",
        ("pypi", "flask"): ">=3",
        ("pypi", "gunicorn"): "",
        ("pypi", "hypothesis"): "",
        ("pypi", "mine"): "../mine",
        ("pypi", "own"): "@ git+https://example.com/own.git@v1",
        ("pypi", "psycopg"): "~= 3.2",
        ("pypi", "pytest"): "==8.4.1",
        ("pypi", "requests"): "^2.32",
        ("pypi", "respx"): "0.22",
        ("pypi", "ruamel-yaml"): "",
        ("pypi", "ruff"): "",
        ("pypi", "typer"): ">=0.16",
    }


def test_npm_versions_come_from_the_lock_file_as_node_finds_them() -> None:
    lock = {
        "lockfileVersion": 3,
        "packages": {
            "": {"dependencies": {"zod": "^4"}},
            "node_modules/zod": {"version": "4.1.2"},
            "node_modules/@scope/a": {"version": "1.0.0"},
            "packages/api/node_modules/zod": {"version": "3.9.9"},
            "node_modules/transitive": {"version": "9.9.9"},
        },
    }
    files = {
        "package.json": npm(dependencies={"zod": "^4"}, devDependencies={"@scope/a": "1"}),
        "packages/api/package.json": npm(dependencies={"zod": "^3", "fastify": "^5", "bad": 1}),
        "package-lock.json": encoded(lock),
        "other/package.json": npm(peerDependencies={"react": ">=19"}),
        "other/package-lock.json": encoded({"dependencies": {"react": {"version": "19.2.0"}}}),
        "pnpm/package.json": npm(optionalDependencies={"x": "https://me:t0ken@example.com/x.tgz"}),
    }
    assert packages(files) == {
        ("npm", "@scope/a"): "1.0.0",
        ("npm", "fastify"): "^5",
        ("npm", "react"): "19.2.0",
        ("npm", "x"): "https://example.com/x.tgz",
        ("npm", "zod"): "3.9.9, 4.1.2",
    }


def test_go_and_cargo() -> None:
    go_mod = """\
    module example.com/service
    go 1.24
    require github.com/go-chi/chi/v5 v5.2.1
    require (
        github.com/jackc/pgx/v5 v5.7.4 // why
        golang.org/x/text v0.24.0 // indirect
    )
    replace (
        github.com/a/b v1.0.0 => ../b
    )
    require golang.org/x/sync v0.13.0 // indirect
    """
    cargo = b"""
    [package]
    name = "service"
    [dependencies]
    serde = { version = "1.0", features = ["derive"] }
    renamed = { package = "real", git = "https://example.com/real" }
    anyhow = "1"
    inherited.workspace = true
    [target.'cfg(unix)'.dependencies]
    nix = "0.30"
    [workspace.dependencies]
    tokio = "1.45"
    [build-dependencies]
    cc = "1"
    """
    assert packages({"svc/go.mod": go_mod.encode(), "Cargo.toml": cargo}) == {
        ("cargo", "anyhow"): "1",
        ("cargo", "cc"): "1",
        ("cargo", "inherited"): "",
        ("cargo", "nix"): "0.30",
        ("cargo", "real"): "https://example.com/real",
        ("cargo", "serde"): "1.0",
        ("cargo", "tokio"): "1.45",
        ("go", "github.com/go-chi/chi/v5"): "v5.2.1",
        ("go", "github.com/jackc/pgx/v5"): "v5.7.4",
    }


def test_the_difference_names_what_was_added_removed_and_changed() -> None:
    before = packages({"package.json": npm(dependencies={"a": "1", "b": "1", "c": "1"})})
    after = packages({"package.json": npm(dependencies={"b": "2", "c": "1", "d": "3"})})

    found = difference(before, after)

    assert found == Difference(
        (Package("npm", "d", "3"),), (Package("npm", "a", "1"),), (Upgrade("npm", "b", "1", "2"),)
    )
    assert found.as_json() == {
        "added": [{"ecosystem": "npm", "name": "d", "version": "3"}],
        "removed": [{"ecosystem": "npm", "name": "a", "version": "1"}],
        "changed": [{"ecosystem": "npm", "name": "b", "before": "1", "after": "2"}],
    }
    assert difference(after, after) == Difference()


@pytest.mark.parametrize("path", ["package.json", "a/package-lock.json", "b/go.mod", "Cargo.toml"])
def test_manifests_are_known_by_name(path: str) -> None:
    assert is_manifest(path)
    assert not is_manifest(f"{path}.orig")


GARBAGE = [
    b"",
    b"\xff\xfe\0",
    b"[" * 100_000,
    b"[[[[a]]]]\n= 1",
    b'{"dependencies": ["x"], "packages": 3}',
    b'{"dependencies": {"x": {"y": 1}, "": "1", "' + b"z" * 1000 + b'": "1"}}',
    b"dependencies = 3\nproject = []\ntarget = {a = 1}",
    b"require (\nrequire (\n)))",
    b"\\\n" * 1000,
]


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize(
    "path", ["package.json", "pyproject.toml", "go.mod", "Cargo.toml", "package-lock.json"]
)
def test_garbage_asks_for_nothing(path: str, garbage: bytes) -> None:
    files = {"package.json": npm(dependencies={"a": "1"}), path: garbage}

    assert packages(files).keys() <= {("npm", "a")}


@given(st.binary(max_size=200), st.text(max_size=200))
def test_no_content_is_too_strange(content: bytes, text: str) -> None:
    for name in ("package.json", "pyproject.toml", "go.mod", "Cargo.toml", "requirements.txt"):
        packages({name: content})
        packages({name: text.encode("utf-8", "surrogatepass")})
