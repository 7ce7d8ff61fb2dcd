"""Direct dependencies: what the manifests of a tree ask for, and how two trees differ in that.

Read are package.json (with the version that package-lock.json beside or above it holds),
pyproject.toml (PEP 621, PEP 735, uv, Poetry), requirements*.txt, go.mod and Cargo.toml. A manifest
that cannot be read asks for nothing: an agent may have written it.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from fnmatch import fnmatchcase
from typing import Any, cast

from agentflow.frozen import record
from agentflow.records import Json
from agentflow.strict_json import parse_object
from agentflow.strict_toml import parse_toml

Packages = dict[tuple[str, str], str]
"""Versions, or what was asked for, by ecosystem (`npm`, `pypi`, `go`, `cargo`) and name."""

MAX_MANIFEST = 64 * 1024**2
"""Bytes; a package-lock.json of the largest public monorepos has 5 MB."""
MAX_TEXT = 300
"""Characters of a name or a version."""

NPM_SECTIONS = ("dependencies", "devDependencies", "peerDependencies", "optionalDependencies")
_CARGO_SECTIONS = ("dependencies", "dev-dependencies", "build-dependencies")
_LOCK = "package-lock.json"

_REQUIREMENT = re.compile(
    r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?![\w./:\\-])\s*(?:\[[^\]]*\])?(.*)"
)
"""Name, extras, and what is asked for (PEP 508); neither a URL nor a path."""
_REQUIRED_MODULE = re.compile(r"(?:require\s+)?([^\s()]+)\s+(v[^\s()]+)\s*(?!.*//\s*indirect)")
_CREDENTIALS = re.compile(r"://[^/\s@]*@")


@record
class Package:
    """A package that one of two trees asks for."""

    ecosystem: str
    name: str
    version: str


@record
class Upgrade:
    """A package of which two trees ask for different versions."""

    ecosystem: str
    name: str
    before: str
    after: str


@record
class Difference:
    """What a change did to the direct dependencies, each list in order of ecosystem and name."""

    added: tuple[Package, ...] = ()
    removed: tuple[Package, ...] = ()
    changed: tuple[Upgrade, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything changed."""
        return bool(self.added or self.removed or self.changed)

    def as_json(self) -> Json:
        """`{"added": [{ecosystem, name, version}], "removed": …, "changed": [{…, before, after}]}`."""
        return {
            "added": [asdict(package) for package in self.added],
            "removed": [asdict(package) for package in self.removed],
            "changed": [asdict(upgrade) for upgrade in self.changed],
        }


def is_manifest(path: str) -> bool:
    """Whether `packages` reads the file at this path of a tree."""
    name = posixpath.basename(path)
    return name == _LOCK or _ecosystem(name) is not None


def packages(files: Mapping[str, bytes]) -> Packages:
    """The direct dependencies of all manifests among these files, given by path.

    Where several manifests ask for different versions, the value names all: `^1.0, ^2.0`.
    """
    locks = {posixpath.dirname(path): path for path in files if posixpath.basename(path) == _LOCK}
    locked = {folder: _npm_versions(_json(files[path])) for folder, path in locks.items()}
    found: dict[tuple[str, str], set[str]] = {}
    for path, content in files.items():
        ecosystem = _ecosystem(posixpath.basename(path))
        for name, version in _asked_for(path, content, locked) if ecosystem else ():
            if name and len(name) <= MAX_TEXT:
                shown = _CREDENTIALS.sub("://", version.strip())[:MAX_TEXT]
                found.setdefault((str(ecosystem), name), set()).add(shown)
    return {key: ", ".join(sorted(versions)) for key, versions in sorted(found.items())}


def difference(before: Packages, after: Packages) -> Difference:
    """How the dependencies of two trees differ."""
    common = sorted(before.keys() & after.keys())
    return Difference(
        tuple(Package(*key, after[key]) for key in sorted(after.keys() - before.keys())),
        tuple(Package(*key, before[key]) for key in sorted(before.keys() - after.keys())),
        tuple(Upgrade(*k, before[k], after[k]) for k in common if before[k] != after[k]),
    )


def _ecosystem(name: str) -> str | None:
    names = {"package.json": "npm", "pyproject.toml": "pypi", "go.mod": "go", "Cargo.toml": "cargo"}
    return "pypi" if fnmatchcase(name, "requirements*.txt") else names.get(name)


def _asked_for(
    path: str, content: bytes, locked: Mapping[str, Mapping[str, str]]
) -> Iterable[tuple[str, str]]:
    """Name and version of each direct dependency of one manifest."""
    text = content[:MAX_MANIFEST].decode("utf-8-sig", "replace")
    match posixpath.basename(path):
        case "package.json":
            return _npm(posixpath.dirname(path), _json(content), locked)
        case "pyproject.toml":
            return _requirements(_pyproject(_toml(text)))
        case "go.mod":
            return _go(text)
        case "Cargo.toml":
            return _cargo(_toml(text))
        case _:
            return _requirements(_requirement_lines(text))


