"""The shapes that a source file declares, by its suffix, and the files that it names."""

import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from agentflow.gates.shapes.openapi import openapi_shapes
from agentflow.gates.shapes.pydantic_models import pydantic_shapes
from agentflow.gates.shapes.shape import Shape
from agentflow.gates.shapes.typescript import typescript_shapes
from agentflow.gates.shapes.zod import zod_shapes

_Extractor = Callable[[str], list[Shape]]
_SCRIPT: tuple[_Extractor, ...] = (typescript_shapes, zod_shapes)
_DOCUMENT: tuple[_Extractor, ...] = (openapi_shapes,)
EXTRACTORS: dict[str, tuple[_Extractor, ...]] = {
    **dict.fromkeys((".ts", ".tsx", ".mts", ".cts"), _SCRIPT),
    **dict.fromkeys((".js", ".mjs", ".cjs"), (zod_shapes,)),
    **dict.fromkeys((".json", ".yaml", ".yml"), _DOCUMENT),
    ".py": (pydantic_shapes,),
}
"""For each suffix what reads its files."""
MAX_NAMED = 100
"""Files that one file names."""

_SCRIPT_IMPORT = re.compile(r"(?:from|require\()\s{0,4}['\"](\.{1,2}/[^'\"\n]{1,300})['\"]")
_PYTHON_IMPORT = re.compile(
    r"^(?:from[ \t]+([\w.]{1,200})[ \t]+import|import[ \t]+([\w.]{1,200}))", re.M
)


def is_read(path: str) -> bool:
    """Whether files of this kind are read for shapes."""
    return posixpath.splitext(path)[1] in EXTRACTORS


def declared_shapes(path: str, text: str) -> list[Shape]:
    """The shapes of one file; none for a file of another kind."""
    readers = EXTRACTORS.get(posixpath.splitext(path)[1], ())
    return [replace(shape, path=path) for reader in readers for shape in reader(text)]


def named_files(path: str, text: str) -> Iterator[str]:
    """Paths that may hold what the file imports: relative ones, and of Python those beside it."""
    folder, suffix = posixpath.dirname(path), posixpath.splitext(path)[1]
    if suffix == ".py":
        for match in list(_PYTHON_IMPORT.finditer(text))[:MAX_NAMED]:
            module = (match[1] or match[2]).rpartition(".")[2]
            yield posixpath.join(folder, f"{module}.py")
    elif EXTRACTORS.get(suffix) != _DOCUMENT:
        for match in list(_SCRIPT_IMPORT.finditer(text))[:MAX_NAMED]:
            plain = posixpath.normpath(posixpath.join(folder, match[1]))
            stem = re.sub(r"\.[cm]?js\Z", "", plain)
            yield from (plain, f"{stem}.ts", f"{stem}.js", f"{stem}/index.ts")
