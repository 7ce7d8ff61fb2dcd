"""Kinds of checks, and the words by which people and gates call them."""

import re
from collections.abc import Iterable

from agentflow.results import Evidence

KINDS: dict[str, frozenset[str]] = {
    "typecheck": frozenset({
        "typecheck", "typechecks", "typechecking", "typechecker", "type", "types", "typing",
        "tsc", "mypy", "pyright", "basedpyright",
    }),
    "tests": frozenset({
        "test", "tests", "testing", "unit", "integration", "e2e", "spec", "specs", "pytest",
        "unittest", "vitest", "jest", "mocha", "tox", "nextest", "rspec", "phpunit", "playwright",
    }),
    "lint": frozenset({
        "lint", "lints", "linter", "linting", "eslint", "ruff", "flake8", "pylint", "clippy",
        "golangci", "biome", "rubocop", "stylelint",
    }),
    "build": frozenset({"build", "builds", "compile", "compiles", "compilation", "bundle"}),
    "format": frozenset({"format", "formatting", "formatted", "fmt", "prettier", "black", "gofmt"}),
}  # fmt: skip
"""For each kind its words, in lower case and without hyphens."""

BUILD = "build:"
"""How the names of gates that run a command begin."""


def words_of(text: str) -> list[str]:
    """The words in lower case, `type-check` and `type_check` as one."""
    return re.findall(r"[^\W_]+", re.sub(r"(?<=\w)[-_](?=\w)", "", text.lower()))


def kind_of(text: str) -> str | None:
    """The kind that a claim's name speaks of, as `typecheck`, `unitTests` or `lint_passed`."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|[-_:/. ]+", " ", text[:100]).lower()
    parts = {*spaced.split(), spaced.replace(" ", "")}
    return next((kind for kind, words in KINDS.items() if parts & words), None)


def plain_name(gate: str) -> str:
    """A gate's name as its author wrote it."""
    return gate.removeprefix(BUILD)


def fitting(kind: str, measured: Iterable[Evidence]) -> tuple[Evidence, ...]:
    """The evidence of the command gates whose name says that they make this kind of check."""
    return tuple(
        evidence
        for evidence in measured
        if evidence.gate.startswith(BUILD) and _is_called(plain_name(evidence.gate), KINDS[kind])
    )


def _is_called(name: str, words: frozenset[str]) -> bool:
    parts = re.split(r"[^a-z0-9]+", name.lower())
    return bool({*parts, "".join(parts)} & words)
