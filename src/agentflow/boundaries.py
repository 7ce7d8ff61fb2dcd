"""Boundaries: which paths a task may change, as globs, as mounts, and as a check of one path.

Globs are relative to the repository's root, with `/` between names: `*` and `?` stay within one
name, `**` spans any number of names, `{a,b}` alternates. A glob without wildcards names a file or
a whole directory; a trailing `/` says that it is a directory, which is created if it is absent.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from agentflow.errors import UsageError
from agentflow.records import Boundaries

Label = Literal["kernel-exact", "kernel-parent+import", "import-only"]

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

_WILDCARDS = re.compile(r"[*?{]")


def check_glob(glob: str, *, where: str) -> str:
    """Return the glob in normal form.

    Raises `UsageError`, which names `where` it stands, for a glob that is empty, absolute, leaves
    the repository or reaches into `.git`.
    """
    text = glob.strip().removeprefix("./")
    names = text.split("/")
    problem = ""
    if not text.strip("/"):
        problem = "is empty"
    elif text.startswith(("/", "~")) or "\\" in text or "\0" in text:
        problem = "must be relative to the repository, with `/` between names"
    elif ".." in names:
        problem = "leaves the repository"
    elif ".git" in names:
        problem = "reaches into .git"
    if problem:
        raise UsageError(f"{where}: the boundary {glob!r} {problem}")
    return "/".join(name for name in names[:-1] if name not in {"", "."}) + (
        ("/" if len(names) > 1 else "") + names[-1]
    )


_TOKENS = re.compile(r"(?:(?<=/)|(?<![^/]))\*\*/|\*\*|\*|\?|\{[^{}]*\}|[^*?{]+|\{")


def _translate(token: str) -> str:
    if token.startswith("{") and token.endswith("}"):
        branches = token[1:-1].split(",")
        return f"(?:{'|'.join(_TOKENS.sub(lambda t: _translate(t[0]), b) for b in branches)})"
    wildcards = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return wildcards.get(token) or re.escape(token)


@cache
def _pattern(glob: str) -> re.Pattern[str]:
    """The regular expression of a normal glob; it matches a file's whole path."""
    body = glob.rstrip("/")
    beneath = "" if _WILDCARDS.search(body.rsplit("/", 1)[-1]) else "(?:/.*)?"
    whole = _TOKENS.sub(lambda token: _translate(token[0]), body)
    return re.compile(rf"{whole}{beneath}\Z", re.DOTALL)


def matches(glob: str, path: str) -> bool:
    """Whether the glob covers the file at this path."""
    return _pattern(glob).match(path) is not None


def literal_prefix(glob: str) -> str:
    """The leading names without wildcards: `src` for `src/**`, `a/b` for `a/b/*.py`."""
    names: list[str] = []
    for name in glob.rstrip("/").split("/"):
        if _WILDCARDS.search(name):
            break
        names.append(name)
    return "/".join(names)


def _names_protected(allow: Iterable[str], protected: str) -> bool:
    """Whether an allow glob points into what the protected glob covers, and not just over it."""
    return any(
        prefix and (matches(protected, prefix) or matches(protected, f"{prefix}/x"))
        for prefix in map(literal_prefix, allow)
    )


def violation(boundaries: Boundaries, path: str) -> str | None:
    """Why this path may not be changed, or None if it may."""
    for glob in boundaries.deny:
        if matches(glob, path):
            return f"denied by {glob}"
    for glob in PROTECTED:
        if matches(glob, path) and not _names_protected(
            [allowed for allowed in boundaries.allow if matches(allowed, path)], glob
        ):
            return f"protected ({glob}); an allow entry must name it"
    for layer in (boundaries.allow, *boundaries.within):
        if layer and not any(matches(glob, path) for glob in layer):
            return "outside the allowed paths"
    return _unprintable(path)


def _unprintable(path: str) -> str | None:
    """Why the path's own characters are refused: control, format (bidi) and undecodable ones."""
    if any(unicodedata.category(character) in {"Cc", "Cf", "Cs"} for character in path):
        return "its name holds control, direction or undecodable characters"
    return None


@dataclass(frozen=True, slots=True)
class MountPlan:
    """Boundaries as far as mounts can say them; the import check is exact and has the last word."""

    writable: tuple[str, ...]
    """Directories mounted read-write; `.` is the whole tree."""
    protected: tuple[str, ...]
    """Paths mounted read-only on top, if they exist."""
    labels: tuple[tuple[str, Label], ...]
    """Each glob, denials with a leading `!`, and who enforces it."""


def plan_mounts(boundaries: Boundaries, is_directory: Callable[[str], bool]) -> MountPlan:
    """Compile boundaries to mounts.

    `is_directory` answers for a path at the base, relative to the root. Directories are mounted,
    never single files: a rename over a mounted file fails.
    """
    writable: list[str] = []
    labels: list[tuple[str, Label]] = []
    for glob in boundaries.allow:
        directory, label = _allowed_directory(glob, is_directory)
        writable.append(directory)
        labels.append((glob, label))
    protected: list[str] = []
    for glob in boundaries.deny:
        prefix = literal_prefix(glob)
        whole = glob.rstrip("/") in {prefix, f"{prefix}/**"}
        protected += [prefix] if whole else []
        labels.append((f"!{glob}", "kernel-exact" if whole else "import-only"))
    for glob in PROTECTED:
        prefix = literal_prefix(glob)
        if prefix and not _names_protected(boundaries.allow, glob):
            protected.append(prefix)
    return MountPlan(_outermost(writable or ["."]), tuple(dict.fromkeys(protected)), tuple(labels))


def _allowed_directory(glob: str, is_directory: Callable[[str], bool]) -> tuple[str, Label]:
    prefix = literal_prefix(glob)
    if glob.endswith("/") or glob == f"{prefix}/**" or (glob == prefix and is_directory(prefix)):
        return prefix, "kernel-exact"
    parent = prefix.rpartition("/")[0] if glob == prefix else prefix
    return (parent, "kernel-parent+import") if parent else (".", "import-only")


def _outermost(directories: Sequence[str]) -> tuple[str, ...]:
    """The directories that lie in no other one of the list, sorted."""
    if "." in directories:
        return (".",)
    kept: list[str] = []
    for directory in sorted(set(directories)):
        if not any(directory.startswith(f"{outer}/") for outer in kept):
            kept.append(directory)
    return tuple(kept)
