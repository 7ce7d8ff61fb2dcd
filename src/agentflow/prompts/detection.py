"""What a prompt written for another tool expects of its orchestrator, told by signs in it."""

import re
from collections.abc import Mapping
from typing import Any

from agentflow.frozen import record
from agentflow.records import Profile

PLACEHOLDERS = (
    "$CURRENT_PHASE",
    "$IMPLEMENTATION_PLAN",
    "$RELEVANT_LESSONS",
    "$TASK_DESCRIPTION",
    "$FILE_BOUNDARIES",
    "$PARALLEL_AGENTS",
    "$RECENT_CHANGES",
)
"""Variables that agentflow fills in a prompt that names them."""

DOCUMENTS = ("docs/plans/backend-plan.md", "docs/intent/product-intent.md")
"""Documents that a run does not begin without, where a prompt with a report names them."""

_ANSWER = {
    "type": "object",
    "required": ["implementation", "files", "verification"],
    "properties": {
        "implementation": {
            "type": "object",
            "required": ["summary"],
            "properties": {"summary": {"type": "string", "minLength": 1}},
        },
        "files": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["path", "action", "description"],
                "properties": {
                    "path": {"type": "string", "minLength": 1},
                    "action": {"enum": ["create", "modify", "delete"]},
                    "description": {"type": "string"},
                },
            },
        },
        "verification": {
            "type": "object",
            "required": ["typecheck", "tests", "lint"],
        },
    },
}
"""The answer of prompts whose example has these three keys; `delete` is in their schema only."""


@record
class Sign:
    """One row of the table: all of its expressions must be found in the prompt."""

    told: str
    """What was found, for people."""
    name: str
    """Of the profile."""
    profile: Profile
    body: tuple[str, ...] = ()
    """Expressions, each searched in the body without regard to case."""
    fields: Mapping[str, str] | None = None
    """Values of header keys."""


SIGNS: tuple[Sign, ...] = (
    Sign(
        "`output_format: json`, and an answer with implementation, files and verification",
        "json",
        Profile(completion="json", output_schema=_ANSWER),
        (r'"implementation"\s*:', r'"files"\s*:', r'"verification"\s*:'),
        {"output_format": "json"},
    ),
    Sign(
        "`output_format: json`",
        "json",
        Profile(completion="json"),
        fields={"output_format": "json"},
    ),
    Sign(
        "it ends by a file in `.orchestrator/complete/`",
        "marker",
        Profile(completion="marker"),
        (r"\.orchestrator/complete/",),
    ),
    Sign(
        "`task-tracking/{TASK_ID}/tasks.md`, and one commit for each batch",
        "batch",
        Profile(commits="agent", completion="commit"),
        (r"task-tracking/\{TASK_ID\}/tasks\.md", r"one commit per batch"),
    ),
    Sign(
        "a report with the headings Implemented, Tests and Promises Verified",
        "report",
        Profile(completion="report"),
        (r"^## Implemented\s*$", r"^## Tests\s*$", r"^## Promises Verified\s*$"),
    ),
    Sign(
        "it takes a block named `Backend Task Handoff`",
        "handoff",
        Profile(sections=("files",)),
        (r"handoff block",),
        {"name": "backend-task-handoff-prompt"},
    ),
)
"""The signs in the order in which they are looked for: the first that is found decides."""


OWN = "own"
"""The name of the profile that a prompt's `agentflow:` block states."""


@record
class Detected:
    """A profile and why."""

    name: str
    sign: str
    profile: Profile


def detect(fields: Mapping[str, Any], body: str) -> Detected:
    """Return the profile of the first sign that the prompt shows, else the default one."""
    sign = next((each for each in SIGNS if _shown(each, fields, body)), None)
    found = sign.profile if sign else Profile()
    named = DOCUMENTS if found.completion == "report" else ()
    profile = Profile(
        tuple(name for name in PLACEHOLDERS if re.search(rf"{re.escape(name)}(?!\w)", body)),
        found.commits,
        found.completion,
        found.output_schema,
        tuple(path for path in named if path in body),
        found.sections,
    )
    told = sign.told if sign else "no sign of another"
    return Detected(sign.name if sign else "default", told, profile)


def _shown(sign: Sign, fields: Mapping[str, Any], body: str) -> bool:
    values = (sign.fields or {}).items()
    return all(str(fields.get(key, "")).strip().lower() == value for key, value in values) and all(
        re.search(expression, body, re.IGNORECASE | re.MULTILINE) for expression in sign.body
    )
