"""Agents of Codex: TOML files in `.codex/agents`, whose instructions are the prompt's body.

The keys are those of Codex's custom agents: `name`, `description`, `developer_instructions`,
`model`, `sandbox_mode`; older files say `instructions`. What a file says beyond them has no effect
here and is a warning, but for what may limit tools, which is read as in any other header.
"""

import re
from pathlib import Path
from typing import Any

from agentflow.errors import UsageError
from agentflow.frontmatter import Header
from agentflow.prompts.dialects import Dialect, Problem
from agentflow.strict_toml import parse_toml

READ_ONLY = ("Read", "Grep", "Glob")
"""The tools of `sandbox_mode = "read-only"`; the other modes limit nothing here."""

_BODIES = ("developer_instructions", "instructions")
_KNOWN = {"name", "description", "model", "agentflow"}
_WRITING = {"workspace-write", "danger-full-access"}
_WORD = re.compile(r"[ \t\[]*[\"']?([\w-]+)")
_LIMITING = re.compile("tool|permission", re.IGNORECASE)


def read_codex(text: str, path: Path) -> Dialect:
    """Read a Codex agent's file. Raises `UsageError` for what is not TOML."""
    try:
        table = parse_toml(text)
    except ValueError as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from error
    places = _lines(text)
    lines = {key: places.get(key, 1) for key in table}
    key = next((each for each in _BODIES if isinstance(table.get(each), str)), "")
    fields: dict[str, Any] = {
        name: value for name, value in table.items() if name in _KNOWN or _LIMITING.search(name)
    }
    problems = [
        Problem(lines[name], "warning", "key-ignored", f"`{name}` has no effect here")
        for name in table
        if name not in fields and name not in {key, "sandbox_mode"}
    ]
    if "sandbox_mode" in table:
        problems += _limited(table["sandbox_mode"], lines["sandbox_mode"], fields, lines)
    header = Header(fields, lines, table.get(key, ""), present=True)
    return Dialect(header, "toml", tuple(problems))


def _limited(
    mode: object, line: int, fields: dict[str, Any], lines: dict[str, int]
) -> list[Problem]:
    """Limit the tools to what a mode allows; one that is not known is an error."""
    if isinstance(mode, str) and mode in _WRITING:
        return []
    if mode == "read-only" and "tools" not in fields:
        fields["tools"], lines["tools"] = list(READ_ONLY), line
        return []
    told = "`sandbox_mode` may limit the tools in a way that is not read"
    return [Problem(line, "error", "tools-unclear", told)]


def _lines(text: str) -> dict[str, int]:
    """The first line that begins with each word: where a key stands, if not in an odd way."""
    found: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if word := _WORD.match(line):
            found.setdefault(word[1], number)
    return found


def codex_lines_above(header: Header, text: str) -> int:
    """How many lines of the file precede the instructions."""
    line = next((header.lines[key] for key in _BODIES if key in header.lines), 1)
    opening = text.split("\n")[line - 1].rstrip()
    return line if opening.endswith(('"""', "'''")) else line - 1
