"""Boundaries: which paths a task may change, as globs, as mounts, and as a check of one path.

Globs are relative to the repository's root, with `/` between names: `*` and `?` stay within one
name, `**` stands for any number of names, `{a,b}` alternates within a name. Brackets are ordinary
characters, as in `app/[id]/page.tsx`. A glob whose last name has no wildcard covers a file of that
name or everything in the directory of that name; a trailing `/` leaves only the directory, which
is created if it is absent.
"""

import itertools
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Literal

from agentflow.errors import UsageError
from agentflow.frozen import record
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
_BRACES = re.compile(r"\{([^{}/]*)\}")
_MAX_LENGTH = 4096
_MAX_ALTERNATIVES = 64


def check_glob(glob: str, *, where: str) -> str:
    """Return the glob in normal form: no `.` names, no doubled `/`.

    Raises `UsageError`, which names `where` it stands, for a glob that is empty, absolute, a
    negation, ambiguous, leaves the repository or reaches into `.git`.
    """
    text = glob.strip()
    names = [name for name in text.split("/") if name not in {"", "."}]
    normal = "/".join(names) + ("/" if text.endswith(("/", "/.")) else "")
    problem = _malformed(text) or _leaving(text) or _malformed(normal) or _leaving(normal)
    if problem:
        raise UsageError(f"{where}: the boundary {glob[:200]!r} {problem}")
    return normal


def as_written(glob: str) -> str:
    """The glob as people write it: braces around one name are ours, and say that nobody named the file
    in `allow` (`prompts.file_boundaries`)."""
    return _BRACES.sub(lambda found: found[0] if "," in found[1] else found[1], glob)


def is_path(glob: str) -> bool:
    """Whether a checked glob names one file, without wildcards or a trailing `/`."""
    return not _WILDCARDS.search(glob) and not glob.endswith("/")


def _malformed(text: str) -> str | None:
    """Why the text cannot be read as one glob."""
    count = math.prod(braces.count(",") + 1 for braces in _BRACES.findall(text))
    problems = {
        "is longer than a path can be": len(text) > _MAX_LENGTH,
        "is a negation; write it under `deny`, without `!`": text.startswith("!"),
        "holds control, direction or undecodable characters": _unprintable(text) is not None,
        "holds a name that begins or ends with a blank": any(
            name != name.strip() for name in text.split("/")
        ),
        "holds braces that do not match, nest, or hold a `/`": re.search(
            r"[{}]", _BRACES.sub("", text)
        ),
        "stands for too many alternatives": count > _MAX_ALTERNATIVES,
        "holds `**` beside other characters; `**` must be a whole name": any(
            "**" in name and name != "**" for name in text.split("/")
        ),
    }
    return next((problem for problem, found in problems.items() if found), None)


def _leaving(text: str) -> str | None:
    """Why one of the alternatives does not stay in the repository's tree."""
    for alternative in alternatives(text):
        names = alternative.split("/")
        problems = {
            "leaves the repository": ".." in names,
            "is empty": {"", "."}.issuperset(names),
            "must be relative to the repository, with `/` between names": alternative.startswith((
                "/",
                "~",
            ))
            or "\\" in alternative,
            "reaches into .git": any(name.lower() == ".git" for name in names),
            "puts `*` beside braces that hold one": alternative.count("**") != text.count("**"),
        }
        problem = next((problem for problem, found in problems.items() if found), None)
        if problem:
            return problem
    return None


def alternatives(glob: str) -> tuple[str, ...]:
    """The globs without braces that a glob stands for."""
    parts = _BRACES.split(glob)
    choices = [part.split(",") if i % 2 else [part] for i, part in enumerate(parts)]
    return tuple(map("".join, itertools.product(*choices)))


@cache
def _pattern(glob: str) -> re.Pattern[str]:
    """The regular expression of a normal glob; it matches a file's whole path."""
    return re.compile(rf"(?:{'|'.join(map(_translate, alternatives(glob)))})\Z", re.DOTALL)


def _translate(glob: str) -> str:
    """One alternative as an expression.

    The shortest match of what stands between two wildcards is as good as any other, so it is
    atomic: a glob of many wildcards would otherwise take exponential time on a chosen path.
    """
    first, *others = [
        [_name(name) for name in run] for run in _split(glob.rstrip("/").split("/"), "**")
    ]
    if glob.endswith("/"):
        end = "/.+"
    else:
        end = "" if _WILDCARDS.search(glob.rsplit("/", 1)[-1]) else "(?:/.+)?"
    if not others:
        return "/".join(first) + end
    *middle, last = others
    return "".join((
        *(f"{name}/" for name in first),
        *(f"(?>(?:[^/]+/)*?{'/'.join(run)}/)" for run in middle if run),
        f"(?:[^/]+/)*{'/'.join(last)}{end}" if last else f".+{end}",
    ))


