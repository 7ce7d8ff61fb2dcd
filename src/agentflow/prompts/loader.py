"""Prompt files: find them by name or path and read them without ever widening their tools."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agentflow.errors import UsageError
from agentflow.frontmatter import read_header
from agentflow.nearest import nearest
from agentflow.prompts.profile import read_profile
from agentflow.records import Prompt

FOLDER = ".orchestrator/prompts"

_INHERITED_MODELS = {"", "inherit", "default"}


def builtin_folder() -> Path:
    """Where the built-in prompts are: inside the wheel, or at the top of a source tree."""
    shipped = Path(__file__).parent / "builtin"
    return shipped if shipped.is_dir() else Path(__file__).parents[3] / "prompts"


def find_prompt(name: str, root: Path) -> Path:
    """Return the file of a prompt given by name or by path.

    The repository's prompts come before the built-in ones; `_` and `-` are equal in names.
    Raises `UsageError` naming the nearest prompt.
    """
    if "/" in name or name.endswith(".md"):
        if Path(name).is_file():
            return Path(name)
        raise UsageError(f"there is no prompt file {name}")
    known: dict[str, Path] = {}
    for folder in (root / FOLDER, builtin_folder()):
        for path in sorted(folder.glob("*.md")):
            known.setdefault(_plain(path.stem), path)
    path = known.get(_plain(name))
    if path is None:
        raise UsageError(
            f"there is no prompt {name!r}{nearest(name, known)}",
            hint=f"Known prompts: {', '.join(sorted(known))}. Others are read from {FOLDER}.",
        )
    return path


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")


def load_prompt(path: Path, known_tools: Sequence[str]) -> Prompt:
    """Read a prompt file.

    Raises `UsageError` for a file that cannot be read, or that is granted no known tool.
    """
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot read the prompt {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"the prompt {path} is not UTF-8 (byte {error.start})") from error
    header = read_header(text, where=str(path))
    if not header.body.strip():
        raise UsageError(f"the prompt {path} has no text after its header")
    tools, warnings = _granted(header.fields.get("tools"), known_tools, path)
    model = header.fields.get("model")
    return Prompt(
        name=str(header.fields.get("name") or header.fields.get("agent") or path.stem),
        path=path,
        body=header.body,
        tools=tools,
        model=None if model is None or str(model) in _INHERITED_MODELS else str(model),
        profile=read_profile(header.fields.get("agentflow"), where=str(path)),
        sha256=hashlib.sha256(data).hexdigest(),
        builtin=path.parent == builtin_folder(),
        warnings=warnings,
    )


def _granted(
    declared: Any, known: Sequence[str], path: Path
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The tools that a header grants, in the known order, and warnings about the others."""
    if declared is None or declared == "*":
        return tuple(known), ()
    items = re.split(r",\s*(?![^()]*\))", declared) if isinstance(declared, str) else declared
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):  # pyright: ignore[reportUnknownVariableType]
        raise UsageError(f"{path}: `tools` must be a list of names, or names between commas")
    names = [str(item).strip() for item in items if str(item).strip()]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    granted = tuple(tool for tool in known if tool in names)
    warnings = tuple(
        f"{path}: the tool {name!r} is not available{nearest(name, known)}"
        for name in names
        if name not in known
    )
    if not granted:
        raise UsageError(
            f"{path}: none of its tools is available ({', '.join(names) or 'an empty list'})",
            hint=f"Available tools: {', '.join(known)}.",
        )
    return granted, warnings
