"""A prompt file taken apart, with all that is to be said about it and without a verdict."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agentflow.errors import UsageError
from agentflow.frontmatter import Header, read_limited
from agentflow.frozen import record
from agentflow.prompts.codex import codex_lines_above, read_codex
from agentflow.prompts.decoding import decode
from agentflow.prompts.detection import OWN, Detected, detect
from agentflow.prompts.dialects import Parse, Problem, read_dialect
from agentflow.prompts.header_keys import Wishes, is_plan_mode, read_wishes
from agentflow.prompts.profile import read_profile
from agentflow.prompts.tool_names import Grant, Unreadable, grant, looking, names

MAX_PROMPT = 1024 * 1024
"""Bytes. The largest of 1,024 public agent files has under a tenth of that."""

_INHERITED_MODELS = {"", "inherit", "default"}
_LISTING = {"tools", "allowedtools"}
_DENYING = {"disallowedtools"}
_SUFFIXES = re.compile(r"\.(?:agent|chatmode|prompt)$")


@record
class Reading:
    """What one file says. Problems with the severity `error` keep it from being run."""

    path: Path
    name: str
    header: Header
    parse: Parse
    encoding: str
    """The misreading that was undone; empty if none was."""
    grant: Grant
    model: str | None
    detected: Detected
    sha256: str
    problems: tuple[Problem, ...]
    wishes: Wishes
    lines_above: int = 0
    """Lines of the file before its body."""

    @property
    def error(self) -> Problem | None:
        """The first error."""
        return next((each for each in self.problems if each.severity == "error"), None)


def read_prompt(path: Path, known_tools: Sequence[str]) -> Reading:
    """Read a prompt file in whatever dialect it is.

    Raises `UsageError` only for a file that cannot be read at all: no file, too large, no text.
    """
    return take_apart(path, read_limited(path, MAX_PROMPT), known_tools)


def take_apart(path: Path, data: bytes, known_tools: Sequence[str]) -> Reading:
    """Take the bytes of a prompt file apart. Raises `UsageError` for what is no text."""
    try:
        decoded = decode(data)
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text (byte {error.start})") from error
    if "\0" in decoded.text:
        raise UsageError(f"{path} is not text (a NUL byte at {data.index(0)})")
    toml = path.suffix == ".toml"
    dialect = read_codex(decoded.text, path) if toml else read_dialect(decoded.text)
    header, problems = dialect.header, list(dialect.problems)
    if decoded.repaired:
        problems.insert(0, Problem(1, "warning", "encoding", decoded.warning))
    granted = _granted(header, known_tools, problems)
    wishes = read_wishes(header, problems)
    if not header.body.strip():
        told = "the prompt has no text" + ("" if toml else " after its header")
        problems.append(Problem(1, "error", "empty", told))
    rest = decoded.text.count("\n") - header.body.count("\n")
    return Reading(
        path=path,
        name=_text(header, "name", problems) or _text(header, "agent", problems) or stem(path),
        header=header,
        parse=dialect.parse,
        encoding=decoded.repaired,
        grant=granted,
        model=_model(header, problems),
        detected=_profile(header, problems),
        sha256=hashlib.sha256(data).hexdigest(),
        problems=tuple(problems),
        wishes=wishes,
        lines_above=codex_lines_above(header, decoded.text) if toml else rest,
    )


def stem(path: Path) -> str:
    """The file's name without what only says which kind of file it is."""
    stem = path.name.removesuffix(".md.j2") if path.name.endswith(".md.j2") else path.stem
    return _SUFFIXES.sub("", stem)


def _text(header: Header, key: str, problems: list[Problem]) -> str:
    value = header.fields.get(key, "")
    if isinstance(value, str):
        return " ".join(value.split())
    told = f"`{key}` is not text; the file's name is taken"
    problems.append(Problem(header.lines[key], "warning", f"{key}-type", told))
    return ""


def _model(header: Header, problems: list[Problem]) -> str | None:
    """The model as written, without the product that offers it: `Claude Sonnet 4.5 (copilot)`."""
    value = header.fields.get("model", "")
    if not isinstance(value, str):
        told = "`model` must be text"
        problems.append(Problem(header.lines["model"], "error", "model-type", told))
        return None
    name = re.sub(r"\s*\([\w ]+\)$", "", " ".join(value.split()))
    return None if name.lower() in _INHERITED_MODELS else name


def _profile(header: Header, problems: list[Problem]) -> Detected:
    block = header.fields.get("agentflow")
    if block is None:
        return detect(header.fields, header.body)
    try:
        return Detected(OWN, "its `agentflow:` block", read_profile(block, where=""))
    except UsageError as error:
        told = error.message.removeprefix(": ")
        problems.append(Problem(header.lines["agentflow"], "error", "profile", told))
        return detect(header.fields, header.body)


def _granted(header: Header, known: Sequence[str], problems: list[Problem]) -> Grant:
    """What the header grants; nothing at all where that cannot be told for certain."""
    plain = {key: re.sub(r"[^a-z]", "", key.lower()) for key in header.fields}
    listing = [key for key, name in plain.items() if name in _LISTING]
    denying = [key for key, name in plain.items() if name in _DENYING]
    others = [
        key
        for key, name in plain.items()
        if key not in (*listing, *denying)
        and (key == "<<" or "tool" in name or ("permission" in name and name != "permissionmode"))
    ]
    unclear = others or listing[1:] or denying[1:]
    if unclear:
        told = f"`{unclear[-1]}` may limit the tools in a way that is not read"
        problems.append(Problem(header.lines[unclear[-1]], "error", "tools-unclear", told))
    declared = _names(header, listing, problems)
    denied = _names(header, denying, problems) or ()
    found = grant(declared, denied, known)
    found = looking(found) if is_plan_mode(header, problems) else found
    line = header.lines[(listing or denying)[0]] if listing or denying else 1
    problems += [Problem(line, "warning", "tool-unavailable", told) for told in found.warnings]
    broken = any(each.code in {"tools-unclear", "header-long"} for each in problems)
    if found.error and not broken:
        problems.append(Problem(line, "error", "tools-none", found.error))
    return Grant(declared, (), error=found.error) if broken else found


def _names(header: Header, keys: list[str], problems: list[Problem]) -> tuple[str, ...] | None:
    if not keys:
        return None
    value: Any = header.fields[keys[0]]
    try:
        return names(value)
    except Unreadable:
        told = f"`{keys[0]}` must be a list of names, or names between commas"
        problems.append(Problem(header.lines[keys[0]], "error", "tools-unclear", told))
        return ()
