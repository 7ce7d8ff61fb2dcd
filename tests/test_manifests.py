"""Manifests with the change's dependencies and the base's scripts."""

import json
import tomllib

import pytest

from agentflow.manifests import with_scripts_of

PACKAGE = {
    "name": "api",
    "version": "1.0.0",
    "scripts": {"test": "vitest run"},
    "exports": {"import": "./a.mjs", "default": "./a.cjs"},
    "dependencies": {"zod": "^3"},
    "jest": {"bail": True},
}
PROJECT = """\
# the service
[project]
name = "service"
dependencies = ["flask"]

[tool.pytest.ini_options]
addopts = "-ra"

[tool.poetry]
package-mode = false
"""


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


def merged(path: str, base: bytes | None, tip: bytes) -> object:
    """The result, parsed; None if there is nothing to replace."""
    made = with_scripts_of(path, base, tip)
    if made is None:
        return None
    return json.loads(made) if path.endswith(".json") else tomllib.loads(made.decode())


def test_dependencies_are_the_changes_and_scripts_the_bases() -> None:
    tip = {
        "name": "api",
        "version": "2.0.0",
        "scripts": {"test": "true", "postinstall": "evil"},
        "exports": {"default": "./a.cjs", "import": "./a.mjs"},
        "type": "module",
        "devDependencies": {"vitest": "^3"},
        "overrides": {"a": "1"},
        "pnpm": {"overrides": {"b": "1"}, "patchedDependencies": {"c": "x.patch"}},
    }

    assert merged("packages/api/package.json", encoded(PACKAGE), encoded(tip)) == {
        "name": "api",
        "version": "1.0.0",
        "scripts": {"test": "vitest run"},
        "exports": {"import": "./a.mjs", "default": "./a.cjs"},
        "jest": {"bail": True},
        "devDependencies": {"vitest": "^3"},
        "overrides": {"a": "1"},
        "pnpm": {"overrides": {"b": "1"}},
    }


@pytest.mark.parametrize(
    "change",
    [
        {"dependencies": {"zod": "^4", "fastify": "^5"}},
        {"resolutions": {"x": "1"}, "pnpm": {"overrides": {"b": "1"}}},
        {"dependencies": 3},
    ],
)
def test_nothing_to_replace_where_only_dependencies_differ(change: dict[str, object]) -> None:
    assert with_scripts_of("package.json", encoded(PACKAGE), encoded({**PACKAGE, **change})) is None


def test_an_order_of_conditions_is_a_difference() -> None:
    tip = {**PACKAGE, "exports": {"default": "./a.cjs", "import": "./a.mjs"}}

    made = with_scripts_of("package.json", encoded(PACKAGE), encoded(tip))

    assert json.loads(made or b"")["exports"] == PACKAGE["exports"]
    assert list(json.loads(made or b"")["exports"]) == ["import", "default"]


def test_pyproject() -> None:
    tip = PROJECT.replace("-ra", "--ignore=tests").replace('["flask"]', '["flask", "redis"]') + (
        '[tool.poetry.group.dev.dependencies]\nruff = "*"\n[tool.poetry.scripts]\nx = "y:z"\n'
        '[tool.uv]\ndev-dependencies = ["a"]\nenvironments = []\n[tool.coverage.run]\nomit = ["*"]'
        '\n[dependency-groups]\ndev = ["pytest"]\n[project.optional-dependencies]\nb = ["c"]\n'
    )

    assert merged("svc/pyproject.toml", PROJECT.encode(), tip.encode()) == {
        "project": {
            "name": "service",
            "dependencies": ["flask", "redis"],
            "optional-dependencies": {"b": ["c"]},
        },
        "tool": {
            "pytest": {"ini_options": {"addopts": "-ra"}},
            "poetry": {"package-mode": False, "group": {"dev": {"dependencies": {"ruff": "*"}}}},
            "uv": {"dev-dependencies": ["a"]},
        },
        "dependency-groups": {"dev": ["pytest"]},
    }


def test_comments_and_dependencies_of_pyproject_may_differ() -> None:
    tip = PROJECT.replace("# the service", "") + '[tool.uv.sources]\na = { path = "../a" }\n'

    assert with_scripts_of("pyproject.toml", PROJECT.encode(), tip.encode()) is None


def test_every_type_of_toml_survives() -> None:
    odd = (
        'when = 2026-01-02T03:04:05Z\nday = 2026-01-02\nat = 07:32:00\nhuge = inf\nx."a.b" = 1.5\n'
        'text = "\\u0000\\"\\n\\u007f"\n[[t]]\na = [1, [2], {b = true}]\n'
    )

    made = merged("pyproject.toml", odd.encode(), b"[tool.other]\na = 1\n")

    assert made == tomllib.loads(odd)


def test_a_new_manifest_keeps_its_dependencies_and_its_name() -> None:
    assert merged("package.json", None, encoded(PACKAGE)) == {
        "name": "api",
        "version": "1.0.0",
        "dependencies": {"zod": "^3"},
    }
    assert merged("pyproject.toml", None, PROJECT.encode()) == {
        "project": {"name": "service", "dependencies": ["flask"]}
    }
    bare = encoded({"name": "a", "dependencies": {"b": "1"}})
    assert with_scripts_of("package.json", None, bare) is None


@pytest.mark.parametrize(
    "garbage", [b"", b"\xff", b"[1]", b"[" * 100_000, b'{"a": 1e999}', b" " * (17 << 20) + b"{}"]
)
def test_what_cannot_be_read_is_replaced_by_the_bases(garbage: bytes) -> None:
    base = encoded(PACKAGE)

    assert with_scripts_of("package.json", base, garbage) == base
    assert with_scripts_of("package.json", garbage, base) == garbage
    assert with_scripts_of("package.json", None, garbage) == b"{}\n"


def test_a_pyproject_that_cannot_be_read() -> None:
    assert with_scripts_of("pyproject.toml", PROJECT.encode(), b"= 1") == PROJECT.encode()
    assert with_scripts_of("pyproject.toml", None, b"a = " + b"[" * 100_000) == b""


@pytest.mark.parametrize("path", ["go.mod", "Cargo.toml", "package-lock.json", "package.json.orig"])
def test_other_files_stay_as_they_are(path: str) -> None:
    assert with_scripts_of(path, b"a", b"b") is None


@pytest.mark.parametrize(
    "tip",
    [
        b"y = 1\n[dependency-groups]\n" + b".".join([b"a"] * 5000) + b" = 1\n",
        b"y = 1\n[project]\ndependencies = 0x" + b"f" * 100_000,
        b"y = 1\n[dependency-groups]\n" + b"".join(b"k%d = 1\n" % n for n in range(30_000)),
    ],
)
def test_what_cannot_be_written_again_is_the_base_s(tip: bytes) -> None:
    base = b'[project]\nname = "a"\n'
    assert with_scripts_of("pyproject.toml", base, tip) == base
