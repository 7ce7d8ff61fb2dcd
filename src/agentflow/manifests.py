"""Manifests that keep the base's scripts: dependencies as in the change, all else as in the base.

A task may be allowed to add a package. The scripts, test configuration and build settings that
stand in the same file still judge the result, so they must be those of the base.
"""

import json
import posixpath
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from agentflow.records import Json
from agentflow.strict_json import parse_object
from agentflow.strict_toml import parse_toml

MAX_MANIFEST = 16 * 1024**2
"""Bytes of a manifest that is read."""
MAX_TOML = 256 * 1024
"""The same in TOML: to write it again takes a minute for each million."""

Place = tuple[str, ...]
"""The keys that lead to a value, from the document's root."""

NPM: tuple[Place, ...] = (
    ("dependencies",),
    ("devDependencies",),
    ("peerDependencies",),
    ("peerDependenciesMeta",),
    ("optionalDependencies",),
    ("bundleDependencies",),
    ("bundledDependencies",),
    ("dependenciesMeta",),
    ("overrides",),
    ("resolutions",),
    ("pnpm", "overrides"),
)
"""What npm, Yarn and pnpm install by, in package.json."""

PYTHON: tuple[Place, ...] = (
    ("project", "dependencies"),
    ("project", "optional-dependencies"),
    ("dependency-groups",),
    ("tool", "uv", "dev-dependencies"),
    ("tool", "uv", "sources"),
    ("tool", "uv", "override-dependencies"),
    ("tool", "uv", "constraint-dependencies"),
    ("tool", "poetry", "dependencies"),
    ("tool", "poetry", "dev-dependencies"),
    ("tool", "poetry", "group"),
)
"""What pip (PEP 621, PEP 735), uv and Poetry install by, in pyproject.toml."""

IDENTITY: Mapping[str, tuple[Place, ...]] = {
    "package.json": (("name",), ("version",), ("private",)),
    "pyproject.toml": (("project", "name"), ("project", "version")),
}
"""What a manifest that the base does not have needs besides, to be one."""

_MISSING = object()


def with_scripts_of(path: str, base: bytes | None, tip: bytes) -> bytes | None:
    """A manifest like `tip` in which everything but the dependency sections is as in `base`.

    For package.json and pyproject.toml, by the path's last name; None for other files, and if
    nothing but dependencies differs. Of a manifest that is new (`base` is None) only the
    dependencies and its name stay. One that cannot be read, or not be
    written again, is replaced by the base's.
    """
    name = posixpath.basename(path)
    if name not in FORMATS or base == tip:
        return None
    read, write, sections = FORMATS[name]
    kept = (*sections, *(IDENTITY[name] if base is None else ()))
    try:
        old, new = (read(base) if base is not None else {}), read(tip)
        if _ordered(_without(old, kept)) == _ordered(_without(new, kept)):
            return None
        merged = old
        for place in kept:
            value = _get(new, place)
            merged = _removed(merged, place) if value is _MISSING else _set(merged, place, value)
        return write(merged)
    except (ValueError, RecursionError):  # a deep key and a long number can be read, not written
        return base if base is not None else write({})


def _read_json(content: bytes) -> Json:
    return parse_object(content) if len(content) <= MAX_MANIFEST else _refuse()


def _write_json(document: Json) -> bytes:
    return json.dumps(document, indent=2).encode() + b"\n"


def _read_toml(content: bytes) -> Json:
    return parse_toml(content.decode()) if len(content) <= MAX_TOML else _refuse()


def _write_toml(document: Json) -> bytes:
    import tomlkit  # 26 ms, and few runs change a manifest

    return tomlkit.dumps(document).encode()


def _refuse() -> Json:
    raise ValueError("too long for a manifest")


FORMATS: Mapping[
    str, tuple[Callable[[bytes], Json], Callable[[Json], bytes], tuple[Place, ...]]
] = {
    "package.json": (_read_json, _write_json, NPM),
    "pyproject.toml": (_read_toml, _write_toml, PYTHON),
}
"""For each manifest how it is read and written, and its dependency sections."""


def _ordered(document: Json) -> str:
    """The document as text that also tells the order of keys: `exports` depends on it."""
    return json.dumps(document, default=str)


def _without(document: Json, places: Sequence[Place]) -> Json:
    for place in places:
        document = _removed(document, place)
    return document


def _get(document: Any, place: Place) -> Any:
    for key in place:
        if not isinstance(document, dict) or key not in document:
            return _MISSING
        document = cast("Json", document)[key]
    return document


def _set(document: Json, place: Place, value: Any) -> Json:
    """A copy with the value at its place; whatever stands in the way is a table from then on."""
    key, *rest = place
    inner = document.get(key)
    table: Json = cast("Json", inner) if isinstance(inner, dict) else {}
    return {**document, key: _set(table, tuple(rest), value) if rest else value}


def _removed(document: Json, place: Place) -> Json:
    """A copy without the place, and without tables that are empty for that reason."""
    key, *rest = place
    if key not in document:
        return document
    inner = document[key]
    if rest and isinstance(inner, dict):
        left = _removed(cast("Json", inner), tuple(rest))
        if left or not inner:
            return {**document, key: left}
    elif rest:
        return document
    return {other: value for other, value in document.items() if other != key}
