"""From the names that a prompt gives its tools to the tools that agentflow grants: never more."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from agentflow.frozen import record
from agentflow.nearest import nearest

ALIASES: dict[str, tuple[str, ...]] = {
    "read": ("Read",),
    "readfile": ("Read",),
    "read/readfile": ("Read",),
    "write": ("Write",),
    "edit": ("Edit", "Write"),
    "editfiles": ("Edit", "Write"),
    "edit/editfiles": ("Edit", "Write"),
    "createfile": ("Write",),
    "edit/createfile": ("Write",),
    "search": ("Grep", "Glob"),
    "grep": ("Grep",),
    "textsearch": ("Grep",),
    "search/textsearch": ("Grep",),
    "glob": ("Glob",),
    "filesearch": ("Glob",),
    "search/filesearch": ("Glob",),
    "listdirectory": ("Glob",),
    "search/listdirectory": ("Glob",),
    "codebase": ("Read", "Grep", "Glob"),
    "search/codebase": ("Read", "Grep", "Glob"),
    "bash": ("Bash",),
    "shell": ("Bash",),
    "execute": ("Bash",),
    "runcommands": ("Bash",),
    "runinterminal": ("Bash",),
    "runcommands/runinterminal": ("Bash",),
    "execute/runinterminal": ("Bash",),
    "terminalcommand": ("Bash",),
}
"""Names of VS Code's built-in tools and tool sets, and the aliases of GitHub's custom agents, which
do not mind case. A tool that runs only tests or tasks is not Bash, so it is not here. `codebase`
answers with the text of files: what Read, Grep and Glob show."""

ON_REQUEST = ("AskUserQuestion",)
"""Tools that a prompt has only if it names them."""
LOOKING = ("Read", "Grep", "Glob", *ON_REQUEST)
"""The tools that cannot change anything."""
MAX_NAMED = 20
"""Names that are not available and that a warning lists."""

_SERVER = "mcp__"
_SCOPED = re.compile(r"([A-Za-z]+)\((.*)\)", re.DOTALL)


@record
class Grant:
    """What a prompt's header says of tools."""

    declared: tuple[str, ...] | None
    """As written; None where nothing is said."""
    tools: tuple[str, ...]
    """Granted, in the order of the known ones."""
    scopes: tuple[str, ...] = ()
    """Patterns that every Bash command must match one of; empty without a limit."""
    warnings: tuple[str, ...] = ()
    error: str = ""


class Unreadable(ValueError):
    """What a header says of tools cannot be told for certain."""


def names(declared: Any) -> tuple[str, ...]:
    """The names in a list, or between commas that are not in parentheses.

    Raises `Unreadable` for anything else.
    """
    if isinstance(declared, str):
        text = declared.strip()
        if text.startswith(("[", "{")):
            raise Unreadable
        items: Any = re.split(r",(?![^()]*\))", text)
    else:
        items = declared
    if not isinstance(items, list):
        raise Unreadable
    found: list[str] = []
    for item in items:  # pyright: ignore[reportUnknownVariableType] - checked by the next line
        if not isinstance(item, str):
            raise Unreadable
        found.append(item.strip())
    return tuple(name for name in found if name)


def grant(declared: tuple[str, ...] | None, denied: tuple[str, ...], known: Sequence[str]) -> Grant:
    """Grant what is declared, without what is denied. Nothing declared means all known tools."""
    warnings: list[str] = []
    granted, scopes = set(known), list[str]()
    if declared is not None and "*" not in declared:
        granted = set[str]()
        for name in declared:
            tools, patterns = _one(name, known)
            granted.update(tools)
            scopes += patterns
        warnings += _unavailable([name for name in declared if not _one(name, known)[0]], known)
        if any("Bash" in _one(name, known)[0] and not _one(name, known)[1] for name in declared):
            scopes = []
    removed, told = _denied(denied, (*known, *ON_REQUEST))
    granted -= removed
    tools = tuple(tool for tool in (*known, *ON_REQUEST) if tool in granted)
    error = ""
    if not tools:
        listed = ", ".join(declared or ()) or "an empty list"
        error = f"none of its tools is available ({listed})"
    return Grant(
        declared, tools, tuple(scopes) if "Bash" in tools else (), (*warnings, *told), error
    )


def _one(name: str, known: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """The tools that a name stands for, and the patterns that limit Bash."""
    if name in known or name in ON_REQUEST:
        return (name,), []
    scoped = _SCOPED.fullmatch(name)
    if scoped is None:
        return tuple(tool for tool in ALIASES.get(name.lower(), ()) if tool in known), []
    if scoped[1] != "Bash" or "Bash" not in known:
        return (), []
    patterns = [pattern.strip() for pattern in scoped[2].split(",") if pattern.strip()]
    if any(pattern in {"*", ":*"} for pattern in patterns):
        return ("Bash",), []
    return (("Bash",), patterns) if patterns else ((), [])


def _denied(denied: Sequence[str], known: Sequence[str]) -> tuple[set[str], list[str]]:
    """The tools that are taken away; a limit within a tool takes the whole tool."""
    removed: set[str] = set()
    warnings: list[str] = []
    folded = {tool.lower(): tool for tool in known}
    for name in denied:
        base = name.partition("(")[0].strip().lower()
        if base == "*":
            removed.update(known)
        removed.update(ALIASES.get(base, ()))
        if base in folded:
            removed.add(folded[base])
        if "(" in name and base in folded:
            warnings.append(f"{name!r} is not denied in part: the prompt has no {folded[base]}")
    return removed, warnings


def looking(found: Grant) -> Grant:
    """The grant without what can change anything: less or the same, never more."""
    tools = tuple(tool for tool in found.tools if tool in LOOKING)
    error = found.error or ("" if tools else f"none of its tools is one of {', '.join(LOOKING)}")
    return replace(found, tools=tools, scopes=(), error=error)


def _unavailable(missing: Sequence[str], known: Sequence[str]) -> list[str]:
    """One sentence on all names that give nothing, those of servers together."""
    unlike = [name for name in dict.fromkeys(missing) if not name.startswith(_SERVER)]
    served = {name for name in missing if name.startswith(_SERVER)}
    told = [_named(name, known) for name in unlike[:MAX_NAMED]]
    if len(unlike) > MAX_NAMED:
        told.append(f"{len(unlike) - MAX_NAMED} more")
    if served:
        shown = repr(*served) if len(served) == 1 else f"{len(served)} of {_SERVER}*"
        told.append(f"{shown} (no server is configured)")
    return [f"tools that are not available: {', '.join(told)}"] if told else []


def _named(name: str, known: Sequence[str]) -> str:
    if _SCOPED.fullmatch(name):
        return f"{name!r} (only Bash can be limited by a pattern)"
    near = nearest(name, known).removeprefix("; ")
    return f"{name!r} ({near})" if near else repr(name)
