"""What the common test runners take for a test, for configuration, and for "do not run this"."""

import re

from agentflow.boundaries import matches

TESTS: tuple[str, ...] = (
    "**/test_*.py", "**/*_test.py", "**/tests/**", "**/test/**", "**/__tests__/**",
    "**/*.{test,spec}.{js,jsx,ts,tsx,mjs,cjs,mts,cts}", "**/*_test.go", "**/*_spec.rb",
    "**/src/test/**", "**/*Test.{java,kt,cs}", "**/*Tests.{java,kt,cs}",
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
            r"@(pytest\.mark\.(skip|skipif|xfail)|unittest\.(skip\w*|expectedFailure)|skip\w*\()"
            r"|\bpytest\.(skip|xfail|importorskip)\(|\bself\.skipTest\(|\bpytestmark\s*="
            r"|\bcollect_ignore"
        ),
    ),
    "jest, vitest, mocha": (
        "**/*.{js,jsx,ts,tsx,mjs,cjs,mts,cts}",
        re.compile(
            r"\b(it|test|describe|suite|context)\.(skip|only|todo|failing|fails)\b"
            r"|\b(xit|xtest|xdescribe|fit|fdescribe)\s*\("
        ),
    ),
    "go test": ("**/*.go", re.compile(r"\b[tb]\.(Skip|Skipf|SkipNow)\(|^\+\s*//go:build\s+ignore")),
    "cargo test": ("**/*.rs", re.compile(r"#\[ignore")),
    "junit": ("**/*.{java,kt}", re.compile(r"@(Disabled|Ignore)\b")),
    "rspec, minitest": ("**/*.rb", re.compile(r"\b(xit|xdescribe|xcontext|pending|skip)\b")),
}
"""For each runner the files it reads and the markers that take a test out of the count."""


def is_test(path: str) -> bool:
    """Whether a runner would take the file for a test or for a part of one."""
    return not is_gate_input(path) and any(matches(glob, path) for glob in TESTS)


def is_gate_input(path: str) -> bool:
    """Whether the file steers what a gate's command does."""
    return any(matches(glob, path) for glob in GATE_INPUTS)
