"""The sections audit: has the report every part that the prompt's profile promises?"""

import asyncio
import re
from collections.abc import Iterator, Sequence

from agentflow.frozen import record
from agentflow.gates.answer import MAX_ANSWER
from agentflow.gates.file_list import listed_files
from agentflow.records import Section
from agentflow.results import Candidate, Evidence

HEADINGS: dict[Section, str] = {
    "implemented": "Implemented",
    "files": "Files",
    "frontend": "For the frontend",
}
"""What each part is called where it is asked for again, as in the built-in `handoff` prompt."""

_WORDS: dict[Section, re.Pattern[str]] = {
    "implemented": re.compile(r"\bimplement|\bsummary\b|\bwhat was (?:done|built)\b", re.I),
    "files": re.compile(r"\bfiles?\b", re.I),
    "frontend": re.compile(r"\bfront-?end\b|\bconsum|\bcontracts?\b|\bcallers?\b", re.I),
}
"""What a heading or a label of each part says, in the words that agents choose."""
_MAX_LINE = 300
_LABEL = re.compile(
    r"[ \t>]*(?:#{1,6}[ \t]+(?P<heading>[^\n]+)"
    r"|(?:(?:[-*+]|\d{1,2}[.)])[ \t]+)?\*\*(?P<bold>[^*\n]{1,80})\*\*[ \t]*:?(?P<after>[^\n]*)"
    r"|(?:(?:[-*+]|\d{1,2}[.)])[ \t]+)?(?P<plain>[A-Z][^:\n]{1,80}):(?P<value>[^\n]*))"
)


def missing_sections(answer: str, wanted: Sequence[Section]) -> list[Section]:
    """The parts that no heading or label of the answer begins, or that say nothing."""
    said = list(_said(answer[-MAX_ANSWER:]))
    found = {name for name in wanted for label in said if _WORDS[name].search(label)}
    if "files" in wanted and listed_files(answer):
        found.add("files")
    return [name for name in wanted if name not in found]


def _said(text: str) -> Iterator[str]:
    """Every label after which something stands."""
    waiting = ""
    for line in text.splitlines():
        label = _LABEL.fullmatch(line[:_MAX_LINE])
        if waiting and line.strip() and not (label and label["heading"]):
            yield waiting
            waiting = ""
        if label:
            name = label["heading"] or label["bold"] or label["plain"]
            if (label["after"] or label["value"] or "").strip():
                yield name
            else:
                waiting = name


@record
class SectionsAudit:
    """Fails for a report without one of its parts: it goes back to the agent."""

    wanted: Sequence[Section]
    name: str = "report"

    async def compare(self, candidate: Candidate, measured: object) -> Evidence:
        """Name what is missing, and the headings under which it is awaited."""
        del measured
        missing = await asyncio.to_thread(missing_sections, candidate.answer, self.wanted)
        if not missing:
            return Evidence(self.name, "passed", "the report has all its parts")
        form = "\n".join(f"## {HEADINGS[name]}" for name in self.wanted)
        return Evidence(
            self.name,
            "failed",
            "the report lacks " + ", ".join(HEADINGS[name] for name in missing),
            f"Give the whole report again, with something under each of these headings:\n{form}",
        )