def _split(names: Sequence[str], separator: str) -> list[list[str]]:
    runs: list[list[str]] = [[]]
    for name in names:
        if name == separator:
            runs.append([])
        else:
            runs[-1].append(name)
    return runs


def _name(name: str) -> str:
    """One name of a glob as an expression."""
    first, *others = (re.escape(chunk).replace(r"\?", "[^/]") for chunk in re.split(r"\*+", name))
    if not others:
        return first
    *middle, last = others
    return first + "".join(f"(?>[^/]*?{chunk})" for chunk in middle) + f"[^/]*{last}"


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


def _covers(protected: str, path: str) -> bool:
    """Whether a protected glob covers a path, on file systems that ignore case as well.

    What protects a folder's content protects its name: a link could stand there instead.
    """
    glob, name = protected.casefold(), path.casefold()
    return matches(glob, name) or (glob.endswith("/**") and matches(glob.removesuffix("/**"), name))


def _names_protected(allow: Iterable[str], protected: str) -> bool:
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
    return any(_names_protected((glob,), protected) for protected in PROTECTED)


def violation(boundaries: Boundaries, path: str) -> str | None:
    """Why this path may not be changed, or None if it may."""
    for glob in boundaries.deny:
        if matches(glob, path):
            return f"denied by {glob}"
    for glob in PROTECTED:
        if _covers(glob, path) and not _names_protected(
            [allowed for allowed in boundaries.allow if matches(allowed, path)], glob
        ):
            return f"protected ({glob}); an allow entry must name it"
    for layer in (boundaries.allow, *boundaries.within):
        if layer and not any(matches(glob, path) for glob in layer):
            return "outside the allowed paths"
    return _unprintable(path)


def _unprintable(path: str) -> str | None:
    """Why the path's own characters are refused: control, format (bidi), line-ending and
    undecodable ones."""
    if any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in path):
        return "its name holds control, direction or undecodable characters"
    return None


@record
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
        if label == "kernel-exact" and not _is_within(directory, boundaries.within):
            label = "kernel-parent+import"
        writable.append(directory)
        labels.append((glob, label))
    protected: list[str] = []
    for glob in boundaries.deny:
        prefix = literal_prefix(glob)
        whole = _is_directory_glob(glob, is_directory)
        protected += [prefix] if whole or glob == prefix else []
        labels.append((
            f"!{glob}",
            "kernel-exact" if whole and is_directory(prefix) else "import-only",
        ))
    for glob in PROTECTED:
        prefix = literal_prefix(glob)
        if prefix and not _names_protected(boundaries.allow, glob):
            protected.append(prefix)
    return MountPlan(_outermost(writable or ["."]), tuple(dict.fromkeys(protected)), tuple(labels))


def without_denials(plan: MountPlan) -> MountPlan:
    """What is left of a plan where nothing can be denied within what is allowed.

    A denial of a path outside all writable directories holds as it is.
    """
    labels: Iterator[tuple[str, Label]] = (
        (glob, "import-only" if _denies_within(glob, plan.writable) else label)
        for glob, label in plan.labels
    )
    return MountPlan(plan.writable, (), tuple(labels))


def _denies_within(glob: str, writable: Sequence[str]) -> bool:
    path = literal_prefix(glob.removeprefix("!"))
    return glob.startswith("!") and any(
        outer == "." or f"{path}/".startswith(f"{outer}/") for outer in writable
    )


def _is_directory_glob(glob: str, is_directory: Callable[[str], bool]) -> bool:
    """Whether a glob covers exactly what lies in the directory of its literal prefix."""
    prefix = literal_prefix(glob)
    return glob in {f"{prefix}/", f"{prefix}/**"} or (glob == prefix and is_directory(prefix))


def _allowed_directory(glob: str, is_directory: Callable[[str], bool]) -> tuple[str, Label]:
    prefix = literal_prefix(glob)
    if prefix and _is_directory_glob(glob, is_directory):
        return prefix, "kernel-exact"
    parent = prefix.rpartition("/")[0] if glob == prefix else prefix
    return (parent, "kernel-parent+import") if parent else (".", "import-only")


def _is_within(directory: str, layers: Iterable[Sequence[str]]) -> bool:
    """Whether each layer allows a directory as a whole."""
    return all(
        any(
            glob == "**" or f"{directory}/".startswith(f"{glob.rstrip('/').removesuffix('/**')}/")
            for glob in layer
            if glob == "**" or _is_directory_glob(glob, lambda _: True)
        )
        for layer in layers
        if layer
    )


def _outermost(directories: Sequence[str]) -> tuple[str, ...]:
    """The directories that lie in no other one of the list, sorted."""
    if "." in directories:
        return (".",)
    kept: list[str] = []
    for directory in sorted(set(directories)):
        if not any(directory.startswith(f"{outer}/") for outer in kept):
            kept.append(directory)
    return tuple(kept)
