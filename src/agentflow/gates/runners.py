"""What the common test runners take for a test, for configuration, and for "do not run this"."""

import re

from agentflow.boundaries import matches

TESTS: tuple[str, ...] = (
    "**/test_*.py", "**/*_test.py", "**/tests/**", "**/test/**", "**/__tests__/**",
    "**/tests.py", "**/*.{test,spec,cy}.{js,jsx,ts,tsx,mjs,cjs,mts,cts}", "**/*_test.go",
    "**/*_{spec,test}.rb", "**/*_test.{exs,dart}", "**/*{Test,Tests,Spec}.{java,kt,cs,scala,php}",
)  # fmt: skip

GATE_INPUTS: tuple[str, ...] = (
    # Python
    "**/conftest.py", "**/sitecustomize.py", "**/usercustomize.py", "**/pytest.ini", "**/tox.ini",
    "**/setup.cfg", "**/pyproject.toml", "**/noxfile.py", "**/.coveragerc", "**/mypy.ini",
    "**/ruff.toml", "**/.ruff.toml", "**/pyrightconfig.json",
    # JavaScript and TypeScript
    "**/package.json", "**/{jest,vitest,vite,playwright,cypress,babel,karma}.config.*",
    "**/.mocharc*", "**/tsconfig*.json", "**/.eslintrc*", "**/eslint.config.*", "nx.json",
    "turbo.json", "**/project.json", "pnpm-workspace.yaml", "biome.json",
    # others
    "**/Makefile", "**/*.mk", "**/justfile", "**/Taskfile.y*ml", "**/CMakeLists.txt",
    "**/build.gradle*", "**/pom.xml", "**/build.rs", "**/.golangci.y*ml", "**/Rakefile",
)  # fmt: skip
"""Files that decide what a gate's command does."""

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
    "cargo test": ("**/*.rs", re.compile(r"#\[(ignore|cfg_attr\(.*\bignore)\b")),
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
    return any(matches(glob, path) for glob in GATE_INPUTS)
