"""Whole runs and whole verifications of the example repositories, offline."""

import json
from pathlib import Path
from typing import Any

import pytest

from agentflow.records import Json
from tests.examples.conftest import need
from tests.examples.example import (
    FEATURE,
    PACKAGE,
    SECRET,
    TURNSTILE,
    Change,
    Example,
    Recipe,
    build,
    turnstile,
)
from tests.examples.make_project import MAKE, UNFORMATTED
from tests.examples.node import NODE
from tests.examples.python_service import PYTHON
from tests.examples.registry import Registry

pytestmark = pytest.mark.sandbox

PROGRAMS = {
    "node": ("node", "npm"),
    "python": ("initdb", "postgres", "pg_isready"),
    "make": ("make", "cc"),
}
GATES = {
    "node": {"build:typecheck", "build:lint", "build:test"},
    "python": {"build:lint", "build:test"},
    "make": {"build:format", "build:build", "build:test", "build:lint"},
}
ADDED = {
    "node": [("npm", "escape-string-regexp", "5.0.0")],
    "python": [("pypi", "inflection", "==0.5.1")],
    "make": [],
}
"""Ecosystem, name and version of what the package task adds; make has no manifest that is read."""
PROPOSED = {
    "node": ('setup = "npm ci', 'command = "npm run typecheck"', 'command = "npm test"'),
    "python": ("python3 -m venv .venv", 'provides = [".venv"]', "pytest"),
    "make": ('command = "make test"', 'command = "make lint"'),
}

every_recipe = pytest.mark.parametrize(
    "recipe", [NODE, PYTHON, MAKE], ids=lambda recipe: recipe.name
)


def _ready(recipe: Recipe, folder: Path, registry: Registry, **options: Any) -> Example:
    """The example, trusted, where everything that it needs is there."""
    need(*PROGRAMS[recipe.name])
    example = build(recipe, folder, host=registry.host, **options)
    example.trust()
    return example


def _evidence(report: Json) -> dict[str, Json]:
    """Evidence by the gate's name, of a run's report or a verification."""
    return {each["gate"]: each for each in report.get("verification", report)["gates"]}


def _passed(report: Json) -> set[str]:
    """The build gates that passed."""
    return {
        name
        for name, each in _evidence(report).items()
        if name.startswith("build:") and each["status"] == "passed"
    }


def _verified(example: Example, *arguments: str) -> tuple[int, Json, str]:
    """Exit code, answer and everything printed of `agentflow verify`."""
    ended = example.command("verify", *arguments, "--output-format", "json")
    printed = ended.stdout + ended.stderr
    assert ended.returncode in {0, 1}, printed
    return ended.returncode, json.loads(ended.stdout), printed


@every_recipe
def test_init_proposes_setup_and_gates(recipe: Recipe, tmp_path: Path, bwrap: str) -> None:
    example = build(recipe, tmp_path)
    example.project.git("rm", "-r", "--quiet", ".orchestrator")
    example.project.commit("chore: as nobody prepared it")

    proposed = example.command("init", "--print")

    assert proposed.returncode == 0, proposed.stderr
    assert [each for each in PROPOSED[recipe.name] if each not in proposed.stdout] == []
    assert example.project.git("status", "--porcelain") == ""


@every_recipe
def test_verify_judges_commits_made_by_anybody(
    recipe: Recipe, tmp_path: Path, registry: Registry, bwrap: str
) -> None:
    example = _ready(recipe, tmp_path, registry)
    feature = example.change(recipe.feature, "feature")
    broken = example.change(Change("", (recipe.broken,)), "broken")
    secret = example.change(example.secret(), "secret")

    code, answer, printed = _verified(example, feature)
    assert (code, GATES[recipe.name] - _passed(answer)) == (0, set()), printed
    asked = len(registry.requests)

    code, answer, _ = _verified(example, broken)
    assert (code, _evidence(answer)["build:test"]["status"]) == (1, "failed")

    code, answer, printed = _verified(example, secret)
    assert (code, _evidence(answer)["secrets"]["status"]) == (1, "failed")
    assert SECRET not in printed

    with turnstile(tmp_path / "gate", ["fail", "pass"]) as command:
        example.configure(_flaky_gate(tmp_path / "gate", command))
        code, answer, printed = _verified(example, feature)
    flaky = _evidence(answer)[f"build:{TURNSTILE}"]
    assert (code, flaky["status"], "flaky" in flaky["summary"]) == (0, "passed", True), printed
    assert len(registry.requests) == asked, "setup ran again"


def _flaky_gate(folder: Path, command: str) -> str:
    gate = f"name = '{TURNSTILE}'\ncommand = '''{command}'''\nretries = 2\n"
    return f"readable = ['{folder}']\n\n[[gates]]\n{gate}"


@every_recipe
async def test_a_feature_lands_as_a_signed_commit(
    recipe: Recipe, tmp_path: Path, registry: Registry, bwrap: str
) -> None:
    example = _ready(recipe, tmp_path, registry)
    example.sign_commits()

    report = await example.run(recipe.feature)

    assert (report["outcome"], report["exit_code"]) == ("done", 0), report
    assert GATES[recipe.name] <= _passed(report)
    assert example.marker(FEATURE, "done")
    assert report["landed"]["ref"] == f"refs/heads/agentflow/{FEATURE}"
    example.project.git("verify-commit", report["landed"]["tip"])
    assert [each["sha"] for each in report["commits"]] == [report["landed"]["tip"]]


@every_recipe
async def test_an_added_package_is_installed_for_the_gates_and_named(
    recipe: Recipe, tmp_path: Path, registry: Registry, bwrap: str
) -> None:
    example = _ready(recipe, tmp_path, registry)

    report = await example.run(recipe.package)

    assert report["outcome"] == "done", report
    assert GATES[recipe.name] <= _passed(report)
    assert example.marker(PACKAGE, "done")
    added = [
        (each["ecosystem"], each["name"], each["version"])
        for each in report.get("dependencies", {}).get("added", [])
    ]
    assert added == ADDED[recipe.name]


@every_recipe
async def test_a_secret_is_refused_and_never_shown(
    recipe: Recipe, tmp_path: Path, registry: Registry, bwrap: str
) -> None:
    example = _ready(recipe, tmp_path, registry)

    report = await example.run(example.secret(), max_repairs=0)

    assert (report["outcome"], report["exit_code"]) == ("failed", 1), report
    assert _evidence(report)["secrets"]["status"] == "failed"
    assert SECRET not in json.dumps(report)
    assert example.project.git("branch", "--list", "agentflow/*") == ""


@every_recipe
async def test_a_red_main_stops_before_any_spend_and_can_be_allowed(
    recipe: Recipe, tmp_path: Path, registry: Registry, bwrap: str
) -> None:
    example = _ready(recipe, tmp_path, registry, red=True)

    stopped = await example.run(recipe.feature)

    assert (stopped["outcome"], stopped["exit_code"]) == ("environment", 5), stopped
    assert "test" in stopped["reason"]
    assert "--allow-red-base" in stopped["hint"]
    assert example.project.requests == []


async def test_a_formatter_mends_the_result(tmp_path: Path, registry: Registry, bwrap: str) -> None:
    example = _ready(MAKE, tmp_path, registry)

    report = await example.run(UNFORMATTED)

    assert report["outcome"] == "done", report
    landed = example.project.git("show", f"{report['landed']['tip']}:tests/test_spaces.c")
    assert "\t" not in landed
