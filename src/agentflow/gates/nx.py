"""The builds of an nx workspace: for each project that a change concerns, a gate of its own.

A project is a folder with a `project.json`, or with a `package.json` that names it; the root only
with a `project.json`, or an `nx` table in its `package.json` (nx takes no other root for one). The
name is the one in `project.json`, else in `package.json` (its `nx` table first), else the folder's.
"""

import posixpath
import re
import shlex
from collections.abc import Collection, Iterable, Mapping
from dataclasses import field
from typing import cast

from agentflow.environment import Environment
from agentflow.frozen import record
from agentflow.globs import matches
from agentflow.neutral import one_line
from agentflow.records import BuildCommand, Json
from agentflow.results import Candidate, Evidence
from agentflow.strict_json import parse_object
from agentflow.words import counted
from agentflow.workspace.git import Git
from agentflow.workspace.objects import blobs_at, changes_between, contents, sizes

WORKSPACE_FILE = "nx.json"
MAX_MANIFESTS = 2_000
MAX_MANIFEST = 1024 * 1024
"""Bytes; a larger one names nothing."""
LISTED = 5

_LOCAL = "node_modules/.bin/nx"
_MANIFESTS = ("project.json", "package.json")
_NAME = re.compile(r"[A-Za-z0-9@_][\w@./:-]{0,199}")
_TEXTS = ("**/*.md", "**/*.mdx", "**/LICENSE*")
"""Files that no build reads."""


def is_workspace(paths: Collection[str]) -> bool:
    """Whether a commit with these files is an nx workspace."""
    return WORKSPACE_FILE in paths


def read_projects(git: Git, commit: str, paths: Iterable[str]) -> dict[str, str]:
    """The name of each project of a commit by its root; the workspace's own root is empty."""
    manifests = sorted(
        path
        for path in paths
        if posixpath.basename(path) in _MANIFESTS and "node_modules" not in path.split("/")
    )[:MAX_MANIFESTS]
    tables = _tables(git, commit, manifests)
    found: dict[str, str] = {}
    for root in sorted({posixpath.dirname(path) for path in tables}):
        project = tables.get(posixpath.join(root, "project.json"))
        package = tables.get(posixpath.join(root, "package.json"), {})
        inner = package.get("nx")
        settings = cast("Json", inner) if isinstance(inner, dict) else None
        if project is None and not root and settings is None:
            continue
        names = [table.get("name") for table in (project, settings, package) if table]
        named = next(filter(None, names), None)
        name = posixpath.basename(root) if named is None and project is not None else named
        if isinstance(name, str) and _NAME.fullmatch(name):
            found[root] = name
    return found


def _tables(git: Git, commit: str, manifests: Collection[str]) -> dict[str, Json]:
    """What the manifests hold; one that cannot be read holds nothing."""
    blobs = blobs_at(git, commit, frozenset(manifests))
    small = {name for name, size in sizes(git, blobs.values()).items() if size <= MAX_MANIFEST}
    data = contents(git, small) if small else {}
    found: dict[str, Json] = {}
    for path, blob in blobs.items():
        try:
            found[path] = parse_object(data.get(blob, b""))
        except (ValueError, RecursionError):
            found[path] = {}
    return found


def owner(path: str, projects: Collection[str]) -> str | None:
    """The root of the project that a file belongs to, the longest one; None without any."""
    folders = [path[:end] for end in range(len(path) - 1, 0, -1) if path[end] == "/"]
    return next((folder for folder in (*folders, "") if folder in projects), None)


def builds(
    names: Iterable[str], paths: Collection[str], environment: Environment
) -> tuple[BuildCommand, ...]:
    """A gate for each of these projects. nx is the repository's own where git or setup has it."""
    program = _program(paths, environment)
    return tuple(
        BuildCommand(f"nx-{name}", f"{program} build {shlex.quote(name)}")
        for name in sorted(set(names))
    )


