"""The services that a handoff names, matched to folders of the workspace.

A name is a folder's path, a glob of one, a package's or an nx project's name, a folder's name, or a
looser form of it (`the billing service` for `acme-billing-service`). The first of these ways that
finds anything decides; if it finds several, the name is ambiguous, and nobody guesses.
"""

import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import field
from fnmatch import fnmatchcase

from agentflow.frozen import record
from agentflow.records import Boundaries

GROUPS = frozenset({
    "apps", "services", "packages", "libs", "modules", "servers", "backends", "microservices",
})  # fmt: skip
"""Folders whose folders are services or packages."""
MANIFESTS = frozenset({
    "package.json", "project.json", "pyproject.toml", "setup.py", "go.mod", "Cargo.toml", "pom.xml",
    "build.gradle", "build.gradle.kts", "composer.json", "Gemfile", "mix.exs",
})  # fmt: skip
"""Files that make their folder a unit of its own."""
DEEPEST = 4
"""Names of a path; what lies deeper is part of a service."""

_UNUSABLE = re.compile(r"[*?{},\\\x00-\x1f]|(?:^|/)\.")
"""Characters that a boundary cannot hold, and hidden folders: to allow `.github/**` by name would
lift its protection, and a block is somebody else's text."""
_PACKAGE = re.compile(r"(?<![\w@/.])(@[A-Za-z0-9][\w.-]{0,100}(?:/[\w.-]{1,100})?)(?![\w(@])")


@record
class Workspace:
    """What services are matched to: a commit's tree, as far as it matters here."""

    name: str
    """The repository's own folder name."""
    folders: tuple[str, ...]
    """Folders that could be services or packages, sorted; submodules are among them."""
    others: tuple[str, ...] = ()
    """Further folders, sorted."""
    submodules: frozenset[str] = frozenset()
    packages: Mapping[str, str] = field(default_factory=dict[str, str])
    """Names of packages and projects, each with its folder; an empty folder is the root."""


@record
class Match:
    """What one name stands for."""

    name: str
    folders: tuple[str, ...]
    """None: unknown. Several: ambiguous. The root is an empty text."""

    @property
    def folder(self) -> str | None:
        """The one folder, or None."""
        return self.folders[0] if len(self.folders) == 1 else None


def make_workspace(
    name: str,
    paths: Iterable[str],
    submodules: Collection[str] = (),
    packages: Mapping[str, str] | None = None,
) -> Workspace:
    """A workspace of a tree's file paths, relative to its root, with `/` between names."""
    units, others = set(submodules), set[str]()
    for path in paths:
        parts = path.split("/")
        if "node_modules" in parts:
            continue
        depth = len(parts) - 1
        others.update("/".join(parts[:n]) for n in range(1, min(depth, DEEPEST) + 1))
        units.update(
            "/".join(parts[:n]) for n in range(2, min(depth, DEEPEST) + 1) if parts[n - 2] in GROUPS
        )
        if parts[-1] in MANIFESTS and 0 < depth <= DEEPEST:
            units.add("/".join(parts[:-1]))
    usable = sorted(folder for folder in units if not _UNUSABLE.search(folder))
    rest = sorted(folder for folder in others - units if not _UNUSABLE.search(folder))
    known = {
        package: folder
        for package, folder in (packages or {}).items()
        if not _UNUSABLE.search(folder)
    }
    return Workspace(name, tuple(usable), tuple(rest), frozenset(submodules), known)


def match(name: str, workspace: Workspace) -> Match:
    """Find the folder or folders that a name stands for."""
    plain = name.strip().removeprefix("./").rstrip("/")
    ways: Sequence[Callable[[], Iterable[str]]] = (
        lambda: (each for each in (*workspace.folders, *workspace.others) if each == plain),
        lambda: _globbed(plain, workspace.folders) or _globbed(plain, workspace.others),
        lambda: [workspace.packages[plain]] if plain in workspace.packages else [],
        lambda: _named(plain, workspace.folders),
        lambda: [""] if _plain(plain) == _plain(workspace.name) else [],
        lambda: _loosely(plain, workspace),
        lambda: _named(plain, workspace.others),
    )
    found = (tuple(dict.fromkeys(way())) for way in ways) if plain else iter(())
    return Match(name, next(filter(None, found), ()))


def _globbed(glob: str, folders: Iterable[str]) -> list[str]:
    if "*" not in glob or len(glob) > 200 or glob.count("*") > 4:
        return []
    return [
        each
        for each in folders
        if fnmatchcase(each if "/" in glob else posixpath.basename(each), glob)
        and each.count("/") == (glob.count("/") if "/" in glob else each.count("/"))
    ]


def _plain(name: str) -> str:
    """A name as names are compared: small letters, `-` between words."""
    return re.sub(r"[\s_]+", "-", name.lower()).strip("-@")


def _named(name: str, folders: Iterable[str]) -> list[str]:
    return [each for each in folders if _plain(posixpath.basename(each)) == _plain(name)]


def _core(name: str) -> str:
    """A name without what people leave out of it: the scope, articles, and `service`."""
    last = _plain(name).rpartition("/")[2]
    return re.sub(r"^the-|(?:-|^)(?:service|backend|api|app)$", "", last.replace("*", ""))


def _loosely(name: str, workspace: Workspace) -> list[str]:
    core = _core(name)
    if len(core) < 2:
        return []
    named = [(posixpath.basename(folder), folder) for folder in workspace.folders]
    named += [(package, folder) for package, folder in workspace.packages.items()]
    exact = [folder for each, folder in named if _core(each) == core]
    return exact or [folder for each, folder in named if _core(each).endswith(f"-{core}")]


def contract_packages(text: str, workspace: Workspace) -> dict[str, str]:
    """The workspace's packages that a text names, such as `@acme/types` or `@acme-types`, each with
    its folder. A package from elsewhere, a decorator or an e-mail address is none."""
    found: dict[str, str] = {}
    for name in _PACKAGE.findall(text):
        plain = name.rstrip(".-")
        folder = workspace.packages.get(plain)
        if folder is None and "/" not in plain:
            named = _named(plain, workspace.folders)
            folder = named[0] if len(named) == 1 else None
        if folder:
            found[plain] = folder
    return found


def boundaries(folders: Iterable[str]) -> Boundaries:
    """What may be changed for services in these folders; the root sets no limit."""
    distinct = tuple(dict.fromkeys(folders))
    if "" in distinct:
        return Boundaries()
    return Boundaries(tuple(f"{folder}/**" for folder in distinct))