def _json(content: bytes) -> Json:
    try:
        return parse_object(content) if len(content) <= MAX_MANIFEST else {}
    except ValueError:
        return {}


def _toml(text: str) -> Json:
    try:
        return parse_toml(text)
    except ValueError:
        return {}


def _table(value: Any) -> Json:
    return cast("Json", value) if isinstance(value, dict) else {}


def _texts(value: Any) -> list[str]:
    items: list[Any] = cast("list[Any]", value) if isinstance(value, list) else []
    return [item for item in items if isinstance(item, str)]


def _npm(
    folder: str, manifest: Json, locked: Mapping[str, Mapping[str, str]]
) -> Iterator[tuple[str, str]]:
    for section in NPM_SECTIONS:
        for name, wanted in _table(manifest.get(section)).items():
            if isinstance(wanted, str):
                yield name, _locked_version(folder, name, locked) or wanted


def _locked_version(folder: str, name: str, locked: Mapping[str, Mapping[str, str]]) -> str | None:
    """What the nearest lock file holds for a package, seen from a folder as node looks it up."""
    place = folder
    while place not in locked:
        if not place:
            return None
        place = posixpath.dirname(place)
    versions = locked[place]
    inner = posixpath.relpath(folder or ".", place or ".").removeprefix(".")
    while inner and f"{inner}/node_modules/{name}" not in versions:
        inner = posixpath.dirname(inner)
    return versions.get(posixpath.join(inner, "node_modules", name))


def _npm_versions(lock: Json) -> dict[str, str]:
    """Version by place (`node_modules/a`); lockfileVersion 1 has `dependencies`, later ones
    `packages`."""
    old = {f"node_modules/{name}": v for name, v in _table(lock.get("dependencies")).items()}
    places = {**old, **_table(lock.get("packages"))}
    versions = {place: _table(entry).get("version") for place, entry in places.items()}
    return {place: version for place, version in versions.items() if isinstance(version, str)}


def _pyproject(document: Json) -> Iterator[str]:
    """All requirements as lines of PEP 508; Poetry's tables are turned into such lines."""
    project, tool = _table(document.get("project")), _table(document.get("tool"))
    yield from _texts(project.get("dependencies"))
    uv = _table(tool.get("uv"))
    yield from _texts(uv.get("dev-dependencies"))
    for groups in (project.get("optional-dependencies"), document.get("dependency-groups")):
        for group in _table(groups).values():
            yield from _texts(group)
    poetry = _table(tool.get("poetry"))
    tables = [poetry, *map(_table, _table(poetry.get("group")).values())]
    for table in tables:
        for section in ("dependencies", "dev-dependencies"):
            for name, wanted in _table(table.get(section)).items():
                if name != "python":
                    yield f"{name} {_version(wanted)}"


def _version(wanted: Any) -> str:
    """What Poetry or Cargo is asked for: a text, or a table with a version or a place."""
    table = _table(wanted)
    places = (table.get(key) for key in ("version", "git", "path", "url"))
    return next((text for text in (wanted, *places) if isinstance(text, str)), "")


def _requirement_lines(text: str) -> Iterator[str]:
    """The requirements of a requirements file, without comments, options and hashes."""
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        requirement = re.sub(r"(^|\s)#.*", "", line).strip()
        if not requirement.startswith("-"):
            yield re.split(r"\s--", requirement, maxsplit=1)[0]


def _requirements(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Name as PEP 503 normalises it, and what is asked for without environment markers."""
    for line in lines:
        found = _REQUIREMENT.match(line)
        if found:
            yield re.sub(r"[-_.]+", "-", found[1]).lower(), found[2].split(";", 1)[0].strip(" ()")


def _go(text: str) -> Iterator[tuple[str, str]]:
    """The `require` directives of a go.mod, without indirect ones."""
    block = ""
    for line in map(str.strip, text.splitlines()):
        opening = re.match(r"(\w+)\s*\(", line)
        if opening:
            block = opening[1]
        elif line.startswith(")"):
            block = ""
        elif block == "require" or (not block and line.startswith("require ")):
            found = _REQUIRED_MODULE.match(line)
            if found:
                yield found[1].strip('"'), found[2]


def _cargo(document: Json) -> Iterator[tuple[str, str]]:
    targets = map(_table, _table(document.get("target")).values())
    for table in (document, _table(document.get("workspace")), *targets):
        for section in _CARGO_SECTIONS:
            for name, wanted in _table(table.get(section)).items():
                renamed = _table(wanted).get("package")
                yield renamed if isinstance(renamed, str) else name, _version(wanted)