def dependents(
    touched: Mapping[str, str], paths: Collection[str], environment: Environment
) -> tuple[BuildCommand, ...]:
    """The gate for what depends on these projects, given with a changed file of each: only nx knows
    what that is, and it builds nothing where nothing does. None without such a file."""
    files = [path for path in touched.values() if "," not in path]
    if not files:
        return ()
    said = " ".join(
        f"--{option}={shlex.quote(','.join(sorted(set(words))))}"
        for option, words in (("files", files), ("exclude", touched))
    )
    command = f"{_program(paths, environment)} affected --target=build {said}"
    return (BuildCommand("nx-dependents", command),)


def _program(paths: Collection[str], environment: Environment) -> str:
    setup = environment.setup
    provided = setup.provides if setup else ()
    above = ("node_modules", "node_modules/.bin", _LOCAL)
    local = _LOCAL in paths or any(matches(glob, each) for glob in provided for each in above)
    return _LOCAL if local else "nx"


def planned_builds(
    git: Git, commit: str, paths: Collection[str], files: Iterable[str], environment: Environment
) -> tuple[BuildCommand, ...]:
    """The gates for the projects that these files will belong to, as far as the commit has them."""
    projects = read_projects(git, commit, paths)
    owners = {path: owner(path, projects) for path in sorted(files, reverse=True)}
    touched = {projects[root]: path for path, root in owners.items() if root is not None}
    return (
        *builds(touched, paths, environment),
        *dependents(touched, paths, environment),
    )


@record
class Affected:
    """What a change concerns."""

    names: tuple[str, ...]
    """Of projects, sorted."""
    unknown: tuple[str, ...]
    """Changed files that belong to no project, texts aside."""
    touched: Mapping[str, str] = field(default_factory=dict[str, str])
    """One changed file of each project, by its name."""


def affected(state: Git, candidate: Candidate) -> Affected:
    """The projects of the changed files, as the result has them; and as the base has them, where
    the result still does: a new project inside of another one takes no file out of its build."""
    changed = [c.path for c in changes_between(state, candidate.base, candidate.tip)]
    if candidate.tip == candidate.base:  # the base holds the work already
        changed = sorted({c.path for commit in candidate.commits for c in commit.changes})
    before, after = (_projects(state, commit) for commit in (candidate.base, candidate.tip))
    names, unknown = dict[str, str](), list[str]()
    for path in sorted(changed, reverse=True):
        found = {
            name
            for projects in (before, after)
            if (root := owner(path, projects)) is not None
            and (name := projects[root]) in after.values()
        }
        names |= dict.fromkeys(found, path)
        if not found and not any(matches(glob, path) for glob in _TEXTS):
            unknown.append(path)
    return Affected(tuple(sorted(names)), tuple(reversed(unknown)), names)


def _projects(state: Git, commit: str) -> Mapping[str, str]:
    listing = state.text("ls-tree", "-r", "-z", "--name-only", "--full-tree", commit)
    return read_projects(state, commit, listing.split("\0"))


@record
class ProjectsGate:
    """Fails for a change that no project's build could judge."""

    found: Affected
    name: str = "nx-projects"

    async def measure(self, candidate: Candidate) -> Evidence:
        """Name the files without a project, else the projects that are built."""
        del candidate
        unknown = self.found.unknown
        if unknown:
            more = f" and {len(unknown) - LISTED} more" if len(unknown) > LISTED else ""
            summary = f"{counted(len(unknown), 'changed file')} in no nx project: {unknown[0]}"
            detail = "\n".join((
                *(one_line(path, 300) for path in unknown[:LISTED]),
                f"{more.strip()}\nNo `nx build` would judge them. Put them into a project, or "
                "configure [[gates]] that do.".lstrip(),
            ))
            return Evidence(self.name, "failed", one_line(summary, 200), detail)
        if not self.found.names:
            return Evidence(self.name, "skipped", "the change concerns no nx project")
        return Evidence(self.name, "passed", one_line(", ".join(self.found.names), 200))
