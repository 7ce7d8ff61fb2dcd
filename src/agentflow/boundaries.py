"""Boundaries: which paths a task may change, as a check of one path."""

import re
from collections.abc import Iterable

from agentflow.globs import alternatives, matches, unprintable
from agentflow.records import Boundaries

PROTECTED: tuple[str, ...] = (
    # what git or a shell executes
    "**/.gitattributes", ".gitmodules", "**/.githooks/**", "**/.husky/**", "**/.envrc",
    "**/.pre-commit-config.yaml", "**/lefthook.yml", "**/lefthook.yaml",
    # what CI executes
    ".github/**", ".gitlab-ci.yml", ".gitlab/**", ".circleci/**", ".buildkite/**", ".drone.yml",
    "azure-pipelines.yml", "bitbucket-pipelines.yml", "Jenkinsfile", ".travis.yml",
    # what agentflow and other agents obey
    ".orchestrator/**", ".claude/**", ".codex/**", ".cursor/**", ".gemini/**", ".agents/**",
    ".cursorrules", ".mcp.json", "**/CLAUDE.md", "**/AGENTS.md", "**/GEMINI.md",
    # what editors and package managers execute or trust
    "**/.vscode/**", "**/.idea/**", "**/.devcontainer/**", "**/.npmrc", "**/.yarnrc*",
    "**/pip.conf",
)  # fmt: skip
"""Paths whose content is executed or obeyed outside the sandbox. Denied unless an allow glob
names them: `.github/workflows/**` does, `**` does not."""


def _covers(protected: str, path: str) -> bool:
    """Whether a protected glob covers a path, on file systems that ignore case as well.

    What protects a folder's content protects its name: a link could stand there instead.
    """
    glob, name = protected.casefold(), path.casefold()
    return matches(glob, name) or (glob.endswith("/**") and matches(glob.removesuffix("/**"), name))


def names_protected(allow: Iterable[str], protected: str) -> bool:
    """Whether an allow glob points into what the protected glob covers, and not just over it.

    It does if it stays within when its wildcards stand for an ordinary name.
    """
    samples = (
        re.sub(r"\*+|\?", "x", alternative).rstrip("/")
        for glob in allow
        for alternative in alternatives(glob)
    )
    return any(
        _covers(protected, sample) or _covers(protected, f"{sample}/x") for sample in samples
    )


def opens_protected(glob: str) -> bool:
    """Whether a glob in `allow` would open a path that is protected otherwise."""
    return any(names_protected((glob,), protected) for protected in PROTECTED)


def violation(boundaries: Boundaries, path: str) -> str | None:
    """Why this path may not be changed, or None if it may."""
    for glob in boundaries.deny:
        if matches(glob, path):
            return f"denied by {glob}"
    for glob in PROTECTED:
        if _covers(glob, path) and not names_protected(
            [allowed for allowed in boundaries.allow if matches(allowed, path)], glob
        ):
            return f"protected ({glob}); an allow entry must name it"
    for layer in (boundaries.allow, *boundaries.within):
        if layer and not any(matches(glob, path) for glob in layer):
            return "outside the allowed paths"
    return unprintable(path)
