"""Headers of prompts written for other tools: strict YAML, else quoted and tried again, else lines.

Every fallback is a warning with its line. What a fallback cannot tell for certain about tools is
an error: nothing is ever granted on a guess.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from agentflow.errors import UsageError
from agentflow.frontmatter import MAX_HEADER, Header, read_header, split_header
from agentflow.frozen import record

Parse = Literal["yaml", "repaired", "scanned", "none", "toml"]

KEYS = frozenset({
    "name", "agent", "description", "tools", "allowed-tools", "allowed_tools", "allowedTools",
    "disallowedTools", "disallowed-tools", "disallowed_tools", "model", "color", "skills",
    "memory", "maxTurns", "effort", "permissionMode", "permission-mode", "permission_mode",
    "mcpServers", "hooks", "background", "isolation", "initialPrompt", "output_format", "agentflow", "argument-hint", "version",
    "mode", "target", "handoffs", "permission", "permissions",
})  # fmt: skip
"""Keys at which a line scan begins a new value; any other line belongs to the value above."""

_FENCE = re.compile(r"[\s\ufeff\u200b]*---\w*[ \t]*(?:\r\n|\r|\n)")
_END = re.compile(r"[ \t]*---[ \t]*")
_PLAIN = re.compile(r"([A-Za-z_][\w-]*)[ \t]*:[ \t]+(\S.*?)[ \t]*\r?")
_KEY = re.compile(r"[\"']?([A-Za-z_][\w-]*)[\"']?[ \t]*:(?:[ \t]+(.*)|)")
_MENTION = re.compile(
    r"[\s\ufeff\u200b>{,?-]*[\"']?[\w-]*"
    r"(?:(?:tool|permission(?!_?-?mode))[\w-]*[\"']?\s*:|permission[_-]?mode[\"']?\s*:\s*[\"']?plan)",
    re.IGNORECASE,
)
"""A line that limits the tools, or may. Of the permission modes only `plan` does."""
_LATE = 40
"""Lines above a header that does not stand at the top: a fence, a comment, a title."""


@record
class Problem:
    """Something to say about a file. An error keeps the prompt from being run."""

    line: int
    severity: Literal["error", "warning"]
    code: str
    message: str


@record
class Dialect:
    """A header, however it was read."""

    header: Header
    parse: Parse
    problems: tuple[Problem, ...] = ()


@dataclass(slots=True)
class _Scan:
    """Raw values by key, with the line of each."""

    values: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    lines: dict[str, int] = field(default_factory=dict[str, int])
    doubled: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])


def read_dialect(text: str) -> Dialect:
    """Read a prompt's header in any of the ways; never raises for what a file holds."""
    try:
        header = read_header(text, where="")
    except UsageError as error:
        return _fall_back(text, error)
    if header.present:
        return Dialect(header, "yaml", tuple(_swallowed(text, header)))
    late = _late_header(text)
    if late is None:
        return Dialect(header, "none")
    problem = Problem(late[0], "warning", "header-place", "the header does not stand at the top")
    return _scanned(late[1], late[0] + 1, text, problem)


def _fall_back(text: str, error: UsageError) -> Dialect:
    reason = re.sub(r"^:?\d*:?\s*", "", error.message)
    found = re.match(r":(\d+):", error.message)
    line = int(found[1]) if found else 1
    raw, body, first = split_header(text)
    watched = raw or text[:MAX_HEADER]
    if raw is None:
        raw, body, first = _loose(text)
    elif len(raw) <= MAX_HEADER and (repaired := _requoted(raw)) is not None:
        quoted, changed = repaired
        with_fences = f"---\n{quoted}\n---\n"
        try:
            again = read_header(with_fences, where="")
        except UsageError:
            pass
        else:
            shift = first - 2
            lines = {key: at + shift for key, at in again.lines.items()}
            header = Header(again.fields, lines, body, present=True)
            told = f"{reason}; read with {_names(changed)} quoted"
            problem = Problem(line, "warning", "header-repaired", told)
            return Dialect(header, "repaired", (problem, *_hidden(raw, header, first)))
    told = f"{reason}; only lines that begin with a known key are read"
    dialect = _scanned(raw, first, body, Problem(line, "warning", "header-scanned", told))
    if watched is raw or body is not text:
        return dialect
    # Nobody can tell where a header ends that is not closed: not even that it has ended.
    return replace(dialect, problems=(*dialect.problems, *_hidden(watched, dialect.header, 1)))


def _names(keys: list[str]) -> str:
    return ", ".join(f"`{key}`" for key in dict.fromkeys(keys))


def _requoted(raw: str) -> tuple[str, list[str]] | None:
    """The header with the values quoted that no YAML parser reads; None if there are none."""
    changed: list[str] = []
    lines = re.split(r"\r\n|\n", raw)
    for number, line in enumerate(lines):
        found = _PLAIN.fullmatch(line)
        if found is None or found[2][0] in "\"'|>[{&!#" or not _needs_quotes(found[2]):
            continue
        value = found[2]
        if "tool" in found[1].lower():
            value = re.split(r"\s#", value)[0]
        lines[number] = f"{found[1]}: '{value.replace(chr(39), chr(39) * 2)}'"
        changed.append(found[1])
    return ("\n".join(lines), changed) if changed else None


