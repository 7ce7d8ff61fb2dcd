"""Prompt files: find them by name or path and read them without ever widening their tools."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agentflow.errors import UsageError
from agentflow.frontmatter import Header, check_inside, read_markdown
from agentflow.nearest import nearest
from agentflow.prompts.profile import read_profile
from agentflow.records import Prompt

FOLDER = ".orchestrator/prompts"
MAX_PROMPT = 1024 * 1024
"""Bytes. The largest of 1,024 public agent files has under a tenth of that."""

_INHERITED_MODELS = {"", "inherit", "default"}


def builtin_folder() -> Path:
    """Where the built-in prompts are: inside the wheel, or at the top of a source tree."""
    shipped = Path(__file__).parent / "builtin"
    return shipped if shipped.is_dir() else Path(__file__).parents[3] / "prompts"


def find_prompt(name: str, root: Path, *, trusted: bool = False) -> Path:
    """Return the file of a prompt given by name or by path.

    The repository's prompts come before the built-in ones; `_` and `-` are equal in names.
    A path that is not `trusted`, given by the user, is relative to the root and stays within.
    Raises `UsageError` naming the nearest prompt.
    """
    if "/" in name or name.endswith(".md"):
        file = Path(name) if trusted else check_inside(root / name, root)
        if file.is_file():
            return file
        raise UsageError(f"there is no prompt file {name}")
    known: dict[str, Path] = {}
    for folder in (root / FOLDER, builtin_folder()):
        for path in sorted(folder.glob("*.md")):
            known.setdefault(plain_name(path.stem), path)
    path = known.get(plain_name(name))
    if path is None:
        raise UsageError(
            f"there is no prompt {name!r}{nearest(name, known)}",
            hint=f"Known prompts: {', '.join(sorted(known))}. Others are read from {FOLDER}.",
        )
    return check_inside(path, root, builtin_folder())


def plain_name(name: str) -> str:
    """The name as names are compared."""
    return name.lower().replace("_", "-")


def load_prompt(path: Path, known_tools: Sequence[str]) -> Prompt:
    """Read a prompt file.

    A prompt without a header, or whose header says nothing of tools, gets all known ones. Raises
    `UsageError` for a file that cannot be read, or whose tools cannot be told for certain.
    """
    data, header = read_markdown(path, limit=MAX_PROMPT)
    if not header.body.strip():
        raise UsageError(f"the prompt {path} has no text after its header")
    tools, warnings = _granted(header, known_tools, path)
    model = _text(header, "model", path)
    return Prompt(
        name=_text(header, "name", path) or _text(header, "agent", path) or path.stem,
        path=path,
        body=header.body,
        tools=tools,
        model=None if model in _INHERITED_MODELS else model,
        profile=read_profile(header.fields.get("agentflow"), where=str(path)),
        sha256=hashlib.sha256(data).hexdigest(),
        builtin=path.parent == builtin_folder(),
        warnings=warnings,
    )


def _text(header: Header, key: str, path: Path) -> str:
    value = header.fields.get(key, "")
    if not isinstance(value, str):
        raise UsageError(f"{path}:{header.lines[key]}: `{key}` must be text")
    return " ".join(value.split())


def _granted(
    header: Header, known: Sequence[str], path: Path
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The tools that a header grants, in the known order, and warnings about the others."""
    key = _tools_key(header, path)
    if key is None or header.fields[key] == "*":
        return tuple(known), ()
    where = f"{path}:{header.lines[key]}"
    names = _names(header.fields[key], where, key)
    granted = tuple(tool for tool in known if tool in names)
    warnings = tuple(
        f"{where}: the tool {name!r} is not available{nearest(name, known)}"
        for name in names
        if name not in known
    )
    if not granted:
        raise UsageError(
            f"{where}: none of its tools is available ({', '.join(names) or 'an empty list'})",
            hint=f"Available tools: {', '.join(known)}.",
        )
    return granted, warnings


def _tools_key(header: Header, path: Path) -> str | None:
    """The key that lists the tools. Another one that may limit them is not read past."""
    plain = {key: re.sub(r"[^a-z]", "", key.lower()) for key in header.fields}
    listing = [key for key, name in plain.items() if name in {"tools", "allowedtools"}]
    others = [
        key
        for key, name in plain.items()
        if key not in listing and ("tool" in name or name in {"permission", "permissions"})
    ]
    if others or len(listing) > 1:
        key = (others or listing)[-1]
        raise UsageError(
            f"{path}:{header.lines[key]}: `{key}` may limit the tools in a way that is not read",
            hint="List the tools that the prompt may use under `tools`, and nowhere else.",
        )
    return listing[0] if listing else None


def _names(declared: Any, where: str, key: str) -> list[str]:
    """The names in a list, or between commas that are not in parentheses."""
    items: Any = re.split(r",\s*(?![^()]*\))", declared) if isinstance(declared, str) else declared
    if not isinstance(items, list):
        raise UsageError(f"{where}: `{key}` must be a list of names, or names between commas")
    names: list[str] = []
    for item in items:  # pyright: ignore[reportUnknownVariableType] - checked by the next line
        if not isinstance(item, str):
            raise UsageError(f"{where}: `{key}` must be a list of names, or names between commas")
        names.append(item.strip())
    return [name for name in names if name]
