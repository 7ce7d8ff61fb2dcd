"""Whole runs and whole verifications of the example repositories, offline."""

import json
from pathlib import Path

import pytest

from agentflow.events import SetupFinished
from agentflow.records import Json
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
from tests.examples.packages import Packages
from tests.examples.python_service import PYTHON
from tests.examples.registry import Registry
from tests.needs import need

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


@pytest.fixture
def served(recipe: Recipe, request: pytest.FixtureRequest) -> Registry:
    """The registry; an empty one for the project that needs no packages."""
    if recipe is MAKE:
        return Registry(Packages(Path(), ()))
    registry: Registry = request.getfixturevalue("registry")
    return registry


def _ready(recipe: Recipe, folder: Path, host: str) -> Example:
    """The example, trusted, where everything that it needs is there."""
    need(*PROGRAMS[recipe.name])
    example = build(recipe, folder, host=host)
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
    recipe: Recipe, tmp_path: Path, served: Registry, bwrap: str
) -> None:
    example = _ready(recipe, tmp_path, served.host)
    feature = example.change(recipe.feature, "feature")
    broken = example.change(Change("", (recipe.broken,)), "broken")
    secret = example.change(example.secret(), "secret")

    code, answer, printed = _verified(example, feature)
    assert (code, GATES[recipe.name] - _passed(answer)) == (0, set()), printed
    asked = len(served.requests)

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
    assert len(served.requests) == asked, "setup ran again"


def _flaky_gate(folder: Path, command: str) -> str:
    gate = f"name = '{TURNSTILE}'\ncommand = '''{command}'''\nretries = 2\n"
    return f"readable = ['{folder}']\n\n[[gates]]\n{gate}"


@every_recipe
async def test_an_afternoon_with_the_repository(
    recipe: Recipe, tmp_path: Path, served: Registry, bwrap: str
) -> None:
    """Feature, secret, package, red main: one after another, as they share what setup made."""
    example = _ready(recipe, tmp_path, served.host)
    example.sign_commits()

    feature = await example.run(recipe.feature)

    assert (feature["outcome"], feature["exit_code"]) == ("done", 0), feature
    assert _refused_calls(example, feature["run"]) == []
    assert GATES[recipe.name] <= _passed(feature)
    assert example.marker(FEATURE, "done")
    tip = feature["landed"]["tip"]
    assert [each["sha"] for each in feature["commits"]] == [tip]
    example.project.git("verify-commit", tip)
    assert [each.cached for each in _setups(example)] == [False, True]
    asked = len(served.requests)

    secret = await example.run(example.secret(), fresh=True, max_repairs=0)

    assert (secret["outcome"], secret["exit_code"]) == ("failed", 1), secret
    assert _evidence(secret)["secrets"]["status"] == "failed"
    assert SECRET not in json.dumps(secret)
    assert example.project.git("rev-parse", f"agentflow/{FEATURE}") == tip
    first, *later = _setups(example)
    assert all(each.cached and each.seconds <= first.seconds / 10 for each in later)
    assert len(served.requests) == asked

    package = await example.run(recipe.package)

    assert package["outcome"] == "done", package
    assert GATES[recipe.name] <= _passed(package)
    assert example.marker(PACKAGE, "done")
    added = [
        (each["ecosystem"], each["name"], each["version"])
        for each in package["dependencies"]["added"]
    ]
    assert added == ADDED[recipe.name]
    assert (len(served.requests) > asked) == bool(added)

    Change("", (recipe.broken,)).apply(example.root)
    example.project.commit("refactor: simpler")
    example.project.requests.clear()
    red = await example.run(recipe.feature, fresh=True)

    assert (red["outcome"], red["exit_code"]) == ("environment", 5), red
    assert "test" in red["reason"]
    assert "--allow-red-base" in red["hint"]
    assert example.project.requests == []


def _refused_calls(example: Example, run: str) -> list[Json]:
    """Answers to the agent's calls, its own checks among them, that are errors."""
    answers: list[Json] = [
        block
        for line in example.project.journal(run)
        if line["type"] == "user"
        for block in line["message"]["content"]
        if "tool_use_id" in block
    ]
    assert len(answers) > 2
    return [each for each in answers if each.get("is_error")]


def _setups(example: Example) -> list[SetupFinished]:
    """Every end of a setup in the example's runs."""
    return [event for event in example.project.events if isinstance(event, SetupFinished)]


async def test_a_formatter_mends_the_result(tmp_path: Path, bwrap: str) -> None:
    example = _ready(MAKE, tmp_path, "")

    report = await example.run(UNFORMATTED)

    assert report["outcome"] == "done", report
    landed = example.project.git("show", f"{report['landed']['tip']}:tests/test_spaces.c")
    assert "\t" not in landed