def _needs_quotes(value: str) -> bool:
    return ": " in value or value.endswith(":") or value[0] in "*?-,%@`"


def _loose(text: str) -> tuple[str, str, int]:
    """The header behind an opening that is indented or not closed, the body, and its first line.

    Without a closing line the header ends at the first blank line, and the body is the whole text:
    nobody can tell where it begins, and nothing may be lost.
    """
    opening = _FENCE.match(text)
    start = opening.end() if opening else 0
    first = len(re.findall(r"\r\n|\r|\n", text[:start])) + 1
    position = start
    blank = None
    for piece in text[start:].splitlines(keepends=True):
        if _END.fullmatch(piece.rstrip("\r\n")):
            return text[start:position], text[position + len(piece) :], first
        if not piece.strip() and blank is None:
            blank = position
        position += len(piece)
    return text[start : len(text) if blank is None else blank], text, first


def _late_header(text: str) -> tuple[int, str] | None:
    """The line and the raw text of a header below other lines that say what a prompt is."""
    lines = re.split(r"\r\n|\r|\n", text[: MAX_HEADER * 2])
    for start, line in enumerate(lines[:_LATE]):
        if line.rstrip() != "---" or start + 1 >= len(lines):
            continue
        found = _KEY.fullmatch(lines[start + 1])
        if found is None or found[1] not in KEYS:
            continue
        for end in range(start + 1, len(lines)):
            if lines[end].rstrip() == "---":
                return start + 1, "\n".join(lines[start + 1 : end])
    return None


def _scanned(raw: str, first: int, body: str, problem: Problem) -> Dialect:
    scan = _scan(raw, first)
    fields: dict[str, Any] = {key: _value(value) for key, value in scan.values.items()}
    header = Header(fields, scan.lines, body, present=True)
    problems = [problem]
    for key, line in scan.doubled:
        if _MENTION.match(f"{key}: plan"):
            problems.append(
                Problem(line, "error", "tools-unclear", f"the key `{key}` stands twice")
            )
        else:
            told = f"the key `{key}` stands twice; the first counts"
            problems.append(Problem(line, "warning", "key-twice", told))
    if len(raw) > MAX_HEADER:
        told = f"the header is longer than {MAX_HEADER} characters"
        problems.append(Problem(first, "error", "header-long", told))
    return Dialect(header, "scanned", (*problems, *_hidden(raw, header, first)))


def _scan(raw: str, first: int) -> _Scan:
    scan = _Scan()
    into: list[str] = []
    for number, line in enumerate(re.split(r"\r\n|\r|\n", raw[:MAX_HEADER]), first):
        found = _KEY.fullmatch(line)
        key = found[1] if found else ""
        if found is None or not (key in KEYS or _MENTION.match(line)):
            into.append(line)
            continue
        into = [found[2] or ""]
        if key in scan.values:
            scan.doubled.append((key, number))
        else:
            scan.values[key], scan.lines[key] = into, number
    return scan


def _value(lines: list[str]) -> Any:
    """A list if all lines below are `- item`, else one text."""
    head = _unquoted(re.split(r"(?:^|\s)#", lines[0])[0].strip())
    rest = [line.strip() for line in lines[1:] if line.strip() and line.strip()[0] != "#"]
    if not head and rest and all(line.startswith("- ") for line in rest):
        return [_unquoted(re.split(r"\s#", line[2:])[0].strip()) for line in rest]
    if head.startswith("["):
        flow = " ".join((head, *rest))
        closed = flow.endswith("]") and flow.count("[") == 1 == flow.count("]")
        return [_unquoted(item.strip()) for item in flow[1:-1].split(",")] if closed else flow
    if head[:1] in {"|", ">"}:
        return "\n".join(rest)
    return "\n".join((head, *rest)) if rest else head


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def _swallowed(text: str, header: Header) -> Iterator[Problem]:
    """A line that stands like a key for tools, and that YAML takes for part of another value."""
    raw, _, first = split_header(text)
    for number, line in enumerate((raw or "").split("\n"), first):
        if not line[:1].isspace() and _MENTION.match(line) and number not in header.lines.values():
            told = "this line may limit the tools, and YAML reads it as part of another value"
            yield Problem(number, "error", "tools-unclear", told)
            return


def _hidden(raw: str, header: Header, first: int) -> Iterator[Problem]:
    """Lines that speak of tools and that a fallback did not read as a key of their own."""
    for number, line in enumerate(re.split(r"\r\n|\r|\n|\x85|\u2028|\u2029", raw), first):
        if _MENTION.match(line) and number not in header.lines.values():
            told = "a line of the broken header may limit the tools in a way that is not read"
            yield Problem(number, "error", "tools-unclear", told)
            return
