"""The parts of a report, in the words that agents choose for them."""

from dataclasses import replace

import pytest

from agentflow.gates.sections import SectionsAudit, missing_sections
from agentflow.records import Section
from tests.workspace.place import Work

ALL: tuple[Section, ...] = ("implemented", "files", "frontend")
WHOLE = "## Implemented\n- a route\n\n## Files\n- created: a.ts\n\n## For the frontend\n- nothing\n"


@pytest.mark.parametrize(
    ("answer", "missing"),
    [
        (WHOLE, []),
        ("", ["implemented", "files", "frontend"]),
        ("I have implemented it; the frontend can consume the files.", list(ALL)),
        (WHOLE.replace("- nothing\n", ""), ["frontend"]),
        (WHOLE.replace("- a route\n", ""), ["implemented"]),
        (
            "**What was implemented**: a route\n\nFiles created:\n- a.ts\n\n"
            "1. **Shared contracts** to take over: none",
            [],
        ),
        ("Summary: done\nFrontend must consume:\n\n- GET /x", ["files"]),
        ("### Implementation\nx\n### Created files\n`a`\n### What callers change\nno", []),
    ],
)
def test_a_part_is_there_if_something_stands_below_its_heading(
    answer: str, missing: list[str]
) -> None:
    assert missing_sections(answer, ALL) == missing


async def test_what_is_missing_is_named_with_the_form(work: Work) -> None:
    candidate = work.collect()
    whole = await SectionsAudit(ALL).compare(replace(candidate, answer=WHOLE), ())
    found = await SectionsAudit(ALL).compare(replace(candidate, answer="Done."), ())

    assert whole.status == "passed"
    assert (found.status, found.summary) == (
        "failed",
        "the report lacks Implemented, Files, For the frontend",
    )
    assert found.detail.endswith("## Implemented\n## Files\n## For the frontend")
