"""What the common test runners take for a test, for configuration, and for "do not run this"."""

import re
import sys

from agentflow.globs import matches

TESTS: tuple[str, ...] = (
    "**/test_*.py", "**/*_test.py", "**/tests/**", "**/test/**", "**/__tests__/**",
    "**/tests.py", "**/*.{test,spec,cy}.{js,jsx,ts,tsx,mjs,cjs,mts,cts}", "**/*_test.go",
    "**/*_{spec,test}.rb", "**/*_test.{exs,dart}", "**/*{Test,Tests,Spec}.{java,kt,cs,scala,php}",
)  # fmt: skip

GATE_INPUTS: tuple[str, ...] = (
    # Python
    "**/conftest.py", "**/sitecustomize.py", "**/usercustomize.py", "**/pytest.ini", "**/tox.ini",
    "**/setup.cfg", "**/pyproject.toml", "**/noxfile.py", "**/.coveragerc", "**/mypy.ini",
    "**/ruff.toml", "**/.ruff.toml", "**/pyrightconfig.json", "**/.pytest.ini",
    "**/{,.}pytest.toml",
    # JavaScript and TypeScript
    "**/package.json", "**/{jest,vitest,vite,playwright,cypress,babel,karma}.config.*",
    "**/.mocharc*", "**/tsconfig*.json", "**/.eslintrc*", "**/eslint.config.*", "nx.json",
    "turbo.json", "**/project.json", "pnpm-workspace.yaml", "biome.json", "**/.babelrc*",
    "**/vitest.workspace.*",
    # others
    "**/{,GNU}Makefile", "**/*.mk", "**/{,.}justfile", "**/Taskfile.y*ml", "**/CMakeLists.txt",
    "**/build.gradle*", "**/pom.xml", "**/.mvn/**", "**/build.rs", "**/.cargo/config*",
    "**/Cargo.toml", "**/go.work", "**/.golangci.y*ml", "**/Rakefile", "**/.rspec",
    "**/phpunit.xml*",
)  # fmt: skip
"""Files that decide what a gate's command does."""

SHADOWED = frozenset(sys.stdlib_module_names) | {
    "_pytest", "coverage", "mypy", "nose2", "nox", "pluggy", "pytest", "ruff", "tox",
}  # fmt: skip
"""Modules that a gate's command may import before any code of the project."""

SKIPS: dict[str, tuple[str, re.Pattern[str]]] = {
    "pytest, unittest": (
        "**/*.py",
        re.compile(
            r"\bmark\.(skip|skipif|xfail)\b|@(unittest\.)?(skip(If|Unless)?\b|expectedFailure\b)"
            r"|\bpytest\.(skip|xfail|importorskip)\(|\.skipTest\(|\bSkipTest\b"
            r"|\bcollect_ignore|\b__test__\s*=\s*False"
        ),
    ),
    "jest, vitest, mocha": (
        "**/*.{js,jsx,ts,tsx,mjs,cjs,mts,cts}",
        re.compile(
            r"\b(it|test|describe|suite|context)\.(skip|only|todo|failing|fails)\b"
            r"|\b(xit|xtest|xdescribe|fit|fdescribe)\s*\("
        ),
    ),
    "go test": (
        "**/*.go",
        re.compile(r"\b[tb]\.(Skip|Skipf|SkipNow)\(|^//\s*(go:build|\+build)\s+ignore"),
    ),
    "cargo test": ("**/*.rs", re.compile(r"#\[(ignore|cfg_attr\([^\n]{0,200}\bignore)\b")),
    "junit": ("**/*.{java,kt}", re.compile(r"@(Disabled|Ignore)\b")),
    "rspec, minitest": (
        "**/*.rb",
        re.compile(
            r"^\s*(skip|pending|[xf](it|describe|context|specify|example))\b"
            r"|[\s(,](:skip|:pending|:focus|(skip|pending|focus):\s)"
        ),
    ),
}
"""For each runner the files it reads and the markers that take a test out of the count."""


def is_test(path: str) -> bool:
    """Whether a runner would take the file for a test or for a part of one."""
    return not is_gate_input(path) and any(matches(glob, path) for glob in TESTS)


def holds_tests(path: str) -> bool:
    """Whether the file is a test, or in a language whose tests stand among the code."""
    return is_test(path) or path.endswith(".rs")


def is_gate_input(path: str) -> bool:
    """Whether the file steers what a gate's command does."""
    name = path.casefold()
    return any(matches(glob.casefold(), name) for glob in GATE_INPUTS)


def steers_from_anywhere(path: str) -> bool:
    """Whether the file, wherever it is new, acts on tests beside it: a hook of the whole run."""
    return path.rpartition("/")[2].casefold() in {
        "conftest.py", "sitecustomize.py", "usercustomize.py",
    }  # fmt: skip


def shadows_a_module(path: str) -> bool:
    """Whether a new file at the root is imported in place of a runner or of Python's own library:
    `python -m pytest` looks there first."""
    module = path.removesuffix("/__init__.py").removesuffix(".py")
    return path.endswith(".py") and module in SHADOWED
