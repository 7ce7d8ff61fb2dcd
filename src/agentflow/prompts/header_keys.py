"""Keys of a prompt's header beside name, model and tools: those that are honoured, and the rest."""

import re
from collections.abc import Mapping
from typing import Any, get_args

from agentflow.frontmatter import Header
from agentflow.frozen import record
from agentflow.nearest import nearest
from agentflow.prompts.dialects import Problem
from agentflow.prompts.tool_names import Unreadable, names
from agentflow.records import Effort

IGNORED = ("memory", "mcpServers", "hooks", "background", "isolation")
"""Keys of other tools that change what an agent does there, and that nothing here acts on."""
MAX_SKILLS = 50
"""Names of one prompt; the most in one of 1,024 public agent files is under ten."""
MAX_INITIAL = 16 * 1024
"""Characters of an `initialPrompt`. It is refused beyond that: half an order is none."""

EFFORTS: dict[str, Effort] = {each: each for each in get_args(Effort)}

_DEFAULT_EFFORTS = {"", "auto", "default", "inherit"}
_PERMISSION_MODE = "permissionmode"


@record
class Wishes:
    """What a prompt asks for that is not a tool."""

    max_turns: int | None = None
    effort: Effort | None = None
    skills: tuple[str, ...] = ()
    """Names as written, each once."""
    initial_prompt: str = ""


def read_wishes(header: Header, problems: list[Problem]) -> Wishes:
    """Read the keys that are honoured; add what is wrong with them, and what is not honoured."""
    wishes = Wishes(
        _max_turns(header, problems),
        _effort(header, problems),
        _skills(header, problems),
        _initial_prompt(header, problems),
    )
    problems += [
        Problem(header.lines[key], "warning", "key-ignored", f"`{key}` has no effect here")
        for key in IGNORED
        if key in header.fields
    ]
    return wishes


def is_plan_mode(header: Header, problems: list[Problem]) -> bool:
    """Whether `permissionMode` says `plan`: an agent that may look and change nothing.

    However the key is spelled. Every other mode has no effect, and a warning says so.
    """
    found = False
    for key, value in _permission_modes(header.fields).items():
        if not isinstance(value, str):
            told = f"`{key}` must be text: it may limit the tools"
            problems.append(Problem(header.lines[key], "error", "tools-unclear", told))
        elif value.strip(" \"'").casefold().startswith("plan"):
            found = True
        else:
            told = f"`{key}: {value:.40}` has no effect here: only `plan` has"
            problems.append(Problem(header.lines[key], "warning", "key-ignored", told))
    return found


def _permission_modes(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in fields.items()
        if re.sub(r"[^a-z]", "", key.lower()) == _PERMISSION_MODE
    }


def _max_turns(header: Header, problems: list[Problem]) -> int | None:
    value = header.fields.get("maxTurns")
    if value is None:
        return None
    if isinstance(value, str) and re.fullmatch(r"[1-9]\d{0,5}", value.strip()):
        return int(value)
    told = "`maxTurns` must be a number from 1"
    problems.append(Problem(header.lines["maxTurns"], "error", "turns", told))
    return None


def _effort(header: Header, problems: list[Problem]) -> Effort | None:
    value = header.fields.get("effort", "")
    word = value.strip().lower() if isinstance(value, str) else None
    if word in _DEFAULT_EFFORTS:
        return None
    found = EFFORTS.get(word or "")
    if found is None:
        near = nearest(word[:20], EFFORTS) if word else ""
        told = f"`effort` must be one of {', '.join(EFFORTS)}{near}"
        problems.append(Problem(header.lines["effort"], "error", "effort", told))
    return found


def _skills(header: Header, problems: list[Problem]) -> tuple[str, ...]:
    if "skills" not in header.fields:
        return ()
    line = header.lines["skills"]
    try:
        found = tuple(dict.fromkeys(names(header.fields["skills"])))
    except Unreadable:
        told = "`skills` must be a list of names, or names between commas; none of them is given"
        problems.append(Problem(line, "warning", "skills-unclear", told))
        return ()
    if len(found) > MAX_SKILLS:
        told = f"`skills` names {len(found)}: those after the first {MAX_SKILLS} are not given"
        problems.append(Problem(line, "warning", "skills-many", told))
    return found[:MAX_SKILLS]


def _initial_prompt(header: Header, problems: list[Problem]) -> str:
    value = header.fields.get("initialPrompt", "")
    if isinstance(value, str) and len(value) <= MAX_INITIAL:
        return value.strip("\r\n") if value.strip() else ""
    told = f"`initialPrompt` must be text of at most {MAX_INITIAL} characters"
    problems.append(Problem(header.lines["initialPrompt"], "error", "initial-prompt", told))
    return ""
